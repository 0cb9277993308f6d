"""The process that reads the audit's trail: what a search needs, it takes from nobody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from coffre.config import Settings
from coffre.service.audit_desk import AuditDesk
from coffre.service.auditing import open_trail
from coffre.service.board import following
from coffre.service.caller import Caller
from coffre.service.child import Boot
from coffre.service.door import open_door
from coffre.service.layout import DataFolder, FolderLock
from coffre.service.observing.publishing import observed
from coffre.service.zone import (
    ZoneFacts,
    catalog_reader,
    drive_set,
    open_root_keys,
    real_world,
)

LOCK_PATIENCE_S = 5.0


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Answer at the trail's own socket until `stop`."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    facts = msgspec.convert(boot.zone, ZoneFacts)
    folder = DataFolder(Path(settings.data))
    lock = FolderLock(folder, "audit", patience_s=LOCK_PATIENCE_S)
    os.chdir(folder.root)
    world = real_world()
    reader, drives = catalog_reader(folder), drive_set(facts, world)
    trail = open_trail(settings, facts, open_root_keys(folder), world, reader, drives)
    desk = AuditDesk(settings, reader, trail, world.clock)

    async def call(operation: str, arguments: dict[str, Any], caller: Caller | None = None) -> Any:
        return await desk.call(operation, arguments)

    door = await open_door(folder.audit_socket.name, call)
    ready({})
    async with following(drives, folder), observed(folder, "audit", world.clock):
        await stop.wait()
    door.close()
    trail.close()
    lock.release()
