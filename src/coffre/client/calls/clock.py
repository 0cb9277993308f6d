"""Calls of the management API: clock. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.machine import ClockFacts, ClockShown


class ClockCalls:
    """Operations `clock.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self,
    ) -> ClockShown:
        """The clock that releases locks."""
        return self._transport.value("GET", located("clock"), ClockShown)

    def accept(self, *, why: str | UnsetType = UNSET) -> ClockFacts:
        """Put it forward to the wall clock's time, in 24 hours."""
        return self._transport.value("POST", located("clock", "accept"), ClockFacts, {"why": why})

    def cancel(self, *, why: str | UnsetType = UNSET) -> ClockFacts:
        """Take back what was accepted, before it takes effect."""
        return self._transport.value("POST", located("clock", "cancel"), ClockFacts, {"why": why})
