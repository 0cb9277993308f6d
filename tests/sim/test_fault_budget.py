"""The simulator's own bookkeeping: what may fail, and when a drive is well again."""

from __future__ import annotations

from random import Random

import pytest
from msgspec import structs

from coffre.testing.simulation.machine import Machine, form_of, places
from coffre.vault.drives import Drive, DriveSet, DriveState
from coffre.vault.records import Chunk, ChunkKind, ChunkState, Geometry
from coffre.vault.superblock import Superblock


@pytest.fixture
def machine() -> Machine:
    return Machine(Random(1), places(racks=4))


def landing(machine: Machine) -> Chunk:
    members = tuple(machine.places[at].label.id for at in (0, 4, 8))
    return Chunk(b"c" * 16, ChunkKind.LANDING, ChunkState.SEALING, "", 1, 1, 2, members, 1000)


def sealed(machine: Machine) -> Chunk:
    members = tuple(place.label.id for place in machine.places)
    return structs.replace(landing(machine), state=ChunkState.SEALED, k=12, m=4, members=members)


def test_what_rots_in_segments_counts_although_rows_do_not_know_the_seal(machine: Machine) -> None:
    chunk, first = sealed(machine), machine.places[0].label.id
    assert machine.allows_loss(chunk, form_of(chunk), first)
    machine.lost[form_of(chunk)].add(first)
    assert machine.allows(machine.places[:2], [landing(machine)])
    assert not machine.allows(machine.places[4:8], [chunk])


def test_mirrors_that_are_to_go_may_rot(machine: Machine) -> None:
    chunk = landing(machine)
    mirrors = form_of(chunk)
    machine.lost[mirrors].update(chunk.members[:2])
    assert not machine.allows_loss(chunk, mirrors, chunk.members[2])
    assert machine.allows_loss(sealed(machine), mirrors, chunk.members[2])


def test_a_drive_is_well_again_once_superblocks_say_so(machine: Machine) -> None:
    """A start that comes before they do has it checked again."""
    place = machine.places[0]
    label = place.label
    drive = Drive(label.id, place.path, label.node, label.rack)
    drives = DriveSet(machine.disk, [drive])
    said = Superblock("", "", 1, 1, (label,), Geometry(1, 0), 1, unchecked=(label.id,))
    machine.troubles[place.path] = "back"
    machine.noticed(drives, said)
    assert place.path in machine.troubles
    machine.noticed(drives, structs.replace(said, unchecked=()))
    assert place.path not in machine.troubles
    drives.mark(label.id, DriveState.CHECKING, "it was away")
    with pytest.raises(AssertionError, match="but is well"):
        machine.noticed(drives, said)
