"""Calls of the management API: doctor. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from coffre.client.transport import Transport, located
from coffre.client.types.machine import Doctor


class DoctorCalls:
    """Operations `doctor.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self,
    ) -> Doctor:
        """Is everything as it should be?"""
        return self._transport.value("GET", located("doctor"), Doctor)
