"""The one table of operations.

The router, the access check, audit, metering, metrics and `docs/operations.md` read it. What is not
in it answers `NotImplemented`.
"""

from __future__ import annotations

from typing import Final

from coffre.s3 import (
    buckets,
    cors,
    ecs_update,
    listing,
    listing_versions,
    multipart,
    multipart_complete,
    object_copy,
    object_delete,
    object_read,
    object_restore,
    object_select,
    post_object,
    versioning,
)
from coffre.s3.ecs_table import ECS_TABLE
from coffre.s3.operation import (
    STREAM,
    Entry,
    Metering,
    Need,
    On,
    Operation,
    Selector,
    document,
)
from coffre.s3.refused_table import REFUSED
from coffre.s3.settings_table import BUCKET_SETTINGS, OBJECT_SETTINGS
from coffre.wire.cors import DOCUMENT_LIMIT as CORS_LIMIT
from coffre.wire.documents import COMPLETE_LIMIT, DELETE_LIMIT
from coffre.wire.object_lock import HOLD, MODE
from coffre.wire.restore import RESTORE_LIMIT
from coffre.wire.select import REQUEST_LIMIT as SELECT_LIMIT

_GET_OBJECT: Final = Need("s3:GetObject", On.OBJECT, versioned="s3:GetObjectVersion")
_PUT_OBJECT: Final = Need("s3:PutObject", On.OBJECT)
_TAG_OBJECT: Final = Need("s3:PutObjectTagging", On.OBJECT, header=b"x-amz-tagging")
_LOCKS: Final = (
    Need("s3:PutObjectRetention", On.OBJECT, header=MODE),
    Need("s3:PutObjectLegalHold", On.OBJECT, header=HOLD),
)
_READ_SOURCE: Final = Need("s3:GetObject", On.SOURCE, versioned="s3:GetObjectVersion")

SERVICE_TABLE: Final = (
    Operation(
        "ListBuckets",
        "GET",
        On.SERVICE,
        (Need("s3:ListAllMyBuckets", On.SERVICE),),
        buckets.list_buckets,
        Metering.LIST,
    ),
)

BUCKET_TABLE: Final = (
    Operation(
        "CreateBucket",
        "PUT",
        On.BUCKET,
        (Need("s3:CreateBucket", On.SERVICE),),
        buckets.create_bucket,
        Metering.WRITE,
        body=document(buckets.CREATE_LIMIT),
        creates_bucket=True,
    ),
    Operation(
        "HeadBucket",
        "HEAD",
        On.BUCKET,
        (Need("s3:ListBucket", On.BUCKET),),
        buckets.head_bucket,
        Metering.READ,
    ),
    Operation(
        "DeleteBucket",
        "DELETE",
        On.BUCKET,
        (Need("s3:DeleteBucket", On.BUCKET),),
        buckets.delete_bucket,
        Metering.DELETE,
    ),
    Operation(
        "GetBucketLocation",
        "GET",
        On.BUCKET,
        (Need("s3:GetBucketLocation", On.BUCKET),),
        buckets.get_bucket_location,
        Metering.READ,
        Selector("location"),
    ),
    Operation(
        "GetBucketVersioning",
        "GET",
        On.BUCKET,
        (Need("s3:GetBucketVersioning", On.BUCKET),),
        versioning.get_bucket_versioning,
        Metering.READ,
        Selector("versioning"),
    ),
    Operation(
        "PutBucketVersioning",
        "PUT",
        On.BUCKET,
        (Need("s3:PutBucketVersioning", On.BUCKET),),
        versioning.put_bucket_versioning,
        Metering.WRITE,
        Selector("versioning"),
        document(versioning.DOCUMENT_LIMIT),
    ),
    Operation(
        "ListObjects",
        "GET",
        On.BUCKET,
        (Need("s3:ListBucket", On.BUCKET),),
        listing.list_objects,
        Metering.LIST,
    ),
    Operation(
        "ListObjectsV2",
        "GET",
        On.BUCKET,
        (Need("s3:ListBucket", On.BUCKET),),
        listing.list_objects_v2,
        Metering.LIST,
        Selector("list-type"),
    ),
    Operation(
        "ListObjectVersions",
        "GET",
        On.BUCKET,
        (Need("s3:ListBucketVersions", On.BUCKET),),
        listing_versions.list_object_versions,
        Metering.LIST,
        Selector("versions"),
    ),
    Operation(
        "ListMultipartUploads",
        "GET",
        On.BUCKET,
        (Need("s3:ListBucketMultipartUploads", On.BUCKET),),
        multipart.list_multipart_uploads,
        Metering.LIST,
        Selector("uploads"),
    ),
    Operation(
        "DeleteObjects",
        "POST",
        On.BUCKET,
        (Need("s3:DeleteObject", On.EACH_KEY, versioned="s3:DeleteObjectVersion"),),
        object_delete.delete_objects,
        Metering.DELETE,
        Selector("delete"),
        document(DELETE_LIMIT),
    ),
    Operation(
        "PutBucketCors",
        "PUT",
        On.BUCKET,
        (Need("s3:PutBucketCORS", On.BUCKET),),
        cors.put_bucket_cors,
        Metering.WRITE,
        Selector("cors"),
        document(CORS_LIMIT),
    ),
    Operation(
        "GetBucketCors",
        "GET",
        On.BUCKET,
        (Need("s3:GetBucketCORS", On.BUCKET),),
        cors.get_bucket_cors,
        Metering.READ,
        Selector("cors"),
    ),
    Operation(
        "DeleteBucketCors",
        "DELETE",
        On.BUCKET,
        (Need("s3:PutBucketCORS", On.BUCKET),),
        cors.delete_bucket_cors,
        Metering.DELETE,
        Selector("cors"),
    ),
    Operation(
        "OptionsBucket",
        "OPTIONS",
        On.BUCKET,
        (),
        cors.preflight,
        Metering.READ,
        entry=Entry.NOBODY,
    ),
    Operation(
        "PostObject",
        "POST",
        On.BUCKET,
        (_PUT_OBJECT, _TAG_OBJECT, *_LOCKS),
        post_object.post_object,
        Metering.WRITE,
        body=STREAM,
        entry=Entry.FORM,
    ),
)

OBJECT_TABLE: Final = (
    Operation(
        "PutObject",
        "PUT",
        On.OBJECT,
        (_PUT_OBJECT, _TAG_OBJECT, *_LOCKS),
        ecs_update.put_object,
        Metering.WRITE,
        body=STREAM,
    ),
    Operation(
        "CopyObject",
        "PUT",
        On.OBJECT,
        (_READ_SOURCE, _PUT_OBJECT, _TAG_OBJECT, *_LOCKS),
        object_copy.copy_object,
        Metering.WRITE,
        Selector(copy=True),
    ),
    Operation(
        "GetObject",
        "GET",
        On.OBJECT,
        (_GET_OBJECT,),
        object_read.get_object,
        Metering.READ,
    ),
    Operation(
        "HeadObject",
        "HEAD",
        On.OBJECT,
        (_GET_OBJECT,),
        object_read.head_object,
        Metering.READ,
    ),
    Operation(
        "GetObjectAttributes",
        "GET",
        On.OBJECT,
        (
            _GET_OBJECT,
            Need(
                "s3:GetObjectAttributes",
                On.OBJECT,
                versioned="s3:GetObjectVersionAttributes",
            ),
        ),
        object_read.get_object_attributes,
        Metering.READ,
        Selector("attributes"),
    ),
    Operation(
        "SelectObjectContent",
        "POST",
        On.OBJECT,
        (_GET_OBJECT,),
        object_select.select_object_content,
        Metering.READ,
        Selector("select"),
        document(SELECT_LIMIT),
    ),
    Operation(
        "RestoreObject",
        "POST",
        On.OBJECT,
        (Need("s3:RestoreObject", On.OBJECT),),
        object_restore.restore_object,
        Metering.WRITE,
        Selector("restore"),
        document(RESTORE_LIMIT),
    ),
    Operation(
        "OptionsObject",
        "OPTIONS",
        On.OBJECT,
        (),
        cors.preflight,
        Metering.READ,
        entry=Entry.NOBODY,
    ),
    Operation(
        "DeleteObject",
        "DELETE",
        On.OBJECT,
        (Need("s3:DeleteObject", On.OBJECT, versioned="s3:DeleteObjectVersion"),),
        object_delete.delete_object,
        Metering.DELETE,
    ),
    Operation(
        "CreateMultipartUpload",
        "POST",
        On.OBJECT,
        (_PUT_OBJECT, _TAG_OBJECT, *_LOCKS),
        multipart.create_multipart_upload,
        Metering.WRITE,
        Selector("uploads"),
    ),
    Operation(
        "UploadPart",
        "PUT",
        On.OBJECT,
        (_PUT_OBJECT,),
        multipart.upload_part,
        Metering.WRITE,
        Selector("uploadId"),
        STREAM,
    ),
    Operation(
        "UploadPartCopy",
        "PUT",
        On.OBJECT,
        (_READ_SOURCE, _PUT_OBJECT),
        object_copy.upload_part_copy,
        Metering.WRITE,
        Selector("uploadId", copy=True),
    ),
    Operation(
        "CompleteMultipartUpload",
        "POST",
        On.OBJECT,
        (_PUT_OBJECT,),
        multipart_complete.complete_multipart_upload,
        Metering.WRITE,
        Selector("uploadId"),
        document(COMPLETE_LIMIT),
    ),
    Operation(
        "AbortMultipartUpload",
        "DELETE",
        On.OBJECT,
        (Need("s3:AbortMultipartUpload", On.OBJECT),),
        multipart.abort_multipart_upload,
        Metering.DELETE,
        Selector("uploadId"),
    ),
    Operation(
        "ListParts",
        "GET",
        On.OBJECT,
        (Need("s3:ListMultipartUploadParts", On.OBJECT),),
        multipart.list_parts,
        Metering.LIST,
        Selector("uploadId"),
    ),
)

TABLE: Final = (
    *SERVICE_TABLE,
    *BUCKET_TABLE,
    *BUCKET_SETTINGS,
    *OBJECT_TABLE,
    *OBJECT_SETTINGS,
    *ECS_TABLE,
    *REFUSED,
)
