"""AWS's event stream encoding: messages of headers and a payload, each with two CRC32s.

Source: AWS, SelectObjectContent, and the event stream encoding of the SDKs. A message is its length
(4), the headers' length (4), CRC32 of these 8 bytes, headers, payload, CRC32 of all before; all
big-endian. A header is the length of its name (1), the name, type 7 (a string), the length of the
value (2), the value.
"""

from __future__ import annotations

from binascii import crc32
from struct import pack

from coffre.wire.xml import document, tag

MESSAGE_LIMIT = 1 << 20
"""Bytes of payload that one message carries at most."""


def message(headers: dict[str, str], payload: bytes = b"") -> bytes:
    """One message."""
    packed = b"".join(
        pack(">B", len(name)) + name.encode() + pack(">BH", 7, len(value)) + value
        for name, value in ((name, text.encode()[:0xFFFF]) for name, text in headers.items())
    )
    prelude = pack(">II", 16 + len(packed) + len(payload), len(packed))
    whole = b"".join((prelude, pack(">I", crc32(prelude)), packed, payload))
    return whole + pack(">I", crc32(whole))


def _event(kind: str, content_type: str = "", payload: bytes = b"") -> bytes:
    headers = {":message-type": "event", ":event-type": kind}
    if content_type:
        headers[":content-type"] = content_type
    return message(headers, payload)


def records(payload: bytes) -> bytes:
    """Records: at most `MESSAGE_LIMIT` bytes of the result."""
    return _event("Records", "application/octet-stream", payload)


def counters(kind: str, scanned: int, processed: int, returned: int) -> bytes:
    """Stats or Progress: bytes read, bytes once they are expanded, bytes of records sent."""
    body = document(
        kind,
        tag("BytesScanned", scanned),
        tag("BytesProcessed", processed),
        tag("BytesReturned", returned),
        xmlns=False,
    )
    return _event(kind, "text/xml", body)


CONTINUATION = _event("Cont")
"""Sent from time to time so that nobody takes a long silence for the end."""

END = _event("End")


def failure(code: str, text: str) -> bytes:
    """The error that ends a stream which has already begun."""
    return message({":message-type": "error", ":error-code": code, ":error-message": text})
