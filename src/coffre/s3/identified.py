"""Configurations of which a bucket may have many: each is a document of its own with the bucket,
of the kind `family:id`."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass

from coffre.catalog.mutations import DeleteBucketDocument, PutBucketDocument
from coffre.s3.context import Context
from coffre.s3.parameters import invalid
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.bucket_settings import DOCUMENT_LIMIT
from coffre.wire.configurations import (
    LIMIT,
    PAGE,
    Node,
    check_id,
    parse_configuration,
    render_configuration,
    render_configurations,
)
from coffre.wire.errors import S3Error


def _unchecked(context: Context, kept: bytes) -> None:
    """What fits its schema is taken."""


@dataclass(frozen=True, slots=True)
class Family:
    """The handlers of one family; `name` is its sub-resource, `list_root` what a list is called;
    `check` raises for what fits the schema and cannot be kept."""

    name: str
    schema: Node
    list_root: str
    check: Callable[[Context, bytes], None] = _unchecked

    async def put(self, context: Context) -> Response:
        """Put…Configuration."""
        refuse_unbuilt(context.head)
        check_expected_owner(context.head, context.bucket)
        identity = context.head.query["id"]
        body = await context.body.document(DOCUMENT_LIMIT)
        kept = parse_configuration(body, self.schema, identity)
        self.check(context, kept)
        others = context.reader.bucket_documents(
            context.bucket.id, self.name, after="", limit=LIMIT
        )
        if len(others) >= LIMIT and identity not in {name for name, _ in others}:
            raise S3Error("TooManyConfigurations")
        await context.committer.commit(
            PutBucketDocument(context.bucket.id, self._kind(identity), kept)
        )
        return Response(200)

    async def get(self, context: Context) -> Response:
        """Get…Configuration."""
        return xml(render_configuration(self._find(context), self.schema))

    async def delete(self, context: Context) -> Response:
        """Delete…Configuration; one that is not there is an error here, as on AWS."""
        self._find(context)
        kind = self._kind(context.head.query["id"])
        await context.committer.commit(DeleteBucketDocument(context.bucket.id, kind))
        return Response(204)

    async def list(self, context: Context) -> Response:
        """List…Configurations, a hundred at a time."""
        check_expected_owner(context.head, context.bucket)
        token = context.head.query.get("continuation-token") or None
        after = "" if token is None else _place(token)
        found = context.reader.bucket_documents(
            context.bucket.id, self.name, after=after, limit=PAGE + 1
        )
        page = found[:PAGE]
        following = urlsafe_b64encode(page[-1][0].encode()).decode() if found[PAGE:] else None
        kept = (one for _, one in page)
        return xml(render_configurations(self.list_root, kept, token, following))

    def _find(self, context: Context) -> bytes:
        check_expected_owner(context.head, context.bucket)
        identity = context.head.query["id"]
        check_id(identity)
        found = context.reader.bucket_document(context.bucket.id, self._kind(identity))
        if found is None:
            raise S3Error("NoSuchConfiguration", BucketName=context.bucket.name)
        return found

    def _kind(self, identity: str) -> str:
        return f"{self.name}:{identity}"


def _place(token: str) -> str:
    """Where a page goes on. Raises InvalidArgument."""
    try:
        return urlsafe_b64decode(token.encode("ascii")).decode()
    except ValueError:
        raise invalid(
            "continuation-token", token, "The continuation token provided is incorrect"
        ) from None
