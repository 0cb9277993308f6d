"""A process's page: its figures in shared memory, for whoever looks.

One file a process in `DATA/metrics`, mapped whole, native order:

    offset  bytes  what
         0      8  the mark of this layout
         8      8  process id
        16      8  when the process last showed that it lives (monotonic seconds)
        24      8  how often the process was started
        32      8  bytes of the directory
        40      8  cells in use
        64         the directory: entries one behind the other
     1 MiB         the cells: 64-bit floats

An entry is 4 bytes (the length of what follows the 8), 4 bytes (its first cell), and JSON: the
metric's name, then its labels' values. It is written before the directory's length covers it; a
cell is one aligned store: nobody sees half of either.

A process that is started again goes on in the page that it left, so that counters never fall while
a node runs; a node that starts begins with no pages.
"""

from __future__ import annotations

import logging
import mmap
import os
import shutil
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import isnan, nan
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from coffre.service.observing.table import BY_NAME

log = logging.getLogger("coffre.observing")

SUFFIX: Final = ".page"
DIRECTORY: Final = 64
CELLS: Final = 1 << 20
CELL_COUNT: Final = 1 << 16
PAGE_BYTES: Final = CELLS + 8 * CELL_COUNT
# What finds no place any more is counted where nobody looks.
_NOWHERE: Final = CELL_COUNT - 64
_MARK: Final = b"COFFPAG1"
_HEAD: Final = struct.Struct("@8sQdQQQ")
_BEAT: Final = struct.Struct("@d")
_USED: Final = struct.Struct("@QQ")
_USED_AT: Final = 32
_ENTRY: Final = struct.Struct("@II")

Labels = tuple[str, ...]
Series = tuple[str, Labels]


class Page:
    """This process's own page. `cells` may be written to directly: that is what is cheap. Where no
    file can be had (a full disk), it counts where nobody looks: no process ends for its figures."""

    def __init__(self, folder: Path, process: str) -> None:
        try:
            self._map = _mapped(folder, process)
        except OSError as error:
            log.error("nobody sees the figures of %s: %s", process, error)
            self._map = mmap.mmap(-1, PAGE_BYTES)
        self.cells = memoryview(self._map)[CELLS:].cast("d")
        self._series: dict[Series, int] = {}
        self._gauges: set[int] = set()
        self._lock = threading.Lock()
        mark, _, _, starts, *_ = _HEAD.unpack_from(self._map, 0)
        if mark == _MARK:
            self._take_over()
        else:
            starts = 0
            _USED.pack_into(self._map, _USED_AT, 0, 0)
        _HEAD.pack_into(self._map, 0, _MARK, os.getpid(), 0.0, starts + 1, *self._used)

    @property
    def _used(self) -> tuple[int, int]:
        directory, cells = _USED.unpack_from(self._map, _USED_AT)
        return directory, cells

    def beat(self, monotonic: float) -> None:
        """Show that the process lives."""
        _BEAT.pack_into(self._map, 16, monotonic)

    def place(self, name: str, *labels: str) -> int:
        """The first cell of a series, made if it is missing. Ask once, keep the answer."""
        cell = self._series.get((name, labels))
        return self._make(name, labels) if cell is None else cell

    def is_full(self) -> bool:
        """Whether new series may find no place: callers then count under `other`."""
        directory, cells = self._used
        return directory > (CELLS - DIRECTORY) * 3 // 4 or cells > CELL_COUNT * 3 // 4

    def add(self, name: str, value: float, *labels: str) -> None:
        """Raise a counter; for what is not counted at every request."""
        self.cells[self.place(name, *labels)] += value

    def show(self, gauges: Mapping[Series, float]) -> None:
        """These are the gauges now; those that are not named are absent."""
        shown = set()
        for (name, labels), value in gauges.items():
            cell = self.place(name, *labels)
            self.cells[cell] = value
            shown.add(cell)
        for cell in self._gauges - shown:
            self.cells[cell] = nan
        self._gauges |= shown

    def _make(self, name: str, labels: Labels) -> int:
        with self._lock:
            known = self._series.get((name, labels))
            if known is not None:
                return known
            metric = BY_NAME[name]
            if len(labels) != len(metric.labels):
                raise ValueError(f"{name} has the labels {metric.labels}, not {labels}")
            text = msgspec.json.encode((name, *labels))
            directory, cells = self._used
            at, after = DIRECTORY + directory, directory + _ENTRY.size + len(text)
            if DIRECTORY + after > CELLS or cells + metric.cells > _NOWHERE:
                return _NOWHERE
            _ENTRY.pack_into(self._map, at, len(text), cells)
            self._map[at + _ENTRY.size : DIRECTORY + after] = text
            for cell in range(cells, cells + metric.cells):
                self.cells[cell] = nan if metric.kind == "gauge" else 0.0
            _USED.pack_into(self._map, _USED_AT, after, cells + metric.cells)
            self._series[name, labels] = cells
            return cells

    def _take_over(self) -> None:
        for name, labels, cell in _entries(self._map, 0, self._used[0]):
            if name not in BY_NAME:
                continue
            self._series[name, labels] = cell
            if BY_NAME[name].kind == "gauge":
                self.cells[cell] = nan
                self._gauges.add(cell)

    def close(self) -> None:
        self.cells.release()
        self._map.close()


class Histogram:
    """A series of a histogram in a page."""

    __slots__ = ("_bounds", "_cells", "_first", "_sum")

    def __init__(self, page: Page, name: str, *labels: str) -> None:
        self._bounds = BY_NAME[name].bounds
        self._cells = page.cells
        self._first = page.place(name, *labels)
        self._sum = self._first + len(self._bounds) + 1

    def observe(self, value: float) -> None:
        self._cells[self._first + bisect_left(self._bounds, value)] += 1.0
        self._cells[self._sum] += value


class Reading(Struct, frozen=True):
    """A page as it was read: by series its numbers (`Metric.cells` of them; absent gauges are
    left out); `seen`: when its process last showed that it lives (monotonic seconds)."""

    process: str
    pid: int
    seen: float
    starts: int
    series: dict[Series, tuple[float, ...]]


class PageReader:
    """Reads one page again and again; what was read of its directory is remembered."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, ValueError (not whole yet)."""
        self.process = path.name.removesuffix(SUFFIX)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.inode = os.fstat(descriptor).st_ino
            self._map = mmap.mmap(descriptor, PAGE_BYTES, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        self._read = 0
        self._series: dict[Series, tuple[int, int]] = {}

    def read(self) -> Reading | None:
        """None while the page is not begun."""
        mark, pid, seen, starts, directory, _ = _HEAD.unpack_from(self._map, 0)
        if mark != _MARK:
            return None
        for name, labels, cell in _entries(self._map, self._read, directory):
            if (metric := BY_NAME.get(name)) is not None:
                self._series[name, labels] = (cell, metric.cells)
        self._read = directory
        series = {}
        for one, (cell, count) in self._series.items():
            values = struct.unpack_from(f"@{count}d", self._map, CELLS + 8 * cell)
            if not isnan(values[0]):
                series[one] = values
        return Reading(self.process, pid, seen, starts, series)

    def close(self) -> None:
        self._map.close()


def _entries(source: mmap.mmap, start: int, stop: int) -> Iterable[tuple[str, Labels, int]]:
    at = DIRECTORY + start
    while at < DIRECTORY + stop:
        length, cell = _ENTRY.unpack_from(source, at)
        at += _ENTRY.size
        name, *labels = msgspec.json.decode(source[at : at + length], type=list[str])
        yield name, tuple(labels), cell
        at += length


def _mapped(folder: Path, process: str) -> mmap.mmap:
    """A page's file, made (mode 0600) if it is missing. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{process}{SUFFIX}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # All of it: a page that finds no space when it is touched ends the process.
        os.posix_fallocate(descriptor, 0, PAGE_BYTES)
        return mmap.mmap(descriptor, PAGE_BYTES)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def clear_pages(folder: Path) -> None:
    """Begin anew: a node starts."""
    shutil.rmtree(folder, ignore_errors=True)
