from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.names import check_bucket, check_key, is_bucket_name


@pytest.mark.parametrize("name", ["abc", "my.bucket-1", "0ab", "a" * 63, "1.2.3", "a-.b"])
def test_aws_allows(name: str) -> None:
    check_bucket(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "a" * 64, "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "192.168.5.4"),
        *("xn--abc", "sthree-abc", "amzn-s3-demo-x", "abc-s3alias", "abc--ol-s3", "abc.mrap"),
        *("abc--x-s3", "abc--table-s3", "abc\n", "a/b", "a\0b", "été", "abc\udcff", "abc "),
    ],
)
def test_aws_refuses_and_says_which_bucket(name: str) -> None:
    with pytest.raises(S3Error) as caught:
        check_bucket(name)
    assert (caught.value.code, caught.value.fields) == ("InvalidBucketName", {"BucketName": name})


@pytest.mark.parametrize("name", ["A_b", "-ab", "ab_", "a" * 255, "xn--abc"])
def test_ecs_allows_more(name: str) -> None:
    check_bucket(name, "ecs")


@pytest.mark.parametrize("name", ["ab", "a" * 256, ".ab", "ab.", "a..b", "1.2.3.4", "été", "a b"])
def test_ecs_refuses(name: str) -> None:
    assert not is_bucket_name(name, "ecs")


@given(st.from_regex(r"[a-z0-9.-]{1,70}", fullmatch=True))
def test_every_aws_name_is_an_ecs_name(name: str) -> None:
    assert not is_bucket_name(name) or is_bucket_name(name, "ecs")


@pytest.mark.parametrize("key", [b"a", b"/", b"../..", "é".encode() * 512, b"\x01\x7f", b" "])
def test_a_key_is_any_utf8_up_to_1024_bytes(key: bytes) -> None:
    check_key(key)


def test_a_key_too_long_says_by_how_much() -> None:
    with pytest.raises(S3Error) as caught:
        check_key("é".encode() * 512 + b"a")
    assert caught.value.code == "KeyTooLongError"
    assert caught.value.fields == {"Size": "1025", "MaxSizeAllowed": "1024"}


@pytest.mark.parametrize("key", [b"", b"\0", b"a\0b", b"\xff", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_a_key_is_not_empty_and_holds_no_nul_and_no_bad_utf8(key: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidURI"):
        check_key(key)
