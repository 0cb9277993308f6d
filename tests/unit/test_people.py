"""People and tokens in the catalog's steps."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from coffre.catalog import mutations as m
from coffre.catalog.access_mutations import RewrapKeys, Rewrapped
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.people_mutations import (
    CreatePerson,
    DeletePerson,
    DeleteToken,
    PutPerson,
    PutToken,
)
from coffre.catalog.people_records import (
    ApiToken,
    Invitation,
    Person,
    PersonScope,
    PersonSecrets,
    SealedCode,
)
from coffre.system.clock import SystemClock
from coffre.system.entropy import SystemEntropy
from coffre.vault.memory import MemoryChunkStore

SECRETS = PersonSecrets(
    SealedCode(b"wrapped", b"root"), (b"r" * 32,), Invitation(b"i" * 32, 5), "https://id", "me"
)
ANN = Person(
    b"a" * 16,
    "ann",
    "scoped",
    "hash",
    0,
    "ann@example.com",
    b"t" * 16,
    scopes=(PersonScope(b"s" * 16, b"b" * 16, "reader"),),
    secrets=SECRETS,
)


@pytest.fixture
async def catalog() -> MemoryCatalog:
    made = MemoryCatalog(SystemClock(), SystemEntropy(), 1, MemoryChunkStore(1).land)
    await made.commit(m.CreateTenant(b"t" * 16, "tenant"))
    await made.commit(CreatePerson(b"o" * 16, "operator", "operator", "hash"))
    return made


async def refused(catalog: MemoryCatalog, mutation: Any) -> str:
    with pytest.raises(m.Refusal) as caught:
        await catalog.commit(mutation)
    return caught.value.code


async def test_a_person_comes_back_as_put(catalog: MemoryCatalog) -> None:
    await catalog.commit(PutPerson(ANN))
    found = catalog.person("ann")
    assert found is not None
    assert replace(found, created_ms=0) == ANN
    assert catalog.person_by_id(ANN.id) == found
    assert [one.name for one in catalog.people()] == ["ann", "operator"]


async def test_a_change_is_of_the_person_as_read(catalog: MemoryCatalog) -> None:
    await catalog.commit(PutPerson(ANN))
    first = catalog.person("ann")
    assert first is not None
    await catalog.commit(PutPerson(replace(first, email="x"), first.revision))
    code = await refused(catalog, PutPerson(replace(first, email="y"), first.revision))
    assert code == "ConcurrentModification"
    now = catalog.person("ann")
    assert now is not None
    assert (now.email, now.revision, now.created_ms) == ("x", 1, first.created_ms)


async def test_names_are_one_persons_and_tenants_are_there(catalog: MemoryCatalog) -> None:
    await catalog.commit(PutPerson(ANN))
    assert await refused(catalog, PutPerson(replace(ANN, id=b"x" * 16))) == "PersonAlreadyExists"
    other = replace(ANN, id=b"x" * 16, name="bob", tenant_id=b"?" * 16)
    assert await refused(catalog, PutPerson(other)) == "NoSuchTenant"
    assert await refused(catalog, PutPerson(replace(other, tenant_id=None), 0)) == "NoSuchPerson"


async def test_somebody_stays_who_runs_the_region(catalog: MemoryCatalog) -> None:
    operator = catalog.person("operator")
    assert operator is not None
    for mutation in (
        DeletePerson(operator.id),
        PutPerson(replace(operator, role="reader"), 0),
        PutPerson(replace(operator, status="locked"), 0),
    ):
        assert await refused(catalog, mutation) == "LastOperator"
    await catalog.commit(CreatePerson(b"p" * 16, "other", "operator", "hash"))
    await catalog.commit(DeletePerson(operator.id))
    assert catalog.person("operator") is None


async def test_tokens_go_with_their_person(catalog: MemoryCatalog) -> None:
    await catalog.commit(PutPerson(ANN))
    token = ApiToken(b"k" * 16, ANN.id, "ci", b"d" * 32, ("stores:read",), 0, 7)
    await catalog.commit(PutToken(token))
    assert await refused(catalog, PutToken(replace(token, id=b"l" * 16))) == "TokenAlreadyExists"
    found = catalog.api_token(b"d" * 32)
    assert found is not None
    assert replace(found, created_ms=0) == token
    await catalog.commit(DeletePerson(ANN.id))
    assert catalog.api_token(b"d" * 32) is None
    assert await refused(catalog, PutToken(token)) == "NoSuchPerson"
    assert await refused(catalog, DeleteToken(token.id)) == "NoSuchToken"


async def test_a_person_has_fifty_tokens_at_most(catalog: MemoryCatalog) -> None:
    for number in range(50):
        unique = number.to_bytes(16, "big")
        await catalog.commit(PutToken(ApiToken(unique, b"o" * 16, f"{number}", unique, ("x",), 0)))
    more = ApiToken(b"m" * 16, b"o" * 16, "more", b"m" * 16, ("x",), 0)
    assert await refused(catalog, PutToken(more)) == "TooManyTokens"


async def test_what_makes_codes_is_wrapped_anew_and_nothing_else_changes(
    catalog: MemoryCatalog,
) -> None:
    await catalog.commit(PutPerson(ANN))
    before = catalog.person("ann")
    stale = Rewrapped(ANN.id, b"other", b"?")
    await catalog.commit(RewrapKeys(b"new", codes=(stale,)))
    assert catalog.person("ann") == before
    await catalog.commit(RewrapKeys(b"new", codes=(Rewrapped(ANN.id, b"wrapped", b"anew"),)))
    now = catalog.person("ann")
    assert now is not None
    assert now.secrets == replace(SECRETS, codes=SealedCode(b"anew", b"new"))
