from __future__ import annotations

from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.metadata import headers, overrides, read, system_metadata, user_metadata
from coffre.wire.request import RequestHead


def head(*pairs: tuple[bytes, bytes], query: bytes = b"") -> RequestHead:
    return RequestHead("PUT", b"/b/k", query, pairs)


def test_user_metadata_keeps_lower_case_names_and_joins_repeats() -> None:
    found = user_metadata(
        head((b"x-amz-meta-a", b" 1 "), (b"x-amz-meta-b", b""), (b"x-amz-meta-a", b"2"))
    )
    assert found == {"x-amz-meta-a": "1,2", "x-amz-meta-b": ""}


@pytest.mark.parametrize("raw", ["héhé".encode(), "héhé".encode("latin-1")])
def test_a_value_is_utf8_or_else_latin1(raw: bytes) -> None:
    assert user_metadata(head((b"x-amz-meta-a", raw))) == {"x-amz-meta-a": "héhé"}


@given(st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_categories=["Cc"])))
def test_any_value_reads_back_from_its_answer(text: str) -> None:
    [(name, value)] = headers({"x-amz-meta-a": text})
    assert name == b"x-amz-meta-a"
    if text.isascii():
        assert value == text.encode()
    else:
        assert value.isascii()
        assert str(make_header(decode_header(value.decode()))) == text


def test_system_values_go_out_as_utf8() -> None:
    answer = headers({"content-disposition": 'attachment; filename="é"'})
    assert answer == [(b"content-disposition", 'attachment; filename="é"'.encode())]


def test_two_kilobytes_of_user_metadata_are_the_limit() -> None:
    assert user_metadata(head((b"x-amz-meta-ab", b"v" * 2046)))
    with pytest.raises(S3Error) as caught:
        user_metadata(head((b"x-amz-meta-ab", b"v" * 2047)))
    assert caught.value.code == "MetadataTooLarge"
    assert caught.value.fields == {"Size": "2049", "MaxSizeAllowed": "2048"}


def test_system_metadata_is_kept_and_the_rest_is_not() -> None:
    found = read(
        head(
            (b"content-type", b"text/plain"),
            (b"cache-control", b"no-cache"),
            (b"expires", b"whenever"),
            (b"x-amz-website-redirect-location", b"/other"),
            (b"x-amz-meta-a", b"1"),
            (b"x-amz-acl", b"private"),
            (b"authorization", b"secret"),
        )
    )
    assert found == {
        "content-type": "text/plain",
        "cache-control": "no-cache",
        "expires": "whenever",
        "x-amz-website-redirect-location": "/other",
        "x-amz-meta-a": "1",
    }


@pytest.mark.parametrize("pairs", [(), ((b"content-type", b""),)])
def test_the_default_content_type_is_that_of_aws(pairs: tuple[tuple[bytes, bytes], ...]) -> None:
    assert system_metadata(head(*pairs)) == {"content-type": "binary/octet-stream"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"aws-chunked", None),
        (b"AWS-Chunked, gzip", "gzip"),
        (b"gzip,aws-chunked", "gzip"),
        (b"gzip", "gzip"),
        (b"aws-chunked,aws-chunked", None),
    ],
)
def test_aws_chunked_is_no_content_encoding(sent: bytes, kept: str | None) -> None:
    assert system_metadata(head((b"content-encoding", sent))).get("content-encoding") == kept


@pytest.mark.parametrize("location", [b"/a", b"http://a", b"https://a"])
def test_a_redirect_goes_to_a_path_or_a_page(location: bytes) -> None:
    assert read(head((b"x-amz-website-redirect-location", location)))
    with pytest.raises(S3Error, match="InvalidRedirectLocation"):
        read(head((b"x-amz-website-redirect-location", b"ftp:" + location)))


@pytest.mark.parametrize("bad", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"a\0b", b"\x7f"])
@pytest.mark.parametrize("name", [b"x-amz-meta-a", b"content-type", b"expires"])
def test_a_value_cannot_split_the_answer(name: bytes, bad: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        read(head((name, bad)))


@pytest.mark.parametrize("name", [b"x-amz-meta-", b"x-amz-meta-a b", b"x-amz-meta-\xff"])
def test_a_name_is_a_token(name: bytes) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        read(head((name, b"1")))


def test_system_metadata_has_a_limit() -> None:
    with pytest.raises(S3Error, match="RequestHeaderSectionTooLarge"):
        read(head((b"cache-control", b"x" * 9000)))


def test_six_answers_can_be_overridden() -> None:
    query = b"response-content-type=text%2Fhtml&response-content-disposition=a%C3%A9&response-x=1"
    asked = overrides(head(query=query))
    assert asked == {"content-type": "text/html", "content-disposition": "aé"}
    assert overrides(head()) == {}


def test_an_override_cannot_split_the_answer_and_keeps_its_bytes() -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        overrides(head(query=b"response-expires=a%0D%0Aset-cookie:x"))
    latin = overrides(head(query=b"response-content-disposition=%E9"))
    assert headers(latin) == [(b"content-disposition", b"\xe9")]
