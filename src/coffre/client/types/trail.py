"""Values of the management API: trail. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Record(Struct, kw_only=True):
    """One thing that was asked for, and what came of it. `decision`: which statement allowed or
    denied it."""

    at_ms: int
    request_id: str
    source: str
    via: str
    store: str
    tenant: str
    principal: str
    access_key: str
    client: str
    operation: str
    bucket: str
    key: str
    version: str
    status: int
    error: str
    bytes_in: int
    bytes_out: int
    duration_ms: float
    tls: bool
    user_agent: str
    decision: str
    detail: str
    id: str = ""


class AuditStatus(Struct, kw_only=True):
    """How much there is, where it lies, and how far each target of the forwarding is."""

    recording: bool
    records: int
    batches: int
    first_ms: int | None
    waiting: dict[str, int]
    segments: int
    segment_bytes: int
    keep_days: float
    removed: dict[str, Any]
    targets: list[dict[str, Any]]


class AuditVerdict(Struct, kw_only=True):
    """Whether the chain is as it was written. `head`: to be noted elsewhere."""

    verdict: Literal["broken", "whole"]
    batches: int
    records: int
    segments: int
    head: str
    problems: list[dict[str, str]]
    at_ms: int


class Forwarding(Struct, kw_only=True):
    """From which batch on a target gets everything."""

    name: str
    from_batch: int
