"""Reading: ranges, parts, conditions, attributes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.boto_client import pattern, refused
from tests.protocol.wire_client import Answer, WireClient

SIZE = 3 * 65536 + 17
BODY = pattern(SIZE)
PAST, FUTURE = "Tue, 01 Jan 2019 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.fixture(scope="module")
def place(s3: Any) -> str:
    s3.create_bucket(Bucket="to-read")
    s3.put_object(Bucket="to-read", Key="k", Body=BODY)
    s3.put_object(Bucket="to-read", Key="empty", Body=b"")
    return "/to-read/k"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=65535-65536", 65535, 65537),
        ("bytes=10-", 10, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes=5-{SIZE * 9}", 5, SIZE),
    ],
)
def test_a_range_is_served(wire: WireClient, place: str, asked: str, start: int, end: int) -> None:
    got = wire.send("GET", place, b"", {"Range": asked})
    assert (got.status, got.body) == (206, BODY[start:end])
    assert got.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    head = wire.send("HEAD", place, b"", {"Range": asked})
    assert (head.status, head.headers["content-length"]) == (206, str(end - start))


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes", "bytes=-"]
)
def test_a_range_that_is_none_is_ignored(wire: WireClient, place: str, asked: str) -> None:
    got = wire.send("GET", place, b"", {"Range": asked})
    assert (got.status, got.body) == (200, BODY)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0", f"bytes={'9' * 40}-"])
def test_a_range_past_the_end_is_not_satisfiable(wire: WireClient, place: str, asked: str) -> None:
    got = wire.send("GET", place, b"", {"Range": asked})
    assert (got.status, got.code) == (416, "InvalidRange")
    assert got.field("ActualObjectSize") == str(SIZE)
    assert got.headers["content-range"] == f"bytes */{SIZE}"


def test_no_range_of_nothing(wire: WireClient, place: str) -> None:
    assert wire.send("GET", "/to-read/empty", b"", {"Range": "bytes=0-"}).status == 416
    whole = wire.send("GET", "/to-read/empty")
    assert (whole.status, whole.body, whole.headers["content-length"]) == (200, b"", "0")


def test_a_plain_object_is_its_own_first_part(wire: WireClient, place: str) -> None:
    first = wire.send("GET", place + "?partNumber=1")
    assert (first.status, first.body) == (206, BODY)
    assert "x-amz-mp-parts-count" not in first.headers
    second = wire.send("GET", place + "?partNumber=2")
    assert (second.status, second.code) == (416, "InvalidPartNumber")


@pytest.mark.parametrize("number", ["0", "10001", "-1", "one", ""])
def test_a_part_number_is_bounded(wire: WireClient, place: str, number: str) -> None:
    answer = wire.send("GET", f"{place}?partNumber={number}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_range_and_part_number_exclude_each_other(wire: WireClient, place: str) -> None:
    answer = wire.send("GET", place + "?partNumber=1", b"", {"Range": "bytes=0-1"})
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def etag_of(wire: WireClient, place: str) -> str:
    return wire.send("HEAD", place).headers["etag"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": "E"}, 200),
        ({"If-Match": '"other", E'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": "E"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-Modified-Since": PAST}, 200),
        ({"If-Modified-Since": FUTURE}, 304),
        ({"If-Modified-Since": "no date"}, 200),
        ({"If-Unmodified-Since": FUTURE}, 200),
        ({"If-Unmodified-Since": PAST}, 412),
        ({"If-Match": "E", "If-Unmodified-Since": PAST}, 200),
        ({"If-None-Match": "E", "If-Modified-Since": PAST}, 304),
    ],
)
def test_conditions_of_a_read(
    wire: WireClient, place: str, method: str, headers: dict[str, str], status: int
) -> None:
    etag = etag_of(wire, place)
    asked = {name: text.replace("E", etag) for name, text in headers.items() if name != "E"}
    if "Modified" in "".join(headers):
        asked = {n: headers[n] if "ince" in n else text for n, text in asked.items()}
    answer: Answer = wire.send(method, place, b"", asked)
    assert answer.status == status
    if status == 304:
        assert answer.body == b""
        assert (answer.headers["etag"], "last-modified" in answer.headers) == (etag, True)


def test_attributes_are_those_asked_for(s3: Any, place: str) -> None:
    asked = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    found = s3.get_object_attributes(Bucket="to-read", Key="k", ObjectAttributes=asked)
    assert (found["ObjectSize"], found["StorageClass"]) == (SIZE, "STANDARD")
    assert '"' not in found["ETag"]
    assert found["Checksum"]["ChecksumType"] == "FULL_OBJECT"
    assert "ObjectParts" not in found
    less = s3.get_object_attributes(Bucket="to-read", Key="k", ObjectAttributes=["ObjectSize"])
    assert {"ETag", "Checksum", "StorageClass"}.isdisjoint(less)


@pytest.mark.parametrize("asked", ["", "Colour", "ETag,Colour"])
def test_unknown_attributes_are_refused(wire: WireClient, place: str, asked: str) -> None:
    answer = wire.send("GET", place + "?attributes", b"", {"x-amz-object-attributes": asked})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_conditions_of_a_write(s3: Any, bucket: str) -> None:
    def put(**condition: str) -> str:
        return s3.put_object(Bucket=bucket, Key="k", Body=b"x", **condition)["ETag"]  # type: ignore[no-any-return]

    assert refused(put, IfMatch='"any"') == "NoSuchKey"
    etag = put(IfNoneMatch="*")
    assert refused(put, IfNoneMatch="*") == "PreconditionFailed"
    assert refused(put, IfMatch='"wrong"') == "PreconditionFailed"
    assert refused(put, IfNoneMatch=etag) == "NotImplemented"
    assert put(IfMatch=etag) == etag
    assert refused(s3.delete_object, Bucket=bucket, Key="k", IfMatch='"x"') == "PreconditionFailed"
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)
    put(IfNoneMatch="*")
