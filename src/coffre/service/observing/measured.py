"""A disk that counts what drives do: calls, bytes, seconds and errors, by drive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from coffre.service.observing.page import Histogram, Page
from coffre.system.buffer import Buffer
from coffre.system.disk import Disk, File, LocalFile, Mode

_CHUNKS: Final = "/chunks/"
T = TypeVar("T")


class _Drive:
    """One drive's series. Its files are used by many threads."""

    def __init__(self, page: Page, path: str) -> None:
        self._page = page
        self._path = path
        self._cells = page.cells
        self._lock = threading.Lock()
        self._read_bytes = page.place("coffre_drive_read_bytes_total", path)
        self._written_bytes = page.place("coffre_drive_written_bytes_total", path)
        self._seconds = {
            kind: Histogram(page, "coffre_drive_seconds", path, kind)
            for kind in ("read", "write", "sync")
        }

    def call(self, kind: str, work: Callable[[], T]) -> T:
        """Do `work` and count it. Raises what it raises."""
        began = time.perf_counter()
        try:
            return work()
        except OSError:
            with self._lock:
                self._page.add("coffre_drive_errors_total", 1, self._path, kind)
            raise
        finally:
            took = time.perf_counter() - began
            with self._lock:
                self._seconds[kind].observe(took)

    def read(self, size: int) -> None:
        with self._lock:
            self._cells[self._read_bytes] += size

    def written(self, size: int) -> None:
        with self._lock:
            self._cells[self._written_bytes] += size


class MeasuredFile:
    """A `File` of a drive."""

    def __init__(self, file: LocalFile, drive: _Drive) -> None:
        self._file = file
        self._drive = drive
        # Neither of these waits for the drive.
        self.size = file.size
        self.truncate = file.truncate
        self.allocate = file.allocate
        self.close = file.close

    def pread(self, length: int, offset: int) -> bytes:
        data = self._drive.call("read", lambda: self._file.pread(length, offset))
        self._drive.read(len(data))
        return data

    def pread_nowait(self, length: int, offset: int) -> bytearray | None:
        """From the page cache: bytes that no drive was asked for are not its."""
        return self._file.pread_nowait(length, offset)

    def preadv(self, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        done = self._drive.call("read", lambda: self._file.preadv(buffers, offset))
        self._drive.read(done)
        return done

    def pwritev(self, buffers: Sequence[Buffer], offset: int) -> int:
        done = self._drive.call("write", lambda: self._file.pwritev(buffers, offset))
        self._drive.written(done)
        return done

    def sync(self) -> None:
        self._drive.call("sync", self._file.sync)


class MeasuredDisk:
    """A `Disk` whose files on drives are measured; all else is as it was."""

    def __init__(self, disk: Disk, page: Page) -> None:
        self._disk = disk
        self._page = page
        self._drives: dict[str, _Drive] = {}
        self.rename = disk.rename
        self.unlink = disk.unlink
        self.mkdir = disk.mkdir
        self.listdir = disk.listdir
        self.exists = disk.exists
        self.sync_dir = disk.sync_dir
        self.free_bytes = disk.free_bytes

    def follow(self, paths: Iterable[str]) -> Iterator[tuple[tuple[str, tuple[str, ...]], float]]:
        """Measure the drives at these folders; there is nothing to show of that."""
        for path in paths:
            if path and path not in self._drives:
                self._drives[path] = _Drive(self._page, path)
        return iter(())

    def open(self, path: str, mode: Mode) -> File:
        root = path.partition(_CHUNKS)[0] if _CHUNKS in path else path.rpartition("/")[0]
        drive = self._drives.get(root)
        file = self._disk.open(path, mode)
        if drive is None or not isinstance(file, LocalFile):
            return file
        return MeasuredFile(file, drive)
