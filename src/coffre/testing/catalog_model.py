"""What a catalog should say, worked out the slow way on plain dicts and lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from coffre.catalog.records import KeyOrder
from coffre.catalog.usage_records import Level
from coffre.vault.records import ciphertext_bytes


def in_order(order: KeyOrder, key: bytes) -> bytes:
    """What sorts as a bucket of this order sorts `key`."""
    return key if order == "utf-8" else key.decode().encode("utf-16-be")


def model_listing(
    keys: Iterable[bytes],
    order: KeyOrder,
    *,
    prefix: bytes,
    delimiter: bytes,
    after: bytes,
    limit: int,
) -> tuple[list[bytes], list[bytes], bool, bytes]:
    """(keys, common prefixes, truncated, next after) by looking at every key."""
    entries: list[tuple[bytes, bool]] = []
    for key in sorted(keys, key=lambda key: in_order(order, key)):
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if cut < 0 else key[: cut + len(delimiter)]
        shared = cut >= 0
        hidden = in_order(order, entry) <= in_order(order, after) or (
            shared and after.startswith(entry)
        )
        if not hidden and (entry, shared) not in entries:
            entries.append((entry, shared))
    page = entries[:limit]
    truncated = 0 < limit < len(entries)
    return (
        [entry for entry, shared in page if not shared],
        [entry for entry, shared in page if shared],
        truncated,
        page[-1][0] if truncated else b"",
    )


@dataclass
class ModelManifest:
    """Sizes of the blobs that an object is made of."""

    id: bytes
    blobs: tuple[int, ...]

    @property
    def size(self) -> int:
        return sum(self.blobs)

    @property
    def stored(self) -> int:
        return sum(ciphertext_bytes(size) for size in self.blobs)


@dataclass
class ModelVersion:
    version_id: bytes
    etag: str
    manifest: ModelManifest | None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def marker(self) -> bool:
        return self.manifest is None


@dataclass
class ModelPart:
    blob_id: bytes
    size: int


@dataclass
class ModelUpload:
    key: bytes
    manifest_id: bytes
    parts: dict[int, ModelPart] = field(default_factory=dict)


@dataclass
class ModelBucket:
    """`keys` has each key's versions, newest first; `uploads` are in order of initiation."""

    order: KeyOrder
    versioning: str = "never"
    keys: dict[bytes, list[ModelVersion]] = field(default_factory=dict)
    uploads: dict[bytes, ModelUpload] = field(default_factory=dict)

    def current(self, key: bytes) -> ModelVersion | None:
        """The current object; None also where a delete marker hides it."""
        versions = self.keys.get(key)
        return None if not versions or versions[0].marker else versions[0]

    def current_keys(self) -> list[bytes]:
        return [key for key in self.keys if self.current(key) is not None]

    def versions_in_order(self, delimiter: bytes) -> list[tuple[bytes, bytes | None]]:
        """(key, version id) of every version as listed, (common prefix, None) for those beneath
        one."""
        entries: list[tuple[bytes, bytes | None]] = []
        for key in sorted(self.keys, key=lambda key: in_order(self.order, key)):
            cut = key.find(delimiter) if delimiter else -1
            shared = (key[: cut + len(delimiter)], None)
            if cut < 0:
                entries += [(key, version.version_id) for version in self.keys[key]]
            elif shared not in entries:
                entries.append(shared)
        return entries

    def objects(self) -> list[ModelVersion]:
        """Every version that is not a marker."""
        return [v for versions in self.keys.values() for v in versions if not v.marker]

    def level(self) -> Level:
        """What is metered of it, all of one storage class."""
        parts = [part.size for upload in self.uploads.values() for part in upload.parts.values()]
        return Level(
            len(self.current_keys()),
            sum(map(len, self.keys.values())),
            sum(v.manifest.size for v in self.objects() if v.manifest),
            len(parts),
            sum(parts),
        )

    def refusal(self, key: bytes, if_match: str | None, if_none_match: bool) -> str | None:
        """The code that a write with this condition is refused with."""
        current = self.current(key)
        if if_none_match and current is not None:
            return "PreconditionFailed"
        if if_match is None:
            return None
        if current is None:
            return "NoSuchKey"
        return None if if_match in ("*", current.etag) else "PreconditionFailed"

    def write(self, key: bytes, version: ModelVersion) -> None:
        versions = self.keys.setdefault(key, [])
        if self.versioning != "enabled":
            versions[:] = [v for v in versions if v.version_id != b""]
        versions.insert(0, version)

    def remove(self, key: bytes, version_id: bytes) -> ModelVersion | None:
        """Take one version away; what it was."""
        versions = self.keys.get(key, [])
        found = next((v for v in versions if v.version_id == version_id), None)
        if found is not None:
            versions.remove(found)
            if not versions:
                del self.keys[key]
        return found

    def stored(self) -> dict[bytes, int]:
        """Stored bytes of all that lives here, by manifest id: copies share theirs."""
        live = {v.manifest.id: v.manifest.stored for v in self.objects() if v.manifest}
        for upload in self.uploads.values():
            parts = upload.parts.values()
            live[upload.manifest_id] = sum(ciphertext_bytes(part.size) for part in parts)
        return live
