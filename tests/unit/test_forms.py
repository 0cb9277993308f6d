from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.forms import MAX_FIELDS, FormDecoder, boundary
from coffre.wire.request import RequestHead

MARK = b"----WebKitFormBoundaryAbC"


def part(disposition: str, content: bytes, mark: bytes = MARK) -> bytes:
    return b"--%b\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (mark, disposition.encode(), content)


def field(name: str, text: str) -> bytes:
    return part(f'form-data; name="{name}"', text.encode())


def file(content: bytes, filename: str = "photo.jpg") -> bytes:
    return part(f'form-data; name="file"; filename="{filename}"', content)


END = b"--" + MARK + b"--\r\n"


def decode(body: bytes, step: int = 1 << 20) -> tuple[dict[str, str], bytes]:
    decoder = FormDecoder(MARK)
    pieces = []
    for at in range(0, len(body), step):
        pieces += [bytes(piece) for piece in decoder.feed(body[at : at + step])]
    decoder.finish()
    return decoder.fields, b"".join(pieces)


def refused(body: bytes) -> str:
    with pytest.raises(S3Error) as error:
        decode(body)
    return error.value.code


def head(content_type: bytes) -> RequestHead:
    return RequestHead("POST", b"/b", b"", ((b"content-type", content_type),))


@given(
    content=st.binary(max_size=300)
    | st.lists(st.sampled_from([b"\r\n", b"--", MARK[:-1], b"\r", b"\n--" + MARK, b"x"])).map(
        b"".join
    ),
    text=st.text(max_size=20),
    step=st.integers(1, 400),
)
def test_fields_and_file_come_out_however_the_body_is_cut(
    content: bytes, text: str, step: int
) -> None:
    if b"\r\n--" + MARK in b"\r\n" + text.encode() or b"\r\n--" + MARK in content + b"\r\n":
        return
    body = field("Key", text) + file(content) + END
    key = text.replace("${filename}", "photo.jpg")
    assert decode(body, step) == ({"key": key}, content)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_do_more_than_be_refused(junk: bytes, step: int) -> None:
    body = field("key", "k") + junk + file(b"x")
    status = 400
    try:
        decode(body, step)
    except S3Error as error:
        status = error.status
    assert status == 400


@given(st.integers(0, 200))
def test_a_form_cut_short_is_never_taken_for_whole(cut: int) -> None:
    body = field("key", "k") + file(b"content") + END.rstrip()
    short = body[: max(0, len(body) - 2 - cut)]
    assert refused(short) in ("MalformedPOSTRequest", "IncorrectNumberOfFilesInPostRequest")


def test_what_follows_the_file_is_ignored() -> None:
    body = field("key", "k") + file(b"x") + field("acl", "public-read") + END
    assert decode(body) == ({"key": "k"}, b"x")


def test_a_form_without_a_file_says_so() -> None:
    assert refused(field("key", "k") + END) == "IncorrectNumberOfFilesInPostRequest"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("photo.jpg", "u/photo.jpg"),
        ("C:\\\\photos\\\\me.jpg", "u/me.jpg"),
        ("/home/me/pas de fichier.txt", "u/pas de fichier.txt"),
        ('quo\\"te', 'u/quo"te'),
        ("é.png", "u/é.png"),
        ("", "u/"),
    ],
)
def test_the_files_name_takes_its_place_without_a_path(sent: str, meant: str) -> None:
    fields, _ = decode(field("key", "u/${filename}") + file(b"", sent) + END)
    assert fields["key"] == meant


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing of the kind",
        b"--" + MARK + b"\r\nX: y\r\n\r\nv\r\n" + END,
        part('attachment; name="key"', b"k") + file(b"") + END,
        part("form-data; name=", b"k") + file(b"") + END,
        part('form-data; name="key', b"k") + file(b"") + END,
        part('form-data; name="a"; name="b"', b"k") + file(b"") + END,
        part('form-data; name="key"', b"\xff") + file(b"") + END,
        b"--" + MARK + b"x\r\n\r\n",
        field("key", "k") + file(b"x")[:-2] + b"\r\n--" + MARK + b"not the end",
    ],
)
def test_what_is_no_form_is_malformed(body: bytes) -> None:
    assert refused(body) == "MalformedPOSTRequest"


def test_a_field_comes_once() -> None:
    assert refused(field("key", "a") + field("Key", "b") + file(b"") + END) == "InvalidArgument"


@pytest.mark.parametrize("step", [100, 5000, 1 << 20])
def test_fields_are_bounded_and_the_file_is_not(step: int) -> None:
    large = bytes(10 * MAX_FIELDS)
    assert decode(file(large) + END, step)[1] == large
    many = b"".join(field(f"x{number}", "v" * 9000) for number in range(3))
    for body in (field("x", "v" * MAX_FIELDS), many):
        with pytest.raises(S3Error) as error:
            decode(body, step)
        assert error.value.code == "MaxPostPreDataLengthExceededError"


def test_nothing_is_kept_of_what_follows_for_long() -> None:
    assert decode(file(b"x") + END + bytes(MAX_FIELDS - 10), 1000)[1] == b"x"
    with pytest.raises(S3Error):
        decode(file(b"x") + END + bytes(MAX_FIELDS), 1000)


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data;charset=utf-8; boundary="a b"', b"a b"),
    ],
)
def test_the_boundary_is_read(content_type: bytes, found: bytes) -> None:
    assert boundary(head(content_type)) == found


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        (b"application/x-www-form-urlencoded", "PreconditionFailed"),
        (b"multipart/mixed; boundary=a", "PreconditionFailed"),
        (b"", "PreconditionFailed"),
        (b"multipart/form-data; x=y", "MalformedPOSTRequest"),
        (b"multipart/form-data; boundary=", "MalformedPOSTRequest"),
        (b"multipart/form-data; boundary=" + b"a" * 71, "MalformedPOSTRequest"),
        (b'multipart/form-data; boundary="a\r\n"', "MalformedPOSTRequest"),
    ],
)
def test_other_types_are_no_forms(content_type: bytes, code: str) -> None:
    with pytest.raises(S3Error) as error:
        boundary(head(content_type))
    assert error.value.code == code
