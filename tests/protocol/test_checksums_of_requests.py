"""Checksums: declared in headers and trailers, kept, shown, and wrong ones refused."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from awscrt import checksums as crt

from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient

BODY = b"some text to sum up"


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


SUMS = {
    "CRC32": b64(zlib.crc32(BODY).to_bytes(4, "big")),
    "CRC32C": b64(crt.crc32c(BODY).to_bytes(4, "big")),
    "CRC64NVME": b64(crt.crc64nvme(BODY).to_bytes(8, "big")),
    "SHA1": b64(hashlib.sha1(BODY).digest()),
    "SHA256": b64(hashlib.sha256(BODY).digest()),
}


@pytest.mark.parametrize("algorithm", SUMS)
def test_a_declared_checksum_is_kept_and_shown_on_demand(
    s3: Any, wire: WireClient, bucket: str, algorithm: str
) -> None:
    name = f"Checksum{algorithm}"
    put = s3.put_object(Bucket=bucket, Key="k", Body=BODY, **{name: SUMS[algorithm]})
    assert (put[name], put["ChecksumType"]) == (SUMS[algorithm], "FULL_OBJECT")
    shown = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (shown[name], shown["ChecksumType"]) == (SUMS[algorithm], "FULL_OBJECT")
    silent = wire.send("GET", f"/{bucket}/k").headers
    assert not any(header.startswith("x-amz-checksum") for header in silent)
    mode = {"x-amz-checksum-mode": "ENABLED", "Range": "bytes=0-3"}
    part = wire.send("GET", f"/{bucket}/k", b"", mode).headers
    assert not any(header.startswith("x-amz-checksum") for header in part)


def test_crc64nvme_is_kept_where_none_is_declared(wire: WireClient, bucket: str) -> None:
    put = wire.send("PUT", f"/{bucket}/k", BODY)
    assert put.headers["x-amz-checksum-crc64nvme"] == SUMS["CRC64NVME"]
    got = wire.send("GET", f"/{bucket}/k", b"", {"x-amz-checksum-mode": "ENABLED"})
    assert got.headers["x-amz-checksum-crc64nvme"] == SUMS["CRC64NVME"]
    assert got.headers["x-amz-checksum-type"] == "FULL_OBJECT"


@pytest.mark.parametrize("algorithm", SUMS)
def test_a_wrong_checksum_leaves_nothing(wire: WireClient, bucket: str, algorithm: str) -> None:
    header = {f"x-amz-checksum-{algorithm.lower()}": SUMS[algorithm]}
    answer = wire.send("PUT", f"/{bucket}/k", BODY + b"!", header)
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert wire.send("HEAD", f"/{bucket}/k").status == 404


def test_content_md5_is_held_against_the_body(wire: WireClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    right = {"Content-MD5": b64(hashlib.md5(BODY).digest())}
    assert wire.send("PUT", path, BODY, right).status == 200
    wrong = wire.send("PUT", path, b"other", right)
    assert (wrong.status, wrong.code) == (400, "BadDigest")
    bad = wire.send("PUT", path, BODY, {"Content-MD5": "nonsense"})
    assert (bad.status, bad.code) == (400, "InvalidDigest")
    assert wire.send("GET", path).body == BODY


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-crc32": SUMS["CRC32"], "x-amz-checksum-sha1": SUMS["SHA1"]},
        {"x-amz-checksum-crc32": "short"},
        {"x-amz-checksum-crc31": SUMS["CRC32"]},
        {"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-sha1": SUMS["SHA1"]},
        {"x-amz-sdk-checksum-algorithm": "CRC32"},
    ],
)
def test_contradictory_checksums_are_refused(
    wire: WireClient, bucket: str, headers: dict[str, str]
) -> None:
    answer = wire.send("PUT", f"/{bucket}/k", BODY, headers)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def chunked(wire: WireClient, path: str, body: bytes, headers: dict[str, str]) -> Any:
    """A body in unsigned aws-chunked framing, its mode signed."""
    fixed = {
        "Content-Encoding": "aws-chunked",
        "Content-Length": str(len(body)),
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        **headers,
    }
    return wire.raw("PUT", path, body, wire.signed("PUT", path, b"", fixed))


def test_a_trailing_checksum_is_checked_and_kept(wire: WireClient, bucket: str) -> None:
    path = f"/{bucket}/k"
    frame = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n"
    headers = {
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-decoded-content-length": str(len(BODY)),
    }
    right = frame % (len(BODY), BODY, SUMS["CRC32"].encode())
    answer = chunked(wire, path, right, headers)
    assert (answer.status, answer.headers["x-amz-checksum-crc32"]) == (200, SUMS["CRC32"])
    got = wire.send("GET", path)
    assert got.body == BODY
    assert "content-encoding" not in got.headers
    wrong = chunked(wire, path, frame % (len(BODY), BODY.upper(), SUMS["CRC32"].encode()), headers)
    assert (wrong.status, wrong.code) == (400, "BadDigest")
    cut = right[: right.index(b"0\r\nx-amz")]
    short = chunked(wire, path, cut, headers)
    assert (short.status, short.code) == (400, "IncompleteBody")
    undeclared = chunked(wire, path, right, {**headers, "x-amz-trailer": "x-amz-checksum-sha1"})
    assert (undeclared.status, undeclared.code) == (400, "MalformedTrailerError")
    without = {name: text for name, text in headers.items() if "decoded" not in name}
    lengthless = chunked(wire, path, right, without)
    assert (lengthless.status, lengthless.code) == (411, "MissingContentLength")
    assert wire.send("GET", path).body == BODY


def test_parts_and_their_object_have_checksums(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    parts = [b"a" * (5 << 20), b"tail"]
    for algorithm, kind in (("SHA256", "COMPOSITE"), ("CRC32", "FULL_OBJECT")):
        created = s3.create_multipart_upload(
            **where, ChecksumAlgorithm=algorithm, ChecksumType=kind
        )
        upload = created["UploadId"]
        assert (created["ChecksumAlgorithm"], created["ChecksumType"]) == (algorithm, kind)
        listed = []
        for number, body in enumerate(parts, 1):
            put = s3.upload_part(
                **where, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm
            )
            name = f"Checksum{algorithm}"
            listed.append({"PartNumber": number, "ETag": put["ETag"], name: put[name]})
        done = s3.complete_multipart_upload(
            **where, UploadId=upload, MultipartUpload={"Parts": listed}
        )
        whole = s3.head_object(**where, ChecksumMode="ENABLED")
        if kind == "COMPOSITE":
            digests = b"".join(hashlib.sha256(body).digest() for body in parts)
            expected = b64(hashlib.sha256(digests).digest()) + "-2"
        else:
            expected = b64(zlib.crc32(b"".join(parts)).to_bytes(4, "big"))
        assert (done[name], whole[name], whole["ChecksumType"]) == (expected, expected, kind)
        second = s3.head_object(**where, PartNumber=2, ChecksumMode="ENABLED")
        assert second[name] == listed[1][name]
        asked = ["ObjectParts", "Checksum"]
        found = s3.get_object_attributes(**where, ObjectAttributes=asked, MaxParts=1)
        assert found["ObjectParts"]["TotalPartsCount"] == 2
        assert found["ObjectParts"]["IsTruncated"]
        assert found["ObjectParts"]["Parts"][0][name] == listed[0][name]


def test_a_part_with_another_checksum_than_its_upload_is_refused(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")["UploadId"]
    code = refused(
        s3.upload_part,
        **where,
        UploadId=upload,
        PartNumber=1,
        Body=BODY,
        ChecksumCRC32C=SUMS["CRC32C"],
    )
    assert code == "InvalidRequest"
    put = s3.upload_part(
        **where, UploadId=upload, PartNumber=1, Body=BODY, ChecksumSHA256=SUMS["SHA256"]
    )
    bare = {"Parts": [{"PartNumber": 1, "ETag": put["ETag"]}]}
    finish = s3.complete_multipart_upload
    assert refused(finish, **where, UploadId=upload, MultipartUpload=bare) == "InvalidRequest"
    wrong = {"Parts": [{**bare["Parts"][0], "ChecksumSHA256": b64(bytes(32))}]}
    assert refused(finish, **where, UploadId=upload, MultipartUpload=wrong) == "InvalidPart"


def test_a_wrong_full_checksum_stops_the_completion(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(
        **where, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )["UploadId"]
    put = s3.upload_part(
        **where, UploadId=upload, PartNumber=1, Body=BODY, ChecksumAlgorithm="CRC32"
    )
    parts = {"Parts": [{"PartNumber": 1, "ETag": put["ETag"]}]}
    finish = {**where, "UploadId": upload, "MultipartUpload": parts}
    complete = s3.complete_multipart_upload
    assert refused(complete, **finish, ChecksumCRC32="AAAAAA==") == "BadDigest"
    assert refused(complete, **finish, ChecksumType="COMPOSITE") == "BadDigest"
    assert refused(complete, **finish, MpuObjectSize=1) == "InvalidRequest"
    done = complete(
        **finish, ChecksumCRC32=SUMS["CRC32"], ChecksumType="FULL_OBJECT", MpuObjectSize=len(BODY)
    )
    assert done["ChecksumCRC32"] == SUMS["CRC32"]


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("SHA1", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")]
)
def test_some_checksum_types_cannot_be(s3: Any, bucket: str, algorithm: str, kind: str) -> None:
    code = refused(
        s3.create_multipart_upload,
        Bucket=bucket,
        Key="k",
        ChecksumAlgorithm=algorithm,
        ChecksumType=kind,
    )
    assert code == "InvalidRequest"
