"""Calls of the management API: tls. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.machine import Authority, Certificate


class TlsCalls:
    """Operations `tls.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(
        self,
    ) -> Certificate:
        """The certificate of HTTPS."""
        return self._transport.value("GET", located("tls"), Certificate)

    def renew(self, *, authority: bool | UnsetType = UNSET) -> Certificate:
        """Make another certificate now."""
        return self._transport.value(
            "POST", located("tls", "renew"), Certificate, {"authority": authority}
        )

    def authority(
        self,
    ) -> Authority:
        """Whom clients must trust, where the node's own authority made the certificate."""
        return self._transport.value("GET", located("tls", "authority"), Authority)
