"""A bucket's lifecycle as the management API says it: rules without S3's nests of filters."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from coffre.console.api.bucket_documents import Tag
from coffre.wire.lifecycle import Rule, parse_lifecycle, render_lifecycle
from coffre.wire.lifecycle import Transition as Move

AfterDays = Annotated[int, Meta(ge=0, lt=1 << 31, description="Days.", examples=[30])]
StorageClass = Literal[
    "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"
]
Midnight = Annotated[
    int,
    Meta(
        description="A midnight (UTC) as milliseconds since 1970.",
        multiple_of=24 * 3600 * 1000,
        examples=[1798675200000],
    ),
]


class Transition(Struct, forbid_unknown_fields=True):
    """A move to a storage class: after days, or on a date."""

    storage_class: StorageClass
    days: AfterDays | None = None
    date_ms: Midnight | None = None
    newer_versions: Annotated[
        int | None, Meta(description="Of versions: so many noncurrent ones stay.")
    ] = None


class LifecycleRule(Struct, forbid_unknown_fields=True):
    """One rule: which objects (all of what is said of them), and what happens to them when."""

    id: Annotated[str, Meta(max_length=255, examples=["logs"])] = ""
    enabled: bool = True
    prefix: Annotated[str | None, Meta(examples=["logs/"])] = None
    tags: Annotated[list[Tag], Meta(max_length=10)] = []
    larger_than: Annotated[int, Meta(ge=0, description="Bytes.")] | None = None
    smaller_than: Annotated[int, Meta(ge=1, description="Bytes.")] | None = None
    expire_days: AfterDays | None = None
    expire_date_ms: Midnight | None = None
    remove_lone_markers: bool | None = None
    noncurrent_days: AfterDays | None = None
    newer_versions_kept: Annotated[int, Meta(ge=1, le=100)] | None = None
    abort_uploads_days: AfterDays | None = None
    transitions: list[Transition] = []
    noncurrent_transitions: list[Transition] = []


class Lifecycle(Struct, forbid_unknown_fields=True):
    """All rules of a bucket; none: everything stays for ever."""

    rules: Annotated[list[LifecycleRule], Meta(max_length=1000)] = []


def read_lifecycle(document: bytes) -> Lifecycle:
    """What a LifecycleConfiguration says."""
    return Lifecycle([_told(rule) for rule in parse_lifecycle(document)])


def write_lifecycle(lifecycle: Lifecycle) -> bytes | None:
    """The LifecycleConfiguration; None where there is no rule."""
    if not lifecycle.rules:
        return None
    return render_lifecycle(_said(rule) for rule in lifecycle.rules)


def _told(rule: Rule) -> LifecycleRule:
    return LifecycleRule(
        id=rule.id,
        enabled=rule.enabled,
        prefix=rule.prefix,
        tags=[Tag(key, value) for key, value in rule.tags],
        larger_than=rule.larger,
        smaller_than=rule.smaller,
        expire_days=rule.days,
        expire_date_ms=rule.date_ms,
        remove_lone_markers=rule.expired_marker,
        noncurrent_days=rule.noncurrent_days,
        newer_versions_kept=rule.newer_noncurrent,
        abort_uploads_days=rule.abort_days,
        transitions=[_move_told(one) for one in rule.transitions],
        noncurrent_transitions=[_move_told(one) for one in rule.noncurrent_transitions],
    )


def _said(rule: LifecycleRule) -> Rule:
    return Rule(
        id=rule.id,
        enabled=rule.enabled,
        prefix=rule.prefix,
        tags=tuple((one.key, one.value) for one in rule.tags),
        larger=rule.larger_than,
        smaller=rule.smaller_than,
        days=rule.expire_days,
        date_ms=rule.expire_date_ms,
        expired_marker=rule.remove_lone_markers,
        noncurrent_days=rule.noncurrent_days,
        newer_noncurrent=rule.newer_versions_kept,
        abort_days=rule.abort_uploads_days,
        transitions=tuple(_move_said(one) for one in rule.transitions),
        noncurrent_transitions=tuple(_move_said(one) for one in rule.noncurrent_transitions),
    )


def _move_told(move: Move) -> Transition:
    kind: StorageClass = move.storage_class  # type: ignore[assignment]
    return Transition(kind, move.days, move.date_ms, move.newer)


def _move_said(move: Transition) -> Move:
    return Move(move.storage_class, move.days, move.date_ms, move.newer_versions)
