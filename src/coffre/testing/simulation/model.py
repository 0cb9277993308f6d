"""What a zone should hold, on plain dicts: what was acknowledged, and what may be there or not.

A key's state is its versions, the newest first. Each change says what its key is before and after;
one that was cut before its answer leaves either, whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

MARKER = ""
Versioning = Literal["never", "enabled", "suspended"]


class Entry(NamedTuple):
    """A version by its ETag, which names its bytes (`MARKER`: a delete marker); the null one?"""

    etag: str
    null: bool


Versions = tuple[Entry, ...]


class Parts(NamedTuple):
    """An upload: its key, and each part's ETag by number."""

    key: bytes
    etags: tuple[tuple[int, str], ...] = ()

    def with_part(self, number: int, etag: str) -> Parts:
        return self._replace(etags=tuple(sorted({**dict(self.etags), number: etag}.items())))


@dataclass
class Holdings:
    """What a bucket holds, in the model or as it was found."""

    keys: dict[bytes, Versions] = field(default_factory=dict)
    uploads: dict[bytes, Parts] = field(default_factory=dict)

    def set_key(self, key: bytes, versions: Versions) -> None:
        self.keys.pop(key, None)
        if versions:
            self.keys[key] = versions

    def set_upload(self, upload: bytes, parts: Parts | None) -> None:
        self.uploads.pop(upload, None)
        if parts is not None:
            self.uploads[upload] = parts


@dataclass
class Bucket:
    id: bytes
    name: str
    versioning: Versioning = "never"
    holdings: Holdings = field(default_factory=Holdings)

    def versions(self, key: bytes) -> Versions:
        return self.holdings.keys.get(key, ())

    def written(self, key: bytes, etag: str) -> Versions:
        """The key's versions after a write, or (`MARKER`) after a delete of its current object."""
        old = self.versions(key)
        if self.versioning == "never":
            return () if etag == MARKER else (Entry(etag, True),)
        if self.versioning == "enabled":
            return (Entry(etag, False), *old)
        return (Entry(etag, True), *(entry for entry in old if not entry.null))

    def current(self, key: bytes) -> str:
        """The ETag of the key's object; `MARKER` where there is none."""
        versions = self.versions(key)
        return versions[0].etag if versions else MARKER

    @property
    def objects(self) -> list[str]:
        """ETags of all versions that are not markers."""
        return [e.etag for one in self.holdings.keys.values() for e in one if e.etag != MARKER]


class Change(NamedTuple):
    """What an operation does when it is acknowledged. `upload` b"": none is concerned."""

    bucket: Bucket
    key: bytes
    after: Versions | None = None
    upload: bytes = b""
    parts: Parts | None = None

    def apply(self) -> None:
        holdings = self.bucket.holdings
        if self.after is not None:
            holdings.set_key(self.key, self.after)
        if self.upload:
            holdings.set_upload(self.upload, self.parts)

    def is_in(self, found: Holdings) -> bool:
        """Was it made, wholly, in what was found?"""
        made = self.after is None or found.keys.get(self.key, ()) == self.after
        return made and (not self.upload or found.uploads.get(self.upload) == self.parts)
