"""Event notifications: a bucket's configuration, and the cause that changes carry to the catalog.

The catalog writes the event in the transaction of its change; a steward delivers it
(`coffre.stewards.deliverer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from coffre.catalog.event_mutations import Cause, Caused
from coffre.catalog.interface import Committer
from coffre.catalog.mutations import (
    DeleteBucketDocument,
    Mutation,
    PutBucketDocument,
    Refused,
    Result,
)
from coffre.s3.context import Context
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.system.buffer import Buffer
from coffre.wire.notifications import (
    DOCUMENT_LIMIT,
    Destination,
    parse_notification,
    render_no_notification,
)

NOTIFICATION: Final = "notification"


async def get_bucket_notification(context: Context) -> Response:
    """GetBucketNotificationConfiguration."""
    check_expected_owner(context.head, context.bucket)
    kept = context.reader.bucket_document(context.bucket.id, NOTIFICATION)
    return xml(kept or render_no_notification())


async def put_bucket_notification(context: Context) -> Response:
    """PutBucketNotificationConfiguration: what it says takes the place of all that was said. A test
    event goes to every destination."""
    refuse_unbuilt(context.head)
    bucket = context.bucket
    check_expected_owner(context.head, bucket)
    known = context.services.settings.destinations

    def is_known(one: Destination) -> bool:
        return (one.name, one.kind) in known

    def new_id() -> str:
        return context.new_id().hex()

    body = await context.body.document(DOCUMENT_LIMIT)
    kept = parse_notification(body, new_id, is_known)
    if kept is None:
        await context.committer.commit(DeleteBucketDocument(bucket.id, NOTIFICATION))
    else:
        await context.committer.commit(PutBucketDocument(bucket.id, NOTIFICATION, kept))
    return Response(200)


class TellingCommitter:
    """A committer for one request in a bucket that notifies: its changes carry their cause."""

    __slots__ = ("_cause", "_committer")

    def __init__(self, committer: Committer, cause: Cause) -> None:
        self._committer = committer
        self._cause = cause

    async def commit(self, mutation: Mutation, body: Sequence[Buffer] = ()) -> Result:
        """See `Committer`."""
        return await self._committer.commit(self._told(mutation), body)

    async def commit_all(self, mutations: Sequence[Mutation]) -> list[Result | Refused]:
        """See `Committer`."""
        return await self._committer.commit_all([self._told(one) for one in mutations])

    def _told(self, mutation: Mutation) -> Mutation:
        return replace(mutation, cause=self._cause) if isinstance(mutation, Caused) else mutation
