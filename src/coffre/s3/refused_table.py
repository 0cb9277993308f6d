"""Rows of the one table for operations that are refused by name, so that logs, metrics and
`docs/operations.md` know them: those of directory buckets, which do not exist here, and those that
are about services beside S3."""

from __future__ import annotations

from typing import Final

from coffre.s3 import bucket_settings
from coffre.s3.context import Context
from coffre.s3.operation import Handler, Metering, Need, On, Operation, Selector
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire.errors import S3Error

_METERING: Final = {"GET": Metering.READ, "DELETE": Metering.DELETE}


def _refusing(code: str, message: str | None = None) -> Handler:
    async def refuse(context: Context) -> Response:
        check_expected_owner(context.head, context.bucket)
        raise S3Error(code, message)

    return refuse


def _row(name: str, method: str, on: On, sub: str, permission: str, handler: Handler) -> Operation:
    metering = _METERING.get(method, Metering.WRITE)
    need = Need(f"s3:{permission}", on)
    return Operation(name, method, on, (need,), handler, metering, Selector(sub))


_DIRECTORY: Final = "is an operation of directory buckets, which this service does not have"
_TABLES: Final = _refusing("NotImplemented", "Metadata tables of buckets are not implemented")
_NO_TABLES: Final = _refusing("MetadataConfigurationNotFound")


def _tables(sub: str, what: str) -> tuple[Operation, ...]:
    """The configuration of a bucket's metadata tables, which no bucket has."""
    return tuple(
        _row(f"{verb}BucketMetadata{what}", method, On.BUCKET, sub, permission, handler)
        for verb, method, permission, handler in (
            ("Create", "POST", "CreateBucketMetadataTableConfiguration", _TABLES),
            ("Get", "GET", "GetBucketMetadataTableConfiguration", _NO_TABLES),
            (
                "Delete",
                "DELETE",
                "DeleteBucketMetadataTableConfiguration",
                bucket_settings.delete_nothing,
            ),
        )
    )


REFUSED: Final = (
    _row(
        "CreateSession",
        "GET",
        On.BUCKET,
        "session",
        "CreateSession",
        _refusing("NotImplemented", f"CreateSession {_DIRECTORY}"),
    ),
    *_tables("metadataConfiguration", "Configuration"),
    *_tables("metadataTable", "TableConfiguration"),
    *(
        _row(
            f"UpdateBucketMetadata{what}TableConfiguration",
            "PUT",
            On.BUCKET,
            f"metadata{what}Table",
            f"UpdateBucketMetadata{what}TableConfiguration",
            _NO_TABLES,
        )
        for what in ("Inventory", "Journal", "Annotation")
    ),
    _row(
        "RenameObject",
        "PUT",
        On.OBJECT,
        "renameObject",
        "PutObject",
        _refusing("NotImplemented", f"RenameObject {_DIRECTORY}"),
    ),
    _row(
        "GetObjectTorrent",
        "GET",
        On.OBJECT,
        "torrent",
        "GetObjectTorrent",
        _refusing("NotImplemented", "BitTorrent is not implemented"),
    ),
)
