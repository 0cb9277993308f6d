"""Values of the management API: drives. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class Drive(Struct, kw_only=True):
    """A drive as it stands. `left_…`: what still needs it; of one that is being emptied also the
    rate and the seconds until nothing is left (null: not known)."""

    id: str
    path: str
    node: str
    rack: str
    state: str
    reason: str
    intent: str
    free_bytes: int | None
    left_bytes: int
    left_chunks: int
    bytes_per_second: int | None
    seconds_left: int | None


class NodeRow(Struct, kw_only=True):
    """A node: its drives and what is left on them."""

    node: str
    rack: str
    drives: int
    states: list[str]
    free_bytes: int
    left_bytes: int
    left_chunks: int
