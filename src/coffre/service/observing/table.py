"""The table of metrics: every figure that Coffre shows, what it means, and whose it is.

Everything else is made from it: the processes' pages, the text for Prometheus, docs/metrics.md.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Kind = Literal["counter", "gauge", "histogram"]

# Seconds of a request, of a step of a group, of a call to a drive.
REQUEST_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
STEP_BOUNDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
GROUP_BOUNDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class Metric(Struct, frozen=True):
    """One metric. `labels` in the order in which values are given; `bounds` of a histogram, in its
    unit; `section` is where the page of metrics lists it. `per`: the labels by which it is shown
    for the busiest stores or buckets only, the rest under `other`."""

    name: str
    kind: Kind
    section: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    per: Literal["", "store", "bucket"] = ""

    @property
    def cells(self) -> int:
        """Numbers that one series of it takes: a count for each bound, one beyond, and the sum."""
        return len(self.bounds) + 2 if self.bounds else 1


OTHER: Final = "other"
REQUESTS: Final = "Requests"
GROUPS: Final = "The catalog and its groups"
DRIVES: Final = "Drives and what is on them"
WORK: Final = "Work in the background"
SAFETY: Final = "Keys, certificates, time"
PROCESSES: Final = "Processes"
_OUTCOMES: Final = (
    "`outcome` is `ok`, `refused` (4xx, and `SlowDown`) or `failed` (5xx, or an answer that broke"
    " off)."
)

_REQUESTS: Final = (
    Metric(
        "coffre_requests_total",
        "counter",
        REQUESTS,
        "Finished S3 requests by operation (AWS's name; empty: none was recognised) and class of"
        " status, such as `2xx`.",
        ("operation", "status"),
    ),
    Metric(
        "coffre_request_seconds",
        "histogram",
        REQUESTS,
        "From a request's head to the end of its answer, the client's own pace included.",
        ("operation",),
        REQUEST_BOUNDS,
    ),
    Metric(
        "coffre_errors_total",
        "counter",
        REQUESTS,
        "Answers that are errors, by S3 code: `SlowDown` and every other refusal too.",
        ("code",),
    ),
    Metric("coffre_received_bytes_total", "counter", REQUESTS, "Bytes of request bodies."),
    Metric("coffre_sent_bytes_total", "counter", REQUESTS, "Bytes of answers' bodies."),
    Metric(
        "coffre_open_requests",
        "gauge",
        REQUESTS,
        "Requests that a worker has under way.",
        ("process",),
    ),
    Metric(
        "coffre_store_requests_total",
        "counter",
        REQUESTS,
        f"Finished requests by store. {_OUTCOMES}",
        ("store", "outcome"),
        per="store",
    ),
    Metric(
        "coffre_store_received_bytes_total",
        "counter",
        REQUESTS,
        "Bytes of request bodies by store.",
        ("store",),
        per="store",
    ),
    Metric(
        "coffre_store_sent_bytes_total",
        "counter",
        REQUESTS,
        "Bytes of answers' bodies by store.",
        ("store",),
        per="store",
    ),
    Metric(
        "coffre_bucket_requests_total",
        "counter",
        REQUESTS,
        f"Finished requests by bucket. {_OUTCOMES}",
        ("store", "bucket", "outcome"),
        per="bucket",
    ),
    Metric(
        "coffre_bucket_received_bytes_total",
        "counter",
        REQUESTS,
        "Bytes of request bodies by bucket.",
        ("store", "bucket"),
        per="bucket",
    ),
    Metric(
        "coffre_bucket_sent_bytes_total",
        "counter",
        REQUESTS,
        "Bytes of answers' bodies by bucket.",
        ("store", "bucket"),
        per="bucket",
    ),
)

_GROUPS: Final = (
    Metric(
        "coffre_group_mutations",
        "histogram",
        GROUPS,
        "Mutations that were committed together.",
        (),
        GROUP_BOUNDS,
    ),
    Metric(
        "coffre_group_seconds",
        "histogram",
        GROUPS,
        "A group's steps: `apply` writes the rows, `log` syncs every mirror, `commit` ends the"
        " transaction.",
        ("step",),
        STEP_BOUNDS,
    ),
    Metric(
        "coffre_group_body_bytes_total",
        "counter",
        GROUPS,
        "Bytes of bodies that travelled with their mutations.",
    ),
    Metric(
        "coffre_log_bytes_total", "counter", GROUPS, "Bytes of log records, before their cipher."
    ),
    Metric(
        "coffre_group_refused_mutations_total",
        "counter",
        GROUPS,
        "Mutations whose group was refused for a reason of the node's own, by S3 code.",
        ("code",),
    ),
    Metric("coffre_queued_mutations", "gauge", GROUPS, "Mutations that wait for a group."),
    Metric("coffre_queued_bytes", "gauge", GROUPS, "Bytes of bodies that wait for a group."),
    Metric(
        "coffre_catalog_file_bytes",
        "gauge",
        GROUPS,
        "Sizes of the catalog's files: `rows`, and SQLite's `wal`.",
        ("file",),
    ),
    Metric(
        "coffre_log_unsealed_chunks",
        "gauge",
        GROUPS,
        "Landing chunks of the log that superblocks name: each waits to be sealed.",
    ),
    Metric(
        "coffre_log_epoch",
        "gauge",
        GROUPS,
        "The zone's epoch: it rises with each start, and with each mirror that failed.",
    ),
    Metric("coffre_snapshot_age_seconds", "gauge", GROUPS, "Since the newest snapshot was taken."),
    Metric("coffre_snapshots", "gauge", GROUPS, "Snapshots of the catalog that superblocks name."),
    Metric(
        "coffre_follower_behind_records",
        "gauge",
        GROUPS,
        "Log records that the follower has yet to apply.",
    ),
    Metric(
        "coffre_follower_differs", "gauge", GROUPS, "1 where catalog and follower are not the same."
    ),
    Metric("coffre_store_buckets", "gauge", GROUPS, "Buckets by store.", ("store",), per="store"),
    Metric(
        "coffre_store_objects",
        "gauge",
        GROUPS,
        "Objects by store, all versions.",
        ("store",),
        per="store",
    ),
    Metric(
        "coffre_store_bytes",
        "gauge",
        GROUPS,
        "Bytes by store, all versions, as clients count them.",
        ("store",),
        per="store",
    ),
    Metric(
        "coffre_audit_unpacked_records",
        "gauge",
        GROUPS,
        "Records of the audit that are not packed into segments yet.",
    ),
    Metric("coffre_audit_unpacked_seconds", "gauge", GROUPS, "How old the oldest of these is."),
    Metric(
        "coffre_audit_target_behind_batches",
        "gauge",
        GROUPS,
        "Batches of the audit that a target of its forwarding has yet to get.",
        ("target",),
    ),
    Metric("coffre_audit_sequence", "gauge", GROUPS, "The number of the audit chain's last batch."),
)

_DRIVES: Final = (
    Metric(
        "coffre_drive_state",
        "gauge",
        DRIVES,
        "1 for the state that a drive is in: `present`, `missing`, `failed`, `foreign` or"
        " `checking`.",
        ("drive", "node", "rack", "state"),
    ),
    Metric("coffre_drive_free_bytes", "gauge", DRIVES, "Bytes free on a drive.", ("drive",)),
    Metric(
        "coffre_drive_probe_seconds",
        "gauge",
        DRIVES,
        "The median of a drive's last probes: a small file written, synced and read back.",
        ("drive",),
    ),
    Metric(
        "coffre_drive_seconds",
        "histogram",
        DRIVES,
        "Calls to a drive's files, by kind: `read`, `write`, `sync`.",
        ("drive", "kind"),
        STEP_BOUNDS,
    ),
    Metric(
        "coffre_drive_read_bytes_total", "counter", DRIVES, "Bytes read from a drive.", ("drive",)
    ),
    Metric(
        "coffre_drive_written_bytes_total", "counter", DRIVES, "Bytes written to it.", ("drive",)
    ),
    Metric(
        "coffre_drive_errors_total",
        "counter",
        DRIVES,
        "Calls to a drive's files that failed.",
        ("drive", "kind"),
    ),
    Metric(
        "coffre_unsealed_chunks",
        "gauge",
        DRIVES,
        "Chunks by state, but for those that are sealed: `open`, `sealing` (they wait to be"
        " sealed), `condemned` (they wait to be removed).",
        ("state",),
    ),
    Metric(
        "coffre_sealing_backlog_bytes", "gauge", DRIVES, "Bytes of chunks that wait to be sealed."
    ),
    Metric(
        "coffre_below_target_chunks",
        "gauge",
        DRIVES,
        "Chunks that have fewer members than they must.",
    ),
    Metric(
        "coffre_below_target_segments",
        "gauge",
        DRIVES,
        "Segments and mirrors that are to be made anew.",
    ),
    Metric(
        "coffre_stuck_segments",
        "gauge",
        DRIVES,
        "Of these, those that cannot be made now: no place, or too little left to make them from.",
    ),
    Metric(
        "coffre_unreadable_chunks",
        "gauge",
        DRIVES,
        "Chunks of which more is away than their geometry makes up for.",
    ),
    Metric(
        "coffre_findings_total",
        "counter",
        DRIVES,
        "Damage that was found, by who found it.",
        ("found_by",),
    ),
)

_WORK: Final = (
    Metric(
        "coffre_steward_state",
        "gauge",
        WORK,
        "1 for the state that a steward is in: `waiting`, `working`, `paused` or `failing`.",
        ("steward", "state"),
    ),
    Metric(
        "coffre_steward_left",
        "gauge",
        WORK,
        "What a steward has left to do, in its own unit, where it is known.",
        ("steward", "unit"),
    ),
    Metric(
        "coffre_steward_bytes_per_second",
        "gauge",
        WORK,
        "Bytes that a steward moved a second over its last rounds.",
        ("steward",),
    ),
    Metric(
        "coffre_steward_round_age_seconds",
        "gauge",
        WORK,
        "Since a steward's last round ended.",
        ("steward",),
    ),
    Metric(
        "coffre_steward_rounds",
        "gauge",
        WORK,
        "Rounds of a steward since its process began.",
        ("steward",),
    ),
    Metric(
        "coffre_expiry_lag_seconds",
        "gauge",
        WORK,
        "How long the oldest thing that a lifecycle has to act on has been due.",
    ),
)

_SAFETY: Final = (
    Metric(
        "coffre_key_backup_age_seconds",
        "gauge",
        SAFETY,
        "Since the root keys were backed up; absent where they never were.",
    ),
    Metric(
        "coffre_key_backup_due",
        "gauge",
        SAFETY,
        "1 where the root keys that are in use were never backed up.",
    ),
    Metric(
        "coffre_certificate_seconds_left", "gauge", SAFETY, "Until the certificate of HTTPS ends."
    ),
    Metric(
        "coffre_clock_behind_seconds",
        "gauge",
        SAFETY,
        "By how much the clock that releases locks is behind the wall clock.",
    ),
    Metric(
        "coffre_availability_ratio",
        "gauge",
        SAFETY,
        "Of the month so far, the share of the time in which a store was available; with no store:"
        " all of them together.",
        ("store",),
    ),
    Metric(
        "coffre_durability_incidents",
        "gauge",
        SAFETY,
        "Times this month that acknowledged data was found lost.",
    ),
    Metric(
        "coffre_probe_seconds",
        "gauge",
        SAFETY,
        "How long the last probe from outside took: a PUT, a GET and a DELETE.",
        ("origin",),
    ),
    Metric(
        "coffre_probe_failed",
        "gauge",
        SAFETY,
        "1 where the last probe from outside failed.",
        ("origin",),
    ),
)

_PROCESSES: Final = (
    Metric(
        "coffre_build_info", "gauge", PROCESSES, "Always 1; `version` is Coffre's.", ("version",)
    ),
    Metric(
        "coffre_process_up",
        "gauge",
        PROCESSES,
        "1 while a process of the node shows that it lives, else 0.",
        ("process",),
    ),
    Metric(
        "coffre_process_starts_total",
        "counter",
        PROCESSES,
        "Times a process was started since the node was; each beyond the first is a restart.",
        ("process",),
    ),
    Metric(
        "coffre_process_cpu_seconds_total",
        "counter",
        PROCESSES,
        "Processor time that a process used since it was started, by mode `user` or `system`.",
        ("process", "mode"),
    ),
    Metric(
        "coffre_process_resident_bytes", "gauge", PROCESSES, "Memory that it holds.", ("process",)
    ),
    Metric("coffre_process_threads", "gauge", PROCESSES, "Threads that it has.", ("process",)),
    Metric(
        "coffre_process_descriptors", "gauge", PROCESSES, "Descriptors that it has.", ("process",)
    ),
)

METRICS: Final = (*_REQUESTS, *_GROUPS, *_DRIVES, *_WORK, *_SAFETY, *_PROCESSES)
BY_NAME: Final = {metric.name: metric for metric in METRICS}
