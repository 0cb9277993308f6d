"""IAM's rows: the account's root user, limits, and what goes with whom."""

from __future__ import annotations

from typing import Any

import apsw
import pytest

from coffre.catalog import mutations as m
from coffre.catalog import schema
from coffre.catalog.access_mutations import ChangeUser, DeleteStore, DeleteUser
from coffre.catalog.iam_mutations import ChangeIamEntity, CreateIamEntity, LinkIam, UnlinkIam
from coffre.catalog.iam_records import IamFacts, IamKind
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.migrations import MIGRATIONS
from coffre.catalog.mutations import Refusal
from coffre.catalog.records import Secret
from coffre.system.clock import SystemClock
from coffre.system.entropy import SeededEntropy

STORE, SECRET = b"s" * 16, Secret(b"wrapped", b"rootkey1")


@pytest.fixture
async def catalog() -> MemoryCatalog:
    def no_bytes(body: Any) -> Any:
        raise AssertionError("nothing here has bytes")

    made = MemoryCatalog(SystemClock(), SeededEntropy(1), 1, no_bytes)
    await made.commit(m.CreateTenant(b"t" * 16, "tenant"))
    key = (b"k" * 16, b"rootkey1", b"wrapped")
    await made.commit(m.CreateStore(STORE, "shop", b"t" * 16, *key))
    return made


def user(user_id: str, label: str, kind: Any = "object") -> m.CreateUser:
    return m.CreateUser(user_id, STORE, label, kind, "", SECRET)


def entity(kind: IamKind, name: str, **fields: Any) -> CreateIamEntity:
    return CreateIamEntity(STORE, kind, f"id-{kind}-{name}", name, "/", IamFacts(), **fields)


async def refused(catalog: MemoryCatalog, mutation: m.Mutation) -> str:
    with pytest.raises(Refusal) as told:
        await catalog.commit(mutation)
    return told.value.code


async def test_the_first_object_user_is_the_root_user_and_nobody_after_it(
    catalog: MemoryCatalog,
) -> None:
    await catalog.commit(user("iam", "ann", "iam"))
    assert catalog.iam_root(STORE) is None
    await catalog.commit(user("one", "first"))
    await catalog.commit(user("two", "second"))
    assert catalog.iam_root(STORE) == "one"
    await catalog.commit(DeleteUser("one"))
    await catalog.commit(user("three", "third"))
    assert catalog.iam_root(STORE) is None


async def test_an_operators_iam_user_is_one_of_iam_and_keeps_its_name_in_step(
    catalog: MemoryCatalog,
) -> None:
    await catalog.commit(user("a", "ann", "iam"))
    assert await refused(catalog, entity("user", "ANN")) == "EntityAlreadyExists"
    assert await refused(catalog, user("b", "Ann", "iam")) == "UserAlreadyExists"
    await catalog.commit(ChangeUser("a", label="anna"))
    assert catalog.iam_entity(STORE, "user", "ann") is None
    found = catalog.iam_entity(STORE, "user", "ANNA")
    assert found is not None
    assert (found.id, found.name) == ("a", "anna")
    renamed = ChangeIamEntity("a", found.facts, found.facts, name="beth")
    await catalog.commit(renamed)
    kept = catalog.user("a")
    assert kept is not None
    assert kept.label == "beth"


async def test_whoever_goes_takes_every_tie_along(catalog: MemoryCatalog) -> None:
    await catalog.commit(user("a", "ann", "iam"))
    await catalog.commit(entity("group", "g"))
    await catalog.commit(entity("policy", "p", documents={"v1": b"{}"}))
    await catalog.commit(LinkIam("a", "group", "id-group-g"))
    await catalog.commit(LinkIam("a", "boundary", "id-policy-p"))
    await catalog.commit(DeleteUser("a"))
    assert catalog.iam_members("id-group-g", "group") == []
    assert catalog.iam_members("id-policy-p", "boundary") == []
    await catalog.commit(DeleteStore(STORE))
    assert catalog.iam_entity_by_id("id-group-g") is None
    assert catalog.iam_documents("id-policy-p") == []


async def test_a_change_of_what_is_not_as_it_was_read_is_refused(catalog: MemoryCatalog) -> None:
    await catalog.commit(entity("role", "r"))
    found = catalog.iam_entity(STORE, "role", "r")
    assert found is not None
    await catalog.commit(ChangeIamEntity(found.id, found.facts, IamFacts(description="new")))
    stale = ChangeIamEntity(found.id, found.facts, IamFacts(description="other"))
    assert await refused(catalog, stale) == "ConcurrentModification"
    assert await refused(catalog, UnlinkIam(found.id, "policy", "x")) == "NoSuchEntity"
    assert await refused(catalog, LinkIam(found.id, "policy", "x")) == "NoSuchEntity"


@pytest.mark.parametrize(("kind", "most"), [("group", 300), ("role", 1000)])
async def test_an_account_has_awss_number_of_a_kind(
    catalog: MemoryCatalog, kind: IamKind, most: int
) -> None:
    for n in range(most):
        await catalog.commit(entity(kind, f"n{n}"))
    assert await refused(catalog, entity(kind, "one-more")) == "LimitExceeded"


def test_stores_of_before_get_their_root_user_and_their_iam_users() -> None:
    db = schema.open_writer(":memory:", version=5)
    rows = [("b", "object", 2), ("a", "object", 2), ("old", "iam", 1), ("new", "object", 3)]
    db.execute(
        "INSERT INTO stores (id, name, tenant_id, key_id, created_ms, key_order, dialect, allow_v2)"
        " VALUES (?, 'shop', x'', x'', 1, 'utf-8', 'aws', 1)",
        (STORE,),
    )
    for user_id, kind, created in rows:
        db.execute(
            "INSERT INTO users (id, store_id, label, kind, locked, created_ms)"
            " VALUES (?, ?, ?, ?, 0, ?)",
            (user_id, STORE, f"Label-{user_id}", kind, created),
        )
    _migrate(db, 6)
    assert db.execute("SELECT root_id FROM iam_accounts").get == "a"
    found = db.execute("SELECT id, name, folded, path FROM iam_entities").fetchall()
    assert found == [("old", "Label-old", "label-old", "/")]


def _migrate(db: apsw.Connection, version: int) -> None:
    for statement in next(one for one in MIGRATIONS if one.version == version).statements:
        db.execute(statement)
