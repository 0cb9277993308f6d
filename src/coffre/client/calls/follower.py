"""Calls of the management API: follower. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Any

from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity


class FollowerCalls:
    """Operations `follower.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def status(
        self,
    ) -> dict[str, Any]:
        """How the second catalog file stands that is replayed from the log."""
        return self._transport.value("GET", located("follower"), dict[str, Any])

    def compare(
        self,
    ) -> Activity:
        """Compare every row of it with the catalog."""
        return self._transport.value("POST", located("follower", "compare"), Activity)
