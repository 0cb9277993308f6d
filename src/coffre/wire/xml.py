"""S3's XML: a parser for strangers' bodies, and plain string-building for our answers.

The parser is the standard library's expat, held to what S3 documents need: no DOCTYPE (hence no
entities), UTF-8 only, bounded bytes, tags and attributes. Expat rather than libxml2, because lxml
keeps every element name that it ever saw in a table of the thread: 40 MB of invented names stayed
for ever in a trial, which any client could repeat.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final
from xml.etree.ElementTree import Element, ParseError, XMLParser

from coffre.wire.errors import S3Error
from coffre.wire.escape import escape

NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
HEADER: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_QUALIFIED: Final = "{" + NAMESPACE + "}"
_ATTRIBUTE: Final = re.compile(rb"=\s*[\"']")
_MARKS: Final = 150_000  # tags and attributes; 10 000 parts with three checksums have 120 000
_INTEGER: Final = re.compile(r"\s*(-?[0-9]{1,18})\s*")


def parse(body: bytes, root: str, *, limit: int = 1 << 20) -> Element:
    """The root element of a body, its S3 namespace (or none) taken off every tag.

    MissingRequestBodyError when empty, MaxMessageLengthExceeded over `limit` bytes, MalformedXML
    for what is not well-formed UTF-8 XML of that root, has a DOCTYPE, or more tags than any S3
    document.
    """
    if not body.strip():
        raise S3Error("MissingRequestBodyError")
    if len(body) > limit:
        raise S3Error("MaxMessageLengthExceeded", MaxMessageLengthBytes=str(limit))
    marks = body.count(b"<")
    if marks < _MARKS:
        marks += len(_ATTRIBUTE.findall(body))
    if marks > _MARKS or b"<!DOCTYPE" in body or b"\0" in body:
        raise malformed()
    # Without a DOCTYPE there is no entity to expand or fetch, which is all that S314 warns of. None
    # hides in UTF-16, which expat would read whatever it is told: that is no UTF-8, or has NULs.
    parser = XMLParser(encoding="utf-8")  # noqa: S314
    try:
        parser.feed(body.decode())
        found: Element = parser.close()
    except (ParseError, UnicodeDecodeError) as error:
        raise malformed() from error
    for element in found.iter():
        element.tag = element.tag.removeprefix(_QUALIFIED)
    if found.tag != root:
        raise malformed()
    return found


def malformed() -> S3Error:
    """The answer to every document that is not as the schema says."""
    return S3Error("MalformedXML")


def leaves(element: Element, known: Container[str]) -> dict[str, str]:
    """Text by name of an element's children; MalformedXML if one is unknown, repeated or nested."""
    found: dict[str, str] = {}
    for child in element:
        if child.tag not in known or child.tag in found or len(child):
            raise malformed()
        found[child.tag] = child.text or ""
    return found


def integer(text: str) -> int:
    """A decimal number of at most 18 digits, white space around it; else MalformedXML."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        raise malformed()
    return int(found[1])


def boolean(text: str) -> bool:
    """`true`, `false`, `1`, `0` (XML Schema), in any case; else MalformedXML."""
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())
    if value is None:
        raise malformed()
    return value


def tag(name: str, text: str | int) -> str:
    """`<name>text</name>`, the text escaped."""
    return f"<{name}>{escape(str(text))}</{name}>"


def optional(name: str, text: str | int | None) -> str:
    """`tag`, or nothing for None."""
    return "" if text is None else tag(name, text)


def flag(name: str, value: bool) -> str:
    """`<name>true</name>` or `<name>false</name>`."""
    return f"<{name}>{'true' if value else 'false'}</{name}>"


def element(name: str, *children: str) -> str:
    """An element around children that are already markup."""
    return f"<{name}>{''.join(children)}</{name}>"


def document(root: str, *children: str, xmlns: bool = True) -> bytes:
    """A whole answer in UTF-8: declaration, root (in S3's namespace), children as markup."""
    opened = f'{root} xmlns="{NAMESPACE}"' if xmlns else root
    return f"{HEADER}<{opened}>{''.join(children)}</{root}>".encode()
