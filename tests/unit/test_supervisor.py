"""The supervisor: no process goes on with a catalog that is gone, and no keeper ends unnoticed."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import apsw
import pytest

from coffre.config import Settings
from coffre.service import supervisor as supervising
from coffre.service.child import Child, Ready
from coffre.service.supervisor import Supervisor


class Steward(Child):
    """A process that remembers its signals, and ends by those in `obeys`."""

    def __init__(self, obeys: tuple[int, ...] = (signal.SIGTERM, signal.SIGKILL)) -> None:
        self.role = self.owner = "steward"
        self.signals: list[int] = []
        self._obeys = obeys
        self._over = asyncio.Event()

    def signal(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number in self._obeys:
            self._over.set()

    async def ended(self) -> int:
        await self._over.wait()
        return -self.signals[-1]


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
    await asyncio.gather(*supervisor._keepers)
    assert child.signals == ([signal.SIGTERM] if rebuilt else [])


async def test_who_hangs_over_the_catalog_that_is_gone_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervising, "REPLACE_GRACE_S", 0.01)
    supervisor, stuck = Supervisor(Settings(), []), Steward(obeys=(signal.SIGKILL,))
    supervisor._children["worker-0"] = stuck
    committer = Child.__new__(Child)
    committer.role = committer.owner = "committer"

    async def start_child(role: str, settings: Any, **_: Any) -> tuple[Child, Ready]:
        return committer, Ready(facts={"zone": {"rebuilt": True}})

    monkeypatch.setattr(supervising, "start_child", start_child)
    assert await supervisor._again("committer", "committer")
    assert await stuck.ended() == -signal.SIGKILL
    assert stuck.signals == [signal.SIGTERM, signal.SIGKILL]


async def test_a_stop_does_not_wait_for_a_process_that_nothing_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervising, "KILL_GRACE_S", 0.01)
    supervisor, stuck = Supervisor(Settings(drain_timeout=0.01), []), Steward(obeys=())
    supervisor._children["steward"] = stuck
    await supervisor.stop()
    assert stuck.signals == [signal.SIGTERM, signal.SIGKILL]


async def test_who_was_started_again_during_a_stop_ends_as_others_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor, late = Supervisor(Settings(), []), Steward()
    stopping = asyncio.Event()

    class First(Steward):
        """A process that ends once another has started in the meantime."""

        async def ended(self) -> int:
            stopping.set()
            await asyncio.sleep(0)
            return await super().ended()

    async def start_child(role: str, settings: Any, **_: Any) -> tuple[Child, Ready]:
        await stopping.wait()
        return late, Ready()

    monkeypatch.setattr(supervising, "start_child", start_child)
    supervisor._children["steward"] = First()
    again = asyncio.create_task(supervisor._again("steward", "steward"))
    await asyncio.sleep(0)
    await supervisor.stop()
    assert await again
    assert supervisor._children["steward"] is late
    assert late.signals == [signal.SIGTERM]


async def test_a_keeper_that_fails_ends_the_node() -> None:
    supervisor = Supervisor(Settings(), [])

    async def fails() -> None:
        raise RuntimeError("a fault of ours")

    supervisor._keepers.add(asyncio.create_task(fails()))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await supervisor.wait_failed()


async def test_a_catalog_that_is_gone_when_the_certificate_is_looked_at_ends_nothing() -> None:
    looked = asyncio.Queue[None]()
    loop = asyncio.get_running_loop()

    def certify() -> None:
        loop.call_soon_threadsafe(looked.put_nowait, None)
        raise apsw.CantOpenError("the catalog is made again")

    supervisor = Supervisor(Settings(), [], certify=certify)
    keeper = asyncio.create_task(supervisor._keep_certificate())
    async with asyncio.timeout(10):
        for _ in range(2):
            supervisor.reload()
            await looked.get()
    keeper.cancel()
    await asyncio.wait((keeper,))
    assert keeper.cancelled()
