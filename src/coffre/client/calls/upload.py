"""Calls of the management API: upload. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.objects import Begun, Stored, StoredPart, Upload


class UploadCalls:
    """Operations `upload.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, store: str, bucket: str, prefix: str | UnsetType = UNSET) -> Iterator[Upload]:
        """Uploads in parts that are not complete."""
        return self._transport.rows(
            "GET",
            located("stores", store, "buckets", bucket, "uploads"),
            Upload,
            {"prefix": prefix},
        )

    def begin(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        content_type: str | UnsetType = UNSET,
        replace: bool | UnsetType = UNSET,
    ) -> Begun:
        """Begin an upload in parts."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets", bucket, "uploads"),
            Begun,
            {"key": key, "content_type": content_type, "replace": replace},
        )

    def abort(self, *, store: str, bucket: str, key: str, upload: str) -> None:
        """Forget an upload and its parts."""
        self._transport.nothing(
            "DELETE", located("stores", store, "buckets", bucket, "uploads", upload), {"key": key}
        )

    def part(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        upload: str,
        part: int,
        content: bytes | BinaryIO,
    ) -> StoredPart:
        """Store one part: of 5 MiB to 5 GiB, the last one of any size."""
        return self._transport.upload(
            "PUT",
            located("stores", store, "buckets", bucket, "uploads", upload, "parts", part),
            StoredPart,
            content,
            {"key": key},
        )

    def complete(
        self,
        *,
        store: str,
        bucket: str,
        key: str,
        upload: str,
        etags: Sequence[str],
        replace: bool | UnsetType = UNSET,
    ) -> Stored:
        """Put the parts together."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets", bucket, "uploads", upload, "complete"),
            Stored,
            {"key": key, "etags": etags, "replace": replace},
        )
