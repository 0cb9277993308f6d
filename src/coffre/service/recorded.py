"""Management operations leave their record in the audit: with their first change, or after it.

Which operation a commit is part of is known by the task that makes it (a context variable): what
the operations are built of need not pass it on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from coffre.access.caller import Caller
from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.group import GroupCommitter
from coffre.catalog.interface import CommitterBusy, CommitUnknown, Reader, RecordingCommitter
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import Mutation, Refusal, Refused, Result
from coffre.ledger.management import management_record, only_reads
from coffre.service.invalid import Invalid
from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.wire.errors import CATALOGUE

log = logging.getLogger("coffre.audit")
_T = TypeVar("_T")
_operation: ContextVar[_Operation | None] = ContextVar("operation", default=None)


class _Operation:
    """One operation under way. `told`: its record is committed."""

    def __init__(
        self, reader: Reader, clock: Clock, name: str, arguments: Mapping[str, Any], caller: Caller
    ) -> None:
        self._about = (reader, clock.now_ms(), name, arguments, caller)
        self._clock = clock
        self._began = clock.monotonic()
        self.told = False

    def record(self, error: str = "", status: int = 200) -> bytes:
        micros = int((self._clock.monotonic() - self._began) * 1_000_000)
        return management_record(*self._about, error=error, status=status, micros=micros)


class RecordedGroup(GroupCommitter):
    """The committer as management uses it: the first change of an operation carries its record."""

    async def commit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> Result:
        """See `RecordingCommitter`."""
        with _first_change(record) as travelling:
            return await super().commit(mutation, body, travelling)

    async def commit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> list[Result | Refused]:
        """See `RecordingCommitter`. The record goes beside them, whichever of them are refused."""
        with _first_change(b"") as travelling:
            if not travelling:
                return await super().commit_all(mutations, records)
            told = (*(records or (b"",) * len(mutations)), b"")
            own = RecordAudit((travelling,))
            return (await super().commit_all((*mutations, own), told))[:-1]


class RecordedCatalog(MemoryCatalog):
    """The same of a catalog in memory."""

    async def commit(
        self, mutation: Mutation, body: Sequence[Buffer] = (), record: bytes = b""
    ) -> Result:
        """See `RecordingCommitter`."""
        with _first_change(record) as travelling:
            return await super().commit(mutation, body, travelling)


@contextmanager
def _first_change(record: bytes) -> Iterator[bytes]:
    """The record that a commit carries: its own, or that of the operation that it is the first
    change of."""
    one = None if record else _operation.get()
    if one is None or one.told:
        yield record
        return
    yield one.record()
    one.told = True


async def _keep(committer: RecordingCommitter, record: bytes) -> None:
    """Return once a record is committed by itself. Raises Invalid where that is impossible."""
    try:
        await committer.commit(RecordAudit((record,)))
    except (CommitUnknown, CommitterBusy, Refusal) as error:
        log.error("a management operation is not recorded: %s", error)
        raise Invalid("ServiceUnavailable", "the audit cannot be written now") from error


async def recorded(
    committer: RecordingCommitter,
    reader: Reader,
    clock: Clock,
    operation: str,
    arguments: Mapping[str, Any],
    caller: Caller,
    work: Callable[[], Awaitable[_T]],
) -> _T:
    """Do `work`, which is an operation for `caller`, so that it leaves one record: of its change,
    or of why it was refused. What only reads leaves none, unless it is refused."""
    one = _Operation(reader, clock, operation, arguments, caller)
    reads = only_reads(operation)
    try:
        done = await _as_part_of(None if reads else one, work)
    except Invalid as refused:
        await _keep(committer, one.record(refused.code, _status(refused.code)))
        raise
    except Exception:
        await _keep(committer, one.record("InternalError", 500))
        raise
    if not reads and not one.told:
        await _keep(committer, one.record())
    # What still goes on in the background is told.
    one.told = True
    return done


async def _as_part_of(one: _Operation | None, work: Callable[[], Awaitable[_T]]) -> _T:
    token = _operation.set(one)
    try:
        return await work()
    finally:
        _operation.reset(token)


def _status(code: str) -> int:
    """HTTP's for a code that management answers with."""
    if code in CATALOGUE:
        return CATALOGUE[code][0]
    return 404 if code.startswith(("NoSuch", "Unknown")) else 400
