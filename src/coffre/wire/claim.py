"""What a request says of who signed it: parsed and checked for form, not yet believed.

Sources: AWS "Authenticating Requests (AWS Signature Version 4)", "Signing and authenticating REST
requests" (Version 2), and the S3 error responses for their words.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from coffre.wire.dates import parse_http_date
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.sigv4 import (
    ALGORITHM,
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)

MAX_EXPIRES_S: Final = 604_800

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_800_000  # the year 10000 begins
_MAX_KEPT: Final = 256  # characters, so that strangers cannot fill the caches with long texts
_HEX_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}\Z")
_PAYLOAD_MODES: Final = frozenset(
    {UNSIGNED_PAYLOAD, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER}
)
_ISO_BASIC: Final = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\Z", re.ASCII)
_SCOPE_DATE: Final = re.compile(r"\d{8}\Z", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d+\Z", re.ASCII)
# Headers whose repetition could make two readers see two requests.
_SINGLE_HEADERS: Final = (
    b"authorization",
    b"host",
    b"date",
    b"x-amz-date",
    b"x-amz-content-sha256",
    b"x-amz-security-token",
    b"x-amz-decoded-content-length",
)
_V4_MARKS: Final = frozenset({"x-amz-algorithm", "x-amz-credential", "x-amz-signature"})
_V4_REQUIRED: Final = (
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-signature",
    "x-amz-date",
    "x-amz-signedheaders",
    "x-amz-expires",
)
_V4_PARAMETERS: Final = frozenset({*_V4_REQUIRED, "x-amz-security-token", "x-amz-content-sha256"})
_V2_MARKS: Final = frozenset({"AWSAccessKeyId", "Signature"})
_V2_PARAMETERS: Final = frozenset({*_V2_MARKS, "Expires"})


class Scheme(Enum):
    """How a request carries its signature: (is it Version 4, is it in the query)."""

    V4_HEADER = True, False
    V4_QUERY = True, True
    V2_HEADER = False, False
    V2_QUERY = False, True

    def __init__(self, is_v4: bool, is_query: bool) -> None:
        self.is_v4 = is_v4
        self.is_query = is_query


class Claim(Struct, frozen=True):
    """What a request says of who signed it; nothing is checked yet but form.

    `date` (YYYYMMDD), `region` and `service` are the V4 scope and empty in V2. `timestamp` is the
    time as signed. A presigned request ends `expires_s` seconds after `signed_at_ms`; V2 states
    an absolute end, so there `signed_at_ms` is 0. `payload_hash` is `x-amz-content-sha256` as the
    canonical request uses it.
    """

    scheme: Scheme
    access_key: str
    signature: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_at_ms: int
    expires_s: int | None
    signed_headers: tuple[bytes, ...]
    payload_hash: str


def read_claim(
    head: RequestHead, *, allow_v2: bool = True, body_sha256: str | None = None
) -> Claim | None:
    """Who a request says signed it; None when it carries no authentication at all. `body_sha256`
    (hexadecimal) is what other services than S3 sign in place of `x-amz-content-sha256`.

    Raises S3Error as AWS does for malformed, doubled or unsupported authentication.
    """
    _refuse_repeated_headers(head)
    parameters = _auth_parameters(head) if head.raw_query else {}
    in_header = b"authorization" in head.by_name
    v4 = not _V4_MARKS.isdisjoint(parameters)
    v2 = not _V2_MARKS.isdisjoint(parameters)
    if not (in_header or v4 or v2):
        return None
    if in_header + v4 + v2 > 1:
        raise S3Error(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
            "Signature query string parameter or the Authorization header should be specified",
            ArgumentName="Authorization",
        )
    if in_header:
        return _read_header(head, allow_v2, body_sha256)
    for name, values in parameters.items():
        if len(values) > 1:
            raise _repeated("query parameter", name)
    single = {name: values[0] for name, values in parameters.items()}
    if v4:
        return _read_v4_query(head, single, body_sha256)
    _require_v2(allow_v2)
    return _read_v2_query(head, single)


def security_token(head: RequestHead) -> str | None:
    """What comes with temporary keys: a header, or a parameter of a presigned URL."""
    found = head.header(b"x-amz-security-token")
    if found is None and head.raw_query:
        found = _auth_parameters(head).get("x-amz-security-token", [None])[0]
    return found


def payload_mode(head: RequestHead) -> str:
    """How the body of a request that V4 does not sign is sent: `x-amz-content-sha256` or a guess.

    Some SDKs send a chunk-framed body with a trailer and, because nothing signs it, no
    `x-amz-content-sha256`; the three headers together can mean nothing else.
    """
    stated = head.header(b"x-amz-content-sha256")
    if stated is not None:
        return _checked_payload_hash(stated)
    encodings = [value.strip() for value in (head.header(b"content-encoding") or "").split(",")]
    framed = (
        "aws-chunked" in encodings
        and b"x-amz-trailer" in head.by_name
        and b"x-amz-decoded-content-length" in head.by_name
    )
    return STREAMING_UNSIGNED_TRAILER if framed else UNSIGNED_PAYLOAD


def hoisted(claim: Claim, head: RequestHead) -> tuple[tuple[bytes, bytes], ...]:
    """Headers that a presigned request carries as query parameters: (lower-case name, value).

    AWS reads `x-amz-*` parameters of presigned requests as headers; V2 signers also move
    Content-Type and Content-MD5. A V4 header of the same name wins; in V2 both are signed.
    """
    if not claim.scheme.is_query:
        return ()
    is_v4 = claim.scheme.is_v4
    moved = []
    for raw_name, raw_value in head.raw_pairs:
        name = unquote_to_bytes(raw_name).lower()
        if is_v4:
            wanted = (
                name.startswith(b"x-amz-")
                and name.decode("latin-1") not in _V4_PARAMETERS
                and name not in head.by_name
            )
        else:
            wanted = name.startswith(b"x-amz-") or name in (b"content-type", b"content-md5")
        if wanted:
            value = unquote_to_bytes(raw_value.replace(b"+", b" "))
            if any(byte < 0x20 or byte == 0x7F for byte in name + value):
                raise S3Error("InvalidArgument", ArgumentName=name.decode("latin-1"))
            moved.append((name, value))
    return tuple(moved)


def malformed(scheme: Scheme, detail: str, **fields: str) -> S3Error:
    """A credential or header that cannot be what it should, in the words of its place."""
    if scheme is Scheme.V4_QUERY:
        return S3Error(
            "AuthorizationQueryParametersError",
            f"Error parsing the X-Amz-Credential parameter; {detail}",
            headers=(),
            **fields,
        )
    return S3Error(
        "AuthorizationHeaderMalformed",
        f"The authorization header is malformed; {detail}",
        headers=(),
        **fields,
    )


def unsupported_v2() -> S3Error:
    """The answer to a Version 2 signature where it is not taken."""
    return S3Error(
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use "
        "AWS4-HMAC-SHA256.",
    )


def parse_date(text: str) -> tuple[int, str] | None:
    """(milliseconds, YYYYMMDDTHHMMSSZ) of an ISO 8601 basic or RFC 1123 date; else None."""
    return _parse_date(text) if len(text) <= _MAX_KEPT else None


@lru_cache(maxsize=1024)
def _parse_date(text: str) -> tuple[int, str] | None:
    if iso := _ISO_BASIC.match(text):
        year, month, day, hour, minute, second = map(int, iso.groups())
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            return None
        return timegm(moment.utctimetuple()) * 1000, text
    ms = parse_http_date(text)
    if ms is None or not 0 <= ms < _LAST_MS:
        return None
    return ms, (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y%m%dT%H%M%SZ")


def _refuse_repeated_headers(head: RequestHead) -> None:
    if len(head.by_name) == len(head.headers):
        return
    for name in _SINGLE_HEADERS:
        if len(head.by_name.get(name, ())) > 1:
            raise _repeated("header", name.decode())


def _repeated(kind: str, name: str) -> S3Error:
    return S3Error(
        "InvalidArgument", f"The {kind} {name} must be given only once", ArgumentName=name
    )


def _auth_parameters(head: RequestHead) -> dict[str, list[str]]:
    """Authentication parameters of the query; V4 names in lower case, V2 names as they are."""
    found: dict[str, list[str]] = {}
    for raw_name, raw_value in head.raw_pairs:
        name = unquote_to_bytes(raw_name).decode("latin-1")
        if name not in _V2_PARAMETERS:
            name = name.lower()
            if name not in _V4_PARAMETERS:
                continue
        value = unquote_to_bytes(raw_value.replace(b"+", b" ")).decode("utf-8", "replace")
        found.setdefault(name, []).append(value)
    return found


def _read_header(head: RequestHead, allow_v2: bool, body_sha256: str | None) -> Claim:
    text = head.header(b"authorization") or ""
    kind, _, rest = text.partition(" ")
    if kind == ALGORITHM:
        return _read_v4_header(head, rest, body_sha256)
    if kind.startswith("AWS4-ECDSA-P256-SHA256"):
        raise S3Error("NotImplemented")
    if kind == "AWS":
        _require_v2(allow_v2)
        return _read_v2_header(head, rest.strip())
    raise S3Error("InvalidArgument", "Unsupported Authorization Type", ArgumentName="Authorization")


def _read_v4_header(head: RequestHead, rest: str, body_sha256: str | None) -> Claim:
    parts: dict[str, str] = {}
    pieces = rest.split(",")
    for piece in pieces:
        name, _, value = piece.strip().partition("=")
        parts[name] = value
    if len(pieces) != 3 or parts.keys() != {"Credential", "SignedHeaders", "Signature"}:
        raise malformed(
            Scheme.V4_HEADER,
            "the authorization header requires three components: Credential, SignedHeaders, and "
            "Signature.",
        )
    access_key, date, region, service = credential(parts["Credential"], Scheme.V4_HEADER)
    signed_at_ms, timestamp = _header_date(head)
    payload_hash = body_sha256 or head.header(b"x-amz-content-sha256")
    if payload_hash is None:
        raise S3Error(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
        )
    return Claim(
        scheme=Scheme.V4_HEADER,
        access_key=access_key,
        signature=parts["Signature"],
        date=date,
        region=region,
        service=service,
        timestamp=timestamp,
        signed_at_ms=signed_at_ms,
        expires_s=None,
        signed_headers=_signed_headers(parts["SignedHeaders"]),
        payload_hash=_checked_payload_hash(payload_hash),
    )


def _read_v4_query(
    head: RequestHead, parameters: Mapping[str, str], body_sha256: str | None
) -> Claim:
    if any(not parameters.get(name) for name in _V4_REQUIRED):
        raise _query_error(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
            "X-Amz-Expires parameters."
        )
    algorithm = parameters["x-amz-algorithm"]
    if algorithm == "AWS4-ECDSA-P256-SHA256":
        raise S3Error("NotImplemented")
    if algorithm != ALGORITHM:
        raise _query_error('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    scheme = Scheme.V4_QUERY
    access_key, date, region, service = credential(parameters["x-amz-credential"], scheme)
    timestamp = parameters["x-amz-date"]
    signed_at = parse_date(timestamp) if _ISO_BASIC.match(timestamp) else None
    if signed_at is None:
        raise _query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    signed_headers = _signed_headers(parameters["x-amz-signedheaders"])
    payload_hash = body_sha256 or parameters.get("x-amz-content-sha256")
    if payload_hash is None and b"x-amz-content-sha256" in signed_headers:
        payload_hash = head.header(b"x-amz-content-sha256")
    return Claim(
        scheme=scheme,
        access_key=access_key,
        signature=parameters["x-amz-signature"],
        date=date,
        region=region,
        service=service,
        timestamp=timestamp,
        signed_at_ms=signed_at[0],
        expires_s=_expires(parameters["x-amz-expires"]),
        signed_headers=signed_headers,
        payload_hash=_checked_payload_hash(payload_hash or UNSIGNED_PAYLOAD),
    )


def _read_v2_header(head: RequestHead, rest: str) -> Claim:
    access_key, colon, signature = rest.rpartition(":")
    if not (access_key and colon and signature):
        raise S3Error(
            "InvalidArgument",
            "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            ArgumentName="Authorization",
        )
    signed_at_ms, timestamp = _header_date(head)
    return _v2_claim(head, Scheme.V2_HEADER, access_key, signature, timestamp, signed_at_ms, None)


def _read_v2_query(head: RequestHead, parameters: Mapping[str, str]) -> Claim:
    access_key, expires = parameters.get("AWSAccessKeyId"), parameters.get("Expires")
    # A '+' of the base64 that was not percent-encoded arrives as a space.
    signature = parameters.get("Signature", "").replace(" ", "+")
    if not (access_key and expires and signature):
        raise S3Error(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters",
        )
    if not _NUMBER.match(expires) or len(expires) > 15:
        raise S3Error("AccessDenied", f"Invalid date (should be seconds since epoch): {expires}")
    return _v2_claim(head, Scheme.V2_QUERY, access_key, signature, expires, 0, int(expires))


def _v2_claim(
    head: RequestHead,
    scheme: Scheme,
    access_key: str,
    signature: str,
    timestamp: str,
    signed_at_ms: int,
    expires_s: int | None,
) -> Claim:
    return Claim(
        scheme=scheme,
        access_key=access_key,
        signature=signature,
        date="",
        region="",
        service="",
        timestamp=timestamp,
        signed_at_ms=signed_at_ms,
        expires_s=expires_s,
        signed_headers=(),
        payload_hash=payload_mode(head),
    )


def _require_v2(allowed: bool) -> None:
    if not allowed:
        raise unsupported_v2()


def credential(text: str, scheme: Scheme) -> tuple[str, str, str, str]:
    """(access key, date, region, service) of a V4 credential."""
    read = _read_credential if len(text) <= _MAX_KEPT else _read_credential.__wrapped__
    return read(text, scheme)


@lru_cache(maxsize=4096)
def _read_credential(text: str, scheme: Scheme) -> tuple[str, str, str, str]:
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or not all(parts):
        raise malformed(
            scheme,
            "the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    access_key, date, region, service, terminal = parts
    if terminal != "aws4_request":
        raise malformed(
            scheme, f'incorrect terminal "{terminal}". This endpoint uses "aws4_request".'
        )
    if not _SCOPE_DATE.match(date):
        raise malformed(
            scheme,
            f'incorrect date format "{date}". This date in the credential must be in the format '
            '"yyyyMMdd".',
        )
    return access_key, date, region, service


def _signed_headers(text: str) -> tuple[bytes, ...]:
    read = _read_signed_headers if len(text) <= _MAX_KEPT else _read_signed_headers.__wrapped__
    return read(text)


@lru_cache(maxsize=1024)
def _read_signed_headers(text: str) -> tuple[bytes, ...]:
    return tuple(text.lower().encode().split(b";"))


def _header_date(head: RequestHead) -> tuple[int, str]:
    text = head.header(b"x-amz-date")
    if text is None:
        text = head.header(b"date")
    found = None if text is None else parse_date(text)
    if found is None:
        raise S3Error(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    return found


def _expires(text: str) -> int:
    if not _NUMBER.match(text):
        raise _query_error("X-Amz-Expires should be a number")
    if text.startswith("-") or not text.strip("0"):
        raise _query_error("X-Amz-Expires must be non-negative")
    if len(text) > 15 or int(text) > MAX_EXPIRES_S:
        raise _query_error(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            f"X-Amz-Expires must be less than {MAX_EXPIRES_S} seconds"
        )
    return int(text)


def _checked_payload_hash(text: str) -> str:
    if text in _PAYLOAD_MODES or _HEX_SHA256.match(text):
        return text
    if text.startswith("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"):
        raise S3Error("NotImplemented")
    raise S3Error(
        "InvalidArgument",
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a "
        "valid sha256 value.",
        ArgumentName="x-amz-content-sha256",
        ArgumentValue=text,
    )


def _query_error(message: str) -> S3Error:
    return S3Error("AuthorizationQueryParametersError", message)
