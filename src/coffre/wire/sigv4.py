"""AWS Signature Version 4 for S3: canonical requests, strings to sign and signing keys.

Pure functions over bytes off the wire. Source: AWS "Authenticating Requests (AWS Signature
Version 4)" in the S3 API reference. S3 differs from other services: the path is neither
normalised nor encoded twice.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from coffre.wire.request import RequestHead

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
STREAMING_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
EMPTY_SHA256: Final = sha256(b"").hexdigest()

_PLAIN: Final = re.compile(rb"[A-Za-z0-9\-._~]*\Z")
_PLAIN_PATH: Final = re.compile(rb"[A-Za-z0-9\-._~/]*\Z")
_SIGNATURE_NAME: Final = b"x-amz-signature"


@lru_cache(maxsize=4096)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The 32-byte key of one credential scope; `date` is YYYYMMDD."""
    key = hmac.digest(b"AWS4" + secret.encode(), date.encode(), "sha256")
    for part in (region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(key: bytes, string_to_sign: bytes) -> str:
    """The signature as 64 lower-case hexadecimal digits."""
    return hmac.digest(key, string_to_sign, "sha256").hex()


def scope(date: str, region: str, service: str) -> str:
    return f"{date}/{region}/{service}/aws4_request"


def string_to_sign(timestamp: str, credential_scope: str, canonical_request: bytes) -> bytes:
    digest = sha256(canonical_request).hexdigest()
    return f"{ALGORITHM}\n{timestamp}\n{credential_scope}\n{digest}".encode()


def chunk_string_to_sign(
    timestamp: str, credential_scope: str, previous: str, chunk_sha256: str
) -> bytes:
    """What a chunk's signature covers; `previous` is the signature before it in the chain."""
    return (
        f"{ALGORITHM}-PAYLOAD\n{timestamp}\n{credential_scope}\n{previous}\n"
        f"{EMPTY_SHA256}\n{chunk_sha256}"
    ).encode()


def trailer_string_to_sign(
    timestamp: str, credential_scope: str, previous: str, canonical_trailers: bytes
) -> bytes:
    """What `x-amz-trailer-signature` covers; `canonical_trailers` are `name:value\\n` lines."""
    digest = sha256(canonical_trailers).hexdigest()
    return f"{ALGORITHM}-TRAILER\n{timestamp}\n{credential_scope}\n{previous}\n{digest}".encode()


def canonical_requests(
    head: RequestHead, signed_headers: Sequence[bytes], payload_hash: str
) -> Iterator[bytes]:
    """The canonical request, then the readings of it that signers in use also sign.

    The first is AWS's own: path and query decoded and encoded again. The others keep path, query
    or both exactly as sent, for signers that sign what they send. Each covers every byte of the
    target, so accepting them gives an attacker nothing.
    """
    tail = [header_line(head, name) for name in signed_headers]
    tail += [b"", b";".join(signed_headers), payload_hash.encode()]
    method = head.method.encode()
    for query in canonical_queries(head):
        for path in canonical_paths(head.raw_path):
            yield b"\n".join([method, path, query, *tail])


def canonical_paths(raw_path: bytes) -> tuple[bytes, ...]:
    """The path encoded as AWS does, then as sent where that differs."""
    path = raw_path or b"/"
    if _PLAIN_PATH.match(path):
        return (path,)
    encoded = quote(unquote_to_bytes(path), safe="/-._~").encode()
    return (encoded,) if encoded == path else (encoded, path)


def canonical_queries(head: RequestHead) -> tuple[bytes, ...]:
    """The sorted query without its signature, encoded as AWS does, then as sent if different."""
    if not head.raw_query:
        return (b"",)
    pairs = [pair for pair in head.raw_pairs if _decoded(pair[0]).lower() != _SIGNATURE_NAME]
    as_sent = b"&".join(name + b"=" + value for name, value in sorted(pairs))
    encoded = b"&".join(
        name + b"=" + value for name, value in sorted((_encoded(n), _encoded(v)) for n, v in pairs)
    )
    return (encoded,) if encoded == as_sent else (encoded, as_sent)


def header_line(head: RequestHead, name: bytes) -> bytes:
    """`name:value` with outer spaces cut, inner runs made one, repeats joined by commas."""
    values = head.by_name.get(name, ())
    return name + b":" + b",".join(b" ".join(value.split()) for value in values)


def _decoded(text: bytes) -> bytes:
    return text if _PLAIN.match(text) else unquote_to_bytes(text.replace(b"+", b" "))


def _encoded(text: bytes) -> bytes:
    return text if _PLAIN.match(text) else quote(_decoded(text), safe="-._~").encode()
