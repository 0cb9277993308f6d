"""Server access logging: its configuration, and the gathering and delivery of log records.

A worker keeps the lines of requests in memory and puts them into the target buckets as objects
every few minutes, sooner when there are many, and when it stops. Best effort, as on AWS: what a
worker that is killed had gathered is lost, and a line may come long after its request.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from coffre.access.decision import Decision, decide
from coffre.access.principals import Principal
from coffre.catalog.deposit import Deposit
from coffre.catalog.interface import CommitterBusy, CommitUnknown, Reader
from coffre.catalog.mutations import DeleteBucketDocument, PutBucketDocument, Refusal
from coffre.catalog.records import Bucket
from coffre.s3.context import Context
from coffre.s3.control import ownership, resource
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy
from coffre.vault.interface import DataLost, StorageFull
from coffre.wire.access_log import (
    DOCUMENT_LIMIT,
    Logging,
    object_folder,
    object_name,
    parse_logging,
    read_logging,
    render_logging,
)
from coffre.wire.acl import LOG_DELIVERY, pack, private
from coffre.wire.bucket_settings import Ownership
from coffre.wire.bucket_settings import render_logging as render_logging_off
from coffre.wire.errors import S3Error

log = logging.getLogger("coffre.access_log")

LOGGING: Final = "logging"
SERVICE: Final = "logging.s3.amazonaws.com"
# A log object is put as soon as it has so many bytes; all that wait have at most so many.
_FULL_BYTES: Final = 512 * 1024
_MOST_BYTES: Final = 16 * 1024 * 1024
_DAY_MS: Final = 24 * 3600 * 1000
_PASSING: Final = (CommitUnknown, CommitterBusy, StorageFull, DataLost)


async def get_bucket_logging(context: Context) -> Response:
    """GetBucketLogging."""
    check_expected_owner(context.head, context.bucket)
    kept = context.reader.bucket_document(context.bucket.id, LOGGING)
    return xml(kept or render_logging_off())


async def put_bucket_logging(context: Context) -> Response:
    """PutBucketLogging. InvalidTargetBucketForLogging where nothing could be delivered."""
    refuse_unbuilt(context.head)
    bucket = context.bucket
    check_expected_owner(context.head, bucket)
    asked = parse_logging(await context.body.document(DOCUMENT_LIMIT))
    if asked is None:
        await context.committer.commit(DeleteBucketDocument(bucket.id, LOGGING))
        return Response(200)
    target = context.reader.bucket(bucket.store_id, asked.target)
    if target is None or not may_deliver(context.reader, bucket, target, asked):
        raise S3Error("InvalidTargetBucketForLogging", TargetBucket=asked.target)
    if asked.grants and ownership(context.reader, target) is Ownership.BUCKET_OWNER_ENFORCED:
        raise S3Error("AccessControlListNotSupported")
    kept = render_logging(asked)
    await context.committer.commit(PutBucketDocument(bucket.id, LOGGING, kept))
    return Response(200)


def may_deliver(reader: Reader, source: Bucket, target: Bucket, one: Logging) -> bool:
    """Whether the logging service may put objects there: both buckets have one owner, and an ACL
    grants WRITE to the log delivery group or a policy allows the service to put objects."""
    if target.owner_id != source.owner_id:
        return False
    if reader.default_retention(target.id) is not None:
        return False  # As on AWS: every log would be locked.
    key = one.prefix.encode() + b"log"
    by_acl = Principal(LOG_DELIVERY, kind="service")
    by_policy = Principal(None, kind="service", service=SERVICE)
    facts = {
        "aws:sourcearn": (f"arn:aws:s3:::{source.name}",),
        "aws:sourceaccount": (source.owner_id,),
        "aws:principaltype": ("Service",),
        "aws:securetransport": ("true",),
    }
    decisions = [
        decide(
            who, "s3:PutObject", resource(reader, who, "s3:PutObject", target, key, None, {}), facts
        )
        for who in (by_acl, by_policy)
    ]
    return Decision.DENY not in decisions and Decision.ALLOW in decisions


class _Pile(NamedTuple):
    """Lines that go into one object. `day`: of the requests, where that is in the key (else 0)."""

    source: Bucket
    logging: Logging
    day: int


@dataclass
class _Lines:
    lines: list[bytes] = field(default_factory=list)
    size: int = 0


class AccessLogs:
    """Gathers the lines of one process and delivers them. All on one event loop."""

    def __init__(
        self, reader: Reader, deposit: Deposit, clock: Clock, entropy: Entropy, region: str
    ) -> None:
        self._reader = reader
        self._deposit = deposit
        self._clock = clock
        self._entropy = entropy
        self._region = region
        self._piles: dict[_Pile, _Lines] = {}
        self._size = 0
        self._dropped = 0
        self._full = asyncio.Event()

    def add(self, source: Bucket, at_ms: int, line: bytes) -> None:
        """Take in the line of a request on a bucket."""
        kept = self._reader.bucket_document(source.id, LOGGING)
        if kept is None:
            return
        if self._size + len(line) > _MOST_BYTES:
            self._dropped += 1
            return
        told = read_logging(kept)
        day = at_ms // _DAY_MS if told.by_day and told.events else 0
        # Its counters differ from request to request: they say nothing of where the line goes.
        named = Bucket(
            source.id, source.store_id, source.name, source.owner_id, "", 0, source.region
        )
        pile = self._piles.setdefault(_Pile(named, told, day), _Lines())
        pile.lines.append(line)
        pile.size += len(line)
        self._size += len(line)
        if pile.size >= _FULL_BYTES:
            self._full.set()

    async def run(self, every_s: float) -> None:
        """Deliver every so often, or when a pile is full, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(every_s):
                    await self._full.wait()
            except TimeoutError:
                pass
            self._full.clear()
            await self.flush()

    async def flush(self) -> None:
        """Put all that waits into its target buckets. What cannot be put for now waits on."""
        if self._dropped:
            log.warning("%d lines of access logs had no room and are lost", self._dropped)
            self._dropped = 0
        for pile, kept in list(self._piles.items()):
            lines, size = kept.lines, kept.size
            kept.lines, kept.size = [], 0
            try:
                await self._put(pile, b"".join(lines))
            except _PASSING as error:
                log.warning("the log of bucket %s waits: %s", pile.source.name, error)
                kept.lines[:0] = lines
                kept.size += size
                continue
            except (Refusal, LookupError) as error:
                log.warning("a log of bucket %s is lost: %s", pile.source.name, error)
            self._size -= size
            if not kept.lines:
                del self._piles[pile]

    async def _put(self, pile: _Pile, body: bytes) -> None:
        if not body:
            return
        source, told, day = pile
        target = self._reader.bucket(source.store_id, told.target)
        if target is None or not may_deliver(self._reader, source, target, told):
            log.warning("bucket %s takes no logs of %s any more", told.target, source.name)
            return
        store = self._reader.store(source.store_id)
        assert store is not None, "a bucket's store is there"
        at_ms = day * _DAY_MS if day else self._clock.now_ms()
        unique = self._entropy.bytes(8).hex().upper()
        folder = object_folder(told, store.name, self._region, source.name, at_ms)
        key = folder + object_name(at_ms, unique, whole_day=bool(day))
        granted = told.grants
        if ownership(self._reader, target) is Ownership.BUCKET_OWNER_ENFORCED:
            granted = ()
        packed = pack((*private(target.owner_id), *granted), target.owner_id)
        await self._deposit.put(target, key.encode(), body, "text/plain", packed)
