"""ETags of what the API answers, and the conditions of requests on them (RFC 9110, 13.1)."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec

from coffre.console.api.problem import Problem

_TAG: Final = re.compile(r'(?:W/)?"([\x21\x23-\x7e]*)"')
_encode = msgspec.json.Encoder(order="deterministic").encode


def etag_of(value: Any) -> str:
    """Of a JSON value: the same for equal ones."""
    return f'"{hashlib.sha256(_encode(value)).hexdigest()[:32]}"'


def matches(header: str, etag: str) -> bool:
    """Whether a list of ETags, or `*`, names it."""
    return header.strip() == "*" or etag.strip('"') in _TAG.findall(header)


def check_match(header: str | None, etag: str, *, required: bool) -> None:
    """Hold If-Match against what stands. Raises Problem."""
    if header is None:
        if required:
            raise Problem("PreconditionRequired", field="If-Match")
    elif not matches(header, etag):
        raise Problem("PreconditionFailed", field="If-Match")
