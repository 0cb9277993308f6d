"""Tags of objects, versions and buckets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.testing.server import Credentials, MemoryServer
from coffre.wire.errors import S3Error
from coffre.wire.tags import BUCKET_TAGS, OBJECT_TAGS, parse_form, parse_tagging, render_tagging
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient

ONE = [{"Key": "colour", "Value": "blue"}]
TWO = [{"Key": "a b", "Value": ""}, {"Key": "é.:/=+-@_", "Value": "Ω 1"}]


def body(*pairs: tuple[str, str]) -> bytes:
    tags = "".join(
        f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>" for key, value in pairs
    )
    return f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()


def tags_of(s3: Any, bucket: str, **named: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = s3.get_object_tagging(Bucket=bucket, Key="k", **named)["TagSet"]
    return found


@pytest.fixture
def tagged(s3: Any, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="colour=blue")
    return bucket


def test_an_objects_tags_are_replaced_and_removed(s3: Any, tagged: str) -> None:
    before = s3.head_object(Bucket=tagged, Key="k")
    assert (tags_of(s3, tagged), before["TagCount"]) == (ONE, 1)
    done = s3.put_object_tagging(Bucket=tagged, Key="k", Tagging={"TagSet": TWO})
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "VersionId" not in done
    assert tags_of(s3, tagged) == TWO
    got = s3.get_object(Bucket=tagged, Key="k")
    assert (got["TagCount"], got["ETag"], got["LastModified"]) == (
        2,
        before["ETag"],
        before["LastModified"],
    )
    gone = s3.delete_object_tagging(Bucket=tagged, Key="k")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags_of(s3, tagged) == []
    assert "TagCount" not in s3.head_object(Bucket=tagged, Key="k")


def test_an_empty_tag_set_removes_all_tags(s3: Any, tagged: str) -> None:
    s3.put_object_tagging(Bucket=tagged, Key="k", Tagging={"TagSet": []})
    assert tags_of(s3, tagged) == []


def test_each_version_has_tags_of_its_own(s3: Any, wire: WireClient, tagged: str) -> None:
    s3.put_bucket_versioning(Bucket=tagged, VersioningConfiguration={"Status": "Enabled"})
    newer = s3.put_object(Bucket=tagged, Key="k", Body=b"y")["VersionId"]
    done = s3.put_object_tagging(Bucket=tagged, Key="k", VersionId="null", Tagging={"TagSet": TWO})
    assert done["VersionId"] == "null"
    assert s3.get_object_tagging(Bucket=tagged, Key="k")["VersionId"] == newer
    assert (tags_of(s3, tagged), tags_of(s3, tagged, VersionId="null")) == ([], TWO)
    assert s3.delete_object_tagging(Bucket=tagged, Key="k", VersionId="null")["VersionId"] == "null"
    marker = s3.delete_object(Bucket=tagged, Key="k")["VersionId"]
    assert refused(s3.get_object_tagging, Bucket=tagged, Key="k") == "NoSuchKey"
    for method in ("GET", "PUT", "DELETE"):
        sent = body(("a", "b")) if method == "PUT" else b""
        answer = wire.send(method, f"/{tagged}/k?tagging&versionId={marker}", sent)
        assert (answer.status, answer.code) == (405, "MethodNotAllowed")
        assert answer.headers["x-amz-delete-marker"] == "true"
    named = {"Bucket": tagged, "Key": "k", "VersionId": "0" * 32}
    assert refused(s3.get_object_tagging, **named) == "NoSuchVersion"
    assert refused(s3.put_object_tagging, **named, Tagging={"TagSet": ONE}) == "NoSuchVersion"


def test_a_missing_key_has_no_tags(s3: Any, bucket: str) -> None:
    named = {"Bucket": bucket, "Key": "missing"}
    assert refused(s3.get_object_tagging, **named) == "NoSuchKey"
    assert refused(s3.put_object_tagging, **named, Tagging={"TagSet": ONE}) == "NoSuchKey"
    assert refused(s3.delete_object_tagging, **named) == "NoSuchKey"


def test_a_copy_takes_tags_along_or_gets_new_ones(s3: Any, tagged: str) -> None:
    source = {"Bucket": tagged, "Key": "k"}
    s3.copy_object(Bucket=tagged, Key="along", CopySource=source, Tagging="not=looked-at")
    assert s3.get_object_tagging(Bucket=tagged, Key="along")["TagSet"] == ONE
    s3.copy_object(
        Bucket=tagged, Key="new", CopySource=source, TaggingDirective="REPLACE", Tagging="n=1"
    )
    assert s3.get_object_tagging(Bucket=tagged, Key="new")["TagSet"] == [{"Key": "n", "Value": "1"}]


def test_an_upload_gives_its_tags_to_the_object(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**where, Tagging="colour=blue")["UploadId"]
    part = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    assert tags_of(s3, bucket) == ONE


BAD = [
    (body(*((f"k{number}", "v") for number in range(11))), "BadRequest"),
    (body(("a", "1"), ("a", "2")), "InvalidTag"),
    (body(("", "v")), "InvalidTag"),
    (body(("a" * 129, "v")), "InvalidTag"),
    (body(("a", "v" * 257)), "InvalidTag"),
    (body(("\U0001f600" * 2, "v")), "InvalidTag"),
    (body(("a", "semi;colon")), "InvalidTag"),
    (body(("aws:x", "v")), "InvalidTag"),
    (b"<Tagging/>", "MalformedXML"),
    (b"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>", "MalformedXML"),
    (b"<Tagging><TagSet><Other/></TagSet></Tagging>", "MalformedXML"),
    (b"<Other/>", "MalformedXML"),
    (b"", "MissingRequestBodyError"),
]


@pytest.mark.parametrize(("sent", "code"), BAD)
def test_bad_tags_of_an_object_change_nothing(
    s3: Any, wire: WireClient, tagged: str, sent: bytes, code: str
) -> None:
    answer = wire.send("PUT", f"/{tagged}/k?tagging", sent)
    assert (answer.status, answer.code) == (400, code)
    assert tags_of(s3, tagged) == ONE


def test_limits_are_reached_and_not_passed(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    full = [{"Key": f"{n}" + "k" * 127, "Value": "é" * 256} for n in range(10)]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": full})
    assert tags_of(s3, bucket) == full


@pytest.mark.parametrize(
    "tagging",
    ["&".join(f"k{n}=v" for n in range(11)), "a=1&a=2", "=v", "a=%3B", "a" * 129, "aws:a=1"],
)
def test_bad_tags_in_a_header_store_nothing(s3: Any, bucket: str, tagging: str) -> None:
    code = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", Tagging=tagging)
    assert code in ("InvalidTag", "BadRequest")
    assert refused(s3.head_object, Bucket=bucket, Key="k") == "404"


def test_a_stranger_neither_reads_nor_writes_tags(
    server: MemoryServer, stranger: Credentials, tagged: str
) -> None:
    client = boto(server, stranger)
    named = {"Bucket": tagged, "Key": "k"}
    assert refused(client.get_object_tagging, **named) == "AccessDenied"
    assert refused(client.put_object_tagging, **named, Tagging={"TagSet": []}) == "AccessDenied"
    assert refused(client.delete_object_tagging, **named) == "AccessDenied"
    assert refused(client.get_bucket_tagging, Bucket=tagged) == "AccessDenied"
    assert refused(client.delete_bucket_tagging, Bucket=tagged) == "AccessDenied"


def test_a_buckets_tags_are_replaced_and_removed(s3: Any, bucket: str) -> None:
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    for tags in (ONE, TWO):
        done = s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    done = s3.delete_bucket_tagging(Bucket=bucket)
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": ONE})
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    assert refused(s3.get_bucket_tagging, Bucket=bucket) == "NoSuchTagSet"


def test_a_bucket_takes_50_tags_and_no_more(s3: Any, bucket: str) -> None:
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    assert refused(s3.put_bucket_tagging, Bucket=bucket, Tagging={"TagSet": tags}) == "BadRequest"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags[:50]})
    assert len(s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == 50


def test_tags_of_a_bucket_need_a_digest(wire: WireClient, bucket: str) -> None:
    answer = wire.send("PUT", f"/{bucket}?tagging", body(("a", "b")))
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_a_bucket_is_made_with_tags_and_a_new_one_of_its_name_has_none(s3: Any) -> None:
    s3.create_bucket(Bucket="made-with-tags", CreateBucketConfiguration={"Tags": ONE})
    assert s3.get_bucket_tagging(Bucket="made-with-tags")["TagSet"] == ONE
    s3.delete_bucket(Bucket="made-with-tags")
    s3.create_bucket(Bucket="made-with-tags")
    assert refused(s3.get_bucket_tagging, Bucket="made-with-tags") == "NoSuchTagSet"


CHARACTERS = st.characters(categories=("L", "N", "Zs"), include_characters="_.:/=+-@")
TAG_SETS = st.dictionaries(
    st.text(CHARACTERS, min_size=1, max_size=12).filter(
        lambda key: not key.lower().startswith("aws:")
    ),
    st.text(CHARACTERS, max_size=12),
    max_size=10,
)


@given(TAG_SETS)
def test_tags_come_back_from_a_document_and_from_a_form(tags: dict[str, str]) -> None:
    assert parse_tagging(render_tagging(tags), OBJECT_TAGS) == tags
    assert parse_form(urlencode(tags)) == tags


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: body((text, text))))
def test_any_document_is_tags_or_an_error_of_the_clients(sent: bytes) -> None:
    with suppress(S3Error):
        found = parse_tagging(sent, BUCKET_TAGS)
        assert parse_tagging(render_tagging(found), BUCKET_TAGS) == found
