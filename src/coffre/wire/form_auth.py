"""Who signed a browser form: its policy is what the signature is over, in either version.

Sources: AWS "Authenticating Requests in Browser-Based Uploads Using POST" (SigV4) and "Browser-
based uploads using POST" (SigV2).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hmac import compare_digest

from coffre.wire import sigv2, sigv4
from coffre.wire.auth import Verified, check_scope, signature_mismatch
from coffre.wire.claim import Claim, Scheme, credential, malformed, parse_date
from coffre.wire.errors import S3Error

_V4 = ("x-amz-credential", "x-amz-date", "x-amz-signature")
_V2 = ("awsaccesskeyid", "signature")
_SHOWN = {"awsaccesskeyid": "AWSAccessKeyId", "signature": "Signature"}


def missing_field(name: str) -> S3Error:
    """InvalidArgument for a form without a field that it needs, in AWS's words."""
    return S3Error(
        "InvalidArgument",
        f"Bucket POST must contain a field named '{_SHOWN.get(name, name)}'.  If it is specified, "
        "please check the order of the fields.",
        ArgumentName=_SHOWN.get(name, name),
        ArgumentValue="",
    )


def read_form_claim(fields: Mapping[str, str]) -> Claim | None:
    """Who a form says signed it; None when it carries neither policy nor signature.

    Raises InvalidArgument for a field that is missing, AuthorizationQueryParametersError for a
    credential that cannot be one.
    """
    is_v4 = not {"x-amz-algorithm", *_V4}.isdisjoint(fields)
    is_v2 = not set(_V2).isdisjoint(fields)
    if "policy" not in fields:
        if is_v4 or is_v2:
            raise missing_field("policy")
        return None
    if is_v4 and is_v2:
        raise S3Error(
            "InvalidArgument", "Only one auth mechanism allowed", ArgumentName="x-amz-signature"
        )
    for name in _V4 if is_v4 else _V2:
        if not fields.get(name):
            raise missing_field(name)
    return (
        _v4_claim(fields)
        if is_v4
        else _claim(Scheme.V2_QUERY, fields["awsaccesskeyid"], fields["signature"])
    )


def verify_form(
    claim: Claim, policy: str, secrets: Sequence[str], regions: Collection[str], region: str
) -> Verified:
    """Hold a form's claim against the secrets of its access key. Raises SignatureDoesNotMatch and,
    for a scope that is not ours, AuthorizationQueryParametersError."""
    to_sign = policy.encode()
    wanted = claim.signature.encode()
    if claim.scheme.is_v4:
        check_scope(claim, regions, region)
    for index, secret in enumerate(secrets):
        key = b""
        if claim.scheme.is_v4:
            key = sigv4.signing_key(secret, claim.date, claim.region, claim.service)
        signature = sigv4.sign(key, to_sign) if key else sigv2.sign(secret, to_sign)
        if compare_digest(signature.encode(), wanted):
            return Verified(claim, key, index)
    raise signature_mismatch(claim, to_sign)


def _v4_claim(fields: Mapping[str, str]) -> Claim:
    if fields.get("x-amz-algorithm") != sigv4.ALGORITHM:
        raise S3Error(
            "InvalidArgument",
            f'x-amz-algorithm only supports "{sigv4.ALGORITHM}"',
            ArgumentName="x-amz-algorithm",
            ArgumentValue=fields.get("x-amz-algorithm", ""),
        )
    access_key, date, region, service = credential(fields["x-amz-credential"], Scheme.V4_QUERY)
    signed_at = parse_date(fields["x-amz-date"])
    if signed_at is None:
        raise malformed(Scheme.V4_QUERY, f'invalid x-amz-date "{fields["x-amz-date"]}"')
    return _claim(
        Scheme.V4_QUERY,
        access_key,
        fields["x-amz-signature"],
        date=date,
        region=region,
        service=service,
        timestamp=signed_at[1],
        signed_at_ms=signed_at[0],
    )


def _claim(
    scheme: Scheme,
    access_key: str,
    signature: str,
    *,
    date: str = "",
    region: str = "",
    service: str = "",
    timestamp: str = "",
    signed_at_ms: int = 0,
) -> Claim:
    return Claim(
        scheme=scheme,
        access_key=access_key,
        signature=signature,
        date=date,
        region=region,
        service=service,
        timestamp=timestamp,
        signed_at_ms=signed_at_ms,
        expires_s=None,
        signed_headers=(),
        payload_hash=sigv4.UNSIGNED_PAYLOAD,
    )
