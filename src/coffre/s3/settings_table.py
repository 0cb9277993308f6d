"""The rows of the one table that are about a bucket's sub-resources and an object's tags."""

from __future__ import annotations

from typing import Final

from coffre.s3 import tagging
from coffre.s3.operation import (
    NO_BODY,
    Body,
    Handler,
    Metering,
    Need,
    On,
    Operation,
    Selector,
    document,
)
from coffre.wire.tags import DOCUMENT_LIMIT as TAGGING_LIMIT

_METERING: Final = {"GET": Metering.READ, "PUT": Metering.WRITE, "DELETE": Metering.WRITE}


def _row(
    name: str,
    method: str,
    need: Need,
    handler: Handler,
    sub_resource: str,
    body: Body = NO_BODY,
) -> Operation:
    metering, selector = _METERING[method], Selector(sub_resource)
    return Operation(name, method, need.on, (need,), handler, metering, selector, body)


def _bucket(permission: str) -> Need:
    return Need(f"s3:{permission}", On.BUCKET)


def _object(verb: str, what: str) -> Need:
    return Need(f"s3:{verb}Object{what}", On.OBJECT, versioned=f"s3:{verb}ObjectVersion{what}")


BUCKET_SETTINGS: Final = (
    _row(
        "GetBucketTagging",
        "GET",
        _bucket("GetBucketTagging"),
        tagging.get_bucket_tagging,
        "tagging",
    ),
    _row(
        "PutBucketTagging",
        "PUT",
        _bucket("PutBucketTagging"),
        tagging.put_bucket_tagging,
        "tagging",
        document(TAGGING_LIMIT),
    ),
    _row(
        "DeleteBucketTagging",
        "DELETE",
        _bucket("PutBucketTagging"),
        tagging.delete_bucket_tagging,
        "tagging",
    ),
)

OBJECT_SETTINGS: Final = (
    _row(
        "GetObjectTagging",
        "GET",
        _object("Get", "Tagging"),
        tagging.get_object_tagging,
        "tagging",
    ),
    _row(
        "PutObjectTagging",
        "PUT",
        _object("Put", "Tagging"),
        tagging.put_object_tagging,
        "tagging",
        document(TAGGING_LIMIT),
    ),
    _row(
        "DeleteObjectTagging",
        "DELETE",
        _object("Delete", "Tagging"),
        tagging.delete_object_tagging,
        "tagging",
    ),
)
