"""One seed: steps drawn one after the other, each followed by a look at everything promised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from coffre.catalog import mutations as m
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.service.administration import Invalid
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.testing.disk import PowerLost
from coffre.testing.simulation.clients import (
    DATA_KEY,
    KEY_ID,
    OWNER,
    STORE,
    UNAVAILABLE,
    Clients,
    Operation,
    Wrong,
    bucket_row,
    observe,
)
from coffre.testing.simulation.faults import Faults
from coffre.testing.simulation.machine import Machine, places
from coffre.testing.simulation.model import Bucket
from coffre.testing.simulation.node import Choices, Node, found_zone
from coffre.testing.simulation.process import Process, Trace
from coffre.vault.drives import DriveState, broken_promise
from coffre.vault.interface import StorageFull
from coffre.vault.records import GEOMETRIES
from coffre.vault.superblock import SuperblockNotWritten

STEPS = 24
# Twenty seconds each, at the end: until all drives are in use and all chunks are whole.
_MOST_ROUNDS = 20
_UNANSWERED = (CommitUnknown, CommitterBusy)
_MOST_DRIVES = 22
# How often an operator looks whether a drive is emptied, two seconds apart.
_PATIENCE = 20
_BY_HAND = ("seal", "snapshot", "rotate", "drain", "add", "remove")


def _stream(seed: float) -> Random:
    return Random(seed)  # noqa: S311  (a test's dice)


class Scenario:
    """Everything about one seed. `steps` is the log of what happened."""

    def __init__(self, seed: int, folder: Path, trace: Trace | None = None) -> None:
        self.random = _stream(seed)
        self.steps: list[str] = []
        self._trace = trace
        draw = self.random
        choices = Choices(
            inline_limit=draw.choice((4, 24, 70, 100)) * 1024,
            seal_after=draw.choice((5.0, 60.0)),
            snapshot_every=draw.choice((10.0, 60.0, 3600.0)),
            scrub_every=draw.choice((30.0, 300.0)),
            collect_at=draw.choice((0.1, 0.3, 0.6)),
            follower=draw.random() < 0.5,
        )
        self.machine = Machine(
            _stream(draw.random()),
            places(racks=draw.choice((4, 4, 5))),
            str(folder),
            ManualClock(),
            SeededEntropy(draw.getrandbits(64)),
        )
        settings = choices.settings(self.machine, folder)
        self.process = Process(self.machine, _stream(draw.random()), settings, self.say)
        self.clients = Clients(_stream(draw.random()), choices.inline_limit)
        self.faults = Faults(_stream(draw.random()), self.machine, self.process)
        self._checking = _stream(draw.random())
        self._released_ms = 0

    def say(self, what: str) -> None:
        self.steps.append(what)
        if self._trace is not None:
            self._trace(what)

    # The course of things

    def run(self) -> None:
        """Raises Wrong, or whatever the engine did wrong."""
        found_zone(self.machine, self.process.settings)
        self.process.start()
        self.process.do(self._found())
        for number in range(STEPS):
            self.say(f"step {number}, t={self.machine.clock.monotonic():.3f}")
            self._step()
            self._look(whole=self._checking.random() < 0.3)
        self._end()

    async def _found(self) -> None:
        commit = self.process.node.committer.commit
        root = self.process.node.engine.root_keys.current
        tenant = self.clients.id()
        await commit(m.CreateTenant(tenant, "tenant"))
        await commit(m.CreateStore(STORE, "store", tenant, KEY_ID, root.id, root.wrap(DATA_KEY)))
        for name in ("one", "two", "three"):
            bucket = Bucket(self.clients.id(), name)
            await commit(m.CreateBucket(bucket.id, STORE, name, OWNER, "us-east-1"))
            self.clients.buckets.append(bucket)
        for bucket in self.clients.buckets[1:]:
            await commit(m.SetVersioning(bucket.id, "enabled"))
            bucket.versioning = "enabled"

    def _step(self) -> None:
        way = self.random.random()
        if way < 0.6:
            self._serve()
        elif way < 0.68:
            seconds = self.random.choice((0.5, 5.0, 61.0, 130.0))
            self.say(f"  {seconds} s pass")
            self._through(lambda: self.process.do(asyncio.sleep(seconds)))
        elif way < 0.76:
            self.faults.heal()
        elif way < 0.84:
            self.faults.between()
        elif way < 0.9:
            self._restart()
        else:
            self._crash_between()

    def _serve(self) -> None:
        """Clients and stewards side by side; perhaps a fault, or the end, in the midst of it."""
        operations = self._draw_operations()
        work: list[Operation] = list(operations)
        if self.random.random() < 0.45:
            work.append(self._operators_work())
        if self.random.random() < 0.3:
            self.faults.during()
        if self.random.random() < 0.35:
            self._lose_power_soon()
        node = self.process.node
        self._through(lambda: self.process.do(self._all(node, work)), operations)
        for operation in work:
            self.say(f"  {operation}")

    def _draw_operations(self) -> list[Operation]:
        if self.random.random() < 0.04:
            bucket = self.random.choice(self.clients.buckets[1:])
            state = "suspended" if bucket.versioning == "enabled" else "enabled"
            # Alone: what other changes in the bucket mean depends on it.
            return [self.clients.set_versioning(bucket, state)]  # type: ignore[arg-type]
        taken: set[tuple[str, bytes]] = set()
        drawn = [self.clients.draw(taken) for _ in range(self.random.randint(1, 9))]
        found = [operation for operation in drawn if operation is not None]
        for operation in found:
            if self.random.random() < 0.08:
                operation.leaves_after = self.random.choice((0.0, 0.001, 0.01, 1.0))
        return found

    def _operators_work(self) -> Operation:
        """What an operator asks for, or a steward that is woken."""
        background = self.process.node.background
        names = [standing.name for standing in background.runner.standings()]
        wanted = self.random.choice((*_BY_HAND, "drain", *names))
        place = self.random.choice(self.machine.places)
        if wanted == "add" and len(self.machine.places) < _MOST_DRIVES:
            return self._growth(place.label.rack)
        path = place.path
        if wanted == "remove":
            return self._shrinkage(path)

        async def work(node: Node) -> None:
            if wanted == "seal":
                await node.background.sealer.seal_now()
            elif wanted == "snapshot":
                await node.background.snapshotter.take_now()
            elif wanted == "rotate":
                await node.engine.keys.rotate()
            elif wanted in ("drain", "add"):
                await _drain_or_cancel(node, path)
            else:
                await node.background.runner.run_now(wanted)

        return Operation(f"{wanted} now", work, background=True)

    def _growth(self, rack: str) -> Operation:
        """An empty folder becomes a drive; what was cut at it is done again."""
        place = self.machine.empty_folder(rack)
        label = place.label

        async def work(node: Node) -> None:
            if all(drive.path != place.path for drive in node.drives.all()):
                await node.engine.changes.add(place.path, label.node, label.rack)
                self.machine.renamed(node.drives)

        return Operation(f"add {place.path}", work, background=True)

    def _shrinkage(self, path: str) -> Operation:
        """A drive is emptied, and goes where what stays can keep the promise; if that takes long,
        it is left to be emptied."""

        async def work(node: Node) -> None:
            changes = node.engine.changes
            going = [drive for drive in node.drives.all() if drive.path == path]
            staying = [drive for drive in node.drives.all() if drive.path not in ("", path)]
            places = [(drive.node, drive.rack) for drive in staying if not drive.intent]
            if not going or broken_promise(places, GEOMETRIES[0]):
                return
            await changes.drain(path, accept_less=True)
            for _ in range(_PATIENCE):
                self.machine.leaving.add(path)
                try:
                    await changes.remove(path)
                    self.say(f"  {path} is removed")
                    break
                except Invalid as invalid:
                    self.machine.leaving.discard(path)
                    if invalid.code not in ("DriveInUse", "NotDrained"):
                        raise
                await asyncio.sleep(2)
            self.machine.renamed(node.drives)

        return Operation(f"empty and remove {path}", work, background=True)

    async def _all(self, node: Node, work: list[Operation]) -> None:
        spread = self._checking.choice((0.0, 0.0, 0.1, 3.0))
        pauses = [self._checking.random() * spread for _ in work]
        ones = (self._one(node, one, pause) for one, pause in zip(work, pauses, strict=True))
        await asyncio.gather(*ones)
        if any(operation.left for operation in work):
            # What they asked for is done or not once what is asked for now is.
            with suppress(m.Refusal, *_UNANSWERED):
                await node.committer.commit(m.CountDead(()))

    async def _one(self, node: Node, operation: Operation, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            with node.requests.open(self.machine.clock.monotonic(), operation.background):
                async with asyncio.timeout(operation.leaves_after) as patience:
                    await operation.run(node)
        except _UNANSWERED:
            return
        except TimeoutError:
            operation.left = patience.expired()
            if not operation.left:
                raise
            return
        except m.Refusal as refusal:
            self._excuse(operation, refusal, refusal.code in UNAVAILABLE)
            operation.refused = True
        except (StorageFull, SuperblockNotWritten) as error:
            self._excuse(operation, error, True)
            operation.refused = True
        except (OSError, Invalid) as error:
            self._excuse(operation, error, operation.background)
            operation.refused = True
        operation.acked = True
        if operation.change is not None and not operation.refused:
            operation.change.apply()

    def _excuse(self, operation: Operation, error: Exception, excusable: bool) -> None:
        """Drives in trouble are a reason to refuse; else there is none."""
        if not excusable or not self.machine.excuses:
            raise Wrong(f"{operation.what}: {error!r} without a reason") from error

    def _look_at_clock(self, node: Node) -> None:
        """The release clock goes on, and is never ahead of the time that passed."""
        clock, noted = self.machine.clock, node.reader.release_clock()
        if noted is None:
            return
        now_ms = noted.at(clock.boot()).trusted_ms
        if not self._released_ms <= now_ms <= clock.now_ms():
            raise Wrong(f"the release clock went from {self._released_ms} to {now_ms}")
        self._released_ms = noted.trusted_ms

    # Ends and beginnings

    def _lose_power_soon(self) -> None:
        after = self.random.choice((1, self.random.randint(1, 30), self.random.randint(1, 400)))

        def end() -> None:
            raise PowerLost

        self.machine.disk.after(after, end)

    def _through(
        self, work: Callable[[], object], operations: list[Operation] | None = None
    ) -> None:
        """Do `work`, during which the node may come to its end; then let it run again."""
        waiting = operations or []
        try:
            work()
        except PowerLost:
            self.process.crash(power=self.random.random() < 0.7)
            self._come_back(waiting)
            return
        self.machine.disk.calm()
        if self.process.broken:
            error = self.process.node.committing.exception()
            if not self.machine.excuses:
                raise Wrong(f"the committer ended by itself: {error!r}")
            self.say(f"  the committer ended: {error!r}")
            self.faults.make_room()
            self.process.crash(power=False)
            self._come_back(waiting)
        elif unanswered := [one.what for one in waiting if not one.acked and not one.left]:
            raise Wrong(f"never answered: {unanswered}")
        elif any(one.left for one in waiting):
            self._find_out(waiting)

    def _come_back(self, operations: list[Operation]) -> None:
        """Start, perhaps in several attempts; what was not answered is there or not."""
        attempts = 0
        while True:
            if attempts < 3 and self.random.random() < 0.35:
                self._lose_power_soon()
            try:
                self.process.start()
                break
            except PowerLost:
                self.process.crash(power=self.random.random() < 0.7)
                self.machine.starts_cut += 1
                attempts += 1
        self.machine.disk.calm()
        self._find_out(operations)
        self._look(whole=True)

    def _find_out(self, operations: list[Operation]) -> None:
        """What nobody was told of was done, or not."""
        for operation in operations:
            change = operation.change
            if operation.acked or change is None:
                continue
            found = observe(self.process.node, change.bucket)
            if change.is_in(found):
                change.apply()
        # Versioning was set alone, so that what is found decides.
        for bucket in self.clients.buckets:
            bucket.versioning = bucket_row(self.process.node, bucket).versioning

    def _restart(self) -> None:
        self.say("  a clean stop")
        if self.random.random() < 0.2:
            self._lose_power_soon()
        try:
            self.process.stop()
        except PowerLost:
            self.process.crash(power=self.random.random() < 0.7)
        except (m.Refusal, SuperblockNotWritten, *_UNANSWERED) as error:
            if not self.machine.excuses:
                raise
            self.say(f"  not that clean: {error!r}")
            self.machine.disk.calm()
            self.faults.make_room()
            self.process.crash(power=False)
        else:
            self.machine.disk.calm()
            self.faults.while_stopped()
        self._come_back([])

    def _crash_between(self) -> None:
        self.process.crash(power=self.random.random() < 0.7)
        self.faults.while_stopped()
        self._come_back([])

    # Looking

    def _look(self, *, whole: bool) -> None:
        """Compare listings and counters, and with `whole` every byte."""
        node = self.process.node
        self.machine.renamed(node.drives)
        self.machine.noticed(node.drives, node.committer.zone)
        if (followed := node.following) is not None and followed.follower.difference is not None:
            raise Wrong(f"the follower differs: {followed.follower.difference}")
        if complaints := self.process.complaints_so_far():
            raise Wrong(f"nobody awaited: {complaints}")
        self.faults.look(node.reader.chunks(), node.committer.zone.log.sealed)
        self._look_at_clock(node)
        self.clients.records.look(node.reader)
        for bucket in self.clients.buckets:
            found = observe(node, bucket)
            if found != bucket.holdings:
                raise Wrong(f"{bucket.name} holds {found}, should hold {bucket.holdings}")
            row = bucket_row(node, bucket)
            sizes = [len(self.clients.bodies[etag]) for etag in bucket.objects]
            if (row.objects, row.bytes) != (len(sizes), sum(sizes)):
                counted = f"{row.objects} objects of {row.bytes} bytes"
                raise Wrong(f"{bucket.name} counts {counted}, holds {len(sizes)} of {sum(sizes)}")
        if whole:
            self.process.keep_catalog()
            self._through(lambda: self.process.do(self._read_all(node)))

    async def _read_all(self, node: Node) -> None:
        for bucket in self.clients.buckets:
            row = bucket_row(node, bucket)
            for key in bucket.holdings.keys:
                versions = node.reader.list_versions(
                    row,
                    prefix=key,
                    delimiter=b"",
                    after_key=b"",
                    after_version=None,
                    limit=1000,
                )
                for one in versions.versions:
                    if one.key == key and not one.marker:
                        version = node.reader.version(row, key, one.version_id)
                        assert version is not None
                        await self.clients.check_bytes(node, version, 0, version.size)

    def _end(self) -> None:
        """All drives are back and repaired: everything is as it should be, and the log alone gives
        the same again."""
        self.say("the end")
        self.faults.heal_all()
        # Chunks that workers still write to are not read for rot: let them be closed.
        try:
            self.process.stop()
        except (m.Refusal, *_UNANSWERED):
            # Drives that were in trouble a moment ago may not be in use again.
            if not self.machine.excuses:
                raise
            self.process.crash(power=False)
        self._come_back([])
        self._through(lambda: self.process.do(_cancel_drains(self.process.node)))
        self._wait_until_whole()
        # What rotted is known when all of it was read.
        self._through(lambda: self.process.do(self.process.node.background.scrub()))
        self._wait_until_whole()
        # What is sealed at once stands in superblocks, until the next group says so in rows.
        self._through(lambda: self.process.do(self.process.node.background.sealer.seal_now()))
        self._look(whole=True)
        verdict = self.process.do(self.process.node.verify())
        if not verdict.ok:
            raise Wrong(f"{verdict.verdict}: {verdict.findings}")
        if (followed := self.process.node.following) is not None:
            difference = self.process.do(followed.follower.compare_all())
            if difference is not None:
                raise Wrong(f"the follower differs: {difference}")
        self.process.stop()
        self.process.lose_catalog()
        self.say("  the catalog's file is lost")
        self._come_back([])

    def _wait_until_whole(self) -> None:
        wrong: list[str] = []
        for _ in range(_MOST_ROUNDS):
            self.process.node.background.repairing.repairer.hasten()
            self._through(lambda: self.process.do(asyncio.sleep(20)))
            self._replace_what_is_gone()
            self.machine.noticed(self.process.node.drives, self.process.node.committer.zone)
            if not (wrong := self._not_whole(self.process.node)):
                return
        raise Wrong(f"not whole again after {20 * _MOST_ROUNDS} s: {wrong}")

    def _replace_what_is_gone(self) -> None:
        """As an operator does with a drive that does not come back: another takes its place."""
        for drive in self.process.node.drives.all():
            if drive.path and drive.state is DriveState.MISSING:
                place = next(one for one in self.machine.places if one.path == drive.path)
                self.say(f"  {drive.path} is replaced by an empty one: {drive.reason}")
                self.machine.wipe(place)
                self.process.do(self.process.node.replace_drive(drive.path))
        self.machine.renamed(self.process.node.drives)

    def _not_whole(self, node: Node) -> list[str]:
        """What repair has still to do."""
        repairer = node.background.repairing.repairer
        wrong = [
            f"{drive.path} is {drive.state}: {drive.reason}"
            for drive in node.drives.all()
            if drive.reason and drive.path
        ]
        wrong += [
            f"{one.name}: {one.last_error}"
            for one in node.background.runner.standings()
            if one.last_error
        ]
        if repairer.look is None or repairer.answered < repairer.asked:
            return [*wrong, "the repairer did not recount"]
        wrong += [f"{stuck.job.chunk.id.hex()}: {stuck.reason}" for stuck in repairer.stuck]
        if repairer.look.below or not repairer.recounted.clean:
            wrong.append(f"{len(repairer.look.below)} chunks are below target")
        return wrong


async def _drain_or_cancel(node: Node, path: str) -> None:
    """Have a drive emptied; if one is, let it take data again."""
    if not await _cancel_drains(node):
        await node.engine.changes.drain(path, accept_less=True)


async def _cancel_drains(node: Node) -> bool:
    """Were drives being emptied?"""
    drained = [drive for drive in node.drives.all() if drive.intent and drive.path]
    for drive in drained:
        await node.engine.changes.cancel(drive.path)
    return bool(drained)
