"""Encrypted segments as files that DuckDB reads where it needs to: opened in memory, a block at a
time, never written to a disk.

DuckDB calls from threads of its own; `fetch` brings bytes from the vault and blocks. Blocks that
were opened are kept, the least lately used go first. A segment's name is never given to other
bytes, so what is kept does not go stale.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

PROTOCOL: Final = "segment"
BLOCK: Final = 256 * 1024
KEPT_BYTES: Final = 64 * 1024 * 1024
_NEVER_CHANGED: Final = datetime.fromtimestamp(0, UTC)
Fetch = Callable[[str, int, int], bytes]
"""Bytes `start` to `end` of a named file."""


class Blocks:
    """The blocks of all files that were opened last."""

    def __init__(self, fetch: Fetch, most_bytes: int = KEPT_BYTES) -> None:
        self._fetch = fetch
        self._most = most_bytes // BLOCK
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = Lock()

    def read(self, name: str, size: int, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of a file of `size` bytes."""
        first, last = start // BLOCK, -(-end // BLOCK)
        with self._lock:
            blocks = {at: self._kept.get((name, at)) for at in range(first, last)}
        missing = [at for at, block in blocks.items() if block is None]
        if missing:
            # From the first that is missing to the last: one read of the vault instead of many.
            low, high = missing[0], missing[-1] + 1
            content = memoryview(self._fetch(name, low * BLOCK, min(high * BLOCK, size)))
            for at in range(low, high):
                offset = (at - low) * BLOCK
                blocks[at] = bytes(content[offset : offset + BLOCK])
        self._keep(name, blocks)
        whole = b"".join(block for block in blocks.values() if block is not None)
        return whole[start - first * BLOCK : end - first * BLOCK]

    def _keep(self, name: str, blocks: dict[int, bytes | None]) -> None:
        with self._lock:
            for at, block in blocks.items():
                if block is not None:
                    self._kept[name, at] = block
                    self._kept.move_to_end((name, at))
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


class _OpenFile(io.RawIOBase):
    """A file that is read from anywhere."""

    def __init__(self, blocks: Blocks, name: str, size: int) -> None:
        super().__init__()
        self._blocks = blocks
        self._name = name
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._at, self._size)[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        content = self._blocks.read(self._name, self._size, self._at, end)
        self._at = end
        return content

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)


class SealedFiles(AbstractFileSystem):  # type: ignore[misc]  # it has no types
    """What `duckdb.register_filesystem` takes: files `segment://NAME`, of `sizes` by name."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, blocks: Blocks, sizes: Callable[[str], int]) -> None:
        super().__init__()
        self._blocks = blocks
        self._sizes = sizes

    def open(self, path: str, mode: str = "rb", **_: Any) -> _OpenFile:
        name = _name(path)
        return _OpenFile(self._blocks, name, self._sizes(name))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "size": self._sizes(_name(path)), "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        return True

    def isfile(self, path: str) -> bool:
        return True

    def glob(self, path: str, maxdepth: int | None = None, **_: Any) -> list[str]:
        return [path]

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        return [self.info(path) if detail else path]

    def modified(self, path: str) -> datetime:
        return _NEVER_CHANGED


def _name(path: str) -> str:
    return path.removeprefix(f"{PROTOCOL}://")
