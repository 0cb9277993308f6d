"""Rows of the one table for operations that are refused by name, so that logs, metrics and
`docs/operations.md` know them: those of directory buckets, which do not exist here, and those that
are about services beside S3."""

from __future__ import annotations

from typing import Final

from coffre.s3 import bucket_settings, parameters, versions
from coffre.s3.context import Context
from coffre.s3.operation import Handler, Metering, Need, On, Operation, Selector
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire.documents import render_no_annotations
from coffre.wire.errors import S3Error

_METERING: Final = {"GET": Metering.READ, "DELETE": Metering.DELETE}


def _refusing(code: str, message: str | None = None) -> Handler:
    async def refuse(context: Context) -> Response:
        check_expected_owner(context.head, context.bucket)
        raise S3Error(code, message)

    return refuse


async def _no_annotations(context: Context) -> Response:
    """ListObjectAnnotations: no object has any. GetObjectAnnotation is told apart by its name."""
    _require_object(context)
    if "annotationName" in context.head.query:
        raise S3Error("NoSuchAnnotation", AnnotationName=context.head.query["annotationName"])
    prefix = context.head.query.get("annotation-prefix")
    return xml(render_no_annotations(context.bucket.name, context.key, prefix))


async def _delete_no_annotation(context: Context) -> Response:
    """DeleteObjectAnnotation: one that is not there is no error."""
    _require_object(context)
    return Response(204)


async def _no_new_annotation(context: Context) -> Response:
    _require_object(context)
    raise S3Error("NotImplemented", "Annotations of objects are not implemented")


def _require_object(context: Context) -> None:
    check_expected_owner(context.head, context.bucket)
    wanted = parameters.version_id(context.head)
    versions.find(context, context.bucket, context.key, wanted)


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
    _row(
        "UpdateObjectEncryption",
        "PUT",
        On.OBJECT,
        "encryption",
        "UpdateObjectEncryption",
        _refusing("NotImplemented", "The encryption of an object that stands cannot be changed"),
    ),
    _row(
        "ListObjectAnnotations",
        "GET",
        On.OBJECT,
        "annotation",
        "ListObjectAnnotations",
        _no_annotations,
    ),
    _row(
        "PutObjectAnnotation",
        "PUT",
        On.OBJECT,
        "annotation",
        "PutObjectAnnotation",
        _no_new_annotation,
    ),
    _row(
        "DeleteObjectAnnotation",
        "DELETE",
        On.OBJECT,
        "annotation",
        "DeleteObjectAnnotation",
        _delete_no_annotation,
    ),
)
