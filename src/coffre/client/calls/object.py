"""Calls of the management API: object. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Content, Transport, located
from coffre.client.types.bucket_documents import Tag
from coffre.client.types.objects import Failures, Link, Named, Object, ObjectRow, Stored


class ObjectCalls:
    """Operations `object.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        store: str,
        bucket: str,
        prefix: str | UnsetType = UNSET,
        delimiter: str | UnsetType = UNSET,
    ) -> Iterator[ObjectRow]:
        """Objects below a prefix, by name, and the folders (`folders`) beside them."""
        return self._transport.rows(
            "GET",
            located("stores", store, "buckets", bucket, "objects"),
            ObjectRow,
            {"prefix": prefix, "delimiter": delimiter},
        )

    def versions(
        self,
        *,
        store: str,
        bucket: str,
        prefix: str | UnsetType = UNSET,
        delimiter: str | UnsetType = UNSET,
    ) -> Iterator[ObjectRow]:
        """Versions and delete markers below a prefix, the newest of a name first."""
        return self._transport.rows(
            "GET",
            located("stores", store, "buckets", bucket, "versions"),
            ObjectRow,
            {"prefix": prefix, "delimiter": delimiter},
        )

    def delete_many(self, *, store: str, bucket: str, objects: Sequence[Named]) -> Failures:
        """Delete up to 1000 objects or versions."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets", bucket, "objects", "delete"),
            Failures,
            {"objects": objects},
        )

    def show(
        self, *, store: str, bucket: str, key: str, version: str | UnsetType = UNSET
    ) -> Object:
        """Metadata, tags, checksums, lock and versions of an object."""
        return self._transport.value(
            "GET",
            located("stores", store, "buckets", bucket, "object"),
            Object,
            {"key": key, "version": version},
        )

    def delete(
        self, *, store: str, bucket: str, key: str, version: str | UnsetType = UNSET
    ) -> None:
        """Delete an object (where versions are kept: mark it), or one version for good."""
        self._transport.nothing(
            "DELETE",
            located("stores", store, "buckets", bucket, "object"),
            {"key": key, "version": version},
        )

    def download(
        self, *, store: str, bucket: str, key: str, version: str | UnsetType = UNSET
    ) -> Content:
        """The object, or a range of it, as a file."""
        return self._transport.content(
            "GET",
            located("stores", store, "buckets", bucket, "object", "content"),
            {"key": key, "version": version},
        )

    def upload(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        replace: bool | UnsetType = UNSET,
        content: bytes | BinaryIO,
    ) -> Stored:
        """Store an object in one piece, up to the node's `web_upload_limit`."""
        return self._transport.upload(
            "PUT",
            located("stores", store, "buckets", bucket, "object", "content"),
            Stored,
            content,
            {"key": key, "replace": replace},
        )

    def restore(self, *, store: str, bucket: str, key: str, version: str) -> Stored:
        """Make an earlier version the current one, by a copy."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets", bucket, "object", "restore"),
            Stored,
            {"key": key, "version": version},
        )

    def thaw(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        days: int,
        version: str | UnsetType = UNSET,
        tier: Literal["Bulk", "Expedited", "Standard"] | UnsetType = UNSET,
    ) -> None:
        """Have an archived object readable for some days."""
        self._transport.nothing(
            "POST",
            located("stores", store, "buckets", bucket, "object", "thaw"),
            {"key": key, "version": version, "days": days, "tier": tier},
        )

    def tags_set(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        version: str | UnsetType = UNSET,
        tags: Sequence[Tag] | UnsetType = UNSET,
    ) -> None:
        """Put an object's tags in the place of those before."""
        self._transport.nothing(
            "PUT",
            located("stores", store, "buckets", bucket, "object", "tags"),
            {"key": key, "version": version, "tags": tags},
        )

    def retention_set(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        mode: Literal["COMPLIANCE", "GOVERNANCE"] | None,
        version: str | UnsetType = UNSET,
        until_ms: int | UnsetType | None = UNSET,
        bypass_governance: bool | UnsetType = UNSET,
    ) -> None:
        """Lock a version until a date; a null mode: not any more."""
        self._transport.nothing(
            "PUT",
            located("stores", store, "buckets", bucket, "object", "retention"),
            {
                "key": key,
                "version": version,
                "mode": mode,
                "until_ms": until_ms,
                "bypass_governance": bypass_governance,
            },
        )

    def hold_set(
        self, *, store: str, bucket: str, key: str, held: bool, version: str | UnsetType = UNSET
    ) -> None:
        """Hold a version, without a date, or let it go."""
        self._transport.nothing(
            "PUT",
            located("stores", store, "buckets", bucket, "object", "legal-hold"),
            {"key": key, "version": version, "held": held},
        )

    def share(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        version: str | UnsetType = UNSET,
        purpose: Literal["GET", "PUT"] | UnsetType = UNSET,
        expires_s: int | UnsetType = UNSET,
    ) -> Link:
        """A link to download the object, or to upload it."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets", bucket, "object", "links"),
            Link,
            {"key": key, "version": version, "purpose": purpose, "expires_s": expires_s},
        )
