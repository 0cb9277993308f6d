"""Bills: what is used, at the month's prices, rounded once a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog import access_mutations as access
from coffre.catalog import mutations as m
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.usage_mutations import CloseUsage, CountRequests, Requests
from coffre.catalog.usage_records import HOUR_MS, Flow, month_start
from coffre.ledger.bills import GIB, Statement, round_half_up
from coffre.ledger.statement_page import render_statement, statement_csv
from coffre.service.administration import Administration, Invalid
from coffre.service.node import Node
from coffre.system.buffer import Buffer
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.keys import RootKey
from coffre.vault.records import Blob, Extent, ciphertext_bytes

NOVEMBER = month_start(2026, 11)
TENANT, STORE, BUCKET = b"tenant".ljust(16), b"store".ljust(16), b"bucket".ljust(16)
CHUNK = b"chunk".ljust(16)
HOUR_S = HOUR_MS // 1000


class Office(Node):
    """A node in memory whose clock stands until it is moved."""

    clock: ManualClock

    def __init__(self) -> None:
        self.clock = ManualClock(NOVEMBER)
        self.entropy = SeededEntropy(1)
        self.catalog = MemoryCatalog(self.clock, self.entropy, 1, _nothing_lands)
        self.reader = self.committer = self.catalog
        self.root_keys = RootKey(bytes(32))
        self.zone_number, self.zone_name = 1, "z1"
        self.administration = Administration(self)
        self._number = 0

    def status(self) -> dict[str, Any]:
        return {}

    def drive_list(self) -> list[dict[str, Any]]:
        return []

    async def seal_now(self) -> dict[str, Any]:
        return {}

    async def call(self, operation: str, **arguments: Any) -> Any:
        return await self.administration.call(operation, arguments)

    async def refused(self, operation: str, **arguments: Any) -> str:
        with pytest.raises(Invalid) as refused:
            await self.call(operation, **arguments)
        return refused.value.code

    async def put(
        self, key: bytes, size: int, storage_class: str = "STANDARD", bucket: bytes = BUCKET
    ) -> None:
        self._number += 1
        name = b"%016d" % self._number
        blob = _blob(name, size)
        facts = m.ObjectFacts("etag", "owner", storage_class=storage_class)
        await self.catalog.commit(m.PutVersion(bucket, key, name, blob, facts))

    async def delete(self, key: bytes, bucket: bytes = BUCKET) -> None:
        await self.catalog.commit(m.DeleteVersion(bucket, key))

    async def close(self) -> None:
        await self.catalog.commit(CloseUsage())

    async def bill(self, month: str = "2026-11", **whose: Any) -> Statement:
        answer = await self.call("bill.statement", month=month, **whose)
        return msgspec.convert(answer, Statement)


def _blob(name: bytes, size: int) -> Blob:
    extent = Extent(CHUNK, 0, ciphertext_bytes(size), 16384)
    return Blob(name, size, b"key", b"wrapped", (extent,))


def _nothing_lands(body: Sequence[Buffer]) -> Extent:
    raise AssertionError("bodies have their extents already")


@pytest.fixture
async def office() -> Office:
    office = Office()
    commit = office.catalog.commit
    await commit(m.CreateTenant(TENANT, "acme"))
    await commit(m.CreateStore(STORE, "shop", TENANT, b"key", b"root", b"wrapped"))
    await commit(m.CreateBucket(BUCKET, STORE, "box", "owner", "us-east-1"))
    await office.call("price.set", performance="0.0196", archiving="0.004", vat_rate="20")
    return office


async def after_november(office: Office) -> None:
    now_ms = office.clock.now_ms()
    office.clock.advance((month_start(2026, 12) - now_ms) / 1000 + 1)
    await office.close()


async def test_thirty_gib_for_an_hour_and_days_later_for_two_are_ninety_gib_hours(
    office: Office,
) -> None:
    for hours in (1, 2):
        office.clock.advance(3 * 86_400 + 1234.567)
        await office.put(b"k", 30 * GIB)
        office.clock.advance(hours * HOUR_S)
        await office.delete(b"k")
    await after_november(office)
    bill = await office.bill(store="shop")
    (line,) = bill.lines
    assert (line.gib_hours, line.gib_months) == ("90.000000", "0.125000")
    # 3 x 30 x 0.0196 / 720 = 0.00245
    assert (line.price, line.amount, bill.subtotal) == ("0.0196", "0.00", "0.00")
    assert (bill.final, bill.hours, bill.currency) == (True, 720, "EUR")


async def test_the_worked_example_at_a_price_that_shows(office: Office) -> None:
    await office.call("price.set", performance="16")
    await office.put(b"k", 30 * GIB)
    office.clock.advance(HOUR_S)
    await office.delete(b"k")
    office.clock.advance(86_400)
    await office.put(b"k", 30 * GIB)
    office.clock.advance(2 * HOUR_S)
    await office.delete(b"k")
    await after_november(office)
    bill = await office.bill(tenant="acme")
    # (16 x 30 + 2 x 16 x 30) / 720 = 2
    assert (bill.subtotal, bill.vat_rate, bill.vat, bill.total) == ("2.00", "20", "0.40", "2.40")
    assert (bill.tenant, bill.store, bill.month) == ("acme", None, "2026-11")


async def test_a_month_of_744_hours_bills_more_than_a_month(office: Office) -> None:
    office.clock.advance(30 * 86_400)
    await office.call("price.set", performance="1000")
    await office.put(b"k", GIB)
    office.clock.advance(31 * 86_400)
    await office.close()
    (line,) = (await office.bill("2026-12")).lines
    assert (line.gib_hours, line.gib_months, line.amount) == ("744.000000", "1.033333", "1033.33")


async def test_unfinished_parts_and_old_versions_are_billed_and_markers_are_not(
    office: Office,
) -> None:
    commit = office.catalog.commit
    await commit(m.SetVersioning(BUCKET, "enabled"))
    await office.put(b"k", GIB)
    await office.put(b"k", GIB)
    await office.delete(b"k")
    await commit(m.CreateUpload(b"upload", BUCKET, b"u", b"manifest".ljust(16), "owner"))
    await commit(m.PutPart(b"upload", 1, "etag", _blob(b"part".ljust(16), GIB)))
    office.clock.advance(HOUR_S)
    (line,) = (await office.bill(store="shop")).lines
    assert line.gib_hours == "3.000000"
    (row,) = (await office.call("usage.now", bucket="box"))["rows"]
    assert (row["objects"], row["versions"], row["parts"]) == (0, 3, 1)
    assert (row["bytes"], row["part_bytes"]) == (3 * GIB, GIB)


async def test_archive_classes_have_their_own_price(office: Office) -> None:
    await office.put(b"warm", GIB, "STANDARD_IA")
    await office.put(b"cold", GIB, "DEEP_ARCHIVE")
    office.clock.advance(720 * HOUR_S)
    lines = {line.storage_class: line for line in (await office.bill()).lines}
    assert (lines["STANDARD_IA"].kind, lines["STANDARD_IA"].price) == ("performance", "0.0196")
    assert (lines["DEEP_ARCHIVE"].kind, lines["DEEP_ARCHIVE"].price) == ("archiving", "0.004")


async def test_requests_and_egress_make_lines_where_they_have_a_price(office: Office) -> None:
    flow = Flow(reads=2500, writes=10, bytes_out=3 * GIB)
    await office.catalog.commit(CountRequests((Requests(STORE, BUCKET, flow),)))
    assert (await office.bill()).lines == []
    await office.call("price.set", read="0.4", egress="0.09")
    lines = {line.kind: line for line in (await office.bill()).lines}
    assert (lines["read"].quantity, lines["read"].amount) == ("2500", "1.00")
    assert (lines["egress"].quantity, lines["egress"].amount) == ("3.000000", "0.27")
    assert lines.keys() == {"read", "egress"}


async def test_what_is_gone_stays_on_its_months_statement(office: Office) -> None:
    await office.put(b"k", 720 * GIB)
    office.clock.advance(HOUR_S)
    await office.delete(b"k")
    await office.catalog.commit(m.DeleteBucket(BUCKET))
    await office.catalog.commit(access.DeleteStore(STORE))
    await after_november(office)
    (line,) = (await office.bill(tenant="acme")).lines
    assert (line.store, line.gib_months) == ("shop", "1.000000")
    rows = (await office.call("usage.show", step="month", since_ms=NOVEMBER))["rows"]
    assert [(row["store"], row["bucket"]) for row in rows] == [("shop", "box")]
    assert (await office.bill("2026-12", tenant="acme")).lines == []


async def test_a_month_that_is_over_keeps_its_prices(office: Office) -> None:
    await office.put(b"k", 720 * GIB)
    office.clock.advance(HOUR_S)
    await office.delete(b"k")
    await after_november(office)
    assert (await office.bill()).subtotal == "0.02"
    assert await office.refused("price.set", since="2026-11", performance="9") == "PriceInForce"
    await office.call("price.set", performance="9")
    assert (await office.bill()).subtotal == "0.02"
    shown = await office.call("price.show", month="2026-12")
    assert (shown["prices"]["performance"], shown["zone"]) == ("9", "z1")
    # What it has no price for may still get one.
    await office.call("price.set", since="2026-11", read="1")
    kinds = [(row["kind"], row["since"]) for row in await office.call("price.list")]
    assert ("read", "2026-11") in kinds


async def test_a_bill_is_final_once_its_hours_are_closed_and_priced(office: Office) -> None:
    await office.call("price.set", performance="")
    await office.put(b"k", GIB)
    office.clock.advance(HOUR_S)
    assert not (await office.bill()).final
    await after_november(office)
    bill = await office.bill()
    assert (bill.final, bill.hours, bill.lines[0].price) == (False, 720, None)
    await office.call("price.set", since="2026-11", performance="0.02")
    assert (await office.bill()).final
    rows = await office.call("bill.list", store="shop")
    assert [(row["month"], row["final"]) for row in rows] == [("2026-12", False), ("2026-11", True)]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"performance": "-1"}, "InvalidPrice"),
        ({"performance": "1e9"}, "InvalidPrice"),
        ({"vat_rate": "101"}, "InvalidPrice"),
        ({"currency": "euro"}, "InvalidPrice"),
        ({"storage": "1"}, "InvalidArgument"),
        ({}, "InvalidArgument"),
        ({"read": "1", "since": "2026-13"}, "InvalidMonth"),
    ],
)
async def test_prices_that_cannot_be_are_refused(
    office: Office, given: dict[str, str], code: str
) -> None:
    assert await office.refused("price.set", **given) == code


async def test_currencies_without_cents_are_rounded_to_whole_units(office: Office) -> None:
    await office.call("price.set", performance="1.5", currency="JPY", vat_rate="10")
    await office.put(b"k", 720 * GIB)
    office.clock.advance(HOUR_S)
    bill = await office.bill()
    assert (bill.subtotal, bill.vat, bill.total, bill.currency) == ("2", "0", "2", "JPY")


async def test_the_page_speaks_both_languages_and_the_csv_adds_up(office: Office) -> None:
    await office.call("price.set", performance="1234.5")
    await office.put(b"k", 720 * GIB)
    office.clock.advance(HOUR_S)
    bill = await office.bill(store="shop")
    english, french = (render_statement(bill, language) for language in ("en", "fr"))
    assert '<html lang="en">' in english
    assert "€1,234.50" in english
    assert "1 234,50 €" in french.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\xa0", " ")
    assert "TVA 20 %" in french
    rows = list(csv.DictReader(io.StringIO(statement_csv(bill))))
    assert [row["amount"] for row in rows] == ["1234.50", "1234.50", "246.90", "1481.40"]
    assert [row["kind"] for row in rows] == ["performance", "subtotal", "vat", "total"]
    assert "<style" not in render_statement(bill, "fr", "/static/print.css")
    hostile = msgspec.structs.replace(bill, tenant="<script>")
    assert "<script>" not in render_statement(hostile, "en")


@given(st.fractions(0, 10**9), st.sampled_from([Decimal("1"), Decimal("0.01"), Decimal("0.001")]))
def test_half_a_unit_goes_up(value: Fraction, unit: Decimal) -> None:
    with localcontext() as context:
        context.prec = 200
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        assert round_half_up(value, unit) == exact.quantize(unit, ROUND_HALF_UP)
