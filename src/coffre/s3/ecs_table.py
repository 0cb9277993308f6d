"""The rows of the one table that only stores of the `ecs` dialect have."""

from __future__ import annotations

from typing import Final

from coffre.s3 import ecs_buckets, ecs_retention, ecs_search
from coffre.s3.operation import Entry, Handler, Metering, Need, On, Operation, Selector

_METERING: Final = {"GET": Metering.READ, "PUT": Metering.WRITE, "DELETE": Metering.WRITE}


def _row(name: str, method: str, need: Need, handler: Handler, sub_resource: str) -> Operation:
    return Operation(
        name,
        method,
        need.on,
        (need,),
        handler,
        _METERING[method],
        Selector(sub_resource),
        dialect="ecs",
    )


def _bucket(permission: str) -> Need:
    return Need(f"s3:{permission}", On.BUCKET)


ECS_TABLE: Final = (
    Operation(
        "Ping",
        "GET",
        On.SERVICE,
        (),
        ecs_buckets.ping,
        Metering.READ,
        Selector("ping"),
        entry=Entry.OPEN,
    ),
    _row(
        "ListDataNodes",
        "GET",
        Need("s3:ListAllMyBuckets", On.SERVICE),
        ecs_buckets.list_endpoints,
        "endpoint",
    ),
    _row(
        "ListSystemMetadataSearchKeys",
        "GET",
        Need("s3:ListAllMyBuckets", On.SERVICE),
        ecs_buckets.list_system_keys,
        "searchmetadata",
    ),
    _row(
        "ListBucketMetadataSearchKeys",
        "GET",
        _bucket("GetBucketMetadataSearch"),
        ecs_buckets.list_search_keys,
        "searchmetadata",
    ),
    _row(
        "DeleteBucketMetadataSearch",
        "DELETE",
        _bucket("PutBucketMetadataSearch"),
        ecs_buckets.delete_search_keys,
        "searchmetadata",
    ),
    _row("QueryObjects", "GET", _bucket("ListBucket"), ecs_search.search_bucket, "query"),
    _row(
        "GetBucketIsStaleAllowed",
        "GET",
        _bucket("GetBucketIsStaleAllowed"),
        ecs_buckets.get_stale_allowed,
        "isstaleallowed",
    ),
    _row(
        "PutBucketIsStaleAllowed",
        "PUT",
        _bucket("PutBucketIsStaleAllowed"),
        ecs_buckets.put_stale_allowed,
        "isstaleallowed",
    ),
    _row(
        "GetEmptyBucketStatus",
        "GET",
        _bucket("DeleteBucket"),
        ecs_buckets.get_emptying,
        "empty-bucket-status",
    ),
    _row(
        "PutObjectRetentionPeriod",
        "PUT",
        Need("s3:PutObject", On.OBJECT),
        ecs_retention.update_retention,
        "retentionUpdate",
    ),
)
