"""What all calls of the API have in common: pages, conditions, repetitions, rates, refusals."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.console.api.etags import etag_of, matches
from coffre.console.api.paging import page_of, read_cursor, write_cursor
from coffre.console.api.problem import OWN, status_of
from coffre.console.api.table import ROUTES
from coffre.console.refused import Away
from coffre.service.administration import Administration
from coffre.testing.server import MemoryEngine
from tests.unit.console.world import Browser, EngineNode, World

# Operations that have no row, and why.
WITHOUT_ROW = {
    "person.rehash": "the console does it by itself, of whoever signs in",
    "person.codes.set": "a part of `me.codes.confirm`, after the first right code",
    "person.recovery.renew": "a person's own: `me.recovery.renew`",
    "person.recovery.use": "the console does it by itself, of whoever signs in",
    "token.create": "a person's own: `me.token.create`; in another's name on the machine alone",
    "audit.export_page": "what `audit.export` is made of",
    "log.floor": "between processes of a node",
    "log.unsealed": "between processes of a node",
    "snapshot.kept": "between processes of a node",
    "snapshot.name": "between processes of a node",
}
SERVICE = Path(__file__).parents[3] / "src/coffre/service"


def test_each_operation_of_a_node_has_a_row_or_a_reason_why_not() -> None:
    rows = {one.operation for one in ROUTES}
    operations = set(Administration(EngineNode(MemoryEngine())).names)
    # Those of the drives engine, which opens none here.
    named = re.compile(r'^ +"([a-z]+\.[a-z_.]+)": (?!bytes)', re.MULTILINE)
    for module in SERVICE.glob("*.py"):
        operations |= set(named.findall(module.read_text()))
    operations = {one for one in operations if not one.startswith("http.")}
    assert operations - rows - WITHOUT_ROW.keys() == set()
    assert WITHOUT_ROW.keys() - operations == set()


def test_no_two_rows_share_a_name_or_a_call() -> None:
    assert len({one.operation for one in ROUTES}) == len(ROUTES)
    assert len({(one.method, one.path) for one in ROUTES}) == len(ROUTES)
    assert len({one.name for one in ROUTES}) == len(ROUTES)


def test_what_tokens_may_do_says_so_by_a_scope() -> None:
    open_to_all = {"activity.list", "activity.show", "me.show", "tls.authority"}
    for row in ROUTES:
        if row.access.value != "open" and not row.session_only:
            assert row.scope or row.operation in open_to_all, row.operation


async def test_a_field_that_is_missing_wrong_or_unknown_is_named(world: World) -> None:
    operator = await world.operator()
    for body, code, field in (
        ({}, "MissingField", "name"),
        ({"name": 5}, "InvalidArgument", "name"),
        ({"name": "two", "colour": "red"}, "UnknownField", "colour"),
        ({"name": "No"}, None, "name"),
    ):
        said = await operator.send("POST", "/tenants", body)
        assert (said.status, said.value["field"]) == (422, field)
        assert code is None or said.code == code
    said = await operator.send("POST", "/tenants", {"name": "two"}, {"limit": "5"})
    assert (said.status, said.code) == (422, "UnknownField")
    said = await operator.send("GET", "/stores", query={"colour": "red"})
    assert (said.status, said.value["field"]) == (422, "colour")


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b"\xff", b'{"name": "\\ud800"}'])
async def test_what_is_no_object_of_json_is_refused(world: World, body: bytes) -> None:
    said = await (await world.operator()).send("POST", "/tenants", body)
    assert said.status in (400, 422)


async def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    said = await (await world.operator()).send("POST", "/tenants", b"x" * (1 << 20) + b"x")
    assert (said.status, said.code) == (413, "BodyTooLarge")


async def test_a_path_answers_head_and_options_and_says_what_else_it_takes(world: World) -> None:
    operator = await world.operator()
    options = await operator.send("OPTIONS", "/tenants")
    assert (options.status, options.header("allow")) == (204, "GET, HEAD, OPTIONS, POST")
    head = await operator.send("HEAD", "/tenants")
    assert head.status == 200
    refused = await operator.send("DELETE", "/tenants")
    assert (refused.status, refused.header("allow")) == (405, "GET, HEAD, OPTIONS, POST")
    nothing = await operator.send("GET", "/no/such/path")
    assert (nothing.status, nothing.code) == (404, "NotFound")
    assert nothing.value["request_id"] == nothing.header("x-request-id")


async def test_a_list_comes_in_pages_that_follow_each_other(world: World) -> None:
    operator = await world.operator()
    names = sorted(f"tenant-{number:02}" for number in range(7))
    for name in reversed(names):
        await world.operate("tenant.create", name=name)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        said = await operator.send("GET", "/tenants", query=query)
        seen += [row["name"] for row in said.value["items"]]
        if said.value["next"] is None:
            assert said.header("link") is None
            break
        assert said.value["next"] in (said.header("link") or "")
        query["cursor"] = said.value["next"]
        # Rows that come and go meanwhile neither repeat others nor hide them.
        await world.operate("tenant.create", name=f"aa-{len(seen)}")
    assert seen == ["one", *names] or seen == sorted(["one", *names])
    for wrong in (
        {"limit": 0},
        {"limit": 1001},
        {"limit": "x"},
        {"cursor": "?"},
        {"cursor": "e30"},
    ):
        assert (await operator.send("GET", "/tenants", query=wrong)).status == 422


async def test_what_did_not_change_is_not_sent_again(world: World) -> None:
    operator = await world.operator()
    said = await operator.send("GET", "/people/operator")
    etag = said.header("etag") or ""
    known = {"if-none-match": f'"other", {etag}'}
    again = await operator.send("GET", "/people/operator", headers=known)
    assert (again.status, again.body, again.header("etag")) == (304, b"", etag)
    await world.operate("person.set", name="operator", email="op@example.com")
    assert (await operator.send("GET", "/people/operator", headers=known)).status == 200


async def test_an_edit_of_what_somebody_else_changed_meanwhile_is_refused(world: World) -> None:
    operator = await world.operator()
    await world.operate("person.create", name="ann", tenant="one")
    etag = (await operator.send("GET", "/people/ann")).header("etag") or ""
    first = await operator.send(
        "PATCH", "/people/ann", {"email": "a@example.com"}, headers={"if-match": etag}
    )
    assert first.status == 200
    late = await operator.send(
        "PATCH", "/people/ann", {"email": "b@example.com"}, headers={"if-match": etag}
    )
    assert (late.status, late.code) == (412, "PreconditionFailed")
    assert (await operator.send("GET", "/people/ann")).value["email"] == "a@example.com"


async def test_a_post_with_a_key_is_done_once_and_answered_alike(world: World) -> None:
    operator = await world.operator()
    key = {"idempotency-key": "k-1"}
    body = {"name": "two-files", "tenant": "one"}
    first = await operator.send("POST", "/stores", body, headers=key)
    assert first.status == 201
    world.again()
    again = await operator.send("POST", "/stores", body, headers=key)
    assert (again.status, again.value) == (201, first.value)
    assert len(world.parts.reader.stores()) == 2
    other = await operator.send("POST", "/stores", {**body, "name": "x-files"}, headers=key)
    assert (other.status, other.code) == (422, "IdempotencyKeyReused")
    world.clock.ahead += 24 * 3600 + 1
    operator = await world.operator()
    late = await operator.send("POST", "/stores", body, headers=key)
    assert late.code == "StoreAlreadyExists"


async def test_a_key_is_its_persons_own_and_what_failed_may_come_again(world: World) -> None:
    operator = await world.operator()
    key = {"idempotency-key": "k-1"}
    assert (await operator.send("POST", "/tenants", {"name": "one"}, headers=key)).status == 409
    assert (await operator.send("POST", "/tenants", {"name": "two"}, headers=key)).status == 201
    ann = await world.person("ann")
    body = {"name": "anns"}
    assert (await ann.send("POST", "/stores", body, headers=key)).status == 201
    for wrong in ("", "x" * 256, "a b"):
        said = await operator.send(
            "POST", "/tenants", {"name": "three"}, headers={"idempotency-key": wrong}
        )
        assert (said.status, said.value["field"]) == (422, "Idempotency-Key")


async def test_what_takes_long_is_an_activity_of_whoever_began_it(world: World) -> None:
    operator, ann = await world.operator(), await world.person("ann")
    begun = await operator.send("POST", "/seal")
    assert begun.status == 202
    place = begun.header("location") or ""
    assert place.endswith(f"/activities/{begun.value['id']}")
    assert (await ann.send("GET", place, place="")).status == 404
    ended: Any = begun.value
    while ended["status"] == "running":
        await asyncio.sleep(0)
        ended = (await operator.send("GET", place, place="")).value
    assert (ended["status"], ended["result"], ended["error"]) == ("done", {"sealed": 0}, None)
    listed = (await operator.send("GET", "/activities")).value["items"]
    assert [row["id"] for row in listed] == [ended["id"]]
    world.again()
    assert (await operator.send("GET", place, place="")).value == ended


async def test_an_activity_whose_console_ended_meanwhile_is_unknown(world: World) -> None:
    operator = await world.operator()
    never = asyncio.Event()

    async def ask(*arguments: Any) -> Any:
        await never.wait()

    world.node.ask = ask  # type: ignore[method-assign, assignment]
    begun = await operator.send("POST", "/seal")
    world.again()
    said = await operator.send("GET", f"/activities/{begun.value['id']}")
    assert said.value["status"] == "unknown"
    never.set()


async def test_a_node_that_is_away_is_said_so(world: World) -> None:
    operator = await world.operator()
    world.node.failure = Away("gone")
    said = await operator.send("GET", "/status")
    assert (said.status, said.code, said.header("retry-after")) == (503, "Unavailable", "1")


async def test_a_fault_of_ours_is_told_without_its_words(world: World) -> None:
    operator = await world.operator()
    world.node.failure = RuntimeError("/secret/path")
    said = await operator.send("GET", "/status")
    assert (said.status, said.code) == (500, "InternalError")
    assert b"secret" not in said.body


async def test_whoever_asks_too_often_waits(world: World) -> None:
    world = await World(rate=5).begin()
    operator = await world.operator()
    statuses = [(await operator.send("GET", "/me")).status for _ in range(30)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    said = await operator.send("GET", "/me")
    assert (said.code, said.header("retry-after")) == ("TooManyRequests", "1")
    assert (await Browser(world, "198.51.100.9").send("GET", "/openapi.json")).status == 200
    world.clock.ahead += 1
    assert (await operator.send("GET", "/me")).status == 200


async def test_the_node_is_told_who_asks_and_from_where(world: World) -> None:
    operator = await world.operator()
    said = await operator.send("GET", "/status")
    operation, caller = world.node.callers[-1]
    assert (operation, caller.who, caller.via) == ("status", "person:operator", "console")
    assert (caller.client, caller.user_agent) == ("192.0.2.1", "tests")
    assert caller.request_id == said.header("x-request-id")


@given(
    st.lists(st.tuples(st.text(max_size=3), st.integers(0, 10**15)), unique=True),
    st.integers(1, 4),
)
def test_pages_hold_every_row_once_in_the_order_of_their_key(
    keys: list[tuple[str, int]], limit: int
) -> None:
    rows = [{"a": text, "b": number} for text, number in keys]
    seen: list[Any] = []
    cursor: str | None = None
    while True:
        page, cursor = page_of(rows, ("a", "b"), limit, cursor)
        seen += page
        if cursor is None:
            break
    assert seen == sorted(rows, key=lambda row: (row["a"], row["b"]))


@given(st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(), st.lists))
def test_a_cursor_says_what_it_was_made_of(place: Any) -> None:
    assert read_cursor(write_cursor(place)) == place


@given(st.dictionaries(st.text(), st.integers()))
def test_equal_values_have_one_etag_in_whatever_order(value: dict[str, int]) -> None:
    etag = etag_of(value)
    assert etag == etag_of(dict(reversed(list(value.items()))))
    assert matches(f"W/{etag}", etag)
    assert not matches('"x"', etag)


def test_refusals_have_the_status_of_what_they_are() -> None:
    assert all(status_of(code) == status for code, (status, _) in OWN.items())
    assert status_of("NoSuchStore") == 404
    assert status_of("StoreAlreadyExists") == 409
    assert status_of("InvalidName") == 422
