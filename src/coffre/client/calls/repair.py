"""Calls of the management API: repair. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from coffre.client.transport import Transport, located
from coffre.client.types.machine import RepairAsked, RepairStatus


class RepairCalls:
    """Operations `repair.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def status(
        self,
    ) -> RepairStatus:
        """How much is below target."""
        return self._transport.value("GET", located("repair"), RepairStatus)

    def start(
        self,
    ) -> RepairAsked:
        """Make anew what is not held where it must be, and count all of it again."""
        return self._transport.value("POST", located("repair"), RepairAsked)
