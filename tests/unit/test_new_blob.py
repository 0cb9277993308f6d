"""What becomes of a body's bytes when its request fails, or is not waited for any more."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from coffre.catalog.interface import CommitUnknown
from coffre.s3.content import new_blob
from coffre.testing.disk import RecordingDisk
from coffre.testing.vault import DriveZone
from coffre.vault.blobs import FramedVault
from coffre.vault.records import STRIPE_UNIT, Extent

KEY = bytes(32)
BODY = bytes(13 * STRIPE_UNIT)


class Desk:
    """A request's context: what it wrote that was counted dead is in `dead`."""

    def __init__(self) -> None:
        zone = DriveZone(RecordingDisk(["/z"]), "/z")
        self.dead: list[Extent] = []
        self.waits = asyncio.Event()
        self.vault = FramedVault(
            zone.store, zone.clock, zone.entropy, 1, count_dead=self._count, inline_limit=1000
        )
        self.store = SimpleNamespace(key_id=bytes(16))

    async def _count(self, extents: tuple[Extent, ...]) -> None:
        self.dead += extents

    async def write(self, after: Any) -> None:
        context: Any = self
        async with new_blob(context, len(BODY), KEY) as writer:
            await writer.write(BODY)
            if after is None:
                await self.wait()  # The client sends no more.
            await writer.finish()
            await after()

    async def wait(self) -> None:
        """What never comes."""
        self.waits.set()
        await asyncio.Event().wait()


async def cancelled(desk: Desk, after: Any) -> None:
    """A request that is cancelled while it waits."""
    task = asyncio.create_task(desk.write(after))
    await desk.waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_no_commit_knows_is_counted_dead() -> None:
    async def refused() -> None:
        raise ValueError

    desk = Desk()
    with pytest.raises(ValueError):
        await desk.write(refused)
    assert desk.dead


async def test_what_a_client_sent_that_went_away_is_counted_dead() -> None:
    desk = Desk()
    await cancelled(desk, None)
    assert desk.dead


async def test_what_may_be_committed_is_not_counted_dead() -> None:
    async def unknown() -> None:
        raise CommitUnknown("the committer went away")

    desk = Desk()
    with pytest.raises(CommitUnknown):
        await desk.write(unknown)
    # A stop that has no more patience cancels who waits for an answer.
    await cancelled(desk, desk.wait)
    assert not desk.dead
