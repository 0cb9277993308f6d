"""A process's way into the audit: what waits, what is kept, what is told when nothing fits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.audit_records import AuditRecord, ChainHead, decode_records, encode_record
from coffre.catalog.audit_records import make_batch as batch_of
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.mutations import Done, Refusal, Refused, Result
from coffre.ledger import recorder as module
from coffre.ledger.recorder import Recorder
from coffre.system.clock import ManualClock


class Committer:
    """Keeps what it is sent, unless it `fails`."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.fails: Exception | None = None
        self.came = asyncio.Event()

    async def commit(self, mutation: Any, body: Sequence[Any] = (), record: bytes = b"") -> Result:
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        assert isinstance(mutation, RecordAudit)
        self.sent += mutation.records
        self.came.set()
        return Done()

    async def commit_all(
        self, mutations: Sequence[Any], records: Sequence[bytes] = ()
    ) -> list[Result | Refused]:
        return [await self.commit(one) for one in mutations]

    @property
    def told(self) -> list[AuditRecord]:
        return decode_records(batch_of(ChainHead(), self.sent)[0]) if self.sent else []


@pytest.fixture
def committer() -> Committer:
    return Committer()


def record(name: str = "GetObject") -> bytes:
    return encode_record(AuditRecord(1, operation=name))


async def test_reads_follow_by_themselves(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.001)
    one = Recorder(committer, ManualClock(), "worker-1")
    for _ in range(3):
        one.note(record())
    await asyncio.wait_for(committer.came.wait(), 10)
    assert len(committer.told) == 3


async def test_a_stop_leaves_nothing_behind_and_says_so(committer: Committer) -> None:
    one = Recorder(committer, ManualClock(), "worker-1")
    one.started("worker-1-gone")
    one.note(record())
    await one.stop()
    assert [told.operation for told in committer.told] == [
        "process.start",
        "GetObject",
        "process.stop",
    ]
    assert json.loads(committer.told[0].detail) == {"follows": "worker-1-gone"}
    assert committer.told[0].principal == "process:worker-1"


async def test_what_could_not_be_committed_still_waits(committer: Committer) -> None:
    one = Recorder(committer, ManualClock(), "worker-1")
    one.note(record())
    committer.fails = CommitUnknown("it went away")
    with pytest.raises(CommitUnknown):
        await one.flush()
    committer.fails = None
    await one.flush()
    assert len(committer.told) == 1


async def test_nobody_is_let_in_while_too_much_waits(committer: Committer) -> None:
    one = Recorder(committer, ManualClock(), "worker-1", most_bytes=3 * len(record()))
    for _ in range(3):
        one.admit()
        one.note(record())
    with pytest.raises(CommitterBusy):
        one.admit()
    await one.flush()
    one.admit()


async def test_two_flushes_at_once_send_everything_once(committer: Committer) -> None:
    one = Recorder(committer, ManualClock(), "worker-1")
    for number in range(5000):
        one.note(record(str(number)))
    await asyncio.gather(one.flush(), one.flush())
    assert [told.operation for told in committer.told] == [str(number) for number in range(5000)]


async def test_full_drives_refuse_what_would_be_recorded(committer: Committer) -> None:
    one = Recorder(committer, ManualClock(), "worker-1")
    committer.fails = Refusal("InsufficientStorage")
    with pytest.raises(Refusal):
        await one.keep([record()])


async def test_what_is_dropped_for_full_drives_is_a_gap_that_is_recorded(
    committer: Committer,
) -> None:
    clock = ManualClock()
    one = Recorder(committer, clock, "worker-1", when_full="drop")
    committer.fails = Refusal("InsufficientStorage")
    since_ms = clock.now_ms()
    await one.keep([record()])
    one.note(record())
    await one.flush()
    committer.fails = None
    clock.advance(60)
    await one.keep([record("PutObject")])
    gap, kept = committer.told
    assert (gap.operation, kept.operation) == ("audit.gap", "PutObject")
    assert json.loads(gap.detail) == {"records": 2, "since_ms": since_ms}
    await one.keep([record("DeleteObject")])
    assert [told.operation for told in committer.told][2:] == ["DeleteObject"]


async def test_only_full_drives_drop_anything(committer: Committer) -> None:
    one = Recorder(committer, ManualClock(), "worker-1", when_full="drop")
    committer.fails = CommitterBusy("much waits")
    with pytest.raises(CommitterBusy):
        await one.keep([record()])
