"""New passwords. Shown once, stored hashed."""

from __future__ import annotations

import base64
import hashlib
import hmac

from coffre.system.entropy import Entropy

_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 64 << 20}


def new_password(entropy: Entropy) -> str:
    """24 characters, 120 bits."""
    return base64.b32encode(entropy.bytes(15)).decode().lower()


def hash_password(password: str, entropy: Entropy) -> str:
    """`scrypt$<salt>$<hash>`, both base64 (RFC 7914, N=2^15, r=8, p=1)."""
    salt = entropy.bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT)
    return f"scrypt${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def password_matches(password: str, stored: str) -> bool:
    """Constant-time comparison against `hash_password`'s answer."""
    scheme, salt, digest = stored.split("$")
    if scheme != "scrypt":
        return False
    found = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), **_SCRYPT)
    return hmac.compare_digest(found, base64.b64decode(digest))
