"""Calls of the management API: alert. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from coffre.client.transport import Transport, located
from coffre.client.types.machine import Alert


class AlertCalls:
    """Operations `alert.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[Alert]:
        """What needs attention now."""
        return self._transport.rows("GET", located("alerts"), Alert)
