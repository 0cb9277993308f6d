"""Versioned buckets: ids, markers, the null version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="k", Body=b"null")
    set_to(s3, bucket, "Enabled")
    return bucket


def set_to(s3: Any, bucket: str, state: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": state})


def read(s3: Any, bucket: str, version: str | None = None) -> bytes:
    named = {} if version is None else {"VersionId": version}
    body: bytes = s3.get_object(Bucket=bucket, Key="k", **named)["Body"].read()
    return body


def test_versioning_is_told(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for state in ("Enabled", "Suspended"):
        set_to(s3, bucket, state)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == state


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<VersioningConfiguration><Status>enabled</Status></VersioningConfiguration>", 400),
        (b"<VersioningConfiguration/>", 400),
        (
            b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"
            b"</VersioningConfiguration>",
            501,
        ),
    ],
)
def test_bad_versioning_is_refused(wire: WireClient, bucket: str, body: bytes, status: int) -> None:
    assert wire.send("PUT", f"/{bucket}?versioning", body).status == status


def test_every_write_is_a_version(s3: Any, versioned: str) -> None:
    first = s3.put_object(Bucket=versioned, Key="k", Body=b"first")["VersionId"]
    second = s3.put_object(Bucket=versioned, Key="k", Body=b"second")["VersionId"]
    assert first != second
    assert read(s3, versioned) == b"second"
    assert read(s3, versioned, first) == b"first"
    assert read(s3, versioned, "null") == b"null"
    copied = s3.copy_object(
        Bucket=versioned,
        Key="k",
        CopySource={"Bucket": versioned, "Key": "k", "VersionId": first},
    )
    assert copied["CopySourceVersionId"] == first
    assert copied["VersionId"] not in (first, second)
    assert read(s3, versioned) == b"first"


def test_a_delete_leaves_a_marker(s3: Any, wire: WireClient, versioned: str) -> None:
    version = s3.put_object(Bucket=versioned, Key="k", Body=b"kept")["VersionId"]
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert marker["DeleteMarker"]
    plain = wire.send("GET", f"/{versioned}/k")
    assert (plain.status, plain.code) == (404, "NoSuchKey")
    assert plain.headers["x-amz-delete-marker"] == "true"
    assert plain.headers["x-amz-version-id"] == marker["VersionId"]
    named = wire.send("GET", f"/{versioned}/k?versionId={marker['VersionId']}")
    assert (named.status, named.code) == (405, "MethodNotAllowed")
    assert named.headers["allow"] == "DELETE"
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    assert read(s3, versioned, version) == b"kept"
    removed = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker["VersionId"])
    assert (removed["DeleteMarker"], removed["VersionId"]) == (True, marker["VersionId"])
    assert read(s3, versioned) == b"kept"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
    assert read(s3, versioned) == b"null"


def test_many_deletes_tell_their_markers(s3: Any, versioned: str) -> None:
    done = s3.delete_objects(
        Bucket=versioned, Delete={"Objects": [{"Key": "k"}, {"Key": "k", "VersionId": "null"}]}
    )["Deleted"]
    assert done[0]["DeleteMarker"]
    assert done[0]["DeleteMarkerVersionId"]
    assert done[1]["VersionId"] == "null"
    assert "DeleteMarker" not in done[1]


def test_suspended_writes_replace_the_null_version(s3: Any, versioned: str) -> None:
    kept = s3.put_object(Bucket=versioned, Key="k", Body=b"kept")["VersionId"]
    set_to(s3, versioned, "Suspended")
    assert s3.put_object(Bucket=versioned, Key="k", Body=b"newest")["VersionId"] == "null"
    assert read(s3, versioned, "null") == b"newest"
    assert read(s3, versioned, kept) == b"kept"


@pytest.mark.parametrize(
    ("version", "code"),
    [("0" * 32, "NoSuchVersion"), ("what", "InvalidArgument"), ("", "InvalidArgument")],
)
def test_a_version_that_is_not_there(
    wire: WireClient, versioned: str, version: str, code: str
) -> None:
    assert wire.send("GET", f"/{versioned}/k?versionId={version}").code == code


def test_deleting_a_version_that_is_not_there_is_no_error(s3: Any, versioned: str) -> None:
    s3.delete_object(Bucket=versioned, Key="k", VersionId="0" * 32)
    assert read(s3, versioned) == b"null"


def test_the_null_version_of_a_bucket_that_never_had_versions(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert read(s3, bucket, "null") == b"x"
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="0" * 32) == "NoSuchVersion"
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert refused(s3.get_object, Bucket=bucket, Key="k") == "NoSuchKey"


def test_a_multipart_completion_is_a_version(s3: Any, versioned: str) -> None:
    where = {"Bucket": versioned, "Key": "k"}
    upload = s3.create_multipart_upload(**where)["UploadId"]
    part = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    assert read(s3, versioned, done["VersionId"]) == b"part"
