"""Values of the management API: system. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class Status(Struct, kw_only=True):
    """The node as it stands; what else an engine says is beside it."""

    version: str
    engine: str
    region: str
    zone: str
