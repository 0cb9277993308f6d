"""The deliverer: events of buckets go to the destinations that their configurations name.

At least once: an event's row goes when every destination took it. In order for each destination, so
for each key: what a destination does not take holds back all that comes after, until it does, or
until the event is too old.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from coffre.catalog.event_mutations import BucketEvent, EventPlace, ForgetEvents
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import Bucket
from coffre.stewards.outages import Outages, Undelivered
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock

log = logging.getLogger("coffre.deliverer")

DOCUMENT = "notification"
ROUND_S = 1.0
_PAGE = 256
# Pages that are looked through for what other destinations than those that are down may take.
_PAGES = 16
_WORK_S = 2.0
_FIRST = EventPlace(b"", 0, 0)


class Delivery(NamedTuple):
    """What goes to a destination, by its name."""

    destination: str
    body: bytes


Route = Callable[[bytes, Bucket, EventPlace, BucketEvent], Sequence[Delivery]]
"""What an event becomes under a bucket's kept configuration."""
Send = Callable[[str, bytes], Awaitable[None]]
"""Gives a body to a destination; raises Undelivered."""


class Deliverer(Steward):
    """Delivers what waits. `patience_s` is how old an event may become undelivered."""

    name = "deliverer"

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        clock: Clock,
        route: Route,
        send: Send,
        patience_s: float,
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._clock = clock
        self._route = route
        self._send = send
        self._patience_ms = patience_s * 1000
        self._outages = Outages(clock)
        # What some of an event's destinations took already; a crash may tell them again.
        self._took: dict[EventPlace, set[str]] = {}

    def hasten(self) -> None:
        """Ask destinations that are down at once."""
        self._outages.end_waits()

    async def round(self) -> Round:
        """Deliver for a second or two."""
        deadline = self._clock.monotonic() + _WORK_S
        after, sent, left = _FIRST, 0, 0
        for _ in range(_PAGES):
            page = self._reader.events(after=after, limit=_PAGE)
            if not page:
                break
            after = page[-1][0]
            gone = await self._deliver(page, deadline)
            if gone:
                await self._committer.commit(ForgetEvents(tuple(gone)))
            for place in gone:
                self._took.pop(place, None)
            sent += len(gone)
            left += len(page) - len(gone)
            if len(page) < _PAGE or self._clock.monotonic() >= deadline:
                break
        result = f"delivered {sent} events" if sent else ""
        if down := self._outages.names:
            result = f"{result}; " if result else ""
            result += f"waiting for {', '.join(down)}"
        busy = sent and left == 0 and self._clock.monotonic() >= deadline
        return Round(sent, left, "events", 0, result, 0.0 if busy else ROUND_S)

    async def _deliver(
        self, page: list[tuple[EventPlace, BucketEvent]], deadline: float
    ) -> list[EventPlace]:
        """Send a page's events; the places of those that need not wait any longer."""
        queues: dict[str, list[tuple[EventPlace, bytes]]] = {}
        wanted: dict[EventPlace, set[str]] = {}
        for place, event in page:
            deliveries = self._deliveries(place, event)
            wanted[place] = {one.destination for one in deliveries}
            took = self._took.get(place, set())
            for one in deliveries:
                if one.destination not in took:
                    queues.setdefault(one.destination, []).append((place, one.body))
        await asyncio.gather(
            *(self._drain(name, queue, deadline) for name, queue in queues.items())
        )
        gone = []
        for place, event in page:
            missing = wanted[place] - self._took.get(place, set())
            too_old = self._clock.now_ms() - event.at_ms > self._patience_ms
            if missing and too_old:
                log.error(
                    "the event %s on %r was not delivered to %s in time and is given up",
                    event.name,
                    event.key,
                    ", ".join(sorted(missing)),
                )
            if not missing or too_old:
                gone.append(place)
        return gone

    def _deliveries(self, place: EventPlace, event: BucketEvent) -> Sequence[Delivery]:
        bucket = self._reader.bucket_by_id(place.bucket_id)
        if bucket is None:
            return ()
        kept = self._reader.bucket_document(bucket.id, DOCUMENT)
        return () if kept is None else self._route(kept, bucket, place, event)

    async def _drain(
        self, name: str, queue: list[tuple[EventPlace, bytes]], deadline: float
    ) -> None:
        """Give a destination what waits for it, in order, until it takes no more."""
        if not self._outages.is_over(name):
            return
        for place, body in queue:
            if self._clock.monotonic() >= deadline:
                return
            try:
                await self._send(name, body)
            except Undelivered as error:
                backoff = self._outages.failed(name, str(error))
                log.warning(
                    "destination %s takes no events, next try in %g s: %s", name, backoff, error
                )
                return
            self._outages.took(name)
            self._took.setdefault(place, set()).add(name)
