"""Whatever is changed in the audit's chain is found, and where: rows, segments, their order."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from coffre.catalog.audit_records import (
    AuditBatch,
    AuditRecord,
    ChainHead,
    decode_records,
    encode_record,
    make_batch,
)
from coffre.catalog.trail_records import AuditHorizon, AuditSegment
from coffre.ledger.placed import Placed
from coffre.ledger.segments import pack_records, read_rows
from coffre.ledger.verify import Anchor, Verified, verify_chain

PLACES = 1000


class Zone:
    """A chain of batches, the first of which are packed."""

    def __init__(self, batches: int = 24, packed: int = 12) -> None:
        self.batches: list[AuditBatch] = []
        self.segments: list[AuditSegment] = []
        self.files: dict[int, bytes] = {}
        self.head = ChainHead()
        self.horizon = AuditHorizon()
        for number in range(batches):
            records = [
                encode_record(
                    AuditRecord(
                        1_700_000_000_000 + number * 10 + place,
                        request_id=f"{number:08X}{place:08X}",
                        operation="PutObject",
                        bucket="bucket",
                        key=b"key \xff%d" % place,
                        status=200,
                    )
                )
                for place in range(1 + number % 3)
            ]
            batch, self.head = make_batch(self.head, records)
            self.batches.append(batch)
        for first in range(0, packed, 6):
            self.pack(self.batches[first : first + 6])
        del self.batches[:packed]

    def pack(self, batches: list[AuditBatch]) -> None:
        file = pack_records(
            Placed(batch.sequence, place, record)
            for batch in batches
            for place, record in enumerate(decode_records(batch))
        )
        self.segments.append(
            AuditSegment(
                batches[0].sequence,
                batches[-1].sequence,
                file.first_ms,
                file.last_ms,
                file.records,
                batches[0].previous,
                batches[-1].hash,
                len(file.content),
                hashlib.sha256(file.content).digest(),
            )
        )
        self.files[batches[0].sequence] = file.content

    def audit_batches(self, *, after: int, limit: int) -> list[AuditBatch]:
        """As rows are: by their number."""
        rows = sorted(self.batches, key=lambda one: one.sequence)
        return [one for one in rows if one.sequence > after][:limit]

    def audit_head(self) -> ChainHead:
        return self.head

    def audit_segments(self) -> list[AuditSegment]:
        return sorted(self.segments, key=lambda one: one.first_sequence)

    def audit_horizon(self) -> AuditHorizon:
        return self.horizon

    async def content(self, segment: AuditSegment) -> bytes:
        return self.files[segment.first_sequence]

    def verify(self, anchor: Anchor | None = None) -> Verified:
        return asyncio.run(verify_chain(self, self.content, anchor))


def flipped(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def test_a_chain_that_nobody_touched_is_whole() -> None:
    found = Zone().verify()
    assert (found.verdict, found.problems) == ("whole", ())
    assert (found.batches, found.segments) == (24, 2)
    assert found.records == sum(1 + number % 3 for number in range(24))


def test_what_retention_removed_is_not_missed() -> None:
    zone = Zone()
    gone = zone.segments.pop(0)
    assert zone.verify().verdict == "broken"
    zone.horizon = AuditHorizon(gone.last_sequence, gone.hash, gone.records, 1)
    assert zone.verify().verdict == "whole"


def test_a_flipped_bit_in_any_row_is_found_and_where() -> None:
    random = Random(11)
    for _ in range(PLACES * 8 // 10):
        zone = Zone(batches=6, packed=0)
        at = random.randrange(6)
        one = zone.batches[at]
        field = random.choice(["packed", "packed", "packed", "hash", "previous", "first_ms"])
        value = getattr(one, field)
        new = value ^ 1 if isinstance(value, int) else flipped(value, random)
        zone.batches[at] = replace(one, **{field: new})
        found = zone.verify()
        assert found.verdict == "broken"
        assert found.problems[0].where == f"batch {one.sequence}"


def test_a_row_that_is_gone_or_stands_elsewhere_is_found() -> None:
    random = Random(12)
    for _ in range(PLACES // 10):
        zone = Zone(batches=8, packed=0)
        at = random.randrange(8)
        if random.random() < 0.5:
            gone = zone.batches.pop(at)
            where = "end" if gone.sequence == 8 else f"batch {gone.sequence + 1}"
        else:
            other = random.choice([n for n in range(8) if n != at])
            one, two = zone.batches[at], zone.batches[other]
            zone.batches[at] = replace(two, sequence=one.sequence)
            zone.batches[other] = replace(one, sequence=two.sequence)
            where = f"batch {min(one.sequence, two.sequence)}"
        found = zone.verify()
        assert found.verdict == "broken"
        assert found.problems[0].where == where


def test_a_flipped_bit_in_any_segment_is_found_and_where() -> None:
    random, untouched = Random(13), Zone()
    for _ in range(PLACES // 10):
        zone = untouched
        one = random.choice(zone.segments)
        content = zone.files[one.first_sequence]
        zone.files[one.first_sequence] = flipped(content, random)
        found = zone.verify()
        zone.files[one.first_sequence] = content
        assert found.verdict == "broken"
        assert found.problems[0].where == f"segment {one.first_sequence}-{one.last_sequence}"


def _reworded(zone: Zone) -> None:
    """A segment with another record, whose row fits the new file."""
    one = zone.segments[1]
    rows = list(_rows(zone, one))
    rows[3] = rows[3]._replace(record=replace(rows[3].record, operation="GetObject"))
    _refile(zone, one, rows)


def _short(zone: Zone) -> None:
    one = zone.segments[1]
    _refile(zone, one, list(_rows(zone, one))[:-1])


def _swapped(zone: Zone) -> None:
    first, second = zone.segments
    zone.files[first.first_sequence], zone.files[second.first_sequence] = (
        zone.files[second.first_sequence],
        zone.files[first.first_sequence],
    )


def _removed(zone: Zone) -> None:
    del zone.segments[1]


def _cut(zone: Zone) -> None:
    """The last batch, and the chain's end made to fit."""
    gone = zone.batches.pop()
    zone.head = ChainHead(gone.sequence, gone.hash, zone.head.records)


def _rows(zone: Zone, one: AuditSegment) -> list[Placed]:
    return list(read_rows(zone.files[one.first_sequence]))


def _refile(zone: Zone, one: AuditSegment, rows: list[Placed]) -> None:
    content = pack_records(rows).content
    zone.files[one.first_sequence] = content
    at = zone.segments.index(one)
    zone.segments[at] = replace(
        one, digest=hashlib.sha256(content).digest(), size=len(content), records=len(rows)
    )


@pytest.mark.parametrize("change", [_reworded, _short, _swapped, _removed, _cut])
def test_what_was_made_to_fit_is_found_all_the_same(change: Callable[[Zone], None]) -> None:
    zone = Zone()
    change(zone)
    assert zone.verify().verdict == "broken"


def test_another_chain_is_found_by_what_was_noted_elsewhere() -> None:
    zone = Zone(batches=6, packed=0)
    anchor = Anchor.read(zone.verify().head)
    assert zone.verify(anchor).verdict == "whole"
    other = Zone(batches=7, packed=0)
    assert other.verify(anchor).verdict == "whole"
    head, batches = ChainHead(), other.batches
    other.batches = []
    for one in batches:
        record = replace(decode_records(one)[0], principal="somebody else")
        made, head = make_batch(head, [encode_record(record)])
        other.batches.append(made)
    other.head = head
    assert other.verify().verdict == "whole"
    found = other.verify(anchor)
    assert [one.where for one in found.problems] == ["batch 6"]


def test_a_segment_that_was_merged_meanwhile_is_followed_from_its_middle() -> None:
    zone = Zone(batches=12, packed=6)
    rest, zone.batches = zone.batches, []
    seen: list[int] = []

    async def content(segment: AuditSegment) -> bytes:
        seen.append(segment.first_sequence)
        if len(seen) == 1:
            # What was a row when the check began is packed with the first segment by now.
            first = zone.segments.pop()
            rows = [*_rows(zone, first), *_placed(rest)]
            file = pack_records(rows)
            zone.files[-1] = file.content
            zone.segments.append(
                AuditSegment(
                    1,
                    12,
                    file.first_ms,
                    file.last_ms,
                    file.records,
                    first.previous,
                    rest[-1].hash,
                    len(file.content),
                    hashlib.sha256(file.content).digest(),
                )
            )
            return zone.files[1]
        return zone.files[-1]

    found = asyncio.run(verify_chain(zone, content))
    assert (found.verdict, found.problems) == ("whole", ())
    assert found.batches == 12


def _placed(batches: list[AuditBatch]) -> list[Placed]:
    return [
        Placed(batch.sequence, place, record)
        for batch in batches
        for place, record in enumerate(decode_records(batch))
    ]
