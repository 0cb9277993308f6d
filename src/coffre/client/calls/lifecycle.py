"""Calls of the management API: lifecycle. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from coffre.client.transport import Transport, located
from coffre.client.types.policies import Days, Preview


class LifecycleCalls:
    """Operations `lifecycle.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def preview(self, *, store: str, bucket: str) -> Preview:
        """What the lifecycle will do, by day, rule and act. Reads all of the bucket."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "lifecycle", "preview"), Preview
        )

    def set_days(self, *, store: str, bucket: str, days: int) -> Days:
        """The lifecycle's simple form: everything expires after so many days; 0: never."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "lifecycle", "days"),
            Days,
            {"days": days},
        )
