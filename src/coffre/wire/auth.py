"""Whether a request was signed by who it says: one gate for all four schemes.

`read_claim` tells whose secrets to look up, `verify` holds the claim against them. Sources: as
`wire.claim`; the 15 minutes are AWS's clock skew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from itertools import chain
from typing import Final

from msgspec import Struct

from coffre.wire import sigv2, sigv4
from coffre.wire.claim import Claim, Scheme, hoisted, malformed, read_claim
from coffre.wire.customer_key import redacted
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

__all__ = [
    "MAX_SKEW_MS",
    "Claim",
    "Scheme",
    "Verified",
    "hoisted",
    "read_claim",
    "signature_mismatch",
    "verify",
]

MAX_SKEW_MS: Final = 15 * 60 * 1000


class Verified(Struct, frozen=True):
    """A claim that holds; `secret_index` says which of the secrets it holds with.

    `signing_key` is the V4 key of the claim's scope (it continues the chain of a signed chunked
    body), empty in V2.
    """

    claim: Claim
    signing_key: bytes
    secret_index: int


def verify(
    claim: Claim,
    head: RequestHead,
    secrets: Sequence[str],
    *,
    regions: Collection[str],
    region: str,
    now_ms: int,
    bucket_path: bytes | None = None,
    service: str = "s3",
) -> Verified:
    """Hold a claim against the secrets of its access key, or raise AWS's S3Error.

    `regions` are those a scope may name, `region` the one to tell a client that names another;
    `bucket_path` is `/bucket` when the host named the bucket (V2 signs it).
    """
    if claim.scheme.is_v4:
        check_scope(claim, regions, region, service)
        _check_signed_headers(claim, head)
    if claim.expires_s is None:
        _check_skew(claim, head, now_ms)
    else:
        _check_lifetime(claim, claim.expires_s, now_ms)
    if claim.scheme.is_v4:
        return _match_v4(claim, head, secrets)
    return _match_v2(claim, head, secrets, bucket_path)


def signature_mismatch(
    claim: Claim,
    string_to_sign: bytes,
    canonical_request: bytes | None = None,
    *,
    signature: str | None = None,
) -> S3Error:
    """SignatureDoesNotMatch with what the client needs to find its mistake, as AWS lists it; but
    no key that it brought for its object."""
    string_to_sign = redacted(string_to_sign)
    fields = {
        "AWSAccessKeyId": claim.access_key,
        "StringToSign": string_to_sign.decode("utf-8", "replace"),
        "SignatureProvided": claim.signature if signature is None else signature,
        "StringToSignBytes": string_to_sign.hex(" "),
    }
    if canonical_request is not None:
        canonical_request = redacted(canonical_request)
        fields["CanonicalRequest"] = canonical_request.decode("utf-8", "replace")
        fields["CanonicalRequestBytes"] = canonical_request.hex(" ")
    return S3Error("SignatureDoesNotMatch", headers=(), **fields)


def check_scope(claim: Claim, regions: Collection[str], region: str, service: str = "s3") -> None:
    if claim.region not in regions:
        raise malformed(
            claim.scheme,
            f"the region '{claim.region}' is wrong; expecting '{region}'",
            Region=region,
        )
    if claim.service != service:
        raise malformed(
            claim.scheme,
            f'incorrect service "{claim.service}". This endpoint belongs to "{service}".',
        )
    if claim.date != claim.timestamp[:8]:
        raise malformed(
            claim.scheme,
            f'Invalid credential date "{claim.date}". This date is not the same as X-Amz-Date: '
            f'"{claim.timestamp[:8]}".',
        )


def _check_signed_headers(claim: Claim, head: RequestHead) -> None:
    signed = claim.signed_headers
    loose = [name for name in head.by_name if name.startswith(b"x-amz-") and name not in signed]
    if b"host" not in signed:
        loose.append(b"host")
    if (
        claim.scheme is Scheme.V4_QUERY
        and loose == [b"x-amz-content-sha256"]
        and head.header(b"x-amz-content-sha256") == claim.payload_hash == sigv4.UNSIGNED_PAYLOAD
    ):
        return  # It says again what a presigned request already means.
    if loose:
        raise S3Error(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(name.decode("latin-1") for name in loose),
        )


def _check_skew(claim: Claim, head: RequestHead, now_ms: int) -> None:
    if abs(now_ms - claim.signed_at_ms) > MAX_SKEW_MS:
        raise S3Error(
            "RequestTimeTooSkewed",
            RequestTime=head.header(b"x-amz-date") or head.header(b"date") or claim.timestamp,
            ServerTime=_iso(now_ms),
            MaxAllowedSkewMilliseconds=str(MAX_SKEW_MS),
        )


def _check_lifetime(claim: Claim, expires_s: int, now_ms: int) -> None:
    ends_ms = claim.signed_at_ms + expires_s * 1000
    stated = {"X-Amz-Expires": str(expires_s)} if claim.scheme.is_v4 else {}
    if now_ms > ends_ms:
        raise S3Error(
            "AccessDenied",
            "Request has expired",
            headers=(),
            **stated,
            Expires=_iso(ends_ms),
            ServerTime=_iso(now_ms),
        )
    if claim.signed_at_ms - now_ms > MAX_SKEW_MS:
        raise S3Error(
            "AccessDenied",
            "Request is not yet valid",
            headers=(),
            **stated,
            Expires=_iso(ends_ms),
            ServerTime=_iso(now_ms),
        )


def _match_v4(claim: Claim, head: RequestHead, secrets: Sequence[str]) -> Verified:
    keys = [
        sigv4.signing_key(secret, claim.date, claim.region, claim.service) for secret in secrets
    ]
    scope = sigv4.scope(claim.date, claim.region, claim.service)
    readings = sigv4.canonical_requests(head, claim.signed_headers, claim.payload_hash)
    canonical = next(readings)
    for reading in chain((canonical,), readings):
        to_sign = sigv4.string_to_sign(claim.timestamp, scope, reading)
        index = _matching((sigv4.sign(key, to_sign) for key in keys), claim.signature)
        if index is not None:
            return Verified(claim, keys[index], index)
    to_sign = sigv4.string_to_sign(claim.timestamp, scope, canonical)
    raise signature_mismatch(claim, to_sign, canonical)


def _match_v2(
    claim: Claim, head: RequestHead, secrets: Sequence[str], bucket_path: bytes | None
) -> Verified:
    readings = sigv2.strings_to_sign(
        head,
        expires=claim.timestamp if claim.scheme is Scheme.V2_QUERY else None,
        hoisted=hoisted(claim, head),
        bucket_path=bucket_path,
    )
    first = next(readings)
    for to_sign in chain((first,), readings):
        index = _matching((sigv2.sign(secret, to_sign) for secret in secrets), claim.signature)
        if index is not None:
            return Verified(claim, b"", index)
    raise signature_mismatch(claim, first)


def _matching(computed: Iterable[str], provided: str) -> int | None:
    wanted = provided.encode()
    for index, signature in enumerate(computed):
        if compare_digest(signature.encode(), wanted):
            return index
    return None


def _iso(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(ms // 1000)
