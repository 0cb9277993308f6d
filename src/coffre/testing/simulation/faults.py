"""Which faults happen when, within what the promise covers."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from random import Random

from msgspec import structs

from coffre.testing.simulation.machine import Machine, Place, Trouble, form_in
from coffre.testing.simulation.process import Process
from coffre.vault.records import Chunk, ChunkState
from coffre.vault.superblock import SealedRef

# The files that bits flip in.
_ROTS = (".mirror", ".segment", "/superblock")


class Faults:
    """Draws faults, and keeps to the budget."""

    def __init__(self, random: Random, machine: Machine, process: Process) -> None:
        self._random = random
        self._machine = machine
        self._process = process
        self._chunks: Sequence[Chunk] = ()

    def look(self, chunks: Sequence[Chunk], sealed: Sequence[SealedRef]) -> None:
        """Take note of how chunks stand, in rows and, where these do not know it yet, in
        superblocks: the budget is counted by them."""
        seals = {ref.chunk: ref for ref in sealed}
        self._chunks = [_sealed(chunk, seals.get(chunk.id)) for chunk in chunks]

    def during(self) -> None:
        """A fault in the middle of what comes next."""
        machine = self._machine
        way = self._random.random()
        if way < 0.15:
            self._fill()
            return
        if way < 0.3:
            self._rot(self._random.randint(1, 4))
            return
        targets = self._targets()
        if not targets:
            return
        trouble: Trouble = self._random.choice(("dead", "failing", "failing", "slow"))
        after = self._random.randint(1, 200)
        # The budget is spent now, so that nothing else spends it before it happens.
        for place in targets:
            machine.troubles[place.path] = trouble
        detail = self._random.uniform(1.0, 8.0)
        operation = self._random.choice(("write", "sync", "create", "sync_dir", "read", "rename"))
        times = self._random.choice((1, 3, None))
        self._say(f"after {after} events {_names(targets)}: {trouble} {operation}")

        def happen() -> None:
            for place in targets:
                if trouble == "failing":
                    folder = f"{place.path}/chunks"
                    machine.disk.fail(folder, operation, errno.EIO, times=times)  # type: ignore[arg-type]
                else:
                    machine.trouble(place, trouble, detail)

        machine.disk.after(after, happen)

    def between(self) -> None:
        """A fault while nothing goes on."""
        way = self._random.random()
        if way < 0.35:
            self._rot(self._random.randint(1, 6))
            return
        if way < 0.5:
            self._fill()
            return
        if targets := self._targets():
            trouble: Trouble = self._random.choice(("dead", "slow", "lying", "lying"))
            self._say(f"{_names(targets)}: {trouble}")
            for place in targets:
                self._machine.trouble(place, trouble, self._random.uniform(1.0, 8.0))

    def while_stopped(self) -> None:
        """Drives come back, some of them as they were earlier on."""
        if self._random.random() < 0.5:
            self.heal()
        if self._random.random() < 0.25 and (targets := self._targets(most=1)):
            (place,) = targets
            first = max(self._machine.founded, place.since)
            moment = self._random.randint(first, len(self._machine.disk.journal))
            self._say(f"{_names(targets)} comes back as it was at event {moment}")
            self._machine.turn_back(place, moment)

    def heal(self) -> None:
        """Some drives are well again."""
        machine = self._machine
        paths = [*(path for path in machine.troubles if path not in machine.rotten), *machine.full]
        if paths:
            chosen = self._random.sample(paths, self._random.randint(1, len(paths)))
            self._say(f"well again: {', '.join(path.rsplit('/', 1)[1] for path in chosen)}")
            self._machine.heal(chosen)

    def heal_all(self) -> None:
        self._machine.heal([*self._machine.troubles, *self._machine.full])

    def make_room(self) -> None:
        self._machine.heal(list(self._machine.full))

    def _targets(self, most: int = 4) -> list[Place]:
        """Drives that may be impaired now: one, two, or a rack."""
        machine, wanted = self._machine, self._random.choice((1, 1, 2, 4))
        well = [place for place in machine.places if place.path not in machine.troubles]
        if wanted == 4 and most >= 4:
            rack = self._random.choice(well).label.rack
            chosen = [place for place in well if place.label.rack == rack]
        else:
            chosen = self._random.sample(well, min(wanted, most, len(well)))
        return chosen if machine.allows(chosen, self._chunks) else []

    def _fill(self) -> None:
        places = self._machine.places
        count = self._random.choice((1, 4, len(places)))
        left = self._random.choice((0, 100_000, 1 << 20, (1 << 20) + 200_000))
        chosen = self._random.sample(places, count)
        self._say(f"{count} drives have {left} bytes left")
        for place in chosen:
            self._machine.fill(place, left)

    def _rot(self, count: int) -> None:
        """Bits flip in chunks' files; never more of them than a chunk can bear."""
        machine = self._machine
        for _ in range(count):
            place = self._random.choice(machine.places)
            files = [] if place.path in machine.troubles else machine.disk.paths(place.path)
            files = [path for path in files if path.endswith(_ROTS)]
            if not files:
                continue
            path = self._random.choice(files)
            size = machine.size(path)
            if not size:
                continue
            offset, mask = self._random.randrange(size), 1 << self._random.randrange(8)
            if path.endswith("/superblock"):
                if machine.allows([place], self._chunks):
                    self._say(f"byte {offset} of {path} rots")
                    machine.rot_superblock(place, offset, mask)
            else:
                form = form_in(path)
                chunk = next((chunk for chunk in self._chunks if chunk.id == form[0]), None)
                if chunk is None or not machine.allows_loss(chunk, form, place.label.id):
                    continue
                machine.lost[form].add(place.label.id)
                self._say(f"byte {offset} of {path} rots")
                machine.disk.corrupt(path, offset, mask)

    def _say(self, what: str) -> None:
        self._process.trace(f"  fault: {what}")


def _sealed(chunk: Chunk, seal: SealedRef | None) -> Chunk:
    if seal is None:
        return chunk
    return structs.replace(chunk, state=ChunkState.SEALED, k=seal.k, m=seal.m, members=seal.members)


def _names(places: Sequence[Place]) -> str:
    return ", ".join(place.path.rsplit("/", 1)[1] for place in places)
