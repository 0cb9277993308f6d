"""Who asks for a management operation, and by which door: what the audit writes down."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Via = Literal["console", "api", "cli"]


class Caller(Struct, frozen=True, omit_defaults=True):
    """`who`: "person:alice", "cli:uid-0", "steward:expirer"; `client`: the address it came from;
    `request_id`: the one that its answer names ("": none)."""

    who: str
    via: Via
    client: str = ""
    user_agent: str = ""
    request_id: str = ""
