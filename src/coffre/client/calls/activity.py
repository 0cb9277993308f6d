"""Calls of the management API: activity. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity


class ActivityCalls:
    """Operations `activity.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[Activity]:
        """Your own operations that took long, of the last seven days."""
        return self._transport.rows("GET", located("activities"), Activity)

    def show(self, *, id: str) -> Activity:
        """How an operation goes that takes long."""
        return self._transport.value("GET", located("activities", id), Activity)
