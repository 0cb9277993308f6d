"""Calls of the management API: node. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator

from coffre.client.transport import Transport, located
from coffre.client.types.drives import NodeRow


class NodeCalls:
    """Operations `node.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
    ) -> Iterator[NodeRow]:
        """Every node with its drives."""
        return self._transport.rows("GET", located("nodes"), NodeRow)
