"""Repair as a running node does it: its stewards, what they work with, what they can be asked."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id
from typing import Any

import msgspec

from coffre.catalog.interface import Committer, Reader
from coffre.config import Settings
from coffre.service.administration import Invalid
from coffre.service.collecting import named_chunks
from coffre.service.door import ask
from coffre.service.layout import DataFolder
from coffre.service.local import LocalStore
from coffre.service.notices import receive_notices
from coffre.service.readers import AllRequests
from coffre.service.zone import World, ZoneFacts, catalog_reader, open_root_keys
from coffre.stewards.checker import Checker
from coffre.stewards.damage import Damage
from coffre.stewards.gauge import Gauge
from coffre.stewards.pace import Pace
from coffre.stewards.read_repair import Notice, ReadRepair
from coffre.stewards.repairer import NO_PLACE, Repairer
from coffre.stewards.runner import Runner
from coffre.stewards.scrubber import Scrubber
from coffre.stewards.shape import Steward
from coffre.stewards.survey import Job
from coffre.vault.drives import DriveSet
from coffre.vault.records import Chunk
from coffre.vault.superblock import SuperblockStore

log = logging.getLogger("coffre.repair")

DAY_S = 24 * 3600.0
THREADS = 6
# Background threads give way to what serves requests wherever both want a core.
NICENESS = 10
FINDINGS_SHOWN = 20
NO_PLACE_SHOWN = 20


def _give_way() -> None:
    os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)


class Repairing:
    """The stewards that keep data whole; `start` before the runner starts, `close` after it."""

    def __init__(
        self,
        settings: Settings,
        facts: ZoneFacts,
        folder: DataFolder,
        world: World,
        reader: Reader,
        committer: Committer,
        drives: DriveSet,
        local: LocalStore,
        seal_now: Callable[[], Awaitable[int]],
    ) -> None:
        self._folder = folder
        self._drives = drives
        self._local = local
        self._pool = ThreadPoolExecutor(THREADS, "repair", _give_way)
        # A reader of its own for what takes long, used by one thread.
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="survey")
        self._rows = catalog_reader(folder)
        self._requests = AllRequests(folder.readers.name, world.clock.monotonic)
        clock, pool = world.clock, self._pool
        self._damage = Damage(local, clock)
        superblocks = SuperblockStore(world.disk, open_root_keys(folder), world.entropy)
        reading = Pace(clock, settings.scrub_rate, self._requests.count)
        self.repairer = Repairer(
            reader,
            committer,
            drives,
            self._damage,
            Pace(clock, settings.repair_rate, self._requests.count),
            clock,
            local,
            snapshot=self._snapshot,
            seal_now=seal_now,
            report=self._report,
            pool=pool,
        )
        self.scrubber = Scrubber(
            reader,
            drives,
            self._damage,
            reading,
            clock,
            local,
            every_s=settings.scrub_days * DAY_S,
            snapshot=self.repairer.current_rows,
            superblock_is_whole=lambda path: superblocks.read(path).superblock is not None,
            seal_now=seal_now,
            report=self._report,
            pool=pool,
        )
        looking = reader, drives, self._damage, reading
        self.checker = Checker(
            *looking,
            epoch=facts.epoch,
            named=self._named,
            snapshot=self.repairer.current_rows,
            admit=self._admit,
            report=self._report,
            pool=pool,
        )
        self.read_repair = ReadRepair(*looking, seal_now=seal_now, report=self._report, pool=pool)
        self.gauge = Gauge(self._rows, self.repairer, clock, self._reading)
        self._notices: asyncio.BaseTransport | None = None
        self._runner: Runner | None = None

    @property
    def stewards(self) -> list[Steward]:
        return [self.repairer, self.scrubber, self.checker, self.read_repair, self.gauge]

    @property
    def operations(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        return {"repair.start": self._start, "repair.status": self._status}

    async def start(self, runner: Runner) -> None:
        """Take notices from now on, and wake stewards when what they wait for happens."""
        self._runner = runner
        self._damage.found = lambda: runner.wake(self.repairer.name)

        def take(notice: Notice) -> None:
            self.read_repair.receive(notice)
            runner.wake(self.read_repair.name)

        self._notices = await receive_notices(self._folder.notices.name, take)

    def close(self) -> None:
        if self._notices is not None:
            self._notices.close()
        self._pool.shutdown(wait=False)
        self._reading.shutdown(wait=False)
        self._requests.close()

    # What the stewards ask of others

    async def _snapshot(self) -> list[Chunk]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, self._rows.chunks)

    async def _report(self, drive_id: bytes, reason: str) -> None:
        """Tell the committer of a drive that fails. One that it knows nothing of is no news."""
        drive = self._drives.by_id(drive_id)
        log.error("drive %s: %s", drive.path if drive else drive_id.hex(), reason)
        try:
            await self._ask("drive.report", {"id": drive_id.hex(), "reason": reason})
        except Invalid as invalid:
            log.warning("drive %s: %s", drive_id.hex(), invalid.message)

    async def _admit(self, drive_id: bytes) -> None:
        """Tell the committer that a drive is to be trusted; the board says so to all."""
        try:
            await self._ask("drive.admit", {"id": drive_id.hex()})
        except Invalid as invalid:
            log.warning("drive %s: %s", drive_id.hex(), invalid.message)

    async def _named(self) -> frozenset[bytes]:
        return await named_chunks(self._folder.socket.name)

    async def _ask(self, operation: str, arguments: dict[str, Any]) -> Any:
        return await ask(self._folder.socket.name, operation, arguments)

    # What they can be asked

    async def _start(self) -> Any:
        """Look, repair and recount now; the number that `answered` reaches at the end of it."""
        if self._runner is not None:
            if self._runner.standing(self.repairer.name).state == "paused":
                raise Invalid(
                    "StewardPaused", "the repairer is paused: `coffre steward resume repairer`"
                )
            self.repairer.hasten()
            self.gauge.hasten()
            for steward in (self.repairer, self.gauge):
                self._runner.wake(steward.name)
        return {"asked": self.repairer.asked}

    async def _status(self) -> Any:
        """How much is below target, what is being done about it, and what the last recount said."""
        repairer = self.repairer
        recount = repairer.recounted
        look = repairer.look
        standing = None if self._runner is None else self._runner.standing(repairer.name)
        rate = standing.rate if standing is not None else 0.0
        return {
            "asked": repairer.asked,
            "answered": repairer.answered,
            "below_target": {
                "chunks": None if look is None else len(look.below),
                "bytes": None if look is None else look.bytes_below,
                **msgspec.to_builtins(self.gauge.count),
                "no_place": sum(one.reason == NO_PLACE for one in repairer.stuck),
            },
            "left": {
                "segments": 0 if look is None else len(look.jobs),
                "bytes": repairer.left_bytes,
                "bytes_a_second": rate,
                "seconds": round(repairer.left_bytes / rate) if rate else None,
            },
            "recount": msgspec.to_builtins(recount),
            "stuck": self._stuck(),
            "unsealed": 0 if look is None else len(look.exposed),
            "paused": standing is not None and standing.state == "paused",
            "last_error": "" if standing is None else standing.last_error,
            "rounds": 0 if standing is None else standing.rounds,
            "scrub": {
                **msgspec.to_builtins(self.scrubber.current, builtin_types=(bytes,)),
                "after": self.scrubber.current.after.hex(),
                "again": [chunk.hex() for chunk in self.scrubber.current.again],
            },
            "findings": msgspec.to_builtins(self._local.findings(FINDINGS_SHOWN)),
        }

    def _stuck(self) -> dict[str, Any]:
        """What cannot be repaired now, and what it takes."""
        without = [one.job for one in self.repairer.stuck if one.reason == NO_PLACE]
        of_chunk = Counter(job.chunk.id for job in without)
        return {
            "no_place": len(without),
            "chunks": [chunk.hex() for chunk in list(of_chunk)[:NO_PLACE_SHOWN]],
            "drives_needed": max(of_chunk.values(), default=0),
            "racks_that_may": sorted(self._racks_that_may(without)),
            "other": [
                {"chunk": one.job.chunk.id.hex(), "segment": one.job.index, "reason": one.reason}
                for one in self.repairer.stuck
                if one.reason != NO_PLACE
            ][:NO_PLACE_SHOWN],
        }

    def _racks_that_may(self, jobs: list[Job]) -> set[str]:
        """Racks in which one drive more would take a segment of each of these chunks."""
        racks = {drive.rack for drive in self._drives.all()}
        for job in jobs:
            others = [one for at, one in enumerate(job.chunk.members) if at != job.index]
            held = Counter(d.rack for one in others if (d := self._drives.by_id(one)) is not None)
            racks = {rack for rack in racks if held[rack] < (job.chunk.m or 1)}
        return racks
