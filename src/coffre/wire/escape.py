"""Text made safe for XML 1.0, and for the percent-encoding that S3 listings offer instead.

AWS answers keys that hold control characters with references such as `&#x1;`. XML 1.0 allows no
such character even as a reference, so strict parsers refuse the document: that is what
`encoding-type=url` is for. Nothing here ever lets a raw control character out.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote_from_bytes

_NAMED: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_SPECIAL: Final = re.compile("[&<>\"'\x00-\x1f\ud800-\udfff\ufffe\uffff]")


def _reference(found: re.Match[str]) -> str:
    character = found.group()
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"
    return _NAMED.get(character) or f"&#x{ord(character):X};"


def escape(text: str) -> str:
    """Text for element content or an attribute; lone surrogates become U+FFFD."""
    return _SPECIAL.sub(_reference, text)


def percent(value: bytes) -> str:
    """`encoding-type=url`: unreserved characters and '/' kept, all else `%XX`; a space is `%20`."""
    return quote_from_bytes(value, safe="/")
