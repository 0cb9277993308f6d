"""Tag sets of objects and buckets: the Tagging document, the `x-amz-tagging` form, their limits.

Sources: AWS "Tagging and access control", "Using cost allocation S3 bucket tags", the API reference
of PutObjectTagging and PutBucketTagging.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import Element

from coffre.wire.errors import S3Error
from coffre.wire.xml import document, element, leaves, malformed, parse, tag

DOCUMENT_LIMIT: Final = 256 * 1024  # bytes: 50 tags of 384 characters, each of them an escape
OBJECT_TAGS: Final = 10
BUCKET_TAGS: Final = 50
_KEY: Final = 128  # UTF-16 code units, as AWS counts them
_VALUE: Final = 256
_PUNCTUATION: Final = frozenset("_.:/=+-@")
_TOO_MANY: Final = {
    OBJECT_TAGS: "Object tags cannot be greater than 10",
    BUCKET_TAGS: "Bucket tag count cannot be greater than 50",
}


def parse_tagging(body: bytes, most: int) -> dict[str, str]:
    """The tags of a Tagging document; `most` is OBJECT_TAGS or BUCKET_TAGS.

    Raises MalformedXML, InvalidTag, BadRequest (too many).
    """
    sets = list(parse(body, "Tagging"))
    if [one.tag for one in sets] != ["TagSet"]:
        raise malformed()
    return tag_set(sets[0], most)


def tag_set(parent: Element, most: int) -> dict[str, str]:
    """The tags among an element's children, which are nothing else. Errors as `parse_tagging`."""
    pairs: list[tuple[str, str]] = []
    for one in parent:
        found = leaves(one, ("Key", "Value"))
        if one.tag != "Tag" or len(found) != 2:
            raise malformed()
        pairs.append((found["Key"], found["Value"]))
    return checked(pairs, most)


def parse_form(text: str) -> dict[str, str]:
    """The tags of `key=value&…`, form-encoded, as `x-amz-tagging` carries them.

    Raises InvalidArgument (not UTF-8), InvalidTag, BadRequest (too many).
    """
    pieces = (piece.partition("=") for piece in text.split("&") if piece)
    pairs = ((_form_decoded(key), _form_decoded(value)) for key, _, value in pieces)
    return checked(pairs, OBJECT_TAGS)


def checked(pairs: Iterable[tuple[str, str]], most: int) -> dict[str, str]:
    """The pairs as a tag set. Raises InvalidTag, BadRequest."""
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
        if not key or not _fits(key, _KEY):
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if key.lower().startswith("aws:"):
            raise S3Error("InvalidTag", "System tags cannot be added/updated by requester")
        if not _fits(value, _VALUE):
            raise S3Error("InvalidTag", "The TagValue you have provided is invalid", TagKey=key)
        found[key] = value
    if len(found) > most:
        raise S3Error("BadRequest", _TOO_MANY[most])
    return found


def render_tagging(tags: dict[str, str]) -> bytes:
    """Tagging."""
    pairs = (element("Tag", tag("Key", key), tag("Value", value)) for key, value in tags.items())
    return document("Tagging", element("TagSet", *pairs))


def _fits(text: str, most: int) -> bool:
    """At most so long, of letters, digits, spaces and a few marks."""
    if len(text) + sum(character > "\uffff" for character in text) > most:
        return False
    return all(
        character in _PUNCTUATION or unicodedata.category(character)[0] in "LNZ"
        for character in text
    )


def _form_decoded(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise S3Error(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.",
            ArgumentName="x-amz-tagging",
        ) from None
