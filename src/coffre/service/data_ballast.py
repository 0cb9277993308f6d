"""Ballast beside the catalog: what somebody else fills up must not keep deletes from committing."""

from __future__ import annotations

import asyncio
import logging

from coffre.service.admission import CATALOG_RESERVE_BYTES
from coffre.system.disk import Disk
from coffre.system.starved import Starved
from coffre.vault.ballast import take_on, throw_off_from

log = logging.getLogger("coffre.ballast")

BALLAST_BYTES = 16 << 20
# With less the catalog's write-ahead log may not find space for the next group.
LEAST_FREE_BYTES = 8 << 20
_LOOK_EVERY_S = 1.0


def make_way(disk: Disk, folder: str) -> None:
    """Before a start: give up a data folder's ballast where little is free. Where there is room
    nothing is touched, for the start may yet be refused."""
    try:
        if disk.free_bytes(folder) < LEAST_FREE_BYTES and throw_off_from(disk, folder):
            log.error("the catalog's file system is full: the ballast is given up")
    except (OSError, Starved) as error:
        log.warning("the ballast beside the catalog is left as it is: %s", error)


def trim(disk: Disk, folder: str) -> None:
    """Give up a data folder's ballast where little is free, take it on where there is room."""
    make_way(disk, folder)
    try:
        if disk.free_bytes(folder) >= LEAST_FREE_BYTES:
            take_on(disk, folder, BALLAST_BYTES, CATALOG_RESERVE_BYTES)
    except (OSError, Starved) as error:
        log.warning("there is no ballast beside the catalog: %s", error)


async def keep_trim(disk: Disk, folder: str) -> None:
    """Look every second, until cancelled."""
    while True:
        await asyncio.to_thread(trim, disk, folder)
        await asyncio.sleep(_LOOK_EVERY_S)
