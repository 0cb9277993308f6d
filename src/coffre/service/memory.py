"""The memory engine: one process, nothing on disk, gone at the end. For people's test suites."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from coffre.access.networks import read_networks
from coffre.catalog.mutations import CountDead
from coffre.config import Settings
from coffre.ledger.recorder import Recorder
from coffre.service.administration import Administration
from coffre.service.announcement import announcement
from coffre.service.child import Doors
from coffre.service.first import populate
from coffre.service.kms_administration import kms_operations
from coffre.service.layout import StartRefused
from coffre.service.lifecycle_administration import lifecycle_operations
from coffre.service.node import Node
from coffre.service.recorded import RecordedCatalog
from coffre.service.s3service import s3_gateway
from coffre.service.serving import serve_clients
from coffre.service.supervisor import listen, open_doors
from coffre.service.tls import is_local
from coffre.system.clock import SystemClock
from coffre.system.entropy import SystemEntropy
from coffre.vault.blobs import FramedVault
from coffre.vault.keys import KEY_BYTES, RootKey
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Extent

ZONE = 1


class MemoryNode(Node):
    """A node whose rows and bytes are this process's own."""

    def __init__(self, settings: Settings) -> None:
        self.clock = SystemClock()
        self.entropy = SystemEntropy()
        self.zone_number = ZONE
        self.root_keys = RootKey(self.entropy.bytes(KEY_BYTES))
        self.region = settings.region
        self.zone_name = settings.zone
        self.private_networks = read_networks(settings.private_networks)
        self.audited = settings.audit
        self._settings = settings
        self._used: dict[str, int] = {}

        async def count_dead(extents: tuple[Extent, ...]) -> None:
            await catalog.commit(CountDead(extents))

        chunks = MemoryChunkStore(ZONE)
        catalog = RecordedCatalog(self.clock, self.entropy, ZONE, chunks.land)
        self.reader = catalog
        self.committer = catalog
        self.vault = FramedVault(
            chunks,
            self.clock,
            self.entropy,
            ZONE,
            count_dead=count_dead,
            inline_limit=settings.inline_limit,
        )
        self.operations = {
            **kms_operations(settings, catalog, catalog, self.root_keys, self.entropy),
            **lifecycle_operations(catalog, catalog, self.clock),
        }

    def status(self) -> dict[str, Any]:
        return {"engine": "memory", "region": self._settings.region, "zone": self._settings.zone}

    def note_use(self, access_key: str, at_ms: int) -> None:
        self._used[access_key] = at_ms

    def last_used(self, access_keys: Sequence[str]) -> Mapping[str, int]:
        return {key: self._used[key] for key in access_keys if key in self._used}

    def drive_list(self) -> list[dict[str, Any]]:
        return []

    async def seal_now(self) -> dict[str, Any]:
        return {"sealed": 0}


async def serve_memory(settings: Settings, announce: Callable[[dict[str, Any]], None]) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = MemoryNode(settings)
    administration = Administration(node)
    owner, first = await populate(administration, node, settings)
    audit = None
    if settings.audit:
        audit = Recorder(node.committer, node.clock, "memory", when_full=settings.audit_when_full)
        audit.started()
    gateway = s3_gateway(
        settings,
        reader=node.reader,
        committer=node.committer,
        vault=node.vault,
        root_keys=node.root_keys,
        clock=node.clock,
        entropy=node.entropy,
        zone=ZONE,
        used=node.note_use,
        audit=audit,
    )
    if is_local(settings) and not settings.serves_plain:
        raise StartRefused(
            f"{settings.host} is served over HTTPS, and nothing is kept that clients could trust:"
            " give tls_certificate and tls_key, or plain_http"
        )
    if is_local(settings):
        doors = Doors(listen(settings.host, settings.port, 1)[0], None)
    else:
        (doors,) = open_doors(settings, 1)
    with ExitStack() as held:
        for listener in doors:
            if listener is not None:
                held.enter_context(listener)
        announce(announcement(settings, doors.ports(), owner, first))
        await serve_clients(gateway, settings, stop, doors)
