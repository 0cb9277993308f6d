"""Object names as people see them and as their disks keep them: nothing hidden, nothing obeyed.

A name is any bytes up to 1024; here it is text, with bytes that are no UTF-8 as lone surrogates
(PEP 383). Characters that cannot be seen, or that turn the text around them (Unicode TR 36,
"Bidirectional text spoofing"), are shown as what they are.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from markupsafe import Markup, escape

# Categories that have no picture: control, format, surrogate, private, not assigned, separators of
# lines and paragraphs.
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
# What no file may be called on one of the systems that people have.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_ATTRIBUTE = "!#$&+-.^_`|~"  # attr-char of RFC 8187, beside letters and digits
_FILE_NAME_BYTES = 200


def key_text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def key_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def in_query(text: str) -> str:
    """A name as the value of a query's field: never in a path, where `..` means something."""
    return quote(key_bytes(text), safe="")


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN and character not in _JOINERS


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"


def seen(name: str) -> str:
    """The name as plain text, for titles and sentences."""
    return "".join(_picture(one) if _is_unseen(one) else one for one in name)


def shown(name: str) -> Markup:
    """The name as HTML: escaped, kept from turning the text beside it, the unseen marked."""
    pieces = [
        Markup('<span class="unseen">{}</span>').format(_picture(one))
        if _is_unseen(one)
        else escape(one)
        for one in name
    ]
    return Markup("<bdi>{}</bdi>").format(Markup("").join(pieces))


def file_name(name: str) -> str:
    """What the object is called on the disk of who downloads it: the last part of its name without
    what a system forbids or a person cannot see."""
    last = name.rstrip("/").rpartition("/")[2]
    plain = "".join("_" if _is_unseen(one) else one for one in last)
    plain = _FORBIDDEN.sub("_", plain).strip(". ")
    while len(plain.encode()) > _FILE_NAME_BYTES:
        stem, dot, ending = plain.rpartition(".")
        plain = f"{stem[:-1]}{dot}{ending}" if stem and len(ending) < 12 else plain[:-1]
    return f"_{plain}" if _RESERVED.fullmatch(plain) else plain or "download"


def disposition(name: str) -> str:
    """Content-Disposition of a download (RFC 6266): plain ASCII, and the name itself (RFC 8187)."""
    name = file_name(name)
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace("%", "_")
    exact = quote(name, safe=_ATTRIBUTE)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"
