from __future__ import annotations

from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire import documents as docs
from coffre.wire.errors import S3Error
from coffre.wire.xml import document, element, tag

OWNER = docs.Owner("id-1", "Ann <a&b>")
NOW = 1_255_369_830_123
KEYS = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\ufffe\uffff"), min_size=1
)
SERVICE = get_session().get_service_model("s3")


def answer(operation: str, body: bytes) -> dict[str, Any]:
    """What botocore's own parser makes of an answer."""
    shape = SERVICE.operation_model(operation).output_shape
    parsed = create_parser("rest-xml").parse(
        {"status_code": 200, "headers": {}, "body": body}, shape
    )
    parsed.pop("ResponseMetadata")
    return dict(parsed)


def malformed(parser: Any, body: bytes) -> None:
    with pytest.raises(S3Error, match="MalformedXML"):
        parser(body)


def test_create_bucket_may_name_a_region() -> None:
    constraint = tag("LocationConstraint", "fr1")
    assert docs.parse_create_bucket(b"") == (None, {})
    assert docs.parse_create_bucket(document("CreateBucketConfiguration")) == (None, {})
    assert docs.parse_create_bucket(document("CreateBucketConfiguration", constraint)) == (
        "fr1",
        {},
    )
    full = document(
        "CreateBucketConfiguration",
        constraint,
        element("Location", tag("Name", "x"), tag("Type", "y")),
        element("Bucket", tag("Type", "Directory")),
    )
    assert docs.parse_create_bucket(full)[0] == "fr1"
    for bad in (constraint * 2, tag("Region", "fr1")):
        malformed(docs.parse_create_bucket, document("CreateBucketConfiguration", bad))


def delete_body(*objects: str, quiet: str = "") -> bytes:
    return document("Delete", *(element("Object", one) for one in objects), quiet)


def test_delete_reads_objects_with_their_conditions() -> None:
    conditions = (
        tag("Key", "a b/é"),
        tag("VersionId", "v1"),
        tag("ETag", '"abc"'),
        tag("LastModifiedTime", "Mon, 12 Oct 2009 17:50:30 GMT"),
        tag("Size", 5),
    )
    body = delete_body("".join(conditions), tag("Key", " "), quiet=tag("Quiet", "true"))
    assert docs.parse_delete(body) == (
        True,
        [
            docs.DeleteEntry("a b/é".encode(), "v1", "abc", NOW // 1000 * 1000, 5),
            docs.DeleteEntry(b" "),
        ],
    )


def test_delete_takes_iso_times_too() -> None:
    times = tag("Key", "a") + tag("LastModifiedTime", "2009-10-12T17:50:30.123Z")
    assert docs.parse_delete(delete_body(times))[1][0].last_modified_ms == NOW


def test_delete_holds_one_to_a_thousand_objects() -> None:
    assert len(docs.parse_delete(delete_body(*[tag("Key", "k" * 1024)] * 1000))[1]) == 1000
    malformed(docs.parse_delete, delete_body(*[tag("Key", "k")] * 1001))
    malformed(docs.parse_delete, delete_body())


@pytest.mark.parametrize(
    "entry",
    [
        "",
        tag("Key", ""),
        tag("VersionId", "v"),
        tag("Key", "a") * 2,
        tag("Key", "a") + tag("Size", "big"),
        tag("Key", "a") + tag("LastModifiedTime", "soon"),
        tag("Key", "a") + tag("Other", "b"),
    ],
)
def test_a_delete_entry_is_as_the_schema_says(entry: str) -> None:
    malformed(docs.parse_delete, delete_body(entry))


@given(st.lists(KEYS, min_size=1, max_size=5))
def test_any_keys_reach_delete(keys: list[str]) -> None:
    _, entries = docs.parse_delete(delete_body(*(tag("Key", key) for key in keys)))
    assert [entry.key for entry in entries] == [key.encode() for key in keys]


def complete_body(*parts: str) -> bytes:
    return document("CompleteMultipartUpload", *(element("Part", part) for part in parts))


def part(number: int | str, *more: str) -> str:
    return tag("PartNumber", number) + tag("ETag", f'"e{number}"') + "".join(more)


def test_complete_reads_parts_in_the_clients_order() -> None:
    body = complete_body(part(2, tag("ChecksumCRC32C", "AAAAAA==")), part(1))
    assert docs.parse_complete(body) == [
        docs.CompletedPart(2, "e2", {"CRC32C": "AAAAAA=="}),
        docs.CompletedPart(1, "e1"),
    ]


def test_complete_holds_one_to_ten_thousand_parts() -> None:
    checksum = tag("ChecksumSHA256", "A" * 44)
    numbers = range(1, 10_001)
    assert len(docs.parse_complete(complete_body(*(part(n, checksum) for n in numbers)))) == 10_000
    malformed(docs.parse_complete, complete_body(*(part(n) for n in range(1, 10_002))))
    malformed(docs.parse_complete, complete_body())


@pytest.mark.parametrize(
    "bad", ["", tag("PartNumber", 1), tag("ETag", "e"), part("one"), part(1, tag("Checksum", "x"))]
)
def test_a_part_is_as_the_schema_says(bad: str) -> None:
    malformed(docs.parse_complete, complete_body(bad))


def test_part_numbers_start_at_one() -> None:
    with pytest.raises(S3Error, match="PartNumber must be >= 1"):
        docs.parse_complete(complete_body(part(0)))


def test_copies_say_etag_time_and_checksums() -> None:
    sums = {"CRC64NVME": "AAAAAAAAAAA="}
    whole = answer("CopyObject", docs.render_copy("abc", NOW, sums, "FULL_OBJECT"))
    copied = whole["CopyObjectResult"]
    assert copied.pop("LastModified").timestamp() * 1000 == NOW // 1000 * 1000
    assert copied == {
        "ETag": '"abc"',
        "ChecksumCRC64NVME": "AAAAAAAAAAA=",
        "ChecksumType": "FULL_OBJECT",
    }
    piece = answer("UploadPartCopy", docs.render_copy("abc", NOW, part=True))
    assert set(piece["CopyPartResult"]) == {"ETag", "LastModified"}


def test_deletes_are_told_one_by_one_and_quietly_only_the_failures() -> None:
    deleted = [
        docs.Deleted(b"a<b"),
        docs.Deleted(b"c", "v1", delete_marker=True, delete_marker_version_id="v1"),
    ]
    failures = [docs.DeleteFailure(b"d", "AccessDenied", "Access Denied", "v2")]
    told = answer("DeleteObjects", docs.render_deletes(deleted, failures, quiet=False))
    assert told == {
        "Deleted": [
            {"Key": "a<b"},
            {
                "Key": "c",
                "VersionId": "v1",
                "DeleteMarker": True,
                "DeleteMarkerVersionId": "v1",
            },
        ],
        "Errors": [
            {"Key": "d", "VersionId": "v2", "Code": "AccessDenied", "Message": "Access Denied"}
        ],
    }
    quiet = answer("DeleteObjects", docs.render_deletes(deleted, failures, quiet=True))
    assert set(quiet) == {"Errors"}


@given(KEYS)
def test_multipart_answers_carry_the_key(key: str) -> None:
    started = answer("CreateMultipartUpload", docs.render_initiated("b", key.encode(), "u1"))
    assert started == {"Bucket": "b", "Key": key, "UploadId": "u1"}
    body = docs.render_completed("http://h/b/k", "b", key.encode(), "abc-2", {"SHA1": "x-2"})
    assert answer("CompleteMultipartUpload", body) == {
        "Location": "http://h/b/k",
        "Bucket": "b",
        "Key": key,
        "ETag": '"abc-2"',
        "ChecksumSHA1": "x-2",
    }


def test_attributes_are_those_asked_for() -> None:
    parts = docs.PartsAttributes(
        total=2,
        marker=0,
        next_marker=1,
        max_parts=1,
        truncated=True,
        parts=[docs.PartAttributes(1, 5, {"SHA256": "s"})],
    )
    asked = docs.Attributes("abc-2", {"SHA256": "s-2"}, "COMPOSITE", parts, "STANDARD", 9)
    assert answer("GetObjectAttributes", docs.render_attributes(asked)) == {
        "ETag": "abc-2",
        "Checksum": {"ChecksumSHA256": "s-2", "ChecksumType": "COMPOSITE"},
        "ObjectParts": {
            "TotalPartsCount": 2,
            "PartNumberMarker": 0,
            "NextPartNumberMarker": 1,
            "MaxParts": 1,
            "IsTruncated": True,
            "Parts": [{"PartNumber": 1, "Size": 5, "ChecksumSHA256": "s"}],
        },
        "StorageClass": "STANDARD",
        "ObjectSize": 9,
    }
    assert answer("GetObjectAttributes", docs.render_attributes(docs.Attributes(size=0))) == {
        "ObjectSize": 0
    }


def test_small_bucket_documents_read_back() -> None:
    location = answer("GetBucketLocation", docs.render_location("fr1"))
    assert b">fr1</LocationConstraint>" in docs.render_location("fr1")
    assert set(location) <= {"LocationConstraint"}
    assert answer("GetBucketVersioning", docs.render_versioning()) == {}
