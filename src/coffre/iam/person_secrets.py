"""Secrets of people beside passwords, each shown once: API tokens (`coffre_pat_` and 256 random
bits), recovery codes (80 bits). The catalog holds their SHA-256."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from typing import Final

from coffre.system.entropy import Entropy

PREFIX: Final = "coffre_pat_"
# What a token may be used for: `area:read`, `area:write`, where writing includes reading.
SCOPES: Final = (
    *("stores:read", "stores:write", "users:read", "users:write", "buckets:read", "buckets:write"),
    *("objects:read", "objects:write", "people:read", "people:write", "usage:read", "audit:read"),
    *("system:read", "system:write"),
)
_TOKEN_BYTES: Final = 32
_RECOVERY_CODES: Final = 10
_RECOVERY_BYTES: Final = 10


def new_token(entropy: Entropy) -> str:
    """An API token."""
    return PREFIX + b32encode(entropy.bytes(_TOKEN_BYTES)).decode().rstrip("=").lower()


def token_digest(token: str) -> bytes:
    """As the catalog knows it."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def new_recovery_codes(entropy: Entropy) -> list[str]:
    """Ten, each good for one sign-in without the program that makes codes."""
    return [
        "-".join(code[at : at + 4] for at in range(0, 16, 4))
        for code in (
            b32encode(entropy.bytes(_RECOVERY_BYTES)).decode().lower()
            for _ in range(_RECOVERY_CODES)
        )
    ]


def recovery_digest(code: str) -> bytes:
    """As the catalog knows it; how it was typed does not matter."""
    plain = "".join(code.split()).replace("-", "").lower()
    return hashlib.sha256(b"recovery " + plain.encode(errors="replace")).digest()
