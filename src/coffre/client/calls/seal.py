"""Calls of the management API: seal. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity


class SealCalls:
    """Operations `seal.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def now(
        self,
    ) -> Activity:
        """Seal every open chunk."""
        return self._transport.value("POST", located("seal"), Activity)
