"""The supervisor: no process goes on with a catalog that is gone, and no keeper ends unnoticed."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from coffre.config import Settings
from coffre.service import supervisor as supervising
from coffre.service.child import Child, Ready
from coffre.service.supervisor import Supervisor


class Steward(Child):
    """A process that only remembers its signals."""

    def __init__(self) -> None:
        self.role = self.owner = "steward"
        self.signals: list[int] = []

    def signal(self, number: signal.Signals) -> None:
        self.signals.append(number)


@pytest.mark.parametrize("rebuilt", [True, False])
async def test_who_starts_while_the_catalog_is_made_again_is_replaced(
    monkeypatch: pytest.MonkeyPatch, rebuilt: bool
) -> None:
    supervisor, child = Supervisor(Settings(), []), Steward()

    async def start_child(role: str, settings: Any, **_: Any) -> tuple[Child, Ready]:
        supervisor._zone = {"rebuilt": rebuilt}
        return child, Ready()

    monkeypatch.setattr(supervising, "start_child", start_child)
    await supervisor._start("steward", "steward")
    assert child.signals == ([signal.SIGTERM] if rebuilt else [])


async def test_a_keeper_that_fails_ends_the_node() -> None:
    supervisor = Supervisor(Settings(), [])

    async def fails() -> None:
        raise RuntimeError("a fault of ours")

    supervisor._keepers.add(asyncio.create_task(fails()))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await supervisor.wait_failed()
