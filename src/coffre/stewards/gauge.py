"""The gauge: how much is below target, as people know it: blobs, and objects of every bucket.

Chunks below target are known exactly by the repairer's look. Which blobs and objects have bytes in
them is counted by reading through the catalog, a page at a time, while there is any such chunk.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

from msgspec import Struct

from coffre.catalog.interface import Reader
from coffre.catalog.records import BlobName, Bucket
from coffre.stewards.repairer import Repairer
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock
from coffre.vault.records import Blob

PAGE = 500
PAGES_A_ROUND = 20
# How old a count is at least before the next begins.
AGAIN_S = 15.0
ROUND_S = 1.0
T = TypeVar("T")


class Count(Struct, frozen=True):
    """Blobs with bytes in chunks below target, and current objects by "store/bucket", as counted
    until `at_ms`; all zero where nothing is below target."""

    blobs: int = 0
    objects: dict[str, int] = {}
    at_ms: int = 0


class Gauge(Steward):
    """Counts a few pages a round. `reader` is its own: it is read by a thread."""

    name = "gauge"

    def __init__(
        self, reader: Reader, repairer: Repairer, clock: Clock, pool: Executor | None = None
    ) -> None:
        self._reader = reader
        self._repairer = repairer
        self._clock = clock
        self._pool = pool
        self._scan: Iterator[Count | None] | None = None
        self._ended = float("-inf")
        self.count = Count()

    def hasten(self) -> None:
        """Count anew with the next round."""
        self._scan = None
        self._ended = float("-inf")

    async def round(self) -> Round:
        """A few pages of the count under way, or begin one when it is time."""
        look = self._repairer.look
        if look is None or not look.below:
            self._scan, self.count = None, Count(at_ms=self._clock.now_ms())
            return Round(unit="objects", again=ROUND_S)
        if self._scan is None:
            if self._clock.monotonic() - self._ended < AGAIN_S:
                return self._round(ROUND_S)
            self._scan = self._counting(look.below)
        done = await self._in_thread(self._pages, self._scan)
        if done is None:
            return self._round(0.0)
        self.count, self._scan, self._ended = done, None, self._clock.monotonic()
        return self._round(ROUND_S)

    def _round(self, again: float) -> Round:
        below = sum(self.count.objects.values())
        result = f"{below} objects, {self.count.blobs} blobs below target"
        return Round(1, None, "objects", 0, result, again)

    def _pages(self, scan: Iterator[Count | None]) -> Count | None:
        """At most so many pages; the count, if they were the last."""
        for _ in range(PAGES_A_ROUND):
            done = next(scan)
            if done is not None:
                return done
        return None

    def _counting(self, below: frozenset[bytes]) -> Iterator[Count | None]:
        """None after every page, the count at the end."""
        blobs = 0
        after, part = b"", BlobName(b"", 0)
        while whole := self._reader.whole_blobs(after=after, limit=PAGE):
            blobs += sum(_touches(blob, below) for _, blob in whole)
            after = whole[-1][0].manifest_id
            yield None
        while parts := self._reader.part_blobs(after=part, limit=PAGE):
            blobs += sum(_touches(blob, below) for _, blob in parts)
            part = parts[-1][0]
            yield None
        objects: Counter[str] = Counter()
        for name, bucket in self._buckets():
            key = b""
            while True:
                page = self._reader.current_manifests(bucket, after=key, limit=PAGE)
                found = sum(self._is_below(manifest, blob, below) for _, manifest, blob in page)
                if found:
                    objects[name] += found
                if len(page) < PAGE:
                    break
                key = page[-1][0]
                yield None
        yield Count(blobs, dict(objects), self._clock.now_ms())

    def _is_below(self, manifest: bytes, blob: Blob | None, below: frozenset[bytes]) -> bool:
        if blob is not None:
            return _touches(blob, below)
        whole = self._reader.manifest(manifest)
        if whole is not None and whole.pieces:
            sources = {piece.manifest_id for piece in whole.pieces}
            found = (self._reader.manifest(source) for source in sources)
            return any(one and self._is_below(one.id, one.blob, below) for one in found)
        after = BlobName(manifest, 0)
        while parts := self._reader.part_blobs(after=after, limit=PAGE):
            for name, one in parts:
                if name.manifest_id != manifest:
                    return False
                if _touches(one, below):
                    return True
            after = parts[-1][0]
        return False

    def _buckets(self) -> Iterator[tuple[str, Bucket]]:
        for store in self._reader.stores(hidden=True):
            after = ""
            while page := self._reader.buckets(store.id, None, prefix="", after=after, limit=PAGE):
                after = page[-1].name
                for bucket in page:
                    yield f"{store.name}/{bucket.name}", bucket

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*arguments))


def _touches(blob: Blob, chunks: frozenset[bytes]) -> bool:
    return any(extent.chunk in chunks for extent in blob.extents)
