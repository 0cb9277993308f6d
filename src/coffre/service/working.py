"""An HTTP worker: the S3 gateway on the sockets that the supervisor listens on."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from coffre.config import Settings
from coffre.service.child import Boot
from coffre.service.layout import DataFolder
from coffre.service.s3means import Birth, s3_means
from coffre.service.serving import serve_clients
from coffre.service.zone import ZoneFacts

# Objects made since the last collection that call for the next: some hundred requests' worth.
_YOUNG = 10_000


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Serve S3 on the inherited socket until `stop`; then drain and close what is open."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    folder = DataFolder(Path(settings.data))
    os.chdir(folder.root)
    facts = msgspec.convert(boot.zone, ZoneFacts)
    birth = Birth(boot.owner, _number(boot.owner), boot.gone_owner)
    async with s3_means(settings, facts, folder, birth) as means:
        spare_the_collector()
        ready({})
        await serve_clients(means.gateway, settings, stop, boot.doors())


def _number(owner: str) -> int:
    """Which of the node's workers this is: "worker-3-…"."""
    return int(owner.split("-")[1])


def spare_the_collector() -> None:
    """What stands before the first request stands until the end: let no collection look at it
    again. A request leaves next to no cycles, so collections need not be frequent."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)
