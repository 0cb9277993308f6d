"""The key that a customer brings with a request (SSE-C): read, checked, and kept out of every text.

Source: AWS "Using server-side encryption with customer-provided keys (SSE-C)"; its error responses
for the words.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from hmac import compare_digest
from typing import Final

from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

ALGORITHM: Final = "AES256"
KEY_BYTES: Final = 32

_OWN: Final = b"x-amz-server-side-encryption-customer-"
_SOURCE: Final = b"x-amz-copy-source-server-side-encryption-customer-"
_PARTS: Final = (b"algorithm", b"key", b"key-md5")
_NAMES: Final = {prefix: tuple(prefix + part for part in _PARTS) for prefix in (_OWN, _SOURCE)}
_ENCRYPTION: Final = b"x-amz-server-side-encryption"
_REQUESTS: Final = "Requests specifying Server Side Encryption with Customer provided keys must "
_IN_TEXT: Final = re.compile(
    rb"(server-side-encryption-customer-key(?:[:=]|%3[AaDd]))[^\r\n&]*", re.IGNORECASE
)


class CustomerKey:
    """32 bytes of key, and the MD5 of it as clients see it. Neither shows in a representation."""

    __slots__ = ("key", "md5")

    def __init__(self, key: bytes, md5: str) -> None:
        self.key = key
        self.md5 = md5

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """What an answer tells of the key."""
        return ((_OWN + b"algorithm", ALGORITHM.encode()), (_OWN + b"key-md5", self.md5.encode()))


def names_customer_key(head: RequestHead) -> bool:
    """Whether a request brings a key, for the object that it is about or for a copy's source."""
    return any(name in head.by_name for names in _NAMES.values() for name in names)


def read_customer_key(head: RequestHead, *, source: bool = False) -> CustomerKey | None:
    """The key for the object (or the copy's source) that a request brings; None without any of its
    three headers. Raises InvalidArgument, InvalidEncryptionAlgorithmError."""
    algorithm_name, key_name, md5_name = _NAMES[_SOURCE if source else _OWN]
    held = head.by_name
    if not (algorithm_name in held or key_name in held or md5_name in held):
        return None
    if not source and _ENCRYPTION in held:
        raise _invalid(
            _ENCRYPTION,
            "Server Side Encryption with Customer provided key is incompatible with the encryption "
            "method specified",
        )
    if any(len(held.get(name, ())) > 1 for name in (algorithm_name, key_name, md5_name)):
        raise _invalid(algorithm_name, _REQUESTS + "name one algorithm and one key.")
    algorithm, text, md5 = (head.header(name) for name in (algorithm_name, key_name, md5_name))
    if not algorithm:
        raise _invalid(algorithm_name, _REQUESTS + "provide a valid encryption algorithm.")
    if algorithm != ALGORITHM:
        raise S3Error("InvalidEncryptionAlgorithmError")
    if not text:
        raise _invalid(key_name, _REQUESTS + "provide an appropriate secret key.")
    if not md5:
        raise _invalid(md5_name, _REQUESTS + "provide the client calculated MD5 of the secret key.")
    key = _decoded(text)
    if key is None or len(key) != KEY_BYTES:
        raise _invalid(key_name, "The secret key was invalid for the specified algorithm.")
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    if not compare_digest(digest, _decoded(md5) or b""):
        raise _invalid(
            md5_name,
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        )
    return CustomerKey(key, md5)


def redacted(text: bytes) -> bytes:
    """A text that a request's headers or query stand in, without any key that a customer brought:
    for errors that show a client what it signed."""
    return _IN_TEXT.sub(rb"\1(not shown)", text)


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


def _invalid(name: bytes, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name.decode())
