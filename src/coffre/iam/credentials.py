"""New access keys, secrets and ids. Secrets are shown once and stored wrapped."""

from __future__ import annotations

import base64
import string
from typing import Final

from coffre.catalog.iam_records import IamKind
from coffre.system.entropy import Entropy

_LETTERS: Final = string.ascii_letters + string.digits
_SECRET_LENGTH: Final = 40
_MARKS: Final[dict[IamKind, str]] = {"group": "AGPA", "role": "AROA", "policy": "ANPA"}
TEMPORARY: Final = "ASIA"


def new_access_key(entropy: Entropy) -> str:
    """20 characters, `CF` first, from A–Z and 2–7: safe in URLs and shells."""
    return "CF" + base64.b32encode(entropy.bytes(12)).decode()[:18]


def new_temporary_key(entropy: Entropy) -> str:
    """20 characters, `ASIA` first, which tells all SDKs that a token belongs to it."""
    return TEMPORARY + base64.b32encode(entropy.bytes(10)).decode()


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


def new_entity_id(kind: IamKind, entropy: Entropy) -> str:
    """The unique id of a new entity: a user's is its Owner ID, others' have AWS's form."""
    if kind == "user":
        return new_owner_id(entropy)
    return _MARKS[kind] + base64.b32encode(entropy.bytes(11)).decode()[:17]
