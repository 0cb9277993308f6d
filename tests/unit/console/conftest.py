"""A console for each test."""

from __future__ import annotations

import pytest

from coffre.iam import passwords
from tests.unit.console.world import World


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing is slow on purpose; that it is, is tested beside it."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)


@pytest.fixture
async def world() -> World:
    return await World().begin()
