"""What needs an operator's attention now, of whatever kind: one list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Answer = dict[str, Any]


def alerts(
    status: Mapping[str, Any],
    checks: Iterable[Mapping[str, Any]],
    stewards: Iterable[Mapping[str, Any]],
) -> list[Answer]:
    """Rows of `severity` (bad: data or service is in danger now; warn: something is worth doing),
    what it is about, what is the case, and what to do; the bad ones first. From what the doctor
    found, quotas that are reached, and stewards whose last round failed."""
    rows = [
        _row(one["verdict"], "check", one["name"], one["says"], one["do"])
        for one in checks
        if one["verdict"] != "ok"
    ]
    for one in status.get("over_quota", ()):
        severity = "bad" if one["kind"] == "quota" else "warn"
        about = "/".join(one[name] for name in ("store", "bucket") if one.get(name))
        says = f"it holds {one['held']} {one['what']}: the limit is {one['limit']}"
        rows.append(_row(severity, "quota", about, says, "raise the quota, or delete"))
    rows += [
        _row("warn", "steward", one["name"], one["last_error"], "it tries again by itself")
        for one in stewards
        if one["last_error"]
    ]
    return sorted(rows, key=lambda row: (row["severity"] != "bad", row["kind"], row["about"]))


def _row(severity: str, kind: str, about: str, says: str, todo: str) -> Answer:
    return {"severity": severity, "kind": kind, "about": about, "says": says, "do": todo}
