"""The disk as an argument: files by offset, explicit syncs, explicit directory syncs.

Only `vault` and `catalog` open data files, and only through this door, so that a test can record
every write, sync and rename and rebuild what a power loss would have left
(`coffre.testing.disk`). All calls block; callers decide which thread pays.

Errors are `OSError` as the kernel gives them; nothing is retried here. Those that say nothing of
the disk, but that this process or machine has no more of what it takes to use it, are `Starved`:
whoever sets aside a drive that fails does not hear of them as such.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

from coffre.system.buffer import Buffer
from coffre.system.starved import Starved

Mode = Literal["read", "edit", "create"]

# Linux's IOV_MAX: more pieces than this in one pwritev fail.
IOV_MAX = 1024


_OF_THE_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def of_whom(error: OSError) -> OSError | Starved:
    """The error as a `Disk` raises it."""
    if error.errno not in _OF_THE_PROCESS:
        return error
    return Starved(f"this process cannot go on ({error.strerror}): no drive is to blame")


@contextmanager
def _telling_whose() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise of_whom(error) from None


class File(Protocol):
    """An open file, addressed by byte offset."""

    def pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes at `offset`; shorter only at the end of the file."""
        ...

    def preadv(self, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        """Fill `buffers` in order from `offset`; the count of bytes read."""
        ...

    def pwritev(self, buffers: Sequence[Buffer], offset: int) -> int:
        """Write all of `buffers` at `offset`; the count of bytes. Short writes are finished."""
        ...

    def sync(self) -> None:
        """fdatasync: after it returns, what was written survives power loss."""
        ...

    def truncate(self, length: int) -> None: ...

    def size(self) -> int: ...

    def close(self) -> None: ...


class Disk(Protocol):
    """A file system. Paths are absolute strings."""

    def open(self, path: str, mode: Mode) -> File:
        """`read`; `edit` (read and write, must exist); `create` (must not exist)."""
        ...

    def rename(self, old: str, new: str) -> None: ...

    def unlink(self, path: str) -> None: ...

    def mkdir(self, path: str) -> None:
        """Make one directory, mode 0700; `FileExistsError` where it stands."""
        ...

    def listdir(self, path: str) -> list[str]: ...

    def exists(self, path: str) -> bool: ...

    def sync_dir(self, path: str) -> None:
        """fsync a directory: creates, renames and unlinks in it become durable."""
        ...

    def free_bytes(self, path: str) -> int:
        """Bytes that can still be written to the file system that holds `path`."""
        ...


class LocalFile:
    """A `File` on a local file system."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor

    def pread(self, length: int, offset: int) -> bytes:
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise of_whom(error) from None

    def pread_nowait(self, length: int, offset: int) -> bytearray | None:
        """`length` bytes if all of them are in the page cache, without waiting; else None.

        Not every `File` has this: callers look for it and otherwise let a thread wait.
        """
        buffer = bytearray(length)
        try:
            done = os.preadv(self._fd, (buffer,), offset, os.RWF_NOWAIT)
        except OSError:
            # EAGAIN: not cached. EOPNOTSUPP: the file system cannot tell. A real fault shows again
            # when the caller reads for good.
            return None
        return buffer if done == length else None

    def preadv(self, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        with _telling_whose():
            return os.preadv(self._fd, buffers, offset)

    def pwritev(self, buffers: Sequence[Buffer], offset: int) -> int:
        with _telling_whose():
            return self._pwritev(buffers, offset)

    def _pwritev(self, buffers: Sequence[Buffer], offset: int) -> int:
        total = sum(len(piece) for piece in buffers)
        if len(buffers) <= IOV_MAX:
            done = os.pwritev(self._fd, buffers, offset)
            if done == total:
                return total
        else:
            done = 0
        joined = memoryview(b"".join(buffers))
        while done < total:
            done += os.pwrite(self._fd, joined[done:], offset + done)
        return total

    def sync(self) -> None:
        with _telling_whose():
            os.fdatasync(self._fd)

    def truncate(self, length: int) -> None:
        os.ftruncate(self._fd, length)

    def allocate(self, length: int) -> bool:
        """Make the file `length` bytes of zeros without writing them; False where the file system
        cannot. Not every `File` has this: callers look for it and otherwise write."""
        try:
            os.posix_fallocate(self._fd, 0, length)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                return False
            raise
        return True

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


_FLAGS: dict[Mode, int] = {
    "read": os.O_RDONLY | os.O_CLOEXEC,
    "edit": os.O_RDWR | os.O_CLOEXEC,
    "create": os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
}


class LocalDisk:
    """The machine's own file systems."""

    def open(self, path: str, mode: Mode) -> LocalFile:
        with _telling_whose():
            return LocalFile(os.open(path, _FLAGS[mode], 0o600))

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def mkdir(self, path: str) -> None:
        os.mkdir(path, 0o700)

    def listdir(self, path: str) -> list[str]:
        with _telling_whose():
            return os.listdir(path)

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def sync_dir(self, path: str) -> None:
        with _telling_whose():
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def free_bytes(self, path: str) -> int:
        with _telling_whose():
            status = os.statvfs(path)
        return status.f_bavail * status.f_frsize
