"""What is asked about the audit's trail: answered by a process of its own, which reads alone."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from coffre.catalog.interface import Reader
from coffre.catalog.records import Tenant
from coffre.catalog.trail_records import WHOLE, AuditTarget, Trail
from coffre.config import Settings
from coffre.ledger.placed import Placed
from coffre.ledger.query import OUTCOMES, Query
from coffre.ledger.shown import shown
from coffre.ledger.trail import AuditTrail, Position, TooLong, position_of
from coffre.ledger.verify import Anchor, verify_chain
from coffre.service.auditing import open_trail
from coffre.service.engine import DrivesNode
from coffre.service.invalid import Invalid
from coffre.service.named import check_choice, check_whole
from coffre.service.zone import World
from coffre.system.clock import Clock
from coffre.system.disk import LocalDisk
from coffre.vault.interface import DataLost

PAGE_LIMIT: Final = 1000
EXPORT_LIMIT: Final = 5000
# Records that are read ahead of an export's next pages, and how many exports are remembered.
_WINDOW: Final = 20_000
_WINDOWS: Final = 2
_LATEST: Final = (1 << 63) - 1
_TIMES: Final = ("since_ms", "until_ms")
_TEXTS: Final = ("store", "tenant", "bucket", "key", "prefix", "principal", "operation")


class AuditDesk:
    """The operations on one trail."""

    def __init__(self, settings: Settings, reader: Reader, trail: AuditTrail, clock: Clock) -> None:
        self._settings = settings
        self._reader = reader
        self._trail = trail
        self._clock = clock
        self._windows: OrderedDict[tuple[Query, Position], list[Placed]] = OrderedDict()

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "audit.search": self.search,
            "audit.export_page": self.export_page,
            "audit.status": self.status,
            "audit.verify": self.verify,
        }

    async def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Raises Invalid."""
        handler = self.operations.get(operation)
        if handler is None:
            raise Invalid("UnknownOperation", f"the trail has no operation {operation!r}")
        return await handler(**arguments)

    async def search(
        self, limit: int = 100, after: str | None = None, **conditions: Any
    ) -> dict[str, Any]:
        """The newest records that meet the conditions (`_query`), the newest first; `next` is the
        `after` of the next page."""
        check_whole("limit", limit, 1, PAGE_LIMIT, "records")
        query, position = self._query(_given(conditions)), _read_cursor(after)
        rows = await _readable(self._trail.newest(query, position, limit))
        return _page(rows, limit)

    async def export_page(
        self, limit: int = EXPORT_LIMIT, after: str | None = None, **conditions: Any
    ) -> dict[str, Any]:
        """The same, the oldest first."""
        check_whole("limit", limit, 1, EXPORT_LIMIT, "records")
        query, position = self._query(_given(conditions)), _read_cursor(after)
        known = self._windows.pop((query, position), []) if position else []
        if len(known) < limit:
            last = position_of(known[-1]) if known else position
            known += await _readable(self._trail.oldest(query, last, _WINDOW))
        rows, rest = known[:limit], known[limit:]
        if rest:
            self._windows[query, position_of(rows[-1])] = rest
            while len(self._windows) > _WINDOWS:
                self._windows.popitem(last=False)
        return _page(rows, limit)

    async def verify(self, anchor: str | None = None) -> dict[str, Any]:
        """Compute the whole chain again (`ledger.verify`); `anchor` is a `head` of an earlier
        answer, as it was noted elsewhere."""
        try:
            noted = None if anchor is None else Anchor.read(anchor)
        except ValueError as error:
            raise Invalid("InvalidArgument", f"anchor: {error}", "anchor") from error
        found = await verify_chain(self._reader, self._trail.content, noted)
        return {**msgspec.to_builtins(found), "at_ms": self._clock.now_ms()}

    async def status(self) -> dict[str, Any]:
        """How much there is, where it lies, and how far each target is."""
        trail = self._reader.audit_trail()
        head, horizon = self._reader.audit_head(), self._reader.audit_horizon()
        packed = sum(one.records for one in trail.segments)
        targets = {one.name: one for one in self._reader.audit_targets()}
        return {
            "recording": self._settings.audit,
            "records": head.records - horizon.records,
            "batches": head.sequence - horizon.sequence,
            "first_ms": _first_ms(trail),
            "waiting": {
                "records": head.records - horizon.records - packed,
                "batches": len(trail.batches),
            },
            "segments": len(trail.segments),
            "segment_bytes": sum(one.size for one in trail.segments),
            "keep_days": self._settings.audit_keep_days,
            "removed": {"records": horizon.records, "last_ms": horizon.removed_ms or None},
            "targets": [
                self._target(one.name, one.url, targets.get(one.name), trail)
                for one in self._settings.audit_forward
            ],
        }

    def _target(
        self, name: str, url: str, target: AuditTarget | None, trail: Trail
    ) -> dict[str, Any]:
        head = self._reader.audit_head().sequence
        lacks_ms = None
        behind = 0
        if target is not None and (target.sequence, target.place) < (head, WHOLE):
            first = target.sequence + (target.place == WHOLE)
            behind = head - first + 1
            lacks_ms = _begin_of(trail, first)
        lag_s = 0.0 if lacks_ms is None else max(0.0, (self._clock.now_ms() - lacks_ms) / 1000)
        return {"name": name, "url": url, "batches_behind": behind, "lag_s": round(lag_s, 1)}

    def _query(self, given: Mapping[str, Any]) -> Query:
        """Conditions as a caller gives them. A store that stands means the records of its tenant
        alone: an earlier store of another's may have had its name."""
        for field, value in given.items():
            if field in _TIMES:
                check_whole(field, value, 0, _LATEST, "milliseconds since 1970")
            elif field == "outcome":
                check_choice(field, value, OUTCOMES)
            elif field not in _TEXTS:
                raise Invalid("InvalidArgument", f"records have no {field!r}", field)
            elif not isinstance(value, str):
                raise Invalid("InvalidArgument", f"{field} is a text", field)
        conditions = dict(given)
        for field in ("key", "prefix"):
            if field in conditions:
                conditions[field] = conditions[field].encode()
        store = self._reader.store_named(given["store"]) if "store" in given else None
        if "tenant" in given:
            conditions["tenant"] = self._tenant(given["tenant"])
        elif store is not None:
            conditions["tenant"] = store.tenant_id.hex()
        return Query(**conditions)

    def _tenant(self, given: str) -> str:
        """A tenant by its name, or by its id in hex: that of one that is gone, too."""
        named: Tenant | None = self._reader.tenant_named(given)
        return given if named is None else named.id.hex()


def desk_beside(settings: Settings, node: DrivesNode) -> AuditDesk:
    """Reads the trail in the process of a node that does not serve."""
    world = World(node.clock, node.entropy, LocalDisk())
    trail = open_trail(settings, node.facts, node.root_keys, world, node.reader, node.drives)
    return AuditDesk(settings, node.reader, trail, node.clock)


def _given(conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in conditions.items() if value is not None}


async def _readable(reading: Awaitable[list[Placed]]) -> list[Placed]:
    try:
        return await reading
    except TooLong as error:
        raise Invalid(
            "SearchTooLong", "it takes too long: narrow it by time, bucket or principal"
        ) from error
    except DataLost as error:
        raise Invalid("Unavailable", f"the audit cannot be read now: {error}") from error


def _page(rows: Sequence[Placed], limit: int) -> dict[str, Any]:
    following = _cursor(position_of(rows[-1])) if len(rows) == limit else None
    return {"records": [shown(row) for row in rows], "next": following}


def _cursor(position: Position) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(position)).decode().rstrip("=")


def _read_cursor(text: str | None) -> Position | None:
    if text is None:
        return None
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return Position(*msgspec.msgpack.decode(packed, type=tuple[int, int, int]))
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise Invalid("InvalidArgument", "after is the `next` of a page", "after") from error


def _first_ms(trail: Trail) -> int | None:
    times = [one.first_ms for one in trail.batches] + [one.first_ms for one in trail.segments]
    return min(times, default=None)


def _begin_of(trail: Trail, sequence: int) -> int | None:
    """When the records of a batch were made, or of the segment that it is in."""
    for segment in trail.segments:
        if segment.first_sequence <= sequence <= segment.last_sequence:
            return segment.first_ms
    return next((one.first_ms for one in trail.batches if one.sequence >= sequence), None)
