"""Policy documents on their way in: read strictly, held to AWS's sizes."""

from __future__ import annotations

from typing import Final

from coffre.access.policy import BadPolicy, Policy, read_policy
from coffre.iam.identities import DOCUMENT_LIMIT
from coffre.wire.query_protocol import QueryError

# Bytes without white space.
MANAGED: Final = 6144
INLINE: Final = {"user": 2048, "group": 5120, "role": 10_240}
TRUST: Final = 2048


def checked(document: str, most: int) -> bytes:
    """An identity's policy. Raises MalformedPolicyDocument, LimitExceeded."""
    return _checked(document, most, trust=False)


def checked_trust(document: str) -> bytes:
    """As `checked`, of whom a role trusts."""
    return _checked(document, TRUST, trust=True)


def compiled(document: str) -> Policy:
    """A policy that is only asked about. Raises MalformedPolicyDocument."""
    return _read(document.encode(), trust=False)


def _checked(document: str, most: int, *, trust: bool) -> bytes:
    text = document.encode()
    if len(b"".join(text.split())) > most:
        raise QueryError("LimitExceeded", f"Cannot exceed quota for policy size: {most}")
    _read(text, trust=trust)
    return text


def _read(text: bytes, *, trust: bool) -> Policy:
    try:
        return read_policy(text, limit=DOCUMENT_LIMIT, trust=trust)
    except BadPolicy as error:
        raise QueryError("MalformedPolicyDocument", str(error)) from error
