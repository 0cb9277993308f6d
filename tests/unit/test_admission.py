"""Bodies are refused before they are read when they could not be kept."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from coffre.catalog.interface import CommitterBusy
from coffre.service.admission import CATALOG_RESERVE_BYTES, Admission
from coffre.system.clock import ManualClock
from coffre.testing.disk import RecordingDisk
from coffre.vault.interface import StorageFull


@dataclass
class Queue:
    busy: bool = False


def test_a_body_is_refused_while_too_much_waits_for_the_committer() -> None:
    queue = Queue(busy=True)
    admit = Admission(queue, RecordingDisk(["/data"]), ManualClock(), "/data")
    with pytest.raises(CommitterBusy):
        admit("PutObject", "", "bucket")
    queue.busy = False
    admit("PutObject", "", "bucket")


def test_a_body_is_refused_while_the_catalog_has_less_than_its_reserve() -> None:
    disk, clock = RecordingDisk(["/data"]), ManualClock()
    admit = Admission(Queue(), disk, clock, "/data")
    disk.full("/data", CATALOG_RESERVE_BYTES - 1)
    with pytest.raises(StorageFull):
        admit("PutObject", "", "bucket")
    disk.full("/data", CATALOG_RESERVE_BYTES)
    clock.advance(1)
    admit("PutObject", "", "bucket")
