"""Who signed the request: claim, secrets, signature, store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from coffre.access.principals import ANONYMOUS, Principal
from coffre.catalog.records import Store
from coffre.iam.signers import Signer, find_signer
from coffre.s3 import unsigned
from coffre.s3.services import Services
from coffre.wire.auth import Claim, Verified, hoisted, read_claim, verify
from coffre.wire.checksums import Algorithm
from coffre.wire.claim import security_token, unsupported_v2
from coffre.wire.errors import S3Error
from coffre.wire.form_auth import verify_form
from coffre.wire.request import RequestHead
from coffre.wire.target import Target

_SUMS_OF_NOTHING: Final = frozenset(
    (b"x-amz-sdk-checksum-algorithm", *(algorithm.header.encode() for algorithm in Algorithm))
)


def with_hoisted(claim: Claim | None, head: RequestHead) -> RequestHead:
    """The head with the headers that a presigned URL carries as parameters among its headers.

    Not so a checksum's value: whoever signs a URL has no body yet, and SDKs then sign the checksum
    of nothing into it, which S3 does not look at.
    """
    moved = () if claim is None else hoisted(claim, head)
    moved = tuple(one for one in moved if one[0] not in _SUMS_OF_NOTHING)
    if not moved:
        return head
    return RequestHead(
        head.method,
        head.raw_path,
        head.raw_query,
        head.headers + moved,
        scheme=head.scheme,
        client=head.client,
    )


def authenticate(
    services: Services, claim: Claim | None, head: RequestHead, target: Target, now_ms: int
) -> tuple[Principal, Store, Verified | None]:
    """Principal, the store that the request is about, and what was verified (None: anonymous).

    Raises AccessDenied for a stranger who says nothing of a store and for a key of another store
    than the host's; else as `wire.auth.verify`.
    """
    if claim is None:
        return ANONYMOUS, store_of_nobody(services, head, target), None
    signer = signer_of(services, claim, security_token(head), now_ms)
    if not (claim.scheme.is_v4 or signer.store.allow_v2):
        read_claim(head, allow_v2=False)  # raises, in AWS's words
    try:
        verified = _verify(services, claim, head, target, signer.secrets, now_ms)
    except S3Error as error:
        slashed = _with_slash(claim, head, target)
        if error.code != "SignatureDoesNotMatch" or slashed is None:
            raise
        verified = _verify(services, claim, slashed, target, signer.secrets, now_ms)
    return admitted(services, signer, target, now_ms), signer.store, verified


def authenticate_form(
    services: Services, claim: Claim, form: Mapping[str, str], target: Target, now_ms: int
) -> tuple[Principal, Store]:
    """As `authenticate`, of a browser form's fields, whose policy is what is signed."""
    signer = signer_of(services, claim, form.get("x-amz-security-token"), now_ms)
    if not (claim.scheme.is_v4 or signer.store.allow_v2):
        raise unsupported_v2()
    settings = services.settings
    verify_form(claim, form["policy"], signer.secrets, settings.regions, settings.region)
    return admitted(services, signer, target, now_ms), signer.store


def signer_of(services: Services, claim: Claim, token: str | None, now_ms: int) -> Signer:
    """Whose key it is, and the secrets that verify. Raises InvalidAccessKeyId, InvalidToken,
    ExpiredToken."""
    opens = (services.keyring, services.iam.sessions)
    return find_signer(services.reader, *opens, claim.access_key, token, now_ms)


def admitted(services: Services, signer: Signer, target: Target, now_ms: int) -> Principal:
    """Who signed, now that the signature holds. AccessDenied for a key of another store than the
    host's."""
    if signer.key:
        services.used(signer.key, now_ms)
    if target.store is not None and target.store != signer.store.name:
        raise S3Error("AccessDenied")
    return signer.principal()


def _verify(
    services: Services,
    claim: Claim,
    head: RequestHead,
    target: Target,
    secrets: Sequence[str],
    now_ms: int,
) -> Verified:
    settings = services.settings
    return verify(
        claim,
        head,
        secrets,
        regions=settings.regions,
        region=settings.region,
        now_ms=now_ms,
        bucket_path=f"/{target.bucket}".encode() if target.virtual else None,
    )


def _with_slash(claim: Claim, head: RequestHead, target: Target) -> RequestHead | None:
    """The head as V2 signers in use mean it that send `/bucket` and sign `/bucket/`, botocore's
    among them; None where that is not the case. Both name the bucket and nothing else."""
    path = head.raw_path
    if claim.scheme.is_v4 or target.virtual or target.key is not None or path.endswith(b"/"):
        return None
    return RequestHead(
        head.method,
        path + b"/",
        head.raw_query,
        head.headers,
        scheme=head.scheme,
        client=head.client,
    )


def store_of_nobody(services: Services, head: RequestHead, target: Target) -> Store:
    """The store that an unsigned request is about. AccessDenied where it does not say."""
    store = unsigned.store_of(services, head, target)
    if store is None:
        raise S3Error("AccessDenied")
    return store
