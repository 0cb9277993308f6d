"""What an operator is told where no steward runs, or runs just now."""

from __future__ import annotations

from typing import Any

import pytest

from coffre.catalog import mutations as m
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.records import Secret
from coffre.service.administration import Administration, Invalid
from coffre.service.announcement import Owner
from coffre.service.first import first_owner
from coffre.service.node import Node, NoStewards
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore


class Deserted(Node):
    """A node whose stewards are being started again."""

    def status(self) -> dict[str, Any]:
        return {}

    def drive_list(self) -> list[dict[str, Any]]:
        return []

    async def seal_now(self) -> dict[str, Any]:
        raise NoStewards


@pytest.mark.parametrize("operation", ["seal.now", "repair.start"])
async def test_what_takes_stewards_says_so_where_none_run(operation: str) -> None:
    with pytest.raises(Invalid, match="no steward runs") as refused:
        await Administration(Deserted()).call(operation, {})
    assert refused.value.code == "NoStewards"


async def test_a_store_that_lost_its_users_keeps_nobody_from_starting() -> None:
    chunks = MemoryChunkStore(1)
    catalog = MemoryCatalog(ManualClock(), SeededEntropy(3), 1, chunks.land)
    await catalog.commit(m.CreateTenant(b"t" * 16, "tenant"))
    for name in (b"old", b"new"):
        store = name.ljust(16, b"-")
        key = m.CreateStore(store, name.decode(), b"t" * 16, store, b"root", b"wrapped")
        await catalog.commit(key)
    assert first_owner(catalog) is None
    secret = Secret(b"wrapped", b"root")
    new = m.CreateUser("u" * 64, b"new".ljust(16, b"-"), "ann", "object", "CFKEY", secret)
    await catalog.commit(new)
    assert first_owner(catalog) == Owner("new", "u" * 64, "ann", "CFKEY")
