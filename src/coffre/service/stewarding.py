"""The stewards' process: background work that must not cost requests their time."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.link import CommitterClient
from coffre.catalog.mutations import Refusal
from coffre.config import Settings
from coffre.service.administration import Invalid
from coffre.service.child import Boot
from coffre.service.door import open_door
from coffre.service.layout import DataFolder
from coffre.service.zone import (
    ZoneFacts,
    catalog_reader,
    drive_set,
    real_world,
)
from coffre.stewards.reaper import Reaper
from coffre.stewards.sealer import Sealer
from coffre.vault.interface import DataLost, StorageFull

log = logging.getLogger("coffre.steward")

# How often stewards look for work; what they do is not urgent by the second.
ROUND_S = 1.0
_PASSING = (CommitUnknown, CommitterBusy, Refusal, DataLost, StorageFull, OSError)


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Do rounds until `stop`; answer `seal.now` at the stewards' own socket."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    facts = msgspec.convert(boot.zone, ZoneFacts)
    folder = DataFolder(Path(settings.data))
    os.chdir(folder.root)
    committer = CommitterClient(folder.link.name)
    world = real_world()
    reader = catalog_reader(folder)
    sealer = Sealer(reader, committer, drive_set(facts, world), settings.coding)
    reaper = Reaper(reader, committer, world.clock)

    async def call(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if operation != "seal.now":
            raise Invalid("UnknownOperation", f"stewards have no operation {operation!r}")
        return {"sealed": await sealer.seal_now()}

    door = await open_door(folder.steward_socket.name, call)
    ready({})
    while not stop.is_set():
        for steward in (sealer.seal_waiting, reaper.reap):
            try:
                await steward()
            except _PASSING as error:
                log.warning("%s waits: %s", steward.__qualname__, error)
        try:
            async with asyncio.timeout(ROUND_S):
                await stop.wait()
        except TimeoutError:
            pass
    door.close()
    committer.close()
