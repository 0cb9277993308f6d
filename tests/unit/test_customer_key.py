from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.vault.keys import derive_customer_keys
from coffre.wire.customer_key import names_customer_key, read_customer_key, redacted
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

KEY = bytes(range(32))
OWN = "x-amz-server-side-encryption-customer-"
SOURCE = "x-amz-copy-source-server-side-encryption-customer-"


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def whole(prefix: str = OWN, key: bytes = KEY) -> dict[str, str]:
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": b64(key),
        f"{prefix}key-md5": b64(hashlib.md5(key).digest()),
    }


def head(headers: dict[str, str]) -> RequestHead:
    pairs = tuple((name.encode(), text.encode()) for name, text in headers.items())
    return RequestHead("PUT", b"/b/k", b"", pairs)


def test_a_key_is_read_for_the_object_and_for_a_copys_source() -> None:
    for prefix, source in ((OWN, False), (SOURCE, True)):
        asked = head(whole(prefix))
        found = read_customer_key(asked, source=source)
        assert found is not None
        assert found.key == KEY
        assert read_customer_key(asked, source=not source) is None
        assert names_customer_key(asked)
    assert not names_customer_key(head({"x-amz-server-side-encryption": "AES256"}))


def test_a_key_does_not_show() -> None:
    found = read_customer_key(head(whole()))
    assert b64(KEY) not in repr(found) + str(found)
    assert repr(KEY) not in repr(found)


@pytest.mark.parametrize("missing", ["algorithm", "key", "key-md5"])
def test_all_three_headers_are_needed(missing: str) -> None:
    headers = whole()
    del headers[OWN + missing]
    with pytest.raises(S3Error) as error:
        read_customer_key(head(headers))
    assert (error.value.code, error.value.status) == ("InvalidArgument", 400)
    assert error.value.fields["ArgumentName"] == OWN + missing


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"algorithm": "AES128"}, "InvalidEncryptionAlgorithmError", "AES256"),
        ({"algorithm": "aes256"}, "InvalidEncryptionAlgorithmError", "AES256"),
        ({"key": "short"}, "InvalidArgument", "secret key was invalid"),
        ({"key": b64(KEY[:16])}, "InvalidArgument", "secret key was invalid"),
        ({"key": b64(KEY) + "!"}, "InvalidArgument", "secret key was invalid"),
        ({"key-md5": b64(bytes(16))}, "InvalidArgument", "did not match"),
        ({"key-md5": "!"}, "InvalidArgument", "did not match"),
        ({"key-md5": "é"}, "InvalidArgument", "did not match"),
    ],
)
def test_what_is_no_key_is_refused_without_being_repeated(
    changes: dict[str, str], code: str, words: str
) -> None:
    headers = whole() | {OWN + name: text for name, text in changes.items()}
    with pytest.raises(S3Error) as error:
        read_customer_key(head(headers))
    assert (error.value.code, error.value.status) == (code, 400)
    assert words in error.value.message
    told = repr((error.value.message, error.value.fields))
    assert headers[OWN + "key"] not in told


def test_a_key_comes_alone() -> None:
    asked = head(whole() | {"x-amz-server-side-encryption": "AES256"})
    with pytest.raises(S3Error) as error:
        read_customer_key(asked)
    assert "incompatible" in error.value.message
    twice = RequestHead("PUT", b"/", b"", head(whole()).headers * 2)
    with pytest.raises(S3Error) as error:
        read_customer_key(twice)
    assert error.value.code == "InvalidArgument"


@pytest.mark.parametrize(
    "text",
    [
        "x-amz-server-side-encryption-customer-key:{}\nx-amz-date:1",
        "X-Amz-Server-Side-Encryption-Customer-Key={}&x=1",
        "/?x-amz-copy-source-server-side-encryption-customer-key={}",
        "x-amz-copy-source-server-side-encryption-customer-key:{}\r\nhost",
    ],
)
def test_no_key_stays_in_a_text(text: str) -> None:
    shown = redacted(text.format(b64(KEY)).encode())
    assert b64(KEY).encode() not in shown
    assert shown.endswith(text.split("{}")[1].encode())


@given(st.text())
def test_other_texts_stay_as_they_are(text: str) -> None:
    line = f"x-amz-server-side-encryption-customer-key-md5:{text}".encode()
    assert redacted(line) == line


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_salt_and_key_make_two_keys_that_are_no_other_salts(key: bytes, salt: bytes) -> None:
    wrapping, proof = derive_customer_keys(key, salt)
    assert len(wrapping) == len(proof) == 32
    other = derive_customer_keys(key, salt[::-1] + b"x")
    assert len({wrapping, proof, *other, key}) == 5
