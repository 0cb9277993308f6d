"""AWS Signature Version 2 for S3: strings to sign and signatures.

Source: AWS "Signing and authenticating REST requests" (S3 developer guide). `x-amz-*` headers are
always part of the string to sign; in a presigned request the `x-amz-*` query parameters count as
headers.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

from coffre.wire.request import RequestHead
from coffre.wire.sigv4 import canonical_paths

# Query parameters that name what a request acts on, and so belong to the resource.
SUB_RESOURCES: Final = frozenset(
    b"accelerate acl analytics attributes cors defaultObjectAcl delete encryption "
    b"intelligent-tiering inventory legal-hold lifecycle location logging metrics notification "
    b"object-lock ownershipControls partNumber policy policyStatus publicAccessBlock replication "
    b"requestPayment restore retention select select-type storageClass tagging torrent uploadId "
    b"uploads versionId versioning versions website response-cache-control "
    b"response-content-disposition response-content-encoding response-content-language "
    b"response-content-type response-expires".split()
)


def sign(secret: str, string_to_sign: bytes) -> str:
    """The signature as base64 of an HMAC-SHA1."""
    return b64encode(hmac.digest(secret.encode(), string_to_sign, "sha1")).decode()


def strings_to_sign(
    head: RequestHead,
    *,
    expires: str | None,
    hoisted: tuple[tuple[bytes, bytes], ...] = (),
    bucket_path: bytes | None = None,
) -> Iterator[bytes]:
    """The string to sign, then its readings by signers that encode otherwise.

    `expires` is the presigned request's `Expires` (None: header authentication); `hoisted` its
    query parameters that stand for headers; `bucket_path` (`/bucket`) the bucket named by the
    host.
    """
    carried = dict(hoisted)
    if expires is not None:
        date = expires.encode()
    else:
        date = b"" if b"x-amz-date" in head.by_name else _first(head, b"date")
    lines = [
        head.method.encode(),
        _first(head, b"content-md5") or carried.get(b"content-md5", b""),
        _first(head, b"content-type") or carried.get(b"content-type", b""),
        date,
        *_amz_headers(head, hoisted),
    ]
    prefix = b"\n".join(lines) + b"\n" + (bucket_path or b"")
    paths = canonical_paths(head.raw_path)
    for path in reversed(paths):
        for query in _sub_resources(head):
            yield prefix + path + query


def _first(head: RequestHead, name: bytes) -> bytes:
    values = head.by_name.get(name)
    return values[0].strip() if values else b""


def _amz_headers(head: RequestHead, hoisted: tuple[tuple[bytes, bytes], ...]) -> list[bytes]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in (*head.headers, *hoisted):
        if name.startswith(b"x-amz-"):
            found.setdefault(name, []).append(value.strip())
    return [name + b":" + b",".join(found[name]) for name in sorted(found)]


def _sub_resources(head: RequestHead) -> tuple[bytes, ...]:
    """`?name=value&…` of the sub-resources, values decoded, then as sent if different."""
    chosen = sorted(
        (piece.partition(b"=") for piece in head.raw_query.split(b"&")), key=lambda part: part[0]
    )
    chosen = [part for part in chosen if part[0] in SUB_RESOURCES]
    if not chosen:
        return (b"",)
    as_sent = b"?" + b"&".join(b"".join(part) for part in chosen)
    decoded = b"?" + b"&".join(name + eq + unquote_to_bytes(value) for name, eq, value in chosen)
    return (decoded,) if decoded == as_sent else (decoded, as_sent)
