"""What is asked of the audit's trail, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog.access_mutations import DeleteStore
from coffre.catalog.audit_records import AuditRecord
from coffre.catalog.trail_records import Trail
from coffre.config import ForwardTarget, Settings
from coffre.ledger.exporting import FORMATS, exporting
from coffre.ledger.query import Query
from coffre.ledger.shown import FIELDS
from coffre.ledger.trail import AuditTrail, TooLong
from coffre.service.audit_desk import AuditDesk
from coffre.service.invalid import Invalid
from coffre.testing.audit import MemoryTrail

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def desk(trail: MemoryTrail, **settings: Any) -> AuditDesk:
    return AuditDesk(Settings(**settings), trail.catalog, trail.trail, trail.clock)


DESK = desk(MemoryTrail())


def some(first: int, last: int, **facts: Any) -> list[AuditRecord]:
    return [AuditRecord(1000 + at, key=b"k%d" % at, **facts) for at in range(first, last)]


async def pages(
    ask: Callable[..., Coroutine[Any, Any, dict[str, Any]]], limit: int
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = await ask(limit=limit, after=after)
        found += page["records"]
        after = page["next"]
        if after is None:
            return found


def test_an_export_is_the_search_the_other_way_round_in_pages_of_any_length() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        await trail.write(some(0, 30))
        await trail.pack()
        await trail.write(some(30, 50))
        asked = desk(trail)
        exported = await pages(asked.export_page, 7)
        assert [one["key"] for one in exported] == [f"k{at}" for at in range(50)]
        assert await pages(asked.search, 9) == exported[::-1]
        assert list(exported[0]) == list(FIELDS)
        # Records that come while an export goes on are in it.
        page = await asked.export_page(limit=49)
        await trail.write(some(50, 52))
        rest = await asked.export_page(limit=49, after=page["next"])
        assert [one["key"] for one in rest["records"]] == ["k49", "k50", "k51"]
        trail.trail.close()

    run(check())


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "9"}, "limit"),
        ({"after": "%%"}, "after"),
        ({"after": "AAAA"}, "after"),
        ({"outcome": "well"}, "outcome"),
        ({"since_ms": -1}, "since_ms"),
        ({"until_ms": "now"}, "until_ms"),
        ({"bucket": 7}, "bucket"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_field(
    conditions: dict[str, Any], field: str
) -> None:
    async def check() -> None:
        trail = MemoryTrail()
        with pytest.raises(Invalid) as refused:
            await desk(trail).search(**conditions)
        assert refused.value.field == field
        trail.trail.close()

    run(check())


@given(st.text(max_size=40))
def test_no_text_that_is_no_cursor_is_taken_for_one_or_fails(text: str) -> None:
    async def check() -> set[str | None]:
        try:
            await DESK.search(after=text)
        except Invalid as refused:
            return {refused.field}
        return set()

    assert run(check()) <= {"after"}


def test_a_store_is_what_it_is_now_and_not_what_had_its_name_before() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        engine = trail.engine
        first, second = await engine.create_tenant("first"), await engine.create_tenant("second")
        store = await engine.create_store("shop", first)
        await trail.write(some(0, 2, store="shop", tenant=first.hex()))
        await trail.catalog.commit(DeleteStore(store))
        await engine.create_store("shop", second)
        await trail.write(some(2, 3, store="shop", tenant=second.hex()))
        asked = desk(trail)

        async def keys(**conditions: Any) -> list[str]:
            return [one["key"] for one in (await asked.search(**conditions))["records"]]

        assert await keys(store="shop") == ["k2"]
        assert await keys(store="shop", tenant="first") == ["k1", "k0"]
        assert await keys(tenant=first.hex()) == ["k1", "k0"]
        assert await keys(tenant="second") == ["k2"]
        assert await keys(store="nobody") == []
        trail.trail.close()

    run(check())


def test_the_status_tells_where_records_are_and_what_a_target_lacks() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        await trail.write(some(0, 3))
        await trail.pack()
        await trail.write(some(3, 5))
        target = ForwardTarget("siem", "tcp://127.0.0.1:1")
        status = await desk(trail, audit_forward=(target,)).status()
        assert (status["records"], status["segments"]) == (5, 1)
        assert status["waiting"] == {"records": 2, "batches": 1}
        assert status["first_ms"] == 1000
        (shown,) = status["targets"]
        assert (shown["name"], shown["batches_behind"], shown["lag_s"]) == ("siem", 0, 0.0)
        trail.trail.close()

    run(check())


def test_a_search_that_takes_too_long_ends() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        await trail.write(some(0, 3))
        await trail.pack()
        vault = trail.engine.services.vault
        slow = AuditTrail(
            trail.catalog,
            vault,
            lambda key: trail.engine.services.keyring.data_key(trail.catalog, key),
            time_limit_s=0.0,
        )
        with pytest.raises(TooLong):
            await slow.newest(Query(), None, 1)
        with pytest.raises(Invalid) as refused:
            await AuditDesk(Settings(), trail.catalog, slow, trail.clock).search()
        assert refused.value.code == "SearchTooLong"
        slow.close()
        trail.trail.close()

    run(check())


def test_what_was_packed_while_a_search_looked_is_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check() -> None:
        trail = MemoryTrail()
        await trail.write(some(0, 4))
        real, views = trail.catalog.audit_trail, []
        views.append(real())
        await trail.pack()

        def first_as_it_was() -> Trail:
            return views.pop() if views else real()

        monkeypatch.setattr(trail.catalog, "audit_trail", first_as_it_was)
        found = await trail.trail.newest(Query(), None, 10)
        assert [row.record.key for row in found] == [b"k3", b"k2", b"k1", b"k0"]
        assert views == []
        trail.trail.close()

    run(check())


def test_an_export_of_nothing_is_a_file_of_its_format() -> None:
    files = {form: b"".join(exporting(form).end()) for form in FORMATS}
    assert files["jsonl"] == b""
    assert files["csv"].decode().strip().split(",") == list(FIELDS)
    assert files["parquet"][:4] == b"PAR1"
