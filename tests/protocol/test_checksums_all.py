"""Every checksum of botocore's model, whichever way an object comes in: header, trailer, parts,
copies; and what is told of it afterwards."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import botocore.session
import pytest

from coffre.wire.checksums import Algorithm, Running, composite
from coffre.wire.documents import CHECKSUMS
from tests.protocol.boto_client import MIB, refused
from tests.protocol.test_kms import KMS, Keys
from tests.protocol.wire_client import WireClient

_MODEL = botocore.session.get_session().get_service_model("s3")
ALGORITHMS: list[str] = _MODEL.shape_for("ChecksumAlgorithm").enum
FULL = ("CRC32", "CRC32C", "CRC64NVME")
COMPOSITE = sorted(set(ALGORITHMS) - {"CRC64NVME"})
BODY = b"what is measured"


@pytest.fixture(scope="session")
def keys(server: Any) -> Keys:
    return Keys(server)


def of(algorithm: str, body: bytes) -> str:
    running = Running(Algorithm(algorithm))
    running.update(body)
    return running.value_b64()


def sums(answer: Any) -> dict[str, str]:
    """The checksums that an answer tells, by algorithm."""
    return {name: answer[f"Checksum{name}"] for name in ALGORITHMS if f"Checksum{name}" in answer}


def header(algorithm: str) -> str:
    return f"x-amz-checksum-{algorithm.lower()}"


def test_every_algorithm_of_the_model_is_known() -> None:
    assert set(ALGORITHMS) == set(CHECKSUMS) == set(Algorithm.__members__)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_value_in_a_header_is_held_against_the_body_and_told(
    wire: WireClient, s3: Any, bucket: str, algorithm: str
) -> None:
    value = of(algorithm, BODY)
    put = wire.send("PUT", f"/{bucket}/key", BODY, {header(algorithm): value})
    assert (put.status, put.headers[header(algorithm)]) == (200, value)
    assert put.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    wrong = wire.send("PUT", f"/{bucket}/other", b"other", {header(algorithm): value})
    assert (wrong.status, wrong.code) == (400, "BadDigest")
    about = {"Bucket": bucket, "Key": "key"}
    for told in (
        s3.head_object(**about, ChecksumMode="ENABLED"),
        s3.get_object(**about, ChecksumMode="ENABLED"),
    ):
        assert (sums(told), told["ChecksumType"]) == ({algorithm: value}, "FULL_OBJECT")
    assert sums(s3.head_object(**about)) == {}
    asked = s3.get_object_attributes(**about, ObjectAttributes=["Checksum", "ObjectParts"])
    assert asked["Checksum"] == {f"Checksum{algorithm}": value, "ChecksumType": "FULL_OBJECT"}
    assert "ObjectParts" not in asked
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ([algorithm], "FULL_OBJECT")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_value_in_a_trailer_is_held_against_the_body(
    wire: WireClient, bucket: str, algorithm: str
) -> None:
    for value, expected in ((of(algorithm, BODY), ""), (of(algorithm, b"other"), "BadDigest")):
        chunked = b"%x\r\n%s\r\n0\r\n%s:%s\r\n\r\n" % (
            len(BODY),
            BODY,
            header(algorithm).encode(),
            value.encode(),
        )
        headers = {
            "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": str(len(BODY)),
            "x-amz-trailer": header(algorithm),
            "Content-Encoding": "aws-chunked",
        }
        answer = wire.send("PUT", f"/{bucket}/key", chunked, headers)
        assert answer.code == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_copy_keeps_the_checksum_or_computes_the_one_that_is_asked_for(
    s3: Any, wire: WireClient, bucket: str, algorithm: str
) -> None:
    wire.send("PUT", f"/{bucket}/key", BODY, {header("SHA1"): of("SHA1", BODY)})
    about = {"Bucket": bucket, "CopySource": f"{bucket}/key"}
    kept = s3.copy_object(**about, Key="kept")["CopyObjectResult"]
    assert sums(kept) == {"SHA1": of("SHA1", BODY)}
    made = s3.copy_object(**about, Key="made", ChecksumAlgorithm=algorithm)["CopyObjectResult"]
    assert (sums(made), made["ChecksumType"]) == ({algorithm: of(algorithm, BODY)}, "FULL_OBJECT")
    told = s3.head_object(Bucket=bucket, Key="made", ChecksumMode="ENABLED")
    assert sums(told) == sums(made)


def upload(
    s3: Any, wire: WireClient, bucket: str, algorithm: str | None, kind: str | None
) -> tuple[Any, list[bytes]]:
    """A finished upload of two parts with checksums in their headers: its answer, and the parts."""
    about: dict[str, Any] = {"Bucket": bucket, "Key": "key"}
    asked = {} if algorithm is None else {"ChecksumAlgorithm": algorithm}
    if kind is not None:
        asked["ChecksumType"] = kind
    about["UploadId"] = s3.create_multipart_upload(**about, **asked)["UploadId"]
    bodies, parts = [b"a" * (5 * MIB), b"tail"], []
    for number, body in enumerate(bodies, 1):
        sent = {} if algorithm is None else {header(algorithm): of(algorithm, body)}
        target = f"/{bucket}/key?partNumber={number}&uploadId={about['UploadId']}"
        put = wire.send("PUT", target, body, sent)
        assert put.status == 200
        part = {"PartNumber": number, "ETag": put.headers["etag"]}
        if algorithm is not None:
            part[f"Checksum{algorithm}"] = put.headers[header(algorithm)]
        parts.append(part)
    return s3.complete_multipart_upload(**about, MultipartUpload={"Parts": parts}), bodies


@pytest.mark.parametrize("algorithm", COMPOSITE)
def test_a_composite_is_made_of_the_parts_checksums(
    s3: Any, wire: WireClient, bucket: str, algorithm: str
) -> None:
    done, bodies = upload(s3, wire, bucket, algorithm, None)
    digests = []
    for body in bodies:
        running = Running(Algorithm(algorithm))
        running.update(body)
        digests.append(running.value())
    expected = {algorithm: composite(Algorithm(algorithm), digests)}
    about = {"Bucket": bucket, "Key": "key"}
    head = s3.head_object(**about, ChecksumMode="ENABLED")
    assert sums(done) == sums(head) == expected
    assert done["ChecksumType"] == head["ChecksumType"] == "COMPOSITE"
    one = s3.get_object_attributes(**about, ObjectAttributes=["ObjectParts"], MaxParts=1)
    page = one["ObjectParts"]
    assert (page["TotalPartsCount"], page["IsTruncated"]) == (2, True)
    assert page["Parts"] == [
        {"PartNumber": 1, "Size": 5 * MIB, f"Checksum{algorithm}": of(algorithm, bodies[0])}
    ]
    rest = s3.get_object_attributes(
        **about, ObjectAttributes=["ObjectParts"], PartNumberMarker=page["NextPartNumberMarker"]
    )["ObjectParts"]
    assert (rest["IsTruncated"], [part["PartNumber"] for part in rest["Parts"]]) == (False, [2])
    second = s3.head_object(**about, PartNumber=2, ChecksumMode="ENABLED")
    assert sums(second) == {algorithm: of(algorithm, bodies[1])}


@pytest.mark.parametrize("algorithm", FULL)
def test_a_full_object_checksum_is_that_of_the_whole(
    s3: Any, wire: WireClient, bucket: str, algorithm: str
) -> None:
    done, bodies = upload(s3, wire, bucket, algorithm, "FULL_OBJECT")
    assert sums(done) == {algorithm: of(algorithm, b"".join(bodies))}
    assert done["ChecksumType"] == "FULL_OBJECT"


def test_an_upload_that_asks_for_none_has_crc64nvme_and_lists_no_parts(
    s3: Any, wire: WireClient, bucket: str
) -> None:
    done, bodies = upload(s3, wire, bucket, None, None)
    expected = {"CRC64NVME": of("CRC64NVME", b"".join(bodies))}
    about = {"Bucket": bucket, "Key": "key"}
    assert sums(done) == sums(s3.head_object(**about, ChecksumMode="ENABLED")) == expected
    page = s3.get_object_attributes(**about, ObjectAttributes=["ObjectParts"])["ObjectParts"]
    assert page["TotalPartsCount"] == 2
    assert "Parts" not in page


@pytest.mark.parametrize("algorithm", sorted(set(ALGORITHMS) - set(FULL)))
def test_hashes_have_no_full_object_checksum_of_parts(s3: Any, bucket: str, algorithm: str) -> None:
    about = {"Bucket": bucket, "Key": "key", "ChecksumAlgorithm": algorithm}
    code = refused(s3.create_multipart_upload, **about, ChecksumType="FULL_OBJECT")
    assert code == "InvalidRequest"


@pytest.mark.parametrize("algorithm", COMPOSITE)
def test_a_part_of_a_composite_needs_its_checksum(
    s3: Any, wire: WireClient, bucket: str, algorithm: str
) -> None:
    about = {"Bucket": bucket, "Key": "key"}
    made = s3.create_multipart_upload(**about, ChecksumAlgorithm=algorithm)["UploadId"]
    target = f"/{bucket}/key?partNumber=1&uploadId={made}"
    answer = wire.send("PUT", target, BODY)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert f"expected checksum Type: {algorithm.lower()}, actual checksum Type: null" in (
        answer.field("Message")
    )
    assert "Parts" not in s3.list_parts(**about, UploadId=made)
    # Nobody sends one with a copy: it is computed.
    s3.put_object(Bucket=bucket, Key="source", Body=BODY)
    copied = s3.upload_part_copy(
        **about, UploadId=made, PartNumber=1, CopySource=f"{bucket}/source"
    )
    assert sums(copied["CopyPartResult"]) == {algorithm: of(algorithm, BODY)}


def test_a_part_of_a_full_object_upload_needs_none(s3: Any, wire: WireClient, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "key"}
    asked = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    made = s3.create_multipart_upload(**about, **asked)["UploadId"]
    target = f"/{bucket}/key?partNumber=1&uploadId={made}"
    assert wire.send("PUT", target, BODY).status == 200


def test_content_md5_goes_beside_any_of_them(wire: WireClient, bucket: str) -> None:
    md5 = b64encode(hashlib.md5(BODY).digest()).decode()
    for algorithm in ALGORITHMS:
        headers = {header(algorithm): of(algorithm, BODY), "Content-MD5": md5}
        assert wire.send("PUT", f"/{bucket}/key", BODY, headers).status == 200


def test_telling_the_checksum_of_what_is_locked_away_is_reading_it(
    s3: Any, bucket: str, keys: Keys
) -> None:
    key = keys.create(bucket)
    about = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**about, Body=BODY, **KMS, SSEKMSKeyId=key)
    told = s3.head_object(**about, ChecksumMode="ENABLED")
    assert sums(told)
    keys.enable(key, False)
    assert refused(s3.head_object, **about, ChecksumMode="ENABLED") == "400"
    assert "ChecksumType" not in s3.head_object(**about)
