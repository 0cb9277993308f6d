"""Destinations of events as the operator configured them, and what events become on their way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from coffre.catalog.event_mutations import BucketEvent, EventPlace
from coffre.catalog.records import Bucket
from coffre.config import Destination
from coffre.service.posting import post
from coffre.stewards.deliverer import Delivery
from coffre.stewards.outages import Undelivered
from coffre.wire.dates import iso
from coffre.wire.notifications import Happened, message, read_notification, trial_message

log = logging.getLogger("coffre.deliverer")

_PATIENCE_S: Final = 5.0
_TEST: Final = "TestEvent"


class Destinations:
    """Those of a node, by name: webhooks, and streams of Redis (or Valkey)."""

    def __init__(self, configured: Sequence[Destination]) -> None:
        self._by_name = {one.name: one for one in configured}
        self._streams: dict[str, Redis] = {}

    async def send(self, name: str, body: bytes) -> None:
        """Give one event to a destination. Raises Undelivered."""
        one = self._by_name.get(name)
        if one is None:
            raise Undelivered("it is not configured")
        try:
            if one.kind == "webhook":
                await asyncio.to_thread(_post, one, body)
            else:
                await self._stream(one).xadd(one.stream, {"event": body})
        except (OSError, HTTPException, RedisError) as error:
            raise Undelivered(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        for stream in self._streams.values():
            await stream.aclose()

    def _stream(self, one: Destination) -> Redis:
        client = self._streams.get(one.name)
        if client is None:
            client = Redis.from_url(
                one.url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
            )
            self._streams[one.name] = client
        return client


def _post(one: Destination, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    if one.token_file:
        token = Path(one.token_file).read_bytes().strip()
        if not token.isascii() or len(token.split()) != 1:
            # What a header refuses it repeats in its error, which the log tells.
            raise Undelivered(f"{one.token_file} does not hold one token")
        headers["Authorization"] = f"Bearer {token.decode()}"
    status = post(one.url, body, headers)
    if not 200 <= status < 300:
        raise Undelivered(f"it answers {status}")


def route(
    region: str, kept: bytes, bucket: Bucket, place: EventPlace, event: BucketEvent
) -> list[Delivery]:
    """What an event becomes under a bucket's configuration."""
    told = read_notification(kept)
    if event.name == _TEST:
        names = dict.fromkeys(one.destination.name for one in told)
        body = trial_message(bucket.name, iso(event.at_ms))
        return [Delivery(name, body) for name in names]
    key = event.key.decode("utf-8", "replace")
    cause = event.cause
    kind, until_ms = event.restored or ("", 0)
    happened = Happened(
        event=event.name,
        time=iso(event.at_ms),
        region=region,
        bucket=bucket.name,
        owner_id=bucket.owner_id,
        key=event.key,
        size=event.size,
        etag=event.etag,
        version_id=None if event.version_id is None else event.version_id.hex() or "null",
        sequencer=f"{place.order:016X}{place.zone:04X}",
        user_id=cause.user_id if cause else "",
        client=cause.client if cause else "",
        request_id=cause.request_id if cause else "",
        restored=(kind, iso(until_ms)) if until_ms else None,
    )
    return [
        Delivery(one.destination.name, message(happened, one.id))
        for one in told
        if one.wants(event.name, key)
    ]


def routing(region: str) -> partial[list[Delivery]]:
    """`route` of a region."""
    return partial(route, region)
