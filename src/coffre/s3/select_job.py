"""What a query's process is told."""

from __future__ import annotations

from msgspec import Struct

from coffre.wire.select import SelectRequest


class Job(Struct, frozen=True):
    """`base` is where the first byte that is sent lies in the object; `partial`, `end`: see
    `select_records.lines`; `header`: the first record, where it does not lie in the range."""

    request: SelectRequest
    now_ms: int
    base: int = 0
    partial: bool = False
    end: int | None = None
    header: str | None = None
