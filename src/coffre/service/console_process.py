"""The console's process: pages and the management API over HTTPS, on a port of its own.

It has what a worker has, and calls the S3 gateway in this process; management operations it asks
the node's door for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from coffre.access.caller import Caller
from coffre.config import Settings
from coffre.console.app import console_app
from coffre.console.parts import Limits, Parts
from coffre.console.refused import Away, Refused
from coffre.iam.sessions import Sessions
from coffre.service.announcement import reached
from coffre.service.child import Boot
from coffre.service.console_issuers import ConfiguredIssuers
from coffre.service.console_memory import ConsoleMemory, RootSealer
from coffre.service.door import NoAnswer, ask
from coffre.service.invalid import Invalid
from coffre.service.layout import DataFolder
from coffre.service.observing.app import observing
from coffre.service.s3means import Birth, S3Means, s3_means
from coffre.service.serving import serve_clients
from coffre.service.working import spare_the_collector
from coffre.service.zone import ZoneFacts

# The last number that a process may have in what workers share.
_LAST_NUMBER = 255


class _Door:
    """The node's operations, by its socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def ask(self, operation: str, arguments: dict[str, Any], caller: Caller) -> Any:
        """See `coffre.console.parts.Node`."""
        try:
            return await ask(self._path, operation, arguments, caller)
        except Invalid as invalid:
            raise Refused(invalid.code, invalid.message, invalid.field) from None
        except (NoAnswer, OSError) as error:
            raise Away(str(error)) from error


async def run(boot: Boot, ready: Callable[[dict[str, object]], None], stop: asyncio.Event) -> None:
    """Serve on the inherited socket until `stop`."""
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    folder = DataFolder(Path(settings.data))
    os.chdir(folder.root)
    facts = msgspec.convert(boot.zone, ZoneFacts)
    number = min(settings.worker_count, _LAST_NUMBER)
    async with s3_means(settings, facts, folder, Birth(boot.owner, number, boot.gone_owner)) as s3:
        memory = ConsoleMemory(folder.console.name, s3.world.clock)
        pages = console_app(_parts(settings, s3, memory, _Door(folder.socket.name)))
        app = observing(settings, folder, s3.world.clock, pages)
        spare_the_collector()
        ready({})
        await serve_clients(app, settings, stop, boot.doors())
        memory.close()


def _parts(settings: Settings, s3: S3Means, memory: ConsoleMemory, node: _Door) -> Parts:
    clock, entropy = s3.world.clock, s3.world.entropy
    return Parts(
        reader=s3.reader,
        node=node,
        memory=memory,
        sealer=RootSealer(s3.root_keys, entropy),
        gateway=s3.gateway,
        sessions=Sessions(s3.root_keys, entropy),
        issuers=ConfiguredIssuers(settings.oidc, clock),
        clock=clock,
        entropy=entropy,
        region=settings.region,
        zone=settings.zone,
        limits=Limits(
            session_s=settings.console_session_hours * 3600,
            idle_s=settings.console_idle_minutes * 60,
            rate=settings.console_rate,
            web_upload=settings.web_upload_limit,
        ),
        facts=reached(settings),
        audit=s3.audit,
    )
