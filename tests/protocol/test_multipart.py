"""Multipart uploads, whole: every step, every order of things that can go wrong."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import pytest

from tests.protocol.boto_client import MIB, pattern, refused
from tests.protocol.wire_client import WireClient

BIG = pattern(5 * MIB)
TAIL = b"tail"


class Upload:
    """One upload in progress."""

    def __init__(self, s3: Any, bucket: str, key: str = "k", **said: Any) -> None:
        self.s3 = s3
        self.where = {"Bucket": bucket, "Key": key}
        self.id = s3.create_multipart_upload(**self.where, **said)["UploadId"]
        self.path = f"/{bucket}/{key}?uploadId={self.id}"

    def put(self, number: int, body: bytes) -> dict[str, Any]:
        done = self.s3.upload_part(**self.where, UploadId=self.id, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": done["ETag"]}

    def complete(self, *parts: dict[str, Any], **condition: Any) -> Any:
        return self.s3.complete_multipart_upload(
            **self.where, UploadId=self.id, MultipartUpload={"Parts": list(parts)}, **condition
        )


def test_parts_become_one_object(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket, Metadata={"m": "1"}, ContentType="a/b", Tagging="t=1")
    second, first = upload.put(7, TAIL), upload.put(2, BIG)
    upload.put(3, b"not chosen")
    done = upload.complete(first, second)
    digests = hashlib.md5(BIG).digest() + hashlib.md5(TAIL).digest()
    etag = f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert (done["ETag"], done["ServerSideEncryption"]) == (etag, "AES256")
    assert done["Location"].endswith(f"/{bucket}/k")
    got = s3.get_object(**upload.where)
    assert got["Body"].read() == BIG + TAIL
    assert (got["ETag"], got["Metadata"], got["ContentType"]) == (etag, {"m": "1"}, "a/b")
    crossing = s3.get_object(**upload.where, Range=f"bytes={len(BIG) - 3}-{len(BIG) + 1}")
    assert crossing["Body"].read() == (BIG + TAIL)[len(BIG) - 3 : len(BIG) + 2]
    part = s3.get_object(**upload.where, PartNumber=2)
    assert (part["Body"].read(), part["PartsCount"]) == (TAIL, 2)
    assert part["ContentRange"] == f"bytes {len(BIG)}-{len(BIG) + 3}/{len(BIG) + 4}"
    assert s3.head_object(**upload.where, PartNumber=1)["ContentLength"] == len(BIG)
    assert refused(s3.head_object, **upload.where, PartNumber=3) == "416"
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads") is None


def test_a_completion_repeated_answers_the_same(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    parts = [upload.put(1, BIG), upload.put(2, TAIL)]
    first, again = upload.complete(*parts), upload.complete(*parts)
    assert first["ChecksumCRC64NVME"]
    for name in ("ETag", "ChecksumCRC64NVME", "ChecksumType", "Location"):
        assert first[name] == again[name]
    assert refused(upload.complete, parts[0]) == "NoSuchUpload"
    s3.put_object(**upload.where, Body=b"newer")
    assert refused(upload.complete, *parts) == "NoSuchUpload"
    assert s3.get_object(**upload.where)["Body"].read() == b"newer"


def test_a_part_put_again_replaces_the_first(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    old, new = upload.put(1, b"old"), upload.put(1, b"new")
    assert refused(upload.complete, old) == "InvalidPart"
    upload.complete(new)
    assert s3.get_object(**upload.where)["Body"].read() == b"new"


def test_wrong_lists_are_refused_in_aws_order(s3: Any, wire: WireClient, bucket: str) -> None:
    upload = Upload(s3, bucket)
    small, big = upload.put(1, TAIL), upload.put(2, BIG)
    unknown = {"PartNumber": 9, "ETag": big["ETag"]}
    wrong = {"PartNumber": 2, "ETag": '"00000000000000000000000000000000"'}
    assert refused(upload.complete, big, small) == "InvalidPartOrder"
    assert refused(upload.complete, big, big) == "InvalidPartOrder"
    assert refused(upload.complete, small, unknown) == "InvalidPart"
    assert refused(upload.complete, small, wrong) == "InvalidPart"
    body = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{small['ETag']}</ETag>"
        f"</Part><Part><PartNumber>2</PartNumber><ETag>{big['ETag']}</ETag></Part>"
        "</CompleteMultipartUpload>"
    ).encode()
    answer = wire.send("POST", upload.path, body)
    assert (answer.status, answer.code) == (400, "EntityTooSmall")
    assert answer.field("ProposedSize") == "4"
    assert answer.field("MinSizeAllowed") == str(5 * MIB)
    assert answer.field("PartNumber") == "1"
    invalid = wire.send("POST", upload.path, body.replace(b">2<", b">8<"))
    assert (invalid.code, invalid.field("PartNumber")) == ("InvalidPart", "8")
    assert invalid.field("UploadId") == upload.id
    upload.complete(big)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MissingRequestBodyError"),
        (b"<CompleteMultipartUpload/>", "MalformedXML"),
        (b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (b"<CompleteMultipartUpload><Part>", "MalformedXML"),
        (
            b"<CompleteMultipartUpload><Part><PartNumber>0</PartNumber><ETag>x</ETag></Part>"
            b"</CompleteMultipartUpload>",
            "InvalidArgument",
        ),
        (
            b"<CompleteMultipartUpload>"
            + b"<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>" * 10_001
            + b"</CompleteMultipartUpload>",
            "MalformedXML",
        ),
    ],
)
def test_malformed_lists_are_refused(
    s3: Any, wire: WireClient, bucket: str, body: bytes, code: str
) -> None:
    answer = wire.send("POST", Upload(s3, bucket).path, body)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize("upload_id", ["", "nonsense", "AAAAAAAAAAAAAAAAAAAAAA", "%0A", "é" * 30])
def test_an_unknown_upload_is_missing(wire: WireClient, bucket: str, upload_id: str) -> None:
    query = f"/{bucket}/k?uploadId={quote(upload_id, safe='%')}"
    complete = (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"
        b"</CompleteMultipartUpload>"
    )
    for method, target, body in (
        ("PUT", query + "&partNumber=1", b"x"),
        ("GET", query, b""),
        ("DELETE", query, b""),
        ("POST", query, complete),
    ):
        answer = wire.send(method, target, body)
        assert (answer.status, answer.code) == (404, "NoSuchUpload"), method


def test_an_upload_belongs_to_its_key(s3: Any, wire: WireClient, bucket: str) -> None:
    upload = Upload(s3, bucket)
    other = upload.path.replace("/k?", "/other?")
    assert wire.send("GET", other).code == "NoSuchUpload"
    assert wire.send("PUT", other + "&partNumber=1", b"x").code == "NoSuchUpload"
    assert wire.send("DELETE", other).code == "NoSuchUpload"


@pytest.mark.parametrize("number", ["0", "10001", "-1", "1.5", "x", ""])
def test_part_numbers_are_bounded(s3: Any, wire: WireClient, bucket: str, number: str) -> None:
    path = Upload(s3, bucket).path
    answer = wire.send("PUT", f"{path}&partNumber={number}", b"x")
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert answer.field("ArgumentName") == "partNumber"


def test_a_part_number_and_an_upload_need_each_other(
    s3: Any, wire: WireClient, bucket: str
) -> None:
    assert wire.send("PUT", f"/{bucket}/k?partNumber=1", b"x").code == "InvalidArgument"
    assert wire.send("PUT", Upload(s3, bucket).path, b"x").code == "InvalidArgument"
    assert wire.send("HEAD", f"/{bucket}/k").status == 404


def test_an_aborted_upload_is_gone(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    part = upload.put(1, BIG)
    s3.abort_multipart_upload(**upload.where, UploadId=upload.id)
    assert refused(upload.put, 2, b"x") == "NoSuchUpload"
    assert refused(upload.complete, part) == "NoSuchUpload"
    assert refused(s3.abort_multipart_upload, **upload.where, UploadId=upload.id) == "NoSuchUpload"


def test_a_completion_can_be_conditional(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    part = upload.put(1, TAIL)
    standing = s3.put_object(**upload.where, Body=b"standing")["ETag"]
    assert refused(upload.complete, part, IfNoneMatch="*") == "PreconditionFailed"
    assert refused(upload.complete, part, IfMatch='"other"') == "PreconditionFailed"
    upload.complete(part, IfMatch=standing)
    assert s3.get_object(**upload.where)["Body"].read() == TAIL


def test_parts_are_listed_in_pages(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket, ChecksumAlgorithm="CRC32")
    for number in (1, 5, 9):
        upload.put(number, b"x" * number)
    listing = {**upload.where, "UploadId": upload.id, "MaxParts": 2}
    page = s3.list_parts(**listing)
    assert [(one["PartNumber"], one["Size"]) for one in page["Parts"]] == [(1, 1), (5, 5)]
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 5)
    assert all("ChecksumCRC32" in one for one in page["Parts"])
    rest = s3.list_parts(**listing, PartNumberMarker=5)
    assert [one["PartNumber"] for one in rest["Parts"]] == [9]
    assert not rest["IsTruncated"]


def test_uploads_are_listed_in_pages(s3: Any, wire: WireClient, bucket: str) -> None:
    keys = ["a/1", "a/2", "b", "b", "c d"]
    uploads = [Upload(s3, bucket, key) for key in keys]
    seen, markers = [], {"KeyMarker": "", "UploadIdMarker": ""}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **markers)
        seen += [(one["Key"], one["UploadId"]) for one in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        markers = {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }
    assert seen == [(key, upload.id) for key, upload in zip(keys, uploads, strict=True)]
    grouped = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/", Prefix="")
    assert [one["Prefix"] for one in grouped["CommonPrefixes"]] == ["a/"]
    assert [one["Key"] for one in grouped["Uploads"]] == ["b", "b", "c d"]
    none = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=0)
    assert not none["IsTruncated"]
    assert wire.send("GET", f"/{bucket}?uploads&max-uploads=x").code == "InvalidArgument"
    bad = wire.send("GET", f"/{bucket}?uploads&key-marker=a&upload-id-marker=zz")
    assert bad.code == "InvalidArgument"


def test_an_object_of_empty_parts_is_empty(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    upload.complete(upload.put(1, b""))
    assert s3.get_object(**upload.where)["Body"].read() == b""
    assert s3.head_object(**upload.where)["ContentLength"] == 0
