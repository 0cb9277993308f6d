"""Every management operation that changes something leaves one record, and every refusal one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coffre.access.caller import Caller
from coffre.catalog.audit_records import AuditRecord, ChainHead, decode_records, make_batch
from coffre.config import Settings
from coffre.ledger.management import only_reads, sign_in_record
from coffre.service.administration import Administration, Invalid
from coffre.service.memory import MemoryNode

ANN = Caller("person:ann", "console", "10.0.0.7", "Firefox", "REQ1")


class World:
    """A node in memory and what is asked of it."""

    def __init__(self, **settings: Any) -> None:
        self.node = MemoryNode(Settings(**settings))
        self.administration = Administration(self.node)
        self._after = 0

    async def call(self, operation: str, /, caller: Caller | None = ANN, **arguments: Any) -> Any:
        return await self.administration.call(operation, arguments, caller)

    def told(self) -> list[AuditRecord]:
        batches = self.node.reader.audit_batches(after=self._after, limit=1000)
        self._after = batches[-1].sequence if batches else self._after
        return [one for batch in batches for one in decode_records(batch)]


@pytest.fixture
async def world() -> World:
    world = World()
    await world.call("tenant.create", name="acme")
    await world.call("store.create", name="box", tenant="acme")
    world.told()
    return world


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("tenant.create", {"name": "other"}),
    ("tenant.set", {"name": "acme", "bucket_limit": 7}),
    ("store.create", {"name": "other", "tenant": "acme"}),
    ("store.set", {"name": "box", "label": "A box"}),
    ("store.lock", {"name": "box"}),
    ("store.unlock", {"name": "box"}),
    ("user.create", {"store": "box", "label": "bob"}),
    ("bucket.create", {"store": "box", "name": "photos"}),
]


@pytest.mark.parametrize(("operation", "arguments"), CHANGES, ids=lambda one: str(one)[:20])
async def test_a_change_leaves_one_record_of_who_asked(
    world: World, operation: str, arguments: dict[str, Any]
) -> None:
    await world.call(operation, **arguments)
    (one,) = world.told()
    assert (one.operation, one.source, one.via) == (operation, "management", "console")
    assert (one.principal, one.client, one.user_agent) == ("person:ann", "10.0.0.7", "Firefox")
    assert (one.request_id, one.status, one.error) == ("REQ1", 200, "")
    tenant = world.node.reader.tenant_named("acme")
    assert tenant is not None
    assert (one.tenant == tenant.id.hex()) == (operation != "tenant.create")
    assert one.bucket == ("photos" if operation == "bucket.create" else "")


async def test_a_refusal_leaves_one_record_and_the_reason(world: World) -> None:
    with pytest.raises(Invalid):
        await world.call("store.create", name="box", tenant="acme")
    (one,) = world.told()
    assert one.error == "StoreAlreadyExists"
    assert one.status >= 400


async def test_a_refused_read_is_recorded_too(world: World) -> None:
    with pytest.raises(Invalid):
        await world.call("store.show", name="not-there")
    (one,) = world.told()
    assert (one.operation, one.status) == ("store.show", 404)


async def test_what_is_only_read_leaves_nothing(world: World) -> None:
    await world.call("store.list")
    await world.call("store.show", name="box")
    assert world.told() == []


async def test_secrets_are_in_no_record(world: World) -> None:
    made = await world.call("user.create", store="box", label="eve")
    rotated = await world.call("user.rotate", access_key=made["access_key"])
    text = repr(world.told())
    assert made["access_key"] in text
    assert made["secret_key"] not in text
    assert rotated["secret_key"] not in text


async def test_arguments_that_may_be_secret_are_named_and_not_told() -> None:
    world = World()
    with pytest.raises(Invalid):
        await world.call("tenant.create", name="t", password="hunter2")
    (one,) = world.told()
    assert json.loads(one.detail) == {"name": "t", "also": ["password"]}


async def test_our_own_processes_leave_none(world: World) -> None:
    await world.call("tenant.create", caller=None, name="by-us")
    assert world.told() == []


async def test_without_audit_nothing_is_recorded() -> None:
    world = World(audit=False)
    await world.call("tenant.create", name="acme")
    assert world.told() == []


def test_an_operation_that_is_not_known_to_read_leaves_a_record() -> None:
    names = Administration(MemoryNode(Settings())).names
    changing = {name for name in names if not only_reads(name)}
    assert not changing & {name for name in names if name.endswith((".list", ".show"))}
    for verb in ("create", "delete", "set", "lock", "unlock", "rotate", "grant", "enable"):
        assert {name for name in names if name.endswith(f".{verb}")} <= changing


def test_a_sign_in_says_who_tried_from_where() -> None:
    refused = sign_in_record(7, ANN, "bob", error="WrongPassword")
    (one,) = decode_records(make_batch(ChainHead(), [refused])[0])
    assert (one.operation, one.status, one.error) == ("person.sign_in", 403, "WrongPassword")
    assert json.loads(one.detail) == {"name": "bob"}
