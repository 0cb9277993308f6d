"""Writes the Grafana dashboards from the panels named here: `python -m tools.dashboards`.

They are files in packaging/observability/dashboards, to be imported or provisioned as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

FOLDER: Final = Path("packaging/observability/dashboards")
_WIDTH: Final = 24
_HEIGHT: Final = 7
_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_HERE: Final = 'instance=~"$instance"'
_FAILED: Final = 'outcome="failed"'
_PRESENT: Final = 'state="present"'


class Panel(NamedTuple):
    """One panel: what its queries ask (each with how its series are named), in which unit."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    width: int = 8


def _rate(metric: str, by: str = "", where: str = "") -> str:
    chosen = f"{_HERE},{where}" if where else _HERE
    by = f" by ({by})" if by else ""
    return f"sum{by} (rate({metric}{{{chosen}}}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', labels, where)})"


def _now(metric: str, where: str = "") -> str:
    return f"{metric}{{{_HERE},{where}}}" if where else f"{metric}{{{_HERE}}}"


SERVICE: Final = (
    Panel(
        "Available this month",
        "percentunit",
        ((_now("coffre_availability_ratio", 'store=""'), "all"),),
        "stat",
        4,
    ),
    Panel("Requests", "reqps", ((_rate("coffre_requests_total"), "all"),), "stat", 4),
    Panel(
        "Failed, of all",
        "percentunit",
        (
            (
                f"({_rate('coffre_store_requests_total', where=_FAILED)} or vector(0))"
                f" / {_rate('coffre_store_requests_total')}",
                "failed",
            ),
        ),
        "stat",
        4,
    ),
    Panel("Open requests", "short", ((f"sum({_now('coffre_open_requests')})", "open"),), "stat", 4),
    Panel(
        "Processes that live", "short", ((f"sum({_now('coffre_process_up')})", "up"),), "stat", 4
    ),
    Panel(
        "Stored",
        "bytes",
        ((f"sum({_now('coffre_store_bytes')})", "bytes"),),
        "stat",
        4,
    ),
    Panel(
        "Requests by operation",
        "reqps",
        ((_rate("coffre_requests_total", "operation"), "{{operation}}"),),
    ),
    Panel(
        "Requests by status", "reqps", ((_rate("coffre_requests_total", "status"), "{{status}}"),)
    ),
    Panel("Errors by code", "reqps", ((_rate("coffre_errors_total", "code"), "{{code}}"),)),
    Panel(
        "Median time",
        "s",
        ((_quantile(0.5, "coffre_request_seconds", "operation"), "{{operation}}"),),
    ),
    Panel(
        "99th percentile",
        "s",
        ((_quantile(0.99, "coffre_request_seconds", "operation"), "{{operation}}"),),
    ),
    Panel(
        "Bytes",
        "Bps",
        (
            (_rate("coffre_received_bytes_total"), "in"),
            (_rate("coffre_sent_bytes_total"), "out"),
        ),
    ),
    Panel(
        "Busiest buckets",
        "reqps",
        (
            (
                f"topk(10, {_rate('coffre_bucket_requests_total', 'store, bucket')})",
                "{{store}}/{{bucket}}",
            ),
        ),
    ),
    Panel(
        "Bytes out by bucket",
        "Bps",
        (
            (
                f"topk(10, {_rate('coffre_bucket_sent_bytes_total', 'store, bucket')})",
                "{{store}}/{{bucket}}",
            ),
        ),
    ),
    Panel(
        "Requests by store and outcome",
        "reqps",
        ((_rate("coffre_store_requests_total", "store, outcome"), "{{store}} {{outcome}}"),),
    ),
    Panel(
        "Processor",
        "percentunit",
        ((_rate("coffre_process_cpu_seconds_total", "process"), "{{process}}"),),
    ),
    Panel("Memory", "bytes", ((_now("coffre_process_resident_bytes"), "{{process}}"),)),
    Panel("Starts of processes", "short", ((_now("coffre_process_starts_total"), "{{process}}"),)),
)

STORAGE: Final = (
    Panel(
        "Drives present",
        "short",
        ((f"sum({_now('coffre_drive_state', _PRESENT)})", "present"),),
        "stat",
        4,
    ),
    Panel(
        "Chunks below target",
        "short",
        ((_now("coffre_below_target_chunks"), "chunks"),),
        "stat",
        4,
    ),
    Panel(
        "Chunks not readable",
        "short",
        ((_now("coffre_unreadable_chunks"), "chunks"),),
        "stat",
        4,
    ),
    Panel(
        "Lost this month",
        "short",
        ((_now("coffre_durability_incidents"), "times"),),
        "stat",
        4,
    ),
    Panel(
        "Wait to be sealed",
        "short",
        ((_now("coffre_log_unsealed_chunks"), "landing chunks"),),
        "stat",
        4,
    ),
    Panel(
        "Root keys to back up",
        "short",
        ((_now("coffre_key_backup_due"), "due"),),
        "stat",
        4,
    ),
    Panel("Groups", "ops", ((_rate("coffre_group_mutations_count"), "groups"),)),
    Panel(
        "Mutations in a group",
        "short",
        (
            (
                f"{_rate('coffre_group_mutations_sum')} / {_rate('coffre_group_mutations_count')}",
                "mean",
            ),
        ),
    ),
    Panel(
        "A group's steps, 99th percentile",
        "s",
        ((_quantile(0.99, "coffre_group_seconds", "step"), "{{step}}"),),
    ),
    Panel("Queue", "short", ((_now("coffre_queued_mutations"), "mutations"),)),
    Panel("Catalog's files", "bytes", ((_now("coffre_catalog_file_bytes"), "{{file}}"),)),
    Panel(
        "Log and bodies",
        "Bps",
        (
            (_rate("coffre_log_bytes_total"), "log"),
            (_rate("coffre_group_body_bytes_total"), "bodies"),
        ),
    ),
    Panel(
        "Written to drives",
        "Bps",
        ((_rate("coffre_drive_written_bytes_total", "drive"), "{{drive}}"),),
    ),
    Panel(
        "Read from drives", "Bps", ((_rate("coffre_drive_read_bytes_total", "drive"), "{{drive}}"),)
    ),
    Panel(
        "Syncs, 99th percentile",
        "s",
        ((_quantile(0.99, "coffre_drive_seconds", "drive", 'kind="sync"'), "{{drive}}"),),
    ),
    Panel("Free on drives", "bytes", ((_now("coffre_drive_free_bytes"), "{{drive}}"),)),
    Panel(
        "Stewards' left",
        "short",
        ((_now("coffre_steward_left"), "{{steward}} ({{unit}})"),),
    ),
    Panel("Stewards move", "Bps", ((_now("coffre_steward_bytes_per_second"), "{{steward}}"),)),
    Panel("Objects by store", "short", ((_now("coffre_store_objects"), "{{store}}"),)),
    Panel("Follower is behind", "short", ((_now("coffre_follower_behind_records"), "records"),)),
    Panel("Lifecycles are late", "s", ((_now("coffre_expiry_lag_seconds"), "lag"),)),
)

DASHBOARDS: Final = {
    "coffre-service": ("Coffre: service", SERVICE),
    "coffre-storage": ("Coffre: storage", STORAGE),
}


def dashboard(uid: str, title: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    return {
        "uid": uid,
        "title": title,
        "tags": ["coffre"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source_variable(), _instance_variable()]},
        "panels": list(_laid_out(panels)),
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _instance_variable() -> dict[str, Any]:
    return {
        "name": "instance",
        "label": "Node",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(coffre_build_info, instance)",
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }


def _laid_out(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > _WIDTH:
            x, y = 0, y + _HEIGHT
        shown.append(
            {
                "id": number,
                "title": panel.title,
                "type": panel.kind,
                "datasource": _SOURCE,
                "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHT},
                "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
                "targets": [
                    {
                        "refId": chr(65 + at),
                        "datasource": _SOURCE,
                        "expr": query,
                        "legendFormat": name,
                    }
                    for at, (query, name) in enumerate(panel.queries)
                ],
            }
        )
        x += panel.width
    return shown


def files() -> dict[Path, str]:
    """What each file holds."""
    return {
        FOLDER / f"{uid}.json": json.dumps(dashboard(uid, title, panels), indent=2) + "\n"
        for uid, (title, panels) in DASHBOARDS.items()
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
