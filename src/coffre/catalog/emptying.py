"""How far the emptying of a bucket is: its document `empty-bucket`."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct
from msgspec.msgpack import Decoder

EMPTY_BUCKET: Final = "empty-bucket"


class Emptying(Struct, frozen=True):
    """How far the emptying of a bucket is. `after` is the last version that had to stay: sort key,
    order and zone. `objects` of `size` bytes were in the bucket when it began."""

    created_ms: int
    updated_ms: int
    objects: int
    size: int
    state: Literal["PENDING", "IN_PROGRESS", "FAILED"] = "PENDING"
    deleted: int = 0
    retained: int = 0
    after: tuple[bytes, int, int] | None = None


unpack_emptying: Final = Decoder(Emptying).decode
