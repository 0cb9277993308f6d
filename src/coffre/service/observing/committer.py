"""What the committer's process shows: groups, queue, catalog, drives, keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from coffre.config import Settings
from coffre.service import tls
from coffre.service.key_files import last_backup
from coffre.service.layout import DataFolder
from coffre.service.observing.page import Histogram, Page
from coffre.service.observing.publishing import Gauge, Observed, gauge
from coffre.service.zone import open_root_keys
from coffre.vault.drives import DriveState

if TYPE_CHECKING:
    from coffre.service.engine import DrivesNode

_FREE_EVERY_S = 10.0
_SAFETY_EVERY_S = 10.0


class CommitterWatch:
    """A `GroupWatch` that counts into the process's page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._cells = page.cells
        self._size = Histogram(page, "coffre_group_mutations")
        self._steps = {
            step: Histogram(page, "coffre_group_seconds", step)
            for step in ("apply", "log", "commit")
        }
        self._bodies = page.place("coffre_group_body_bytes_total")
        self._records = page.place("coffre_log_bytes_total")
        self._mutations = 0
        self._body_bytes = 0
        self._then = 0.0

    def begun(self, mutations: int, body_bytes: int) -> None:
        self._mutations, self._body_bytes = mutations, body_bytes
        self._then = time.perf_counter()

    def applied(self) -> None:
        self._lap("apply")

    def logged(self) -> None:
        self._lap("log")

    def committed(self, changeset_bytes: int) -> None:
        self._lap("commit")
        self._size.observe(self._mutations)
        self._cells[self._bodies] += self._body_bytes
        self._cells[self._records] += changeset_bytes

    def refused(self, code: str, mutations: int) -> None:
        self._page.add("coffre_group_refused_mutations_total", mutations, code)

    def _lap(self, step: str) -> None:
        now = time.perf_counter()
        self._steps[step].observe(now - self._then)
        self._then = now


def show_committer(observed: Observed, node: DrivesNode, settings: Settings) -> None:
    """Have the committer's gauges shown from now on."""
    folder = DataFolder(Path(settings.data))
    observed.collect(lambda: _queue(node, folder))
    observed.collect(lambda: _drives(node))
    observed.collect_apart(lambda: _free(node), _FREE_EVERY_S)
    observed.collect_apart(lambda: _safety(node, settings, folder), _SAFETY_EVERY_S)


def _queue(node: DrivesNode, folder: DataFolder) -> Iterator[Gauge]:
    committer = node.committer
    mutations, size = committer.waiting
    yield gauge(mutations, "coffre_queued_mutations")
    yield gauge(size, "coffre_queued_bytes")
    yield gauge(committer.zone.epoch, "coffre_log_epoch")
    yield gauge(len(committer.named_chunks), "coffre_log_unsealed_chunks")
    for file, path in (("rows", folder.catalog), ("wal", f"{folder.catalog}-wal")):
        with suppress(FileNotFoundError):
            yield gauge(Path(path).stat().st_size, "coffre_catalog_file_bytes", file)
    snapshots = committer.kept_snapshots.snapshots
    yield gauge(len(snapshots), "coffre_snapshots")
    if snapshots:
        # An id says when it was made, as everywhere.
        taken_ms = int.from_bytes(snapshots[-1].id[2:8], "big")
        age = (node.clock.now_ms() - taken_ms) / 1000
        yield gauge(max(0.0, age), "coffre_snapshot_age_seconds")


def _drives(node: DrivesNode) -> Iterator[Gauge]:
    for drive in node.drives.all():
        labels = (drive.path or drive.id.hex(), drive.node, drive.rack, drive.state.value)
        yield gauge(1, "coffre_drive_state", *labels)
        pace = node.monitor.pace(drive.id)
        if pace is not None:
            yield gauge(pace, "coffre_drive_probe_seconds", drive.path)


def _free(node: DrivesNode) -> Iterator[Gauge]:
    for drive in node.drives.all():
        if drive.state in (DriveState.PRESENT, DriveState.CHECKING):
            with suppress(OSError):
                free = node.drives.disk.free_bytes(drive.path)
                yield gauge(free, "coffre_drive_free_bytes", drive.path)


def _safety(node: DrivesNode, settings: Settings, folder: DataFolder) -> Iterator[Gauge]:
    now_ms = node.clock.now_ms()
    backup = last_backup(folder)
    held = {key.id.hex() for key in open_root_keys(folder).all()}
    due = backup is None or not held <= set(backup.keys)
    yield gauge(due, "coffre_key_backup_due")
    if backup is not None:
        yield gauge((now_ms - backup.made_ms) / 1000, "coffre_key_backup_age_seconds")
    certificate = tls.end(settings, now_ms)
    if certificate is not None:
        left = (certificate["ends_ms"] - now_ms) / 1000
        yield gauge(left, "coffre_certificate_seconds_left")
