"""A file's bytes as a recording disk keeps them: shared pages, and every write since the start.

Pages are immutable and shared between the newest state, checkpoints and power-loss images, so that
an image costs what was written near its moment, not what the files hold.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Fate = Literal["kept", "dropped", "torn"]
FATES: tuple[Fate, ...] = ("kept", "dropped", "torn")
SECTOR = 512
_PAGE = 4096
_CHECKPOINT_EVERY = 32


class Content:
    """Bytes by offset; holes read as zeros. A copy shares all pages."""

    def __init__(self, pages: dict[int, bytes] | None = None, size: int = 0) -> None:
        self._pages: dict[int, bytes] = {} if pages is None else pages
        self._shared = pages is not None
        self.size = size

    def copy(self) -> Content:
        self._shared = True
        return Content(self._pages, self.size)

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        first, last = offset // _PAGE, (end - 1) // _PAGE
        zeros = bytes(_PAGE)
        joined = b"".join(self._pages.get(page, zeros) for page in range(first, last + 1))
        return joined[offset - first * _PAGE : end - first * _PAGE]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._own()
        view = memoryview(data)
        done = 0
        while done < len(view):
            page, at = divmod(offset + done, _PAGE)
            piece = view[done : done + _PAGE - at]
            if len(piece) == _PAGE:
                self._pages[page] = bytes(piece)
            else:
                old = self._pages.get(page, bytes(_PAGE))
                self._pages[page] = b"".join((old[:at], piece, old[at + len(piece) :]))
            done += len(piece)
        self.size = max(self.size, offset + done)

    def truncate(self, length: int) -> None:
        if length < self.size:
            self._own()
            last, at = divmod(length, _PAGE)
            for page in [page for page in self._pages if page >= last + (at > 0)]:
                del self._pages[page]
            if last in self._pages:
                self._pages[last] = self._pages[last][:at].ljust(_PAGE, b"\0")
        self.size = length

    def _own(self) -> None:
        if self._shared:
            self._pages = dict(self._pages)
            self._shared = False


@dataclass
class Change:
    """One write (`data` at `offset`) or truncate (`data` None, to `offset`), at journal position
    `sequence`. `certain`: on the medium whatever was synced (a flipped bit). `doubtful`: a sync of
    it failed, so that no later sync vouches for it (Linux marks such pages clean)."""

    sequence: int
    offset: int
    data: bytes | None
    certain: bool = False
    doubtful: bool = False

    def apply(self, content: Content) -> None:
        if self.data is None:
            content.truncate(self.offset)
        else:
            content.write(self.offset, self.data)

    def grown(self, size: int) -> int:
        """The file's size once this has happened to one of `size` bytes."""
        return self.offset if self.data is None else max(size, self.offset + len(self.data))


class Syncs:
    """The completed syncs of one file or directory, in the order in which they ended."""

    def __init__(self) -> None:
        self._covered: list[int] = []
        self._ended: list[int] = []

    def add(self, began: int, ended: int) -> None:
        self._covered.append(max(began, self._covered[-1]) if self._covered else began)
        self._ended.append(ended)

    def covered(self, at: int) -> int:
        """What came before this sequence was synced, and that before `at`."""
        index = bisect_left(self._ended, at)
        return self._covered[index - 1] if index else 0


@dataclass(eq=False)
class Inode:
    """A file apart from its names: newest bytes, and what led to them."""

    newest: Content = field(default_factory=Content)
    syncs: Syncs = field(default_factory=Syncs)
    _changes: list[Change] = field(default_factory=list)
    _order: list[int] = field(default_factory=list)
    _first_doubtful: int | None = None
    # Content as it was before a sequence.
    _checkpoints: list[tuple[int, Content]] = field(default_factory=list)
    _memo: tuple[int, Content] | None = None

    def __post_init__(self) -> None:
        self._checkpoints.append((0, self.newest.copy()))

    def change(self, change: Change) -> None:
        if len(self._changes) % _CHECKPOINT_EVERY == _CHECKPOINT_EVERY - 1:
            self._checkpoints.append((change.sequence, self.newest.copy()))
        change.apply(self.newest)
        self._changes.append(change)
        self._order.append(change.sequence)

    def sync_failed(self, now: int) -> None:
        """What was not yet synced may never be, whatever later syncs say."""
        for change in self._between(self.syncs.covered(now), now):
            change.doubtful = not change.certain
            if change.doubtful and self._first_doubtful is None:
                self._first_doubtful = change.sequence

    def after_power_loss(self, at: int, fate: Fate, choose: random.Random) -> Content:
        """What may be found if only events before `at` happened: synced changes for sure, the
        others kept, dropped or torn; the size is one that the file had or could have had."""
        settled = self.syncs.covered(at)
        doubtful = self._first_doubtful
        start = settled if doubtful is None else min(settled, doubtful)
        content = self._as_of(start)
        floor = newest = content.size
        floating = False
        for change in self._between(start, at):
            newest = change.grown(newest)
            if change.certain or (change.sequence < settled and not change.doubtful):
                change.apply(content)
                floor = change.grown(floor)
                continue
            floating = True
            if fate == "kept":
                change.apply(content)
            elif fate == "torn":
                _tear(change, content, choose)
        if not floating or fate == "kept":
            return content
        size = floor
        if fate == "torn":
            size = choose.choice((floor, content.size, newest))
            if choose.random() < 0.25:
                low, high = sorted((floor, size))
                size = min(high, low + choose.randint(0, high - low) // SECTOR * SECTOR)
        content.truncate(size)
        return content

    def _between(self, start: int, end: int) -> list[Change]:
        return self._changes[bisect_left(self._order, start) : bisect_left(self._order, end)]

    def _as_of(self, sequence: int) -> Content:
        if self._memo is None or self._memo[0] != sequence:
            index = bisect_left(self._checkpoints, sequence + 1, key=lambda item: item[0]) - 1
            since, base = self._checkpoints[index]
            content = base.copy()
            for change in self._between(since, sequence):
                change.apply(content)
            self._memo = (sequence, content)
        return self._memo[1].copy()


def _tear(change: Change, content: Content, choose: random.Random) -> None:
    """Let all, nothing, a prefix or any sectors of one write reach the medium."""
    way = choose.choice(("all", "nothing", "prefix", "sectors"))
    if way == "all" or (change.data is None and way != "nothing"):
        change.apply(content)
    elif way != "nothing" and change.data is not None:
        for start, end in _surviving(change.offset, len(change.data), way == "prefix", choose):
            content.write(start, change.data[start - change.offset : end - change.offset])


def _surviving(
    offset: int, length: int, prefix: bool, choose: random.Random
) -> Iterator[tuple[int, int]]:
    """Byte ranges, cut at sector borders, of a write of `length` bytes (> 0) at `offset`."""
    first, end = offset // SECTOR, offset + length
    count = (end - 1) // SECTOR - first + 1
    mask = (1 << choose.randint(0, count)) - 1 if prefix else choose.getrandbits(count)
    for index in range(count):
        if mask >> index & 1:
            start = (first + index) * SECTOR
            yield max(start, offset), min(start + SECTOR, end)
