"""Keys and secrets wrapped anew: one logged step, which leaves alone what changed meanwhile."""

from __future__ import annotations

import pytest

from coffre.catalog import mutations as m
from coffre.catalog.access_mutations import RewrapKeys, Rewrapped
from coffre.catalog.interface import Reader
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.records import Secret
from coffre.service.keys import PAGE, wrapped_rows
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore

OLD, NEW = b"old root", b"new root"


@pytest.fixture
async def catalog() -> MemoryCatalog:
    catalog = MemoryCatalog(ManualClock(), SeededEntropy(1), 1, MemoryChunkStore(1).land)
    await catalog.commit(m.CreateTenant(b"t" * 16, "tenant"))
    await catalog.commit(m.CreateStore(b"s" * 16, "store", b"t" * 16, b"k" * 16, OLD, b"wrapped"))
    await catalog.commit(user("CFKEY", Secret(b"first", OLD)))
    return catalog


def user(access_key: str, secret: Secret) -> m.CreateUser:
    return m.CreateUser(
        access_key.ljust(64, "0"), b"s" * 16, access_key, "object", access_key, secret
    )


def secrets(reader: Reader) -> tuple[Secret, ...]:
    identity = reader.identity("CFKEY")
    assert identity is not None
    return identity.key.secrets


async def test_store_keys_and_secrets_are_wrapped_anew(catalog: MemoryCatalog) -> None:
    await catalog.commit(m.RotateKey("CFKEY", Secret(b"second", OLD), 10**15))
    await catalog.commit(
        RewrapKeys(
            NEW,
            (Rewrapped(b"k" * 16, b"wrapped", b"wrapped anew"),),
            (
                Rewrapped(b"CFKEY", b"second", b"second anew"),
                Rewrapped(b"CFKEY", b"first", b"first anew"),
            ),
        )
    )
    key = catalog.store_key(b"k" * 16)
    assert key is not None
    assert (key.root_key_id, key.wrapped) == (NEW, b"wrapped anew")
    assert secrets(catalog) == (
        Secret(b"second anew", NEW),
        Secret(b"first anew", NEW, 10**15),
    )


async def test_what_changed_meanwhile_or_is_gone_is_left_alone(catalog: MemoryCatalog) -> None:
    await catalog.commit(m.RotateKey("CFKEY", Secret(b"second", NEW), None))
    await catalog.commit(
        RewrapKeys(
            NEW,
            (Rewrapped(b"k" * 16, b"other", b"bad"), Rewrapped(b"x" * 16, b"gone", b"bad")),
            (Rewrapped(b"CFKEY", b"first", b"bad"), Rewrapped(b"CFGONE", b"gone", b"bad")),
        )
    )
    key = catalog.store_key(b"k" * 16)
    assert key is not None
    assert (key.root_key_id, key.wrapped) == (OLD, b"wrapped")
    assert secrets(catalog) == (Secret(b"second", NEW),)


async def test_every_wrapped_row_is_met_once_over_many_pages(catalog: MemoryCatalog) -> None:
    names = {b"CFKEY"}
    for number in range(2 * PAGE + 3):
        name = f"CF{number:05}"
        await catalog.commit(user(name, Secret(name.encode(), OLD)))
        names.add(name.encode())
    rows = [row for page in wrapped_rows(catalog) for row in page]
    assert {row.name for row in rows if row.kind == "secrets"} == names
    assert [row.name for row in rows if row.kind == "store keys"] == [b"k" * 16]
    assert len(rows) == len(names) + 1
