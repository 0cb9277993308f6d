"""Random work, crashes and steps of clocks: the meter, its counters and a naive recount agree to
the byte, hour by hour, and bills to the cent."""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest

from coffre.catalog import mutations as m
from coffre.catalog.audit import audit
from coffre.catalog.clock_mutations import AdjustClock
from coffre.catalog.mutations import Reaped
from coffre.catalog.usage_mutations import CloseUsage, CountRequests, Requests, SetPrices
from coffre.catalog.usage_records import HOUR, HOUR_MS, MONTH, SAMPLE, Flow, Price
from coffre.ledger.accounts import Accounts
from coffre.ledger.bills import GIB
from coffre.ledger.usage import pieces, steps
from coffre.testing.committing import BUCKET, RecordedZone, put
from coffre.vault.records import Blob, ciphertext_bytes

LONG = os.environ.get("COFFRE_LONG") == "1"
SEEDS = range(200 if LONG else 6)
STEPS = 120
STORE = b"store".ljust(16)
# Dear enough that bytes make cents.
PRICE = "9876543.21"
_STORED = (
    "SELECT (SELECT coalesce(sum(size), 0) FROM versions)"
    " + (SELECT coalesce(sum(p.size), 0) FROM parts p JOIN uploads u"
    " ON u.manifest_id = p.manifest_id)"
)
_TABLES = ("usage_meters", "usage_samples", "usage_hours", "usage_months", "usage_clock")


class Walk:
    """A zone, what is done to it, and the naive meter: bytes recounted after every change."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.zone = RecordedZone(folder, seed=seed)
        # Close to the end of a month, so that many walks see one end.
        self.zone.clock.step(self.random.choice([0, 13, 16.5]) * 86_400)
        self.number = 0
        self.uploads: list[bytes] = []
        self.asked = Flow()
        self.at_ms = 0
        self.stored = 0
        self.hours: defaultdict[int, int] = defaultdict(int)
        self.closed: dict[tuple[Any, ...], Any] = {}

    async def begin(self) -> None:
        self.node = await self.zone.founded()
        if self.random.random() < 0.5:
            await self.commit(m.SetVersioning(BUCKET, "enabled"))
        prices = [Price("one", "performance", 0, PRICE), Price("", "vat_rate", 0, "20")]
        await self.commit(SetPrices(tuple(prices)))

    async def commit(self, mutation: m.Mutation, body: list[bytes] | None = None) -> m.Result:
        done = await self.node.committer.commit(mutation, body or ())
        self.observe()
        return done

    def observe(self) -> None:
        """What stood until this group's time goes to its hours; what stands is counted anew."""
        clock = self.node.reader.release_clock()
        assert clock is not None
        floor_ms = self.node.rows.execute("SELECT max(floor_ms) FROM usage_clock").get or 0
        until_ms = max(self.at_ms, clock.trusted_ms, floor_ms)
        at_ms = self.at_ms or until_ms
        while at_ms < until_ms:
            end_ms = min(until_ms, HOUR.start(at_ms) + HOUR_MS)
            self.hours[HOUR.start(at_ms)] += self.stored * (end_ms - at_ms)
            at_ms = end_ms
        self.at_ms = until_ms
        self.stored = self.node.rows.execute(_STORED).get

    async def step(self) -> None:
        does = [
            *(self.put, self.put, self.put, self.delete, self.part, self.part, self.finish),
            *(self.ask, self.wait, self.wait, self.close, self.set_wall, self.agree, self.reboot),
            *(self.kill, self.kill_while_closing, self.rebuild),
        ]
        await self.random.choice(does)()

    def key(self) -> bytes:
        return self.random.choice([b"a", b"b", b"c"])

    async def put(self) -> None:
        self.number += 1
        body = b"%d" % self.number + bytes(self.random.choice([0, 1, 50, 300]))
        await self.commit(*put(self.key(), body))

    async def delete(self) -> None:
        await self.commit(m.DeleteVersion(BUCKET, self.key()))

    async def part(self) -> None:
        if not self.uploads or self.random.random() < 0.3:
            self.number += 1
            upload = b"upload %d" % self.number
            await self.commit(m.CreateUpload(upload, BUCKET, self.key(), b"m " + upload, "owner"))
            self.uploads.append(upload)
        self.number += 1
        size = self.random.choice([1, 70])
        blob = Blob(b"part %011d" % self.number, size, b"key id".ljust(16), b"wrapped")
        part = m.PutPart(self.random.choice(self.uploads), self.random.choice([1, 2]), "e", blob)
        await self.commit(part, [bytes(ciphertext_bytes(size))])

    async def finish(self) -> None:
        if self.uploads:
            upload = self.uploads.pop()
            await self.commit(m.AbortUpload(upload))

    async def ask(self) -> None:
        flow = Flow(0, 0, *(self.random.randrange(5) for _ in range(6)))
        bucket = self.random.choice([BUCKET, b"", b"gone"])
        await self.commit(CountRequests((Requests(STORE, bucket, flow),)))
        self.asked = self.asked.plus(flow)

    async def wait(self) -> None:
        self.zone.clock.advance(self.random.choice([0.001, 1, 299, 300, 3600, 86_400, 700_000]))

    async def set_wall(self) -> None:
        self.zone.clock.step(self.random.choice([-1e7, -3600, -0.5, 0.5, 3600, 1e7]))

    async def agree(self) -> None:
        """Sources say what time it is: the release clock goes there, or back."""
        ahead_ms = self.random.choice([-7_200_000, -1, 1, 5_400_000, 40 * 86_400_000])
        clock = self.node.reader.release_clock()
        assert clock is not None
        await self.node.committer.commit(AdjustClock(clock.trusted_ms + ahead_ms, "test"))
        if ahead_ms < 0:
            self.observe()

    async def reboot(self) -> None:
        await self.node.stop()
        self.zone.clock.reboot()
        self.zone.clock.advance(1000)
        self.node = await self.zone.node()

    async def kill(self) -> None:
        await self.node.kill()
        self.node = await self.zone.node()

    async def close(self) -> None:
        more = True
        while more:
            done = await self.commit(CloseUsage(1))
            assert isinstance(done, Reaped)
            more = done.more
        self.check_closed()

    async def kill_while_closing(self) -> None:
        closing = [self.node.committer.submit(CloseUsage(1)) for _ in range(3)]
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        await self.kill()
        for one in closing:
            one.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        self.observe()

    async def rebuild(self) -> None:
        """The rows that the log makes are the very same."""
        before = self.rows()
        await self.node.stop()
        self.zone.lose_catalog()
        self.node = await self.zone.node()
        assert self.rows() == before

    def rows(self) -> list[Any]:
        execute = self.node.rows.execute
        return [execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES]

    def check_closed(self) -> None:
        """What is closed is there for good."""
        for table in _TABLES[1:4]:
            rows = self.node.rows.execute(f"SELECT * FROM {table}").fetchall()
            found = {(table, *row[:3]): row for row in rows}
            kept = {name: row for name, row in self.closed.items() if name[0] == table}
            assert kept.items() <= found.items()
            self.closed |= found

    def check(self) -> None:
        assert [one for one in audit(self.node.rows).findings if one.kind == "meters"] == []
        end_ms = MONTH.end(MONTH.start(self.at_ms))
        for kind in (SAMPLE, HOUR, MONTH):
            self.check_sums(kind, end_ms)
        usage = self.node.reader.usage(HOUR, STORE, BUCKET, 0, end_ms)
        found: defaultdict[int, int] = defaultdict(int)
        for _, some in pieces(usage, HOUR, 0, end_ms, self.at_ms):
            for piece in steps(some, HOUR):
                found[piece.start_ms] += piece.byte_ms
        assert {at: size for at, size in found.items() if size} == {
            at: size for at, size in self.hours.items() if size
        }

    def check_sums(self, kind: Any, end_ms: int) -> None:
        usage = self.node.reader.usage(kind, STORE, None, 0, end_ms)
        flow, byte_ms = Flow(), 0
        for _, some in pieces(usage, kind, 0, end_ms, self.at_ms):
            for piece in some:
                flow = flow.plus(piece.flow)
                byte_ms += piece.byte_ms
        assert byte_ms == sum(self.hours.values())
        assert flow[2:] == self.asked[2:]
        versions = self.node.rows.execute("SELECT count(*) FROM versions").get
        assert flow.created - flow.deleted == versions

    def check_bills(self) -> None:
        accounts = Accounts(self.node.reader, "one")
        months: defaultdict[int, Decimal] = defaultdict(Decimal)
        with localcontext() as context:
            context.prec = 80
            for at_ms, byte_ms in self.hours.items():
                gib = Decimal(byte_ms) / 1000 / 3600 / GIB
                months[MONTH.start(at_ms)] += gib / 720 * Decimal(PRICE)
            cent = Decimal("0.01")
            for month_ms in accounts.months(self.at_ms):
                bill = accounts.statement("t", accounts.holders(), month_ms, self.at_ms)
                expected = months[month_ms].quantize(cent, ROUND_HALF_UP)
                vat = (expected / 5).quantize(cent, ROUND_HALF_UP)
                assert (bill.subtotal, bill.vat, bill.total) == (
                    str(expected),
                    str(vat),
                    str(expected + vat),
                )
                assert bill.final == (MONTH.end(month_ms) <= self.node.reader.usage_closed_ms())


@pytest.mark.parametrize("seed", SEEDS)
async def test_meter_counters_and_a_naive_recount_agree(tmp_path: Path, seed: int) -> None:
    walk = Walk(tmp_path, seed)
    await walk.begin()
    try:
        for _ in range(STEPS):
            await walk.step()
        await walk.close()
        walk.check()
        walk.check_bills()
        await walk.rebuild()
        walk.check()
    finally:
        await walk.node.kill()
