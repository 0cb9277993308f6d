"""New access keys, secrets, passwords and owner ids. Shown once, stored wrapped or hashed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string

from coffre.system.entropy import Entropy

_LETTERS = string.ascii_letters + string.digits
_SECRET_LENGTH = 40
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 64 << 20}


def new_access_key(entropy: Entropy) -> str:
    """20 characters, `CF` first, from A–Z and 2–7: safe in URLs and shells."""
    return "CF" + base64.b32encode(entropy.bytes(12)).decode()[:18]


def new_secret(entropy: Entropy) -> str:
    """40 letters and digits (238 bits): no client has to quote it, none takes it for a flag."""
    secret = ""
    while len(secret) < _SECRET_LENGTH:
        # Bytes beyond the alphabet's last whole turn are dropped, so that all are as likely.
        kept = (byte for byte in entropy.bytes(64) if byte < len(_LETTERS) * 4)
        secret += "".join(_LETTERS[byte % len(_LETTERS)] for byte in kept)
    return secret[:_SECRET_LENGTH]


def new_owner_id(entropy: Entropy) -> str:
    """64 hex digits, the form of AWS's canonical user ids."""
    return entropy.bytes(32).hex()


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
