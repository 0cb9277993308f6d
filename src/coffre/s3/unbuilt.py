"""Headers that ask for what is not built: refused, because ignoring them would weaken the answer.

A header that asks for what we do anyway (AES256, an event hold that is off) passes.
"""

from __future__ import annotations

from typing import Final

from coffre.access.principals import account_of
from coffre.catalog.records import Bucket
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

# header -> the values that change nothing here
_UNBUILT: Final[dict[bytes, frozenset[bytes]]] = {
    b"x-amz-object-lock-event-hold": frozenset({b"OFF"}),
    b"x-amz-object-lock-event-hold-duration-days": frozenset(),
    b"x-amz-object-lock-event-hold-duration-years": frozenset(),
    b"x-amz-write-offset-bytes": frozenset(),
    b"x-amz-if-match-initiated-time": frozenset(),
    b"x-amz-mfa": frozenset(),
}
# What nearly every request has, and nothing else: not worth a look each.
_ORDINARY: Final = frozenset(
    {
        *(b"accept", b"accept-encoding", b"authorization", b"connection", b"content-length"),
        *(b"content-type", b"host", b"user-agent", b"x-amz-content-sha256", b"x-amz-date"),
    }
)


def refuse_unbuilt(head: RequestHead) -> None:
    """Raises NotImplemented for such a header."""
    if _ORDINARY.issuperset(head.by_name):
        return
    for name, values in head.by_name.items():
        if not name.startswith(b"x-amz-"):
            continue
        harmless = _UNBUILT.get(name)
        if harmless is not None and values[0].strip() not in harmless:
            raise _not_built(name)


def refuse_partial_write(head: RequestHead) -> None:
    """NotImplemented for a PUT of a range: taken as a whole PUT it would destroy the object."""
    for name in (b"range", b"content-range"):
        if name in head.by_name:
            raise _not_built(name)


def check_expected_owner(head: RequestHead, bucket: Bucket, *, source: bool = False) -> None:
    """AccessDenied where the client expects another owner of the bucket: an account by its number,
    as AWS has it, or an Owner ID."""
    name = b"x-amz-source-expected-bucket-owner" if source else b"x-amz-expected-bucket-owner"
    expected = head.header(name)
    if expected is not None and expected not in (bucket.owner_id, account_of(bucket.store_id)):
        raise S3Error("AccessDenied")


def _not_built(name: bytes) -> S3Error:
    return S3Error("NotImplemented", Header=name.decode())
