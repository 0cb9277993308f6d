"""CORS: the configuration of a bucket, and what browsers are told by it.

A preflight has no signature, so only its address says which bucket it is about. A host that names a
store says it wholly. Where the host is a base, it is the store of the access key that a presigned
URL names; else the bucket's name must be unique over all stores, because a rule of one customer's
must not speak for another's bucket.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from coffre.catalog.mutations import DeleteBucketDocument, PutBucketDocument
from coffre.catalog.records import Bucket, Store
from coffre.iam.signers import claimed_store
from coffre.s3 import unsigned
from coffre.s3.context import Context
from coffre.s3.response import Header, Response, xml
from coffre.s3.services import Services
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire import cors
from coffre.wire.auth import Claim
from coffre.wire.claim import security_token
from coffre.wire.cors import DOCUMENT_LIMIT, Rule
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.target import Target

KIND: Final = "cors"
# Configurations of this many buckets are kept parsed.
_KEPT: Final = 64


async def put_bucket_cors(context: Context) -> Response:
    """PutBucketCors. The document is kept as it was sent, once it is known to be good."""
    check_expected_owner(context.head, context.bucket)
    body = await context.body.document(DOCUMENT_LIMIT, must_declare=True)
    cors.parse_rules(body)
    await context.committer.commit(PutBucketDocument(context.bucket.id, KIND, body))
    return Response(200)


async def get_bucket_cors(context: Context) -> Response:
    """GetBucketCors."""
    check_expected_owner(context.head, context.bucket)
    rules = _rules(context.services, context.bucket)
    if not rules:
        raise S3Error("NoSuchCORSConfiguration", BucketName=context.bucket.name)
    return xml(cors.render_rules(rules))


async def delete_bucket_cors(context: Context) -> Response:
    """DeleteBucketCors; none to delete is no error."""
    check_expected_owner(context.head, context.bucket)
    await context.committer.commit(DeleteBucketDocument(context.bucket.id, KIND))
    return Response(204)


async def preflight(context: Context) -> Response:
    """What a browser may send to a bucket or an object."""
    asked = cors.read_preflight(context.head)
    rules = _rules(context.services, context.bucket)
    resource = "OBJECT" if context.key else "BUCKET"
    return Response(200, cors.allow_preflight(asked, rules, resource))


def store_of_preflight(
    services: Services, head: RequestHead, target: Target, claim: Claim | None
) -> Store:
    """The store of the bucket that a preflight is about. Raises BadRequest, AccessForbidden."""
    asked = cors.read_preflight(head)
    bucket = _addressed(services, head, target, claim)
    store = None if bucket is None else services.reader.store(bucket.store_id)
    if bucket is None or store is None:
        raise cors.no_bucket(asked, "BUCKET" if target.key is None else "OBJECT")
    return store


def headers_for(
    services: Services,
    head: RequestHead,
    target: Target | None,
    claim: Claim | None,
    bucket: Bucket | None,
) -> list[Header]:
    """The headers of the answer to a request that carries `Origin`.

    `bucket` is None where the request failed before its bucket was found.
    """
    if target is None or target.bucket is None:
        return []
    if bucket is None:
        bucket = _addressed(services, head, target, claim)
    rules = () if bucket is None else _rules(services, bucket)
    return cors.headers_for(head.header(b"origin") or "", head.method, rules)


def _addressed(
    services: Services, head: RequestHead, target: Target, claim: Claim | None
) -> Bucket | None:
    reader, name = services.reader, target.bucket
    assert name is not None, "the caller looked"
    if claim is not None and target.store is None:
        token = security_token(head)
        claimed = claimed_store(reader, services.iam.sessions, claim.access_key, token)
        if claimed is not None:
            return reader.bucket(claimed, name)
    store = unsigned.store_of(services, head, target)
    return None if store is None else reader.bucket(store.id, name)


def _rules(services: Services, bucket: Bucket) -> tuple[Rule, ...]:
    document = services.reader.bucket_document(bucket.id, KIND)
    return () if document is None else _parsed(document)


@lru_cache(maxsize=_KEPT)
def _parsed(document: bytes) -> tuple[Rule, ...]:
    return cors.parse_rules(document)
