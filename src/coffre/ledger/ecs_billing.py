"""Usage in the shape of the ECS billing service (ECS management REST API, "Billing"): `info`, how a
namespace or a bucket stands, and `sample`, what changed in some time. Answers are plain values, or
XML of the same names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from xml.sax.saxutils import escape

from msgspec import Struct

from coffre.catalog.usage_records import NO_FLOW, NO_LEVEL, SAMPLE_MS, Flow, Level
from coffre.ledger.bills import round_half_up

UNITS: Final = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_PLACES: Final = Decimal("0.000001")


class BadBillingRequest(Exception):
    """A parameter that cannot be: which, and why."""

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        super().__init__(f"{field}: {why}")


class BucketStanding(Struct, frozen=True):
    """One bucket, all storage classes together; `flow` of the time that is asked for."""

    name: str
    level: Level
    before: Level = NO_LEVEL
    flow: Flow = NO_FLOW
    tags: Mapping[str, str] = {}


def check_unit(unit: str) -> str:
    """`sizeunit`: KB, MB, GB (of 1024); GB where none is given. Raises BadBillingRequest."""
    if unit not in UNITS:
        raise BadBillingRequest("sizeunit", "KB, MB or GB")
    return unit


def check_times(start: str, end: str) -> tuple[int, int]:
    """`start_time` and `end_time` of a sample in ms: `2026-11-01T00:05`, UTC, multiples of five
    minutes, the start counted and the end not. Raises BadBillingRequest."""
    start_ms, end_ms = _time("start_time", start), _time("end_time", end)
    if end_ms <= start_ms:
        raise BadBillingRequest("end_time", "later than start_time")
    return start_ms, end_ms


def info(
    namespace: str, buckets: Sequence[BucketStanding], unit: str, until_ms: int, *, detail: bool
) -> dict[str, Any]:
    """How a namespace stands; `detail`: its buckets too."""
    answer = {"namespace": namespace, **_size(_all(one.level for one in buckets), unit, until_ms)}
    if detail:
        answer["bucket_billing_info"] = [
            bucket_info(namespace, one, unit, until_ms) for one in buckets
        ]
    return answer


def bucket_info(namespace: str, bucket: BucketStanding, unit: str, until_ms: int) -> dict[str, Any]:
    """How a bucket stands."""
    answer = {
        "name": bucket.name,
        "namespace": namespace,
        **_size(bucket.level, unit, until_ms),
    }
    if bucket.tags:
        tags = [{"Key": key, "Value": value} for key, value in bucket.tags.items()]
        answer["TagSet"] = {"Tag": tags}
    return answer


def sample(
    namespace: str,
    buckets: Sequence[BucketStanding],
    unit: str,
    times: tuple[int, int],
    until_ms: int,
    *,
    detail: bool,
) -> dict[str, Any]:
    """What changed in a namespace from one time to another."""
    whole = BucketStanding(
        "",
        _all(one.level for one in buckets),
        _all(one.before for one in buckets),
        Flow(*map(sum, zip(*(one.flow for one in buckets), strict=True))) if buckets else NO_FLOW,
    )
    answer = {"namespace": namespace, **_changes(whole, unit, times, until_ms)}
    if detail:
        answer["bucket_billing_sample"] = [
            bucket_sample(namespace, one, unit, times, until_ms) for one in buckets
        ]
    return answer


def bucket_sample(
    namespace: str, bucket: BucketStanding, unit: str, times: tuple[int, int], until_ms: int
) -> dict[str, Any]:
    """What changed in a bucket."""
    changes = _changes(bucket, unit, times, until_ms)
    return {"name": bucket.name, "namespace": namespace, **changes}


def to_xml(root: str, answer: Mapping[str, Any]) -> str:
    """The same as XML; a list is its element repeated."""
    body = "".join(_elements(answer))
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><{root}>{body}</{root}>'


def _elements(answer: Mapping[str, Any]) -> Iterable[str]:
    for name, value in answer.items():
        for one in value if isinstance(value, list) else [value]:
            inner = "".join(_elements(one)) if isinstance(one, Mapping) else escape(str(one))
            yield f"<{name}>{inner}</{name}>"


def _size(level: Level, unit: str, until_ms: int) -> dict[str, Any]:
    return {
        "total_size": _in(level.stored, unit),
        "total_size_unit": unit,
        "total_objects": level.versions,
        "total_mpu_size": _in(level.part_bytes, unit),
        "total_mpu_parts": level.parts,
        "uptodate_till": _shown(until_ms),
        "sample_time": _shown(until_ms),
    }


def _changes(
    bucket: BucketStanding, unit: str, times: tuple[int, int], until_ms: int
) -> dict[str, Any]:
    return {
        **_size(bucket.level, unit, until_ms),
        "sample_start_time": _shown(times[0]),
        "sample_end_time": _shown(times[1]),
        "objects_created": bucket.flow.created,
        "objects_deleted": bucket.flow.deleted,
        "bytes_delta": bucket.level.stored - bucket.before.stored,
        "ingress": bucket.flow.bytes_in,
        "egress": bucket.flow.bytes_out,
    }


def _all(levels: Iterable[Level]) -> Level:
    total = NO_LEVEL
    for level in levels:
        total = Level(*map(int.__add__, total, level))
    return total


def _in(size: int, unit: str) -> str:
    exact = round_half_up(Fraction(size, UNITS[unit]), _PLACES)
    return f"{exact:f}".rstrip("0").rstrip(".")


def _shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _time(field: str, text: str) -> int:
    try:
        found = datetime.strptime(text.removesuffix("Z"), "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except ValueError:
        raise BadBillingRequest(field, "a time as 2026-11-01T00:05, in UTC") from None
    at_ms = int(found.timestamp()) * 1000
    if at_ms % SAMPLE_MS:
        raise BadBillingRequest(field, "a multiple of five minutes")
    return at_ms
