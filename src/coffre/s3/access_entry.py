"""What the line of an access log says of a finished request."""

from __future__ import annotations

from typing import Protocol

from coffre.access.principals import Principal
from coffre.catalog.records import Bucket
from coffre.s3.body import RequestBody
from coffre.s3.operation import Operation
from coffre.s3.response import Response
from coffre.wire.access_log import Entry, operation_name
from coffre.wire.auth import Claim
from coffre.wire.request import RequestHead
from coffre.wire.target import Target


class Finished(Protocol):
    """A request and what became known of it. `answered` and `started` are monotonic seconds."""

    head: RequestHead
    request_id: str
    now_ms: int
    started: float
    answered: float
    target: Target | None
    claim: Claim | None
    operation: Operation | None
    principal: Principal | None
    body: RequestBody | None
    response: Response | None
    error: str
    status: int
    sent: int


def entry_of(one: Finished, bucket: Bucket, ended: float, host_id: str, *, site: bool) -> Entry:
    """The entry of a request on `bucket` that ended at `ended` (monotonic)."""
    head, operation, principal, claim = one.head, one.operation, one.principal, one.claim
    key = None if one.target is None else one.target.key
    path = head.raw_path.decode("latin-1")
    query = f"?{head.raw_query.decode('latin-1')}" if head.raw_query else ""
    selector = None if operation is None else operation.selector
    name = operation_name(
        head.method if operation is None else operation.method,
        "" if selector is None else selector.sub_resource,
        key=key is not None,
        copy=selector is not None and selector.copy,
        site=site,
    )
    scheme = None if claim is None else claim.scheme
    return Entry(
        owner=bucket.owner_id,
        bucket=bucket.name,
        at_ms=one.now_ms,
        client=head.client,
        requester="" if principal is None else principal.user_id or "",
        request_id=one.request_id,
        operation=name,
        key=key,
        line=f"{head.method} {path}{query} HTTP/1.1",
        status=one.status,
        error=one.error,
        sent=one.sent,
        size=_object_size(one),
        total_ms=round((ended - one.started) * 1000),
        turn_ms=round((one.answered - one.started) * 1000),
        referrer=head.header(b"referer") or "",
        agent=head.header(b"user-agent") or "",
        version=head.query.get("versionId", "") if head.raw_query else "",
        host_id=host_id,
        signature="" if scheme is None else "SigV4" if scheme.is_v4 else "SigV2",
        authentication="" if scheme is None else "QueryString" if scheme.is_query else "AuthHeader",
        host=head.header(b"host") or "",
        secure=head.scheme == "https",
    )


def _object_size(one: Finished) -> int | None:
    """The size of the object that was read or written; None for anything else."""
    operation, response = one.operation, one.response
    if operation is None or response is None or one.status >= 300:
        return None
    if operation.name in ("GetObject", "HeadObject"):
        told = dict(response.headers)
        if b"content-range" in told:
            return int(told[b"content-range"].rpartition(b"/")[2])
        if b"content-length" in told:
            return int(told[b"content-length"])
        return len(response.body) if response.stream is None else response.length
    if operation.name in ("PutObject", "UploadPart") and one.body is not None:
        decoded = one.head.header(b"x-amz-decoded-content-length")
        return int(decoded) if decoded is not None else one.body.received
    return None
