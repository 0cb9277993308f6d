"""Calls of the management API: verify. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity


class VerifyCalls:
    """Operations `verify.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def run(self, *, deep: bool | UnsetType = UNSET, rate_mib: int | UnsetType = UNSET) -> Activity:
        """Verify it all."""
        return self._transport.value(
            "POST", located("verify"), Activity, {"deep": deep, "rate_mib": rate_mib}
        )
