"""The observer's process: the plain listener for metrics and health, beside all that is observed.

It lives while workers, committer or console do not: it only reads what they left.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from coffre.config import Settings
from coffre.service.child import Boot
from coffre.service.layout import DataFolder
from coffre.service.observing.app import observing
from coffre.service.observing.publishing import observed
from coffre.service.serving import serve_http
from coffre.system.clock import SystemClock


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Answer on the inherited socket until `stop`."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    folder = DataFolder(Path(settings.data))
    os.chdir(folder.root)
    clock = SystemClock()
    application = observing(settings, folder, clock)
    async with observed(folder, "observer", clock):
        ready({})
        await serve_http(application, settings, stop, plain=boot.doors().plain)
