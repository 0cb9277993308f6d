"""Checksums: declared well or refused, computed once, combined without reading again."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

import pytest
from awscrt import checksums as crt
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.checksums import (
    Algorithm,
    ChecksumType,
    Running,
    check,
    combine_full,
    composite,
    declared,
    multipart_type,
)
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

CRCS = [Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME]


def head(**headers: str) -> RequestHead:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead("PUT", b"/", b"", tuple((n.encode(), v.encode()) for n, v in named.items()))


def refusal(**headers: str) -> S3Error:
    with pytest.raises(S3Error) as caught:
        declared(head(**headers))
    return caught.value


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def value_of(algorithm: Algorithm, data: bytes) -> bytes:
    running = Running(algorithm, md5=False)
    running.update(data)
    return running.value()


# --- computing ---------------------------------------------------------------------------------

# The check values of "123456789" that the definitions of the algorithms give.
CHECK_VALUES = {
    Algorithm.CRC32: "cbf43926",
    Algorithm.CRC32C: "e3069283",
    Algorithm.CRC64NVME: "ae8b14860a799888",
    Algorithm.SHA1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    Algorithm.SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    Algorithm.MD5: "25f9e794323b453885f5181f1b624d0b",
    Algorithm.XXHASH64: "8cb841db40e6ae83",
}


@pytest.mark.parametrize(("algorithm", "digest"), CHECK_VALUES.items())
def test_each_algorithm_gives_its_published_check_value(algorithm: Algorithm, digest: str) -> None:
    assert value_of(algorithm, b"123456789").hex() == digest


@given(st.sampled_from(list(Algorithm)), st.lists(st.binary(max_size=50), max_size=5))
def test_pieces_give_the_digest_of_the_whole_beside_its_md5(
    algorithm: Algorithm, pieces: list[bytes]
) -> None:
    running = Running(algorithm)
    for piece in pieces:
        running.update(memoryview(piece))
    whole = b"".join(pieces)
    assert running.value() == value_of(algorithm, whole)
    assert len(running.value()) == algorithm.size
    assert running.md5_hex == hashlib.md5(whole).hexdigest()


def test_xxhash_values_agree_with_those_of_the_aws_runtime() -> None:
    assert value_of(Algorithm.XXHASH64, b"abc") == crt.XXHash.compute_xxhash64(b"abc")
    assert value_of(Algorithm.XXHASH3, b"abc") == crt.XXHash.compute_xxhash3_64(b"abc")
    assert value_of(Algorithm.XXHASH128, b"abc") == crt.XXHash.compute_xxhash3_128(b"abc")


def test_without_an_algorithm_only_md5_is_computed() -> None:
    running = Running(None)
    running.update(b"hello")
    assert running.md5_digest == hashlib.md5(b"hello").digest()


# --- combining ---------------------------------------------------------------------------------


@given(st.sampled_from(CRCS), st.lists(st.binary(max_size=80), max_size=6))
def test_part_crcs_combine_to_the_crc_of_the_whole(
    algorithm: Algorithm, parts: list[bytes]
) -> None:
    digests = [(value_of(algorithm, part), len(part)) for part in parts]
    assert combine_full(algorithm, digests) == value_of(algorithm, b"".join(parts))


def test_hashes_do_not_combine() -> None:
    with pytest.raises(ValueError, match="SHA256"):
        combine_full(Algorithm.SHA256, [])


def test_a_composite_is_the_digest_of_digests_with_their_number() -> None:
    digests = [zlib.crc32(part).to_bytes(4, "big") for part in (b"one", b"two")]
    whole = zlib.crc32(b"".join(digests)).to_bytes(4, "big")
    assert composite(Algorithm.CRC32, digests) == f"{b64(whole)}-2"


@pytest.mark.parametrize(
    ("algorithm", "asked", "given_type"),
    [
        (Algorithm.CRC32, None, ChecksumType.COMPOSITE),
        (Algorithm.CRC32C, ChecksumType.FULL_OBJECT, ChecksumType.FULL_OBJECT),
        (Algorithm.CRC64NVME, None, ChecksumType.FULL_OBJECT),
        (Algorithm.SHA256, ChecksumType.COMPOSITE, ChecksumType.COMPOSITE),
    ],
)
def test_a_multipart_checksum_has_a_type(
    algorithm: Algorithm, asked: ChecksumType | None, given_type: ChecksumType
) -> None:
    assert multipart_type(algorithm, asked) is given_type


def test_a_type_that_the_algorithm_cannot_have_is_refused() -> None:
    wrong = refusal(x_amz_checksum_algorithm="SHA1", x_amz_checksum_type="FULL_OBJECT")
    assert wrong.code == "InvalidRequest"
    assert wrong.message == (
        "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm."
    )
    wrong = refusal(x_amz_checksum_algorithm="CRC64NVME", x_amz_checksum_type="COMPOSITE")
    assert "crc64nvme" in wrong.message
    assert refusal(x_amz_checksum_type="PARTIAL").code == "InvalidRequest"


# --- declaring ---------------------------------------------------------------------------------


@given(st.sampled_from(list(Algorithm)), st.binary(max_size=50))
def test_a_value_in_a_header_is_declared_and_checked(algorithm: Algorithm, data: bytes) -> None:
    value = value_of(algorithm, data)
    found = declared(head(**{algorithm.header: b64(value)}))
    assert (found.algorithm, found.expected, found.trailer) == (algorithm, value, None)
    running = Running(algorithm)
    running.update(data)
    check(found, running, {})
    running.update(b"more")
    with pytest.raises(S3Error) as caught:
        check(found, running, {})
    assert caught.value.code == "BadDigest"
    assert caught.value.message == (
        f"The {algorithm.value} you specified did not match the calculated checksum."
    )


def test_nothing_declared_is_nothing_checked() -> None:
    found = declared(head())
    assert found == declared(head(x_amz_checksum_mode="ENABLED"))
    check(found, Running(None, md5=False), {})


def test_content_md5_is_declared_and_checked() -> None:
    found = declared(head(content_md5=b64(hashlib.md5(b"hello").digest())))
    running = Running(None)
    running.update(b"hello")
    check(found, running, {})
    running.update(b"!")
    with pytest.raises(S3Error) as caught:
        check(found, running, {})
    assert caught.value.code == "BadDigest"
    assert caught.value.fields == {
        "ExpectedDigest": hashlib.md5(b"hello").hexdigest(),
        "CalculatedDigest": b64(hashlib.md5(b"hello!").digest()),
    }


@pytest.mark.parametrize("text", ["", "YWJj", "not base64!", b64(b"x" * 17)])
def test_a_content_md5_that_is_none_is_an_invalid_digest(text: str) -> None:
    wrong = refusal(content_md5=text)
    assert (wrong.code, wrong.fields) == ("InvalidDigest", {"Content-MD5": text})


@pytest.mark.parametrize("text", ["", "AAAA", "AAAAAAA=", "AAAAAA==-2", "€"])
def test_a_value_of_the_wrong_form_is_refused(text: str) -> None:
    wrong = refusal(x_amz_checksum_crc32=text)
    assert wrong.code == "InvalidRequest"
    assert wrong.message == "Value for x-amz-checksum-crc32 header is invalid."


def test_a_composite_value_is_taken_where_it_is_expected() -> None:
    found = declared(head(x_amz_checksum_crc32="AAAAAA==-2"), composite=True)
    assert (found.expected, found.parts) == (bytes(4), 2)
    found = declared(head(x_amz_checksum_crc32="AAAAAA=="), composite=True)
    assert (found.expected, found.parts) == (bytes(4), None)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_amz_checksum_crc32": "AAAAAA==", "x_amz_checksum_crc32c": "AAAAAA=="},
        {"x_amz_checksum_crc32": "AAAAAA==", "x_amz_trailer": "x-amz-checksum-crc32"},
        {"x_amz_trailer": "x-amz-checksum-crc32, x-amz-checksum-sha1"},
    ],
)
def test_two_checksums_are_refused(headers: dict[str, str]) -> None:
    wrong = refusal(**headers)
    assert wrong.code == "InvalidRequest"
    assert wrong.message.startswith("Expecting a single x-amz-checksum- header.")


@pytest.mark.parametrize(
    "headers",
    [
        {"x_amz_checksum_crc16": "AAA="},
        {"x_amz_trailer": "x-amz-meta-a"},
        {"x_amz_checksum_algorithm": "CRC16"},
        {"x_amz_sdk_checksum_algorithm": "CRC32"},
        {"x_amz_sdk_checksum_algorithm": "CRC16", "x_amz_checksum_crc32": "AAAAAA=="},
        {"x_amz_sdk_checksum_algorithm": "SHA1", "x_amz_checksum_crc32": "AAAAAA=="},
        {"x_amz_sdk_checksum_algorithm": "SHA1", "x_amz_trailer": "x-amz-checksum-crc32"},
        {"x_amz_checksum_algorithm": "SHA1", "x_amz_checksum_crc32": "AAAAAA=="},
    ],
)
def test_contradictory_or_unknown_algorithms_are_refused(headers: dict[str, str]) -> None:
    assert refusal(**headers).code == "InvalidRequest"


def test_an_algorithm_may_be_asked_for_without_a_value() -> None:
    found = declared(head(x_amz_checksum_algorithm="sha256", x_amz_checksum_type="COMPOSITE"))
    assert (found.algorithm, found.expected) == (Algorithm.SHA256, None)
    assert found.checksum_type is ChecksumType.COMPOSITE
    check(found, Running(Algorithm.SHA256), {})


def test_a_value_in_a_trailer_is_checked() -> None:
    found = declared(
        head(x_amz_trailer="x-amz-checksum-crc32", x_amz_sdk_checksum_algorithm="CRC32")
    )
    running = Running(Algorithm.CRC32)
    running.update(b"hello")
    check(found, running, {"x-amz-checksum-crc32": "NhCmhg=="})
    for value, code in {"AAAAAA==": "BadDigest", "?": "InvalidRequest"}.items():
        with pytest.raises(S3Error) as caught:
            check(found, running, {"x-amz-checksum-crc32": value})
        assert caught.value.code == code
    with pytest.raises(S3Error) as caught:
        check(found, running, {})
    assert caught.value.code == "MalformedTrailerError"
