"""Calls of the management API: drive. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.drives import Drive


class DriveCalls:
    """Operations `drive.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[Drive]:
        """Every drive of the zone."""
        return self._transport.rows("GET", located("drives"), Drive)

    def add(
        self,
        *,
        path: str,
        node: str | UnsetType | None = UNSET,
        rack: str | UnsetType | None = UNSET,
    ) -> Iterator[Drive]:
        """An empty folder becomes a drive."""
        return self._transport.rows(
            "POST", located("drives"), Drive, {"path": path, "node": node, "rack": rack}
        )

    def replace(self, *, drive: str, path: str | UnsetType | None = UNSET) -> Iterator[Drive]:
        """An empty folder takes the place of a drive that is gone."""
        return self._transport.rows(
            "POST", located("drives", "replace"), Drive, {"drive": drive, "path": path}
        )

    def drain(
        self,
        *,
        drive: str | UnsetType | None = UNSET,
        node: str | UnsetType | None = UNSET,
        accept_less: bool | UnsetType = UNSET,
    ) -> Iterator[Drive]:
        """Empty a drive, or all of a node; it goes on by itself."""
        return self._transport.rows(
            "POST",
            located("drives", "drain"),
            Drive,
            {"drive": drive, "node": node, "accept_less": accept_less},
        )

    def cancel(
        self, *, drive: str | UnsetType | None = UNSET, node: str | UnsetType | None = UNSET
    ) -> Iterator[Drive]:
        """Stop emptying: what was moved stays where it is."""
        return self._transport.rows(
            "POST", located("drives", "cancel"), Drive, {"drive": drive, "node": node}
        )

    def remove(
        self, *, drive: str | UnsetType | None = UNSET, node: str | UnsetType | None = UNSET
    ) -> Iterator[Drive]:
        """Forget drives that nothing needs any more."""
        return self._transport.rows(
            "POST", located("drives", "remove"), Drive, {"drive": drive, "node": node}
        )
