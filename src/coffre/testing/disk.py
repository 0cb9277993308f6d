"""A disk in memory that records what is done to it, and rebuilds what a power loss would leave.

`RecordingDisk` is a `Disk`: reads see the newest state, as the page cache shows it. Every change
and every completed sync is an `Event` in `journal`. `image(at, choose)` is another `RecordingDisk`
with what may be found after power was lost when just the first `at` events had happened:

- A write or truncate is there for sure if a sync of its file began after it and ended before the
  loss. Others are kept, dropped or torn (a prefix, or any 512-byte sectors), each for itself.
- A create, rename, unlink or mkdir is there for sure if its directory was synced likewise; for a
  rename that is the directory of the new name. Others happened or did not.
- A write whose sync failed is never sure again, even if a later sync succeeds.
- Drives fail apart: `policy_by_prefix` gives each drive folder its own fate.

`after` has something happen in the middle of things: power going (`PowerLost`), a drive dying.
`lie` lets a drive's syncs do nothing; only power loss shows it.

Only files can be renamed. All calls may come from any thread.
"""

from __future__ import annotations

import errno
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Literal, NamedTuple

from coffre.system.buffer import Buffer
from coffre.system.disk import Mode, of_whom
from coffre.system.starved import Starved
from coffre.testing.content import FATES, Change, Fate, Inode, Syncs

Operation = Literal[
    "open", "create", "read", "write", "truncate", "sync",
    "rename", "unlink", "mkdir", "listdir", "sync_dir",
]  # fmt: skip
_PLENTY = 1 << 40


class Event(NamedTuple):
    """One thing that happened. `offset` and `data` of a write (a truncate has only `offset`), `to`
    of a rename, `began` of a sync: changes with a lower sequence are the ones that it covers."""

    sequence: int
    operation: Operation
    path: str
    offset: int = 0
    data: bytes = b""
    to: str = ""
    began: int = 0


class _Naming(NamedTuple):
    """A change of the name space; `inode` None is a directory (mkdir) or nothing (unlink)."""

    sequence: int
    operation: Operation
    path: str
    inode: Inode | None = None
    to: str = ""


@dataclass
class _Fault:
    prefix: str
    operation: Operation
    error: int
    times: int | None


class PowerLost(KeyboardInterrupt):
    """Power goes in the middle of a call: raised by what `RecordingDisk.after` was given. Like the
    operator's Ctrl-C it goes through every `except Exception`, and out of the event loop."""


def draw_policy(prefixes: Iterable[str], choose: random.Random) -> dict[str, Fate]:
    """A fate for each drive folder, for `RecordingDisk.image`."""
    return {prefix: choose.choice(FATES) for prefix in prefixes}


class RecordingFile:
    """A `File` of a `RecordingDisk`."""

    def __init__(self, disk: RecordingDisk, path: str, inode: Inode, writable: bool) -> None:
        self._disk = disk
        self._path = path
        self._inode = inode
        self._writable = writable
        self._open = True

    def pread(self, length: int, offset: int) -> bytes:
        self._need(self._open)
        return self._disk._read(self._path, self._inode, length, offset)

    def preadv(self, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        data = self.pread(sum(len(buffer) for buffer in buffers), offset)
        done = 0
        for buffer in buffers:
            piece = data[done : done + len(buffer)]
            memoryview(buffer)[: len(piece)] = piece
            done += len(piece)
        return done

    def pwritev(self, buffers: Sequence[Buffer], offset: int) -> int:
        self._need(self._open and self._writable)
        return self._disk._write(self._path, self._inode, b"".join(buffers), offset)

    def sync(self) -> None:
        self._need(self._open)
        self._disk._sync(self._path, self._inode)

    def truncate(self, length: int) -> None:
        self._need(self._open and self._writable)
        self._disk._truncate(self._path, self._inode, length)

    def size(self) -> int:
        self._need(self._open)
        return self._inode.newest.size

    def close(self) -> None:
        self._open = False

    @staticmethod
    def _need(condition: bool) -> None:
        if not condition:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class RecordingDisk:
    """A file system in memory. `folders` exist, durably, from the start, as do their parents.

    `wait` is how a slowed call waits (seconds): `time.sleep`, a simulated clock's advance, or an
    event's wait.
    """

    def __init__(
        self, folders: Iterable[str] = (), *, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self.journal: list[Event] = []
        self._wait = wait
        self._lock = RLock()
        # Path -> inode, None for a directory; as it is, and as it was at the start.
        self._names: dict[str, Inode | None] = {"/": None}
        for folder in folders:
            while folder not in self._names:
                self._names[folder] = None
                folder = os.path.dirname(folder)
        self._first_names = dict(self._names)
        self._namings: list[_Naming] = []
        self._dir_syncs: dict[str, Syncs] = {}
        self._faults: list[_Fault] = []
        self._slow: dict[str, float] = {}
        self._full: dict[str, int] = {}
        self._lost: set[str] = set()
        self._lying: set[str] = set()
        self._later: tuple[int, Callable[[], object]] | None = None

    # Disk

    def open(self, path: str, mode: Mode) -> RecordingFile:
        self._enter("create" if mode == "create" else "open", path)
        with self._lock:
            if mode == "create":
                self._absent(path)
                self._names[path] = inode = Inode()
                self._name("create", path, inode)
            else:
                inode = self._file(path)
        return RecordingFile(self, path, inode, mode != "read")

    def rename(self, old: str, new: str) -> None:
        self._enter("rename", old)
        with self._lock:
            inode = self._file(old)
            self._directory(os.path.dirname(new))
            if self._names.get(new, inode) is None:
                raise _error(errno.EISDIR, new)
            del self._names[old]
            self._names[new] = inode
            self._name("rename", old, inode, new)

    def unlink(self, path: str) -> None:
        self._enter("unlink", path)
        with self._lock:
            self._file(path)
            del self._names[path]
            self._name("unlink", path)

    def mkdir(self, path: str) -> None:
        self._enter("mkdir", path)
        with self._lock:
            self._absent(path)
            self._names[path] = None
            self._name("mkdir", path)

    def listdir(self, path: str) -> list[str]:
        self._enter("listdir", path)
        with self._lock:
            self._directory(path)
            start = path.rstrip("/") + "/"
            rests = (name[len(start) :] for name in self._names if name.startswith(start))
            return [rest for rest in rests if rest and "/" not in rest]

    def exists(self, path: str) -> bool:
        with self._lock:
            return path in self._names and _longest(self._lost, path) is None

    def sync_dir(self, path: str) -> None:
        with self._lock:
            began = len(self.journal)
        self._enter("sync_dir", path)
        with self._lock:
            self._directory(path)
            if _longest(self._lying, path) is None:
                self._dir_syncs.setdefault(path, Syncs()).add(began, len(self.journal))
            self._record("sync_dir", path, began=began)

    def free_bytes(self, path: str) -> int:
        with self._lock:
            if _longest(self._lost, path) is not None:
                raise _error(errno.EIO, path)
            prefix = _longest(self._full, path)
            return _PLENTY if prefix is None else self._full[prefix]

    # Faults: each holds for a path and all below it, until `heal`.

    def fail(
        self, path_prefix: str, operation: Operation, error: int, *, times: int | None = None
    ) -> None:
        """Let an operation fail with an errno, the next `times` times or always."""
        with self._lock:
            self._faults.append(_Fault(path_prefix, operation, error, times))

    def slow(self, path_prefix: str, seconds: float) -> None:
        """Let every sync take this long (see `wait`)."""
        self._slow[path_prefix] = seconds

    def full(self, path_prefix: str, bytes_left: int) -> None:
        """Files can grow by so many bytes in all; a write takes what fits, then ENOSPC."""
        self._full[path_prefix] = bytes_left

    def lose(self, path_prefix: str) -> None:
        """The drive is gone: nothing is found by name, open files answer EIO."""
        self._lost.add(path_prefix)

    def lie(self, path_prefix: str) -> None:
        """Syncs answer that all is well and do nothing."""
        self._lying.add(path_prefix)

    def settle(self, path_prefix: str) -> None:
        """All that was written below is on the medium by now, as it is a while after the last
        write."""
        with self._lock:
            now = len(self.journal)
            for path, inode in self._names.items():
                if _under(path_prefix, path):
                    syncs = (
                        self._dir_syncs.setdefault(path, Syncs()) if inode is None else inode.syncs
                    )
                    syncs.add(now, now)
            self._record("sync", path_prefix, began=now)

    def after(self, events: int, action: Callable[[], object]) -> None:
        """Do `action` right after the so many-th event (1: the next) from now on, in the middle of
        the call that it is part of; in place of an action that still waits."""
        self._later = len(self.journal) + events, action

    def calm(self) -> None:
        """What `after` was given, if it still waits, does not happen."""
        self._later = None

    def paths(self, path_prefix: str) -> list[str]:
        """The files below, in order of their names."""
        with self._lock:
            found = (path for path, inode in self._names.items() if inode is not None)
            return sorted(path for path in found if _under(path_prefix, path))

    def forget_folders(self, path_prefix: str) -> None:
        """Folders below, which must be empty, are there no more, durably."""
        with self._lock:
            start = path_prefix.rstrip("/") + "/"
            below = [path for path in self._names if path.startswith(start)]
            assert all(self._names[path] is None for path in below), "files go before their folders"
            for path in below:
                del self._names[path]
                self._first_names.pop(path, None)
            self._namings = [one for one in self._namings if not one.path.startswith(start)]

    def put_back(self, path_prefix: str, older: RecordingDisk) -> None:
        """Below the prefix all is as on `older`, which gives it up. Only on an image that nothing
        was done to yet."""
        assert not self.journal, "an image is changed before anything else is"
        for path in [path for path in self._names if _under(path_prefix, path)]:
            del self._names[path]
        for path, inode in older._names.items():
            if _under(path_prefix, path):
                self._names[path] = inode
        self._first_names = dict(self._names)

    def heal(self, path_prefix: str) -> None:
        """End the faults that were set for just this prefix. What was written is there still."""
        with self._lock:
            self._faults = [fault for fault in self._faults if fault.prefix != path_prefix]
            self._slow.pop(path_prefix, None)
            self._full.pop(path_prefix, None)
            self._lost.discard(path_prefix)
            self._lying.discard(path_prefix)

    def corrupt(self, path: str, offset: int, mask: int) -> None:
        """Flip bits of one byte on the medium, which must be in the file. Raises ValueError."""
        with self._lock:
            inode = self._file(path)
            byte = inode.newest.read(offset, 1)
            if not byte:
                raise ValueError(f"{path} has no byte {offset}")
            data = bytes([byte[0] ^ mask])
            inode.change(Change(len(self.journal), offset, data, certain=True))
            self._record("write", path, offset=offset, data=data)

    # Power loss

    def image(
        self,
        at: int,
        choose: random.Random,
        *,
        policy_by_prefix: Mapping[str, Fate] | None = None,
    ) -> RecordingDisk:
        """What power loss after the first `at` events may leave; the same for the same arguments
        and state of `choose`. Paths under no prefix are torn. Faults are not inherited."""
        policy = policy_by_prefix or {}
        disk = RecordingDisk(wait=self._wait)
        with self._lock:
            found: dict[Inode, Inode] = {}
            for path, inode in self._names_after_power_loss(at, policy, choose).items():
                if os.path.dirname(path) not in disk._names:
                    continue  # Its directory did not survive.
                if inode is not None and inode not in found:
                    content = inode.after_power_loss(at, _fate(policy, path), choose)
                    found[inode] = Inode(content)
                disk._names[path] = None if inode is None else found[inode]
        disk._first_names = dict(disk._names)
        return disk

    def _names_after_power_loss(
        self, at: int, policy: Mapping[str, Fate], choose: random.Random
    ) -> dict[str, Inode | None]:
        """Names that may be found, parents before children."""
        names = dict(self._first_names)
        for naming in self._namings:
            if naming.sequence >= at:
                break
            if not self._naming_is_durable(naming, at):
                fate = _fate(policy, naming.path)
                if fate == "dropped" or (fate == "torn" and choose.random() < 0.5):
                    continue
            if naming.operation in ("rename", "unlink"):
                names.pop(naming.path, None)
            if naming.operation != "unlink":
                names[naming.to or naming.path] = naming.inode
        return dict(sorted(names.items()))

    def _naming_is_durable(self, naming: _Naming, at: int) -> bool:
        syncs = self._dir_syncs.get(os.path.dirname(naming.to or naming.path))
        return syncs is not None and syncs.covered(at) > naming.sequence

    # What files do

    def _read(self, path: str, inode: Inode, length: int, offset: int) -> bytes:
        self._enter("read", path, opened=True)
        with self._lock:
            return inode.newest.read(offset, length)

    def _write(self, path: str, inode: Inode, data: bytes, offset: int) -> int:
        self._enter("write", path, opened=True)
        with self._lock:
            growth = max(0, offset + len(data) - inode.newest.size)
            short = growth - self._take_space(path, growth)
            written = data[: len(data) - min(short, len(data))]
            if written:
                inode.change(Change(len(self.journal), offset, written))
                self._record("write", path, offset=offset, data=written)
            if short:
                raise _error(errno.ENOSPC, path)
        return len(data)

    def _take_space(self, path: str, growth: int) -> int:
        prefix = _longest(self._full, path)
        if prefix is None:
            return growth
        taken = min(growth, self._full[prefix])
        self._full[prefix] -= taken
        return taken

    def _truncate(self, path: str, inode: Inode, length: int) -> None:
        self._enter("truncate", path, opened=True)
        with self._lock:
            inode.change(Change(len(self.journal), length, None))
            self._record("truncate", path, offset=length)

    def _sync(self, path: str, inode: Inode) -> None:
        with self._lock:
            began = len(self.journal)
            slow = _longest(self._slow, path)
        if slow is not None:
            self._wait(self._slow[slow])
        try:
            self._enter("sync", path, opened=True)
        except (OSError, Starved):
            with self._lock:
                inode.sync_failed(len(self.journal))
            raise
        with self._lock:
            if _longest(self._lying, path) is None:
                inode.syncs.add(began, len(self.journal))
            self._record("sync", path, began=began)

    # Records and refusals

    def _record(self, operation: Operation, path: str, **rest: object) -> None:
        self.journal.append(Event(len(self.journal), operation, path, **rest))  # type: ignore[arg-type]
        if self._later is not None and len(self.journal) >= self._later[0]:
            _, action = self._later
            self._later = None
            action()

    def _name(
        self, operation: Operation, path: str, inode: Inode | None = None, to: str = ""
    ) -> None:
        self._namings.append(_Naming(len(self.journal), operation, path, inode, to))
        self._record(operation, path, to=to)

    def _enter(self, operation: Operation, path: str, *, opened: bool = False) -> None:
        with self._lock:
            if _longest(self._lost, path) is not None:
                raise _error(errno.EIO if opened else errno.ENOENT, path)
            for fault in self._faults:
                if fault.operation == operation and _under(fault.prefix, path):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times == 0:
                            self._faults.remove(fault)
                    raise _error(fault.error, path)

    def _file(self, path: str) -> Inode:
        inode = self._names.get(path)
        if inode is None:
            raise _error(errno.EISDIR if path in self._names else errno.ENOENT, path)
        return inode

    def _directory(self, path: str) -> None:
        if self._names.get(path, path) is not None:
            raise _error(errno.ENOTDIR if path in self._names else errno.ENOENT, path)

    def _absent(self, path: str) -> None:
        self._directory(os.path.dirname(path))
        if path in self._names:
            raise _error(errno.EEXIST, path)


def _error(number: int, path: str) -> OSError | Starved:
    return of_whom(OSError(number, os.strerror(number), path))


def _under(prefix: str, path: str) -> bool:
    return path.startswith(prefix) and path[len(prefix.rstrip("/")) :][:1] in ("", "/")


def _longest(prefixes: Iterable[str], path: str) -> str | None:
    """The most exact of the prefixes that hold `path`."""
    return max((prefix for prefix in prefixes if _under(prefix, path)), key=len, default=None)


def _fate(policy: Mapping[str, Fate], path: str) -> Fate:
    prefix = _longest(policy, path)
    return "torn" if prefix is None else policy[prefix]
