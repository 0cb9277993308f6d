"""Calls of the management API: snapshot. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from coffre.client.transport import Transport, located
from coffre.client.types.activities import Activity
from coffre.client.types.machine import Snapshot


class SnapshotCalls:
    """Operations `snapshot.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[Snapshot]:
        """The snapshots of the catalog, the oldest first."""
        return self._transport.rows("GET", located("snapshots"), Snapshot)

    def now(
        self,
    ) -> Activity:
        """Take one now."""
        return self._transport.value("POST", located("snapshots"), Activity)
