"""Multipart uploads in progress: the one that a request names, and what its parts must carry."""

from __future__ import annotations

from coffre.catalog.records import Upload
from coffre.s3 import parameters
from coffre.s3.content import DEFAULT_ALGORITHM
from coffre.s3.context import Context
from coffre.wire.checksums import Algorithm, ChecksumType, Declared
from coffre.wire.errors import S3Error


def named_upload(context: Context) -> Upload | None:
    """The upload in progress of this bucket and key that the query names, if it is one.

    Raises NoSuchUpload for an id that no upload can have, or that is another key's.
    """
    found = context.reader.upload(parameters.upload_id(context.head))
    if found is not None and (found.bucket_id, found.key) != (context.bucket.id, context.key):
        raise no_such_upload(context)
    return found


def require_upload(context: Context) -> Upload:
    """As `named_upload`, and NoSuchUpload where it is none."""
    found = named_upload(context)
    if found is None:
        raise no_such_upload(context)
    return found


def find_upload(context: Context) -> tuple[int, Upload]:
    """Part number and upload. InvalidArgument where the number is missing or out of range."""
    number = parameters.part_number(context.head)
    if number is None:
        raise parameters.invalid(
            "uploadId", context.head.query["uploadId"], "A part upload needs a partNumber"
        )
    return number, require_upload(context)


def algorithm_of(upload: Upload) -> Algorithm:
    """The checksum that the parts of an upload keep; CRC64NVME where its creator named none."""
    return Algorithm(upload.checksum_algorithm or DEFAULT_ALGORITHM)


def check_part_algorithm(upload: Upload, stated: Declared) -> None:
    """InvalidRequest for a part with another checksum than its upload was created for, or with none
    where the object's checksum is made of its parts'."""
    expected, stands = upload.checksum_algorithm, stated.algorithm
    composite = upload.checksum_type == ChecksumType.COMPOSITE
    if expected is not None and stands != expected and (composite or stands is not None):
        raise S3Error(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {expected.lower()}, "
            f"actual checksum Type: {'null' if stands is None else stands.lower()}",
        )


def no_such_upload(context: Context) -> S3Error:
    return S3Error("NoSuchUpload", UploadId=context.head.query["uploadId"])
