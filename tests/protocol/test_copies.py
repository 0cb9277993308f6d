"""Copies: what they take along, what they demand, what they refuse."""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import pytest

from tests.protocol.boto_client import pattern, refused
from tests.protocol.wire_client import WireClient

SOURCE = "a +%&?ü.txt"
ENCODED = "a%20%2B%25%26%3F%C3%BC.txt"


@pytest.fixture
def made(s3: Any, bucket: str) -> str:
    s3.put_object(
        Bucket=bucket,
        Key=SOURCE,
        Body=b"content",
        Metadata={"colour": "blue"},
        ContentType="text/x",
        Tagging="t=1",
    )
    return bucket


def read(s3: Any, bucket: str, key: str) -> Any:
    return s3.get_object(Bucket=bucket, Key=key)


def test_a_copy_takes_everything_along(s3: Any, made: str) -> None:
    s3.create_bucket(Bucket=f"{made}-other")
    source = {"Bucket": made, "Key": SOURCE}
    done = s3.copy_object(Bucket=f"{made}-other", Key="to", CopySource=source)
    copy, original = read(s3, f"{made}-other", "to"), read(s3, made, SOURCE)
    assert copy["Body"].read() == b"content"
    assert done["CopyObjectResult"]["ETag"] == copy["ETag"] == original["ETag"]
    assert (copy["Metadata"], copy["ContentType"]) == ({"colour": "blue"}, "text/x")
    assert copy["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "1"
    assert done["ServerSideEncryption"] == "AES256"
    assert done["CopyObjectResult"]["ChecksumType"] == "FULL_OBJECT"


def test_a_copy_outlives_its_source(s3: Any, made: str) -> None:
    s3.copy_object(Bucket=made, Key="to", CopySource={"Bucket": made, "Key": SOURCE})
    s3.delete_object(Bucket=made, Key=SOURCE)
    assert read(s3, made, "to")["Body"].read() == b"content"


def test_directives_replace_metadata_and_tags(s3: Any, made: str) -> None:
    s3.copy_object(
        Bucket=made,
        Key="to",
        CopySource={"Bucket": made, "Key": SOURCE},
        MetadataDirective="REPLACE",
        Metadata={"shape": "round"},
        TaggingDirective="REPLACE",
        Tagging="",
    )
    copy = read(s3, made, "to")
    assert (copy["Metadata"], copy["ContentType"]) == ({"shape": "round"}, "binary/octet-stream")
    assert "x-amz-tagging-count" not in copy["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize("form", ["/{}/{}", "{}/{}", "%2F{}%2F{}", "{}%2F{}"])
def test_the_source_is_named_in_every_form(wire: WireClient, s3: Any, made: str, form: str) -> None:
    header = {"x-amz-copy-source": form.format(made, ENCODED)}
    assert wire.send("PUT", f"/{made}/to", b"", header).status == 200
    assert read(s3, made, "to")["Body"].read() == b"content"


def test_a_copy_onto_itself_must_change_something(s3: Any, made: str) -> None:
    itself = {"Bucket": made, "Key": SOURCE, "CopySource": {"Bucket": made, "Key": SOURCE}}
    assert refused(s3.copy_object, **itself) == "InvalidRequest"
    s3.copy_object(**itself, MetadataDirective="REPLACE", Metadata={"new": "1"})
    assert read(s3, made, SOURCE)["Metadata"] == {"new": "1"}
    s3.copy_object(**itself, StorageClass="STANDARD")
    s3.copy_object(**itself, ChecksumAlgorithm="SHA256")
    got = s3.get_object(Bucket=made, Key=SOURCE, ChecksumMode="ENABLED")
    assert "ChecksumSHA256" in got
    assert got["Body"].read() == b"content"


@pytest.mark.parametrize(
    ("condition", "fails"),
    [
        ({"CopySourceIfMatch": "E"}, False),
        ({"CopySourceIfMatch": '"no"'}, True),
        ({"CopySourceIfNoneMatch": "E"}, True),
        ({"CopySourceIfNoneMatch": '"no"'}, False),
        ({"CopySourceIfModifiedSince": "2019-01-01"}, False),
        ({"CopySourceIfUnmodifiedSince": "2019-01-01"}, True),
    ],
)
def test_conditions_on_the_source(
    s3: Any, made: str, condition: dict[str, str], fails: bool
) -> None:
    etag = s3.head_object(Bucket=made, Key=SOURCE)["ETag"]
    asked = {name: etag if text == "E" else text for name, text in condition.items()}
    arguments = {"Bucket": made, "Key": "to", "CopySource": {"Bucket": made, "Key": SOURCE}}
    if fails:
        assert refused(s3.copy_object, **arguments, **asked) == "PreconditionFailed"
    else:
        s3.copy_object(**arguments, **asked)


def test_conditions_on_the_destination(s3: Any, made: str) -> None:
    arguments = {"Bucket": made, "Key": "to", "CopySource": {"Bucket": made, "Key": SOURCE}}
    s3.copy_object(**arguments, IfNoneMatch="*")
    assert refused(s3.copy_object, **arguments, IfNoneMatch="*") == "PreconditionFailed"


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("{}/missing", 404, "NoSuchKey"),
        ("no-such-bucket-at-all/k", 404, "NoSuchBucket"),
        ("{}", 400, "InvalidArgument"),
        ("/", 400, "InvalidArgument"),
        ("", 400, "InvalidArgument"),
        ("{}/k?versionId=what", 400, "InvalidArgument"),
        ("{}/%ff", 400, "InvalidURI"),
    ],
)
def test_a_source_that_is_none(
    wire: WireClient, bucket: str, source: str, status: int, code: str
) -> None:
    header = {"x-amz-copy-source": source.format(bucket)}
    answer = wire.send("PUT", f"/{bucket}/to", b"", header)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("name", ["x-amz-metadata-directive", "x-amz-tagging-directive"])
def test_an_unknown_directive_is_refused(wire: WireClient, made: str, name: str) -> None:
    headers = {"x-amz-copy-source": f"{made}/{ENCODED}", name: "MERGE"}
    assert wire.send("PUT", f"/{made}/to", b"", headers).code == "InvalidArgument"


def test_a_null_version_can_be_named(s3: Any, made: str) -> None:
    source = {"Bucket": made, "Key": SOURCE, "VersionId": "null"}
    s3.copy_object(Bucket=made, Key="to", CopySource=source)
    assert read(s3, made, "to")["Body"].read() == b"content"


def test_parts_are_copied_from_ranges(s3: Any, bucket: str) -> None:
    whole = pattern(11 << 20)
    s3.put_object(Bucket=bucket, Key="from", Body=whole)
    where = {"Bucket": bucket, "Key": "to"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    half = 6 << 20
    parts = []
    for number, asked in ((1, f"bytes=0-{half - 1}"), (2, f"bytes={half}-{len(whole) - 1}")):
        done = s3.upload_part_copy(
            **where,
            UploadId=upload,
            PartNumber=number,
            CopySource=f"{bucket}/from",
            CopySourceRange=asked,
        )
        parts.append({"PartNumber": number, "ETag": done["CopyPartResult"]["ETag"]})
    for bad in ("bytes=5-1", "bytes=0-", "0-5", f"bytes=0-{len(whole)}"):
        code = refused(
            s3.upload_part_copy,
            **where,
            UploadId=upload,
            PartNumber=3,
            CopySource=f"{bucket}/from",
            CopySourceRange=bad,
        )
        assert code == "InvalidArgument"
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    assert read(s3, bucket, "to")["Body"].read() == whole
    s3.copy_object(Bucket=bucket, Key="again", CopySource={"Bucket": bucket, "Key": "to"})
    s3.delete_object(**where)
    assert read(s3, bucket, "again")["Body"].read() == whole
    summed = s3.copy_object(
        Bucket=bucket,
        Key="summed",
        CopySource={"Bucket": bucket, "Key": "again"},
        ChecksumAlgorithm="CRC32",
    )
    crc = b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
    assert summed["CopyObjectResult"]["ChecksumCRC32"] == crc
