"""Reads of events that wait to be delivered (part of `catalog.interface.Reader`)."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from coffre.catalog import queries as q
from coffre.catalog.event_mutations import BucketEvent, EventPlace
from coffre.catalog.records import Bucket

_EVENTS = (
    "SELECT bucket_id, ord, zone, event FROM outbox WHERE (bucket_id, ord, zone) > (?, ?, ?)"
    " ORDER BY bucket_id, ord, zone LIMIT ?"
)
_unpack_event = msgspec.msgpack.Decoder(BucketEvent).decode


class EventReads:
    """Each method is one statement, run to its end."""

    _db: apsw.Connection

    def events(self, *, after: EventPlace, limit: int) -> list[tuple[EventPlace, BucketEvent]]:
        rows: list[Any] = self._db.execute(_EVENTS, (*after, limit)).fetchall()
        return [
            (EventPlace(bucket_id, order, zone), _unpack_event(packed))
            for bucket_id, order, zone, packed in rows
        ]

    def bucket_by_id(self, bucket_id: bytes) -> Bucket | None:
        row: Any = self._db.execute(q.BUCKET_BY_ID, (bucket_id,)).get
        return row and Bucket(*row)

    def inventoried(self, *, after: bytes, limit: int) -> list[Bucket]:
        rows: list[Any] = self._db.execute(q.BUCKETS_INVENTORIED, (after, limit)).fetchall()
        return [Bucket(*row) for row in rows]
