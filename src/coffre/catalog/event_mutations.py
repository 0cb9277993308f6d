"""What buckets tell of changes in them: events that wait to be delivered, and mutations of those.

They are part of `coffre.catalog.mutations`, which says what a mutation is. An event is a row that
the transaction of its change writes: it is lost with the change alone, and goes when it is
delivered.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct


class Cause(Struct, frozen=True, array_like=True):
    """The request that a change in a bucket that notifies came from. `method` is HTTP's. `key` is
    the one that the request names."""

    bucket_id: bytes
    key: bytes
    method: str
    user_id: str = ""
    client: str = ""
    request_id: str = ""


class Caused(Struct, frozen=True, kw_only=True):
    """A mutation that buckets tell of, where its `cause` is known."""

    cause: Cause | None = None


class EventPlace(NamedTuple):
    """Where an event waits: by bucket in the order of its changes."""

    bucket_id: bytes
    order: int
    zone: int


class BucketEvent(Struct, frozen=True, array_like=True):
    """A change. `name` is S3's (`ObjectCreated:Put`). `version_id` None: the bucket never had
    versions; `etag` and `size` empty and 0 where there is nothing to tell; `restored`: the class of
    an archived version, and until when its copy can be read (0: not any more)."""

    name: str
    at_ms: int
    key: bytes = b""
    version_id: bytes | None = None
    size: int = 0
    etag: str = ""
    cause: Cause | None = None
    restored: tuple[str, int] | None = None


class ForgetEvents(Struct, frozen=True, tag=True):
    """These events were delivered, or nobody wants them. No error where they are gone."""

    places: tuple[EventPlace, ...]
