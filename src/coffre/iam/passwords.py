"""Passwords of people: argon2id as RFC 9106 has it (its second choice: 64 MiB, three passes), one
lane, so that a sign-in takes one core for about a tenth of a second. What was hashed by scrypt
before still verifies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from itertools import pairwise
from typing import Final

from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

from coffre.system.entropy import Entropy

LEAST: Final = 12
MOST: Final = 1024
PASSES: Final = 3
MEMORY_KIB: Final = 64 * 1024
LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_SCRYPT: Final = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 64 << 20}
_LEAST_DISTINCT: Final = 5
# What most guessed passwords are made of, with digits, case and punctuation taken off.
_WORDS: Final = (
    "password passw passwort motdepasse motdepass contrasena qwerty qwertyuiop qwertz azerty"
    " azertyuiop asdfghjkl abc abcd abcdef abcdefghijkl letmein welcome bienvenue iloveyou monkey"
    " dragon football baseball superman batman princess sunshine shadow master administrator admin"
    " root operator operateur changeme secret coffre storage default test testtest guest login"
    " trustno hello bonjour whatever starwars pokemon"
)
_COMMON: Final = frozenset(_WORDS.split())
_LEET: Final = str.maketrans("013457@$!|", "oieastasil")


class WeakPassword(ValueError):
    """A password that is not taken: why, in words."""


def new_password(entropy: Entropy) -> str:
    """24 characters, 120 bits."""
    return base64.b32encode(entropy.bytes(15)).decode().lower()


def check_password(password: str, *names: str) -> None:
    """Raises WeakPassword for one that is short, long, common, or made of a person's `names`."""
    if len(password) < LEAST:
        raise WeakPassword(f"a password has at least {LEAST} characters")
    if len(password.encode()) > MOST:
        raise WeakPassword(f"a password has at most {MOST} bytes")
    if len(set(password)) < _LEAST_DISTINCT:
        raise WeakPassword(f"a password has at least {_LEAST_DISTINCT} different characters")
    folded = password.casefold()
    # Digits stand for letters, or behind them.
    short = re.sub(r"[\W\d_]+$", "", folded)
    forms = (folded, folded.translate(_LEET), short.translate(_LEET))
    bare = {re.sub(r"[\W\d_]", "", form) for form in forms}
    mine = {re.sub(r"[\W\d_]", "", name.casefold().partition("@")[0]) for name in names}
    if any(_is_made_of(one, _COMMON | mine) for one in bare) or _is_run(folded):
        raise WeakPassword("the password is among those that are guessed first: choose another")


def hash_password(password: str, entropy: Entropy) -> str:
    """`$argon2id$v=19$m=…,t=…,p=…$salt$hash`. Takes a tenth of a second: not for an event loop."""
    salt = entropy.bytes(_SALT_BYTES)
    return hash_secret(
        password.encode(), salt, PASSES, MEMORY_KIB, LANES, _HASH_BYTES, Type.ID
    ).decode()


def password_matches(password: str, stored: str) -> bool:
    """Whether it is the one that was hashed; as slow as that."""
    if stored.startswith("scrypt$"):
        _, salt, digest = stored.split("$")
        found = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), **_SCRYPT)
        return hmac.compare_digest(found, base64.b64decode(digest))
    try:
        return verify_secret(stored.encode(), password.encode(), Type.ID)
    except (VerificationError, InvalidHashError):
        return False


def is_dated(stored: str) -> bool:
    """Whether what verifies should be hashed anew, with today's parameters."""
    return not stored.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$")


def _is_made_of(letters: str, words: frozenset[str] | set[str]) -> bool:
    """Whether it is one of the words, once or again and again; nothing but digits is too."""
    if not letters:
        return True
    return any(
        word and len(letters) % len(word) == 0 and word * (len(letters) // len(word)) == letters
        for word in words
    )


def _is_run(folded: str) -> bool:
    """Whether each character follows the one before it ("abcdefghijkl")."""
    return len({ord(after) - ord(before) for before, after in pairwise(folded)}) == 1
