"""Calls of the management API: metrics. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from coffre.client.transport import Transport, located
from coffre.client.types.machine import Metrics


class MetricsCalls:
    """Operations `metrics.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def snapshot(
        self,
    ) -> Metrics:
        """Every metric with its series now."""
        return self._transport.value("GET", located("metrics"), Metrics)
