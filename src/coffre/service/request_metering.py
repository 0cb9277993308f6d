"""Finished requests, told to what counts them for usage and bills."""

from __future__ import annotations

from coffre.ledger.counting import RequestCounter
from coffre.s3.services import Event


class RequestMetering(RequestCounter):
    """A `Ledger` of a gateway."""

    def __call__(self, event: Event) -> None:
        self.note(
            event.store,
            event.bucket,
            event.metering,
            event.status,
            event.bytes_in,
            event.bytes_out,
        )
