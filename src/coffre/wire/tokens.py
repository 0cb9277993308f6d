"""Continuation tokens: opaque to clients, checked on return, without any secret.

A token is base64url of version, checksum and value. The checksum is bound to the kind of listing:
one operation refuses another's token. It guards against damage and guesswork only: what a token
names is checked again like any marker, so a forged one gains nothing.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from coffre.wire.errors import S3Error

_VERSION: Final = b"\x01"
_CHECKSUM: Final = 8


def _checksum(kind: str, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_CHECKSUM, key=kind.encode()).digest()


def encode(kind: str, value: bytes) -> str:
    """A token that `decode` with the same kind (1–64 bytes) turns back into the value."""
    sealed = _VERSION + _checksum(kind, value) + value
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


def decode(kind: str, token: str) -> bytes:
    """The value; anything that `encode` did not make for this kind is InvalidArgument."""
    try:
        text = token.encode("ascii")
        sealed = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error):
        sealed = b""
    value = sealed[1 + _CHECKSUM :]
    if sealed[: 1 + _CHECKSUM] != _VERSION + _checksum(kind, value) or encode(kind, value) != token:
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
        )
    return value
