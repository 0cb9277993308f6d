"""Values of the management API: lifecycle document. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from coffre.client.types.bucket_documents import Tag


class Transition(Struct, kw_only=True):
    """A move to a storage class: after days, or on a date."""

    storage_class: Literal[
        "DEEP_ARCHIVE", "GLACIER", "GLACIER_IR", "INTELLIGENT_TIERING", "ONEZONE_IA", "STANDARD_IA"
    ]
    days: int | None = None
    date_ms: int | None = None
    newer_versions: int | None = None


class LifecycleRule(Struct, kw_only=True):
    """One rule: which objects (all of what is said of them), and what happens to them when."""

    id: str = ""
    enabled: bool = True
    prefix: str | None = None
    tags: list[Tag] = []
    larger_than: int | None = None
    smaller_than: int | None = None
    expire_days: int | None = None
    expire_date_ms: int | None = None
    remove_lone_markers: bool | None = None
    noncurrent_days: int | None = None
    newer_versions_kept: int | None = None
    abort_uploads_days: int | None = None
    transitions: list[Transition] = []
    noncurrent_transitions: list[Transition] = []


class Lifecycle(Struct, kw_only=True):
    """All rules of a bucket; none: everything stays for ever."""

    rules: list[LifecycleRule] = []
