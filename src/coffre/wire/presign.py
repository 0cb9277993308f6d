"""Presigned URLs: a request that is signed now and made by whoever has the URL, until it expires.

Source: AWS "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". Only the
host is signed of the headers, and nothing of the body.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import quote, urlsplit

from msgspec import Struct

from coffre.wire.claim import MAX_EXPIRES_S
from coffre.wire.request import RequestHead
from coffre.wire.sigv4 import (
    ALGORITHM,
    UNSIGNED_PAYLOAD,
    canonical_requests,
    scope,
    sign,
    signing_key,
    string_to_sign,
)

METHODS: Final = ("GET", "PUT", "HEAD", "DELETE")
Method = Literal["GET", "PUT", "HEAD", "DELETE"]
_REGION: Final = re.compile(r"[A-Za-z0-9-]+")
_ENDPOINT: Final = re.compile(
    r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?", re.IGNORECASE
)


class Credentials(Struct, frozen=True):
    """Who signs; `session_token` only with temporary credentials."""

    access_key: str
    secret: str
    session_token: str = ""


class Asked(Struct, frozen=True):
    """What the URL shall be for. `endpoint` is a URL of scheme and host alone; `virtual`: the
    bucket becomes part of its host. `version_id` is empty for the current version."""

    method: Method
    endpoint: str
    bucket: str
    key: bytes
    region: str
    expires_s: int
    virtual: bool = False
    version_id: str = ""


def presigned_url(asked: Asked, credentials: Credentials, now_ms: int) -> str:
    """The URL. Raises ValueError for a time to live that no signature may have, an endpoint that is
    none, or a region that is none."""
    if not _REGION.fullmatch(asked.region):
        raise ValueError("a region is letters, digits and '-'")
    if not 1 <= asked.expires_s <= MAX_EXPIRES_S:
        raise ValueError(f"a presigned URL lives for 1 to {MAX_EXPIRES_S} seconds")
    if not _ENDPOINT.fullmatch(asked.endpoint):
        raise ValueError("an endpoint is http://HOST or https://HOST, with a port or without")
    parts = urlsplit(asked.endpoint)
    host = f"{asked.bucket}.{parts.netloc}" if asked.virtual else parts.netloc
    path = quote(asked.key, safe="/-._~")
    path = f"/{path}" if asked.virtual else f"/{quote(asked.bucket, safe='-._~')}/{path}"
    timestamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    date = timestamp[:8]
    credential_scope = scope(date, asked.region, "s3")
    parameters = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{credential_scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(asked.expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session_token:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    if asked.version_id:
        parameters["versionId"] = asked.version_id
    query = "&".join(f"{name}={quote(value, safe='-._~')}" for name, value in parameters.items())
    head = RequestHead(
        asked.method, path.encode(), query.encode(), ((b"host", _signed_host(host, parts.scheme)),)
    )
    canonical = next(canonical_requests(head, (b"host",), UNSIGNED_PAYLOAD))
    key = signing_key(credentials.secret, date, asked.region, "s3")
    signature = sign(key, string_to_sign(timestamp, credential_scope, canonical))
    return f"{parts.scheme}://{host}{path}?{query}&X-Amz-Signature={signature}"


def _signed_host(host: str, scheme: str) -> bytes:
    """As a client sends it: without the port that the scheme has by itself."""
    return host.lower().removesuffix({"http": ":80", "https": ":443"}[scheme]).encode()
