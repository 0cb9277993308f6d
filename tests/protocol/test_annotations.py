"""Annotations: texts beside a version of an object."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog.audit import audit
from coffre.catalog.mutations import Reaped, ReapOrphans
from coffre.testing.server import Credentials, MemoryServer
from coffre.wire.annotations import TextCheck, check_name
from coffre.wire.errors import S3Error
from tests.protocol.boto_client import MIB, boto, refused
from tests.protocol.wire_client import WireClient

KMS = {"ServerSideEncryption": "aws:kms"}
SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}


@pytest.fixture
def at(s3: Any, bucket: str) -> dict[str, str]:
    """An object."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    return {"Bucket": bucket, "Key": "key"}


def put(s3: Any, at: dict[str, str], name: str, text: bytes = b"text", **also: Any) -> Any:
    return s3.put_object_annotation(**at, AnnotationName=name, AnnotationPayload=text, **also)


def text(s3: Any, at: dict[str, str], name: str) -> bytes:
    found: bytes = s3.get_object_annotation(**at, AnnotationName=name)["AnnotationPayload"].read()
    return found


def names(s3: Any, at: dict[str, str], **also: Any) -> list[str]:
    listed = s3.list_object_annotations(**at, **also)
    return [one["AnnotationName"] for one in listed.get("Annotations", [])]


def sound(server: MemoryServer) -> None:
    """Every counter and reference is what the rows say."""
    catalog: Any = server.engine.catalog
    assert audit(catalog._db).findings == []


def test_an_annotation_is_put_read_replaced_listed_and_deleted(
    s3: Any, server: MemoryServer, bucket: str, at: dict[str, str]
) -> None:
    done = put(s3, at, "label", b"one")
    assert done["Key"] == "key"
    assert done["AnnotationName"] == "label"
    assert done["ServerSideEncryption"] == "AES256"
    assert "ObjectVersionId" not in done
    got = s3.get_object_annotation(**at, AnnotationName="label", ChecksumMode="ENABLED")
    assert got["AnnotationPayload"].read() == b"one"
    assert (got["ETag"], got["ContentLength"]) == (done["ETag"], 3)
    assert got["ServerSideEncryption"] == "AES256"
    assert got["LastModified"].year > 2000
    again = put(s3, at, "label", b"another")
    assert again["ETag"] != done["ETag"]
    assert text(s3, at, "label") == b"another"
    listed = s3.list_object_annotations(**at)
    assert (listed["Bucket"], listed["Key"], listed["AnnotationCount"]) == (bucket, "key", 1)
    assert listed["MaxAnnotationResults"] == 1000
    entry = listed["Annotations"][0]
    assert entry["AnnotationName"] == "label"
    assert (entry["ETag"], entry["Size"]) == (again["ETag"], 7)
    assert entry["ChecksumAlgorithm"] == ["CRC32"]
    sound(server)
    s3.delete_object_annotation(**at, AnnotationName="label")
    s3.delete_object_annotation(**at, AnnotationName="label")
    assert names(s3, at) == []
    code = refused(s3.get_object_annotation, **at, AnnotationName="label")
    assert code == "NoSuchAnnotation"
    sound(server)


def test_the_object_is_not_changed_by_it(s3: Any, at: dict[str, str], bucket: str) -> None:
    before = s3.head_object(**at)
    put(s3, at, "label")
    after = s3.head_object(**at)
    for name in ("ETag", "LastModified", "ContentLength"):
        assert after[name] == before[name]


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC64NVME", "SHA1", "CRC32C"])
def test_a_checksum_is_kept_and_told(
    s3: Any, wire: WireClient, at: dict[str, str], algorithm: str
) -> None:
    done = put(s3, at, "label", ChecksumAlgorithm=algorithm)
    got = s3.get_object_annotation(**at, AnnotationName="label", ChecksumMode="ENABLED")
    name = f"Checksum{algorithm}"
    assert got[name] == done[name]
    assert got["ChecksumType"] == "FULL_OBJECT"
    plain = wire.send("GET", f"/{at['Bucket']}/key?annotation&annotationName=label")
    assert not [one for one in plain.headers if one.startswith("x-amz-checksum")]


def test_a_wrong_checksum_or_digest_keeps_nothing(s3: Any, at: dict[str, str]) -> None:
    wrong = b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
    call = s3.put_object_annotation
    about = {**at, "AnnotationName": "label", "AnnotationPayload": b"text"}
    assert refused(call, **about, ChecksumCRC32=wrong) == "BadDigest"
    assert names(s3, at) == []


def test_a_listing_comes_in_pages_by_name(s3: Any, at: dict[str, str]) -> None:
    wanted = ["a", "b", "b/1", "b/2", "é"]
    for name in reversed(wanted):
        put(s3, at, name)
    assert names(s3, at) == wanted
    assert names(s3, at, AnnotationPrefix="b/") == ["b/1", "b/2"]
    pages, token = [], None
    while True:
        also: dict[str, Any] = {} if token is None else {"ContinuationToken": token}
        page = s3.list_object_annotations(**at, MaxAnnotationResults=2, **also)
        assert page["AnnotationCount"] == len(page["Annotations"])
        pages.append([one["AnnotationName"] for one in page["Annotations"]])
        assert page.get("ContinuationToken") == token
        token = page.get("NextContinuationToken")
        if token is None:
            break
    assert pages == [["a", "b"], ["b/1", "b/2"], ["é"]]


BAD_NAMES = [
    ("awsome", "InvalidAnnotationName"),
    ("AWS:x", "InvalidAnnotationName"),
    ("S3-x", "InvalidAnnotationName"),
    ("", "InvalidAnnotationName"),
    ("a\nb", "InvalidAnnotationName"),
    ("n" * 513, "AnnotationNameTooLong"),
    ("é" * 257, "AnnotationNameTooLong"),
]


@pytest.mark.parametrize(("name", "code"), BAD_NAMES)
def test_a_bad_name_is_refused(s3: Any, at: dict[str, str], name: str, code: str) -> None:
    about = {**at, "AnnotationName": name}
    assert refused(s3.put_object_annotation, **about, AnnotationPayload=b"x") == code
    assert refused(s3.get_object_annotation, **about) == code
    assert refused(s3.delete_object_annotation, **about) == code
    assert names(s3, at) == []


@given(st.text(max_size=300))
def test_any_name_is_taken_or_refused(name: str) -> None:
    if any("\ud800" <= one <= "\udfff" for one in name):
        return
    code = ""
    try:
        check_name(name)
    except S3Error as error:
        code = error.code
    assert code in ("", "InvalidAnnotationName", "AnnotationNameTooLong")
    assert code or 0 < len(name.encode()) <= 512


@given(st.binary(max_size=20), st.integers(0, 20))
def test_what_is_text_is_known_wherever_it_is_cut(data: bytes, cut: int) -> None:
    check, code = TextCheck(), ""
    try:
        check.feed(data[:cut])
        check.feed(data[cut:])
        check.finish()
    except S3Error as error:
        code = error.code
    whole = data.decode(errors="replace").encode() == data
    assert code == ("" if whole else "UnsupportedMediaType")


def test_a_text_has_1_byte_to_1_mib_of_utf_8(
    s3: Any, server: MemoryServer, at: dict[str, str]
) -> None:
    call = s3.put_object_annotation
    about = {**at, "AnnotationName": "label"}
    assert refused(call, **about, AnnotationPayload=b"") == "EntityTooSmall"
    assert refused(call, **about, AnnotationPayload=b"x" * (MIB + 1)) == "EntityTooLarge"
    assert refused(call, **about, AnnotationPayload=b"x\xff") == "UnsupportedMediaType"
    assert refused(call, **about, AnnotationPayload="é".encode()[:1]) == "UnsupportedMediaType"
    assert names(s3, at) == []
    whole = "é".encode() * (MIB // 2)
    put(s3, at, "label", whole)
    assert text(s3, at, "label") == whole
    sound(server)


BAD = [
    ("PUT", "annotation", b"x", {}, 400, "InvalidRequest"),
    ("DELETE", "annotation", b"", {}, 400, "InvalidRequest"),
    ("POST", "annotation", b"", {}, 405, "MethodNotAllowed"),
    ("GET", "annotation&max-annotation-results=0", b"", {}, 400, "InvalidArgument"),
    ("GET", "annotation&max-annotation-results=x", b"", {}, 400, "InvalidArgument"),
    ("GET", "annotation&continuation-token=x", b"", {}, 400, "InvalidArgument"),
    ("GET", "annotation&annotation-prefix=" + "p" * 513, b"", {}, 400, "InvalidPrefix"),
    ("GET", "annotation&annotation-prefix=%01", b"", {}, 400, "InvalidPrefix"),
    ("GET", "annotation&tagging", b"", {}, 400, "InvalidArgument"),
    ("GET", "annotation&annotationName=%FF", b"", {}, 400, "InvalidArgument"),
    ("GET", "annotation&versionId=x", b"", {}, 400, "InvalidArgument"),
    ("PUT", "annotation&annotationName=a", b"x", {"x-amz-object-if-match": '"1"'}, 412, ""),
    ("DELETE", "annotation&annotationName=a", b"", {"x-amz-object-if-match": '"1"'}, 412, ""),
    ("PUT", "annotation&annotationName=a", b"x", {"x-amz-expected-bucket-owner": "o"}, 403, ""),
]


@pytest.mark.parametrize(("method", "query", "body", "headers", "status", "code"), BAD)
def test_a_bad_request_changes_nothing(
    wire: WireClient,
    s3: Any,
    at: dict[str, str],
    method: str,
    query: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    put(s3, at, "kept")
    answer = wire.send(method, f"/{at['Bucket']}/key?{query}", body, headers)
    assert answer.status == status
    assert answer.code == code or not code
    assert names(s3, at) == ["kept"]
    assert s3.get_object(**at)["Body"].read() == b"x"


def test_a_condition_is_about_the_object(s3: Any, at: dict[str, str]) -> None:
    etag = s3.head_object(**at)["ETag"]
    put(s3, at, "label", ObjectIfMatch=etag)
    call = s3.put_object_annotation
    about = {**at, "AnnotationName": "other", "AnnotationPayload": b"x"}
    assert refused(call, **about, ObjectIfMatch='"other"') == "PreconditionFailed"
    s3.delete_object_annotation(**at, AnnotationName="label", ObjectIfMatch=etag)
    assert names(s3, at) == []


def test_annotations_are_those_of_an_object(s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "none"}
    assert refused(s3.list_object_annotations, **about) == "NoSuchKey"
    about["AnnotationName"] = "a"
    assert refused(s3.get_object_annotation, **about) == "NoSuchKey"
    assert refused(s3.delete_object_annotation, **about) == "NoSuchKey"
    assert refused(s3.put_object_annotation, **about, AnnotationPayload=b"x") == "NoSuchKey"


def test_each_version_has_its_own_and_they_go_with_it(
    s3: Any, server: MemoryServer, bucket: str
) -> None:
    at = {"Bucket": bucket, "Key": "key"}
    on = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=on)
    ids = [s3.put_object(**at, Body=b"x")["VersionId"] for _ in range(2)]
    done = put(s3, {**at, "VersionId": ids[0]}, "old")
    assert done["ObjectVersionId"] == ids[0]
    assert put(s3, at, "new")["ObjectVersionId"] == ids[1]
    assert names(s3, {**at, "VersionId": ids[0]}) == ["old"]
    assert names(s3, at) == ["new"]
    marker = s3.delete_object(**at)["VersionId"]
    assert refused(s3.list_object_annotations, **at) == "NoSuchKey"
    about = {**at, "VersionId": marker}
    assert refused(s3.list_object_annotations, **about) == "MethodNotAllowed"
    assert text(s3, {**at, "VersionId": ids[0]}, "old") == b"text"
    for one in (*ids, marker):
        s3.delete_object(**at, VersionId=one)
    sound(server)
    s3.delete_bucket(Bucket=bucket)


def test_an_object_that_is_written_over_has_none(
    s3: Any, server: MemoryServer, at: dict[str, str]
) -> None:
    put(s3, at, "label")
    s3.put_object(**at, Body=b"y")
    assert names(s3, at) == []
    sound(server)


def test_they_are_no_objects_and_add_no_bytes_to_the_bucket(
    s3: Any, server: MemoryServer, at: dict[str, str]
) -> None:
    put(s3, at, "label", b"x" * 1000)
    catalog: Any = server.engine.catalog
    store = catalog.store_named("main")
    row = catalog.bucket(store.id, at["Bucket"])
    assert (row.objects, row.bytes) == (1, 1)


def test_there_are_a_thousand_at_most_and_all_go_with_the_object(
    s3: Any, server: MemoryServer, at: dict[str, str], wire: WireClient
) -> None:
    path = f"/{at['Bucket']}/key?annotation&annotationName="
    for number in range(1000):
        assert wire.send("PUT", f"{path}{number:04}", b"x").status == 200
    assert refused(
        s3.put_object_annotation, **at, AnnotationName="one more", AnnotationPayload=b"x"
    ) == ("AnnotationLimitExceeded")
    put(s3, at, "0000", b"replaced")
    listed = s3.list_object_annotations(**at)
    assert listed["AnnotationCount"] == 1000
    assert "NextContinuationToken" not in listed
    sound(server)
    s3.delete_object(**at)
    catalog: Any = server.engine.catalog
    assert catalog.has_orphans()
    sound(server)
    reaped = server.commit(ReapOrphans(100))
    assert reaped == Reaped(100, True)
    while server.commit(ReapOrphans()) != Reaped(0, False):
        sound(server)
    assert not catalog.has_orphans()
    left = "SELECT count(*) FROM annotations WHERE name = '0999'"
    assert catalog._db.execute(left).get == 0


@pytest.mark.parametrize("onto", ["another", "itself"])
def test_a_copy_takes_them_over_without_moving_a_byte(
    s3: Any, server: MemoryServer, at: dict[str, str], onto: str
) -> None:
    put(s3, at, "a", b"one")
    put(s3, at, "b", b"two")
    there = {**at, "Key": "copy"} if onto == "another" else at
    s3.copy_object(**there, CopySource=at, MetadataDirective="REPLACE")
    assert [text(s3, there, name) for name in names(s3, there)] == [b"one", b"two"]
    sound(server)
    put(s3, there, "a", b"changed")
    if onto == "another":
        assert text(s3, at, "a") == b"one"
    s3.delete_object(**at)
    if onto == "another":
        assert text(s3, there, "b") == b"two"
    s3.delete_object(**there)
    sound(server)


def test_a_copy_may_leave_them_out(s3: Any, wire: WireClient, at: dict[str, str]) -> None:
    put(s3, at, "a")
    there = {**at, "Key": "copy"}
    s3.copy_object(**there, CopySource=at, AnnotationDirective="EXCLUDE")
    assert names(s3, there) == []
    headers = {
        "x-amz-copy-source": f"{at['Bucket']}/key",
        "x-amz-object-annotation-directive": "SOME",
    }
    answer = wire.send("PUT", f"/{at['Bucket']}/other", b"", headers)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(("source", "copy"), [({}, KMS), (KMS, {}), (KMS, KMS)])
def test_a_copy_that_is_encrypted_otherwise_takes_them_over_too(
    s3: Any, server: MemoryServer, bucket: str, source: dict[str, str], copy: dict[str, str]
) -> None:
    at, there = {"Bucket": bucket, "Key": "key"}, {"Bucket": bucket, "Key": "copy"}
    s3.put_object(**at, Body=b"x", **source)
    put(s3, at, "a", b"one")
    put(s3, at, "b", b"two", ChecksumAlgorithm="SHA256")
    s3.copy_object(**there, CopySource=at, **copy)
    assert [text(s3, there, name) for name in names(s3, there)] == [b"one", b"two"]
    got = s3.get_object_annotation(**there, AnnotationName="b", ChecksumMode="ENABLED")
    assert "ChecksumSHA256" in got
    assert got["ServerSideEncryption"] == copy.get("ServerSideEncryption", "AES256")
    sound(server)


def test_an_object_under_its_customers_key_has_none(
    s3: Any, bucket: str, at: dict[str, str]
) -> None:
    there = {"Bucket": bucket, "Key": "secret"}
    s3.put_object(**there, Body=b"x", **SSE_C)
    call = s3.put_object_annotation
    about = {**there, "AnnotationName": "a"}
    assert refused(call, **about, AnnotationPayload=b"x") == "InvalidRequest"
    assert names(s3, there) == []
    assert refused(s3.get_object_annotation, **about) == "NoSuchAnnotation"
    put(s3, at, "a")
    assert refused(s3.copy_object, **there, CopySource=at, **SSE_C) == "InvalidRequest"
    s3.copy_object(**there, CopySource=at, **SSE_C, AnnotationDirective="EXCLUDE")


def test_the_etag_says_nothing_of_a_text_under_a_key(s3: Any, bucket: str) -> None:
    at = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**at, Body=b"x", **KMS)
    tags = {put(s3, at, name)["ETag"] for name in "ab"}
    assert len(tags) == 2


def permitting(bucket: str, *actions: str) -> str:
    listed = ", ".join(f'"s3:{action}"' for action in actions)
    return (
        '{"Statement": [{"Effect": "Allow", "Principal": "*", '
        f'"Action": [{listed}], "Resource": "arn:aws:s3:::{bucket}/*"}}]}}'
    )


def test_each_right_is_asked_for(
    s3: Any, server: MemoryServer, stranger: Credentials, at: dict[str, str]
) -> None:
    put(s3, at, "a")
    other = boto(server, stranger)
    calls: dict[str, Callable[[], Any]] = {
        "ListObjectAnnotations": lambda: other.list_object_annotations(**at),
        "GetObjectAnnotation": lambda: other.get_object_annotation(**at, AnnotationName="a"),
        "PutObjectAnnotation": lambda: put(other, at, "a"),
        "DeleteObjectAnnotation": lambda: other.delete_object_annotation(**at, AnnotationName="a"),
    }
    for action, call in calls.items():
        assert refused(call) == "AccessDenied"
        s3.put_bucket_policy(Bucket=at["Bucket"], Policy=permitting(at["Bucket"], action))
        call()


def test_a_copy_needs_the_rights_to_read_and_put_them(
    s3: Any, server: MemoryServer, stranger: Credentials, at: dict[str, str]
) -> None:
    put(s3, at, "a")
    other, bucket = boto(server, stranger), at["Bucket"]
    there = {**at, "Key": "copy"}
    rights = ["GetObject", "PutObject", "GetObjectAnnotation"]
    s3.put_bucket_policy(Bucket=bucket, Policy=permitting(bucket, *rights))
    assert refused(other.copy_object, **there, CopySource=at) == "AccessDenied"
    other.copy_object(**there, CopySource=at, AnnotationDirective="EXCLUDE")
    rights.append("PutObjectAnnotation")
    s3.put_bucket_policy(Bucket=bucket, Policy=permitting(bucket, *rights))
    other.copy_object(**there, CopySource=at)
    assert names(s3, there) == ["a"]
