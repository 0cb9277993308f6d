"""Calls of the management API: steward. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity
from coffre.client.types.machine import Steward


class StewardCalls:
    """Operations `steward.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[Steward]:
        """What works in the background."""
        return self._transport.rows("GET", located("stewards"), Steward)

    def pause(self, *, name: str) -> Steward:
        """Let a steward begin nothing more, also after a restart."""
        return self._transport.value("POST", located("stewards", name, "pause"), Steward)

    def resume(self, *, name: str) -> Steward:
        """Let a paused steward work again."""
        return self._transport.value("POST", located("stewards", name, "resume"), Steward)

    def run(self, *, name: str) -> Activity:
        """Have a steward do its next round now."""
        return self._transport.value("POST", located("stewards", name, "run"), Activity)
