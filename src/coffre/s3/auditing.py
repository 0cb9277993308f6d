"""The audit's record of a request, and how it gets to the catalog.

The record of a change travels with the first mutation of the request, into that mutation's group:
it says what is answered unless something goes wrong later, which leaves a record of its own (with
the same request id). That of a refusal is committed before the answer. Those of successful reads
follow within half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import json
from msgspec.structs import replace

from coffre.access.principals import Principal
from coffre.catalog.audit_mutations import RecordAudit
from coffre.catalog.audit_records import AuditRecord, encode_record, readable
from coffre.catalog.interface import (
    Committer,
    CommitterBusy,
    CommitUnknown,
    Reader,
    RecordingCommitter,
)
from coffre.catalog.mutations import DeleteVersion, Mutation, Refusal, Refused, Result
from coffre.s3.parameters import show_version_id
from coffre.system.buffer import Buffer
from coffre.system.clock import Clock
from coffre.wire.errors import CATALOGUE, S3Error

if TYPE_CHECKING:
    from coffre.s3.exchange import Exchange

_AGENT_CHARACTERS: Final = 256
_NAME_CHARACTERS: Final = 255
_DENIED: Final = "AccessDenied"
_COPIES: Final = frozenset({"CopyObject", "UploadPartCopy"})
_STATUS: Final = {"DELETE": 204}
_OF_MANY: Final = '{"of":"DeleteObjects"}'


class Audit(Protocol):
    """Where records go (`coffre.ledger.recorder`)."""

    committer: RecordingCommitter

    def admit(self) -> None:
        """Raises CommitterBusy while as many records wait as may."""
        ...

    def note(self, record: bytes, /) -> None:
        """Of a read that was answered: it is committed within half a second."""
        ...

    async def keep(self, records: Sequence[bytes], /) -> None:
        """Return once they are committed. Raises CommitterBusy, CommitUnknown, Refusal."""
        ...


def principal_name(one: Principal | None) -> str:
    """The ARN of who asks; "" where that is not known, `anonymous` for nobody."""
    if one is None:
        return ""
    if one.user_id is None:
        return one.service or "anonymous"
    service = "sts" if one.kind == "role" else "iam"
    return f"arn:aws:{service}::{one.account}:{'root' if one.root else one.path}"


def record_of(one: Exchange, ended: float, status: int, error: str, sent: int) -> bytes:
    """The encoded record of a request that ended at `ended` (monotonic seconds)."""
    return encode_record(_record(one, ended, status, error, sent))


def _record(one: Exchange, ended: float, status: int, error: str, sent: int) -> AuditRecord:
    head, operation, target, body, claim = one.head, one.operation, one.target, one.body, one.claim
    name, detail = one.called if operation is None else operation.name, one.detail
    if name in _COPIES:
        detail = _detail(source=readable(head.header(b"x-amz-copy-source") or "")[:1200])
    # By place, as the fields stand: every request makes one.
    return AuditRecord(
        one.now_ms,
        one.request_id,
        "iam" if one.called else "s3",
        "",
        one.store,
        one.tenant_id.hex(),
        principal_name(one.principal),
        "" if claim is None else claim.access_key[:_NAME_CHARACTERS],
        head.client,
        name,
        "" if target is None else (target.bucket or "")[:_NAME_CHARACTERS],
        b"" if target is None else target.key or b"",
        status,
        error,
        0 if body is None else body.received,
        sent,
        int((ended - one.started) * 1_000_000),
        head.scheme == "https",
        (head.header(b"user-agent") or "")[:_AGENT_CHARACTERS],
        (one.denied if error == _DENIED else "") or one.decided,
        detail,
        _version(one) if head.raw_query else "",
    )


def _version(one: Exchange) -> str:
    try:
        return one.head.query.get("versionId", "")[:_NAME_CHARACTERS]
    except S3Error:
        return ""  # A query that does not parse is what is refused.


def _detail(**said: Any) -> str:
    return json.encode(said).decode()


class ChangeRecorder:
    """The committer for one request: its first change carries the request's record.

    Of a request that deletes many keys each key has a record, as each has an event with AWS.
    """

    __slots__ = ("_clock", "_committer", "_exchange")

    def __init__(self, committer: RecordingCommitter, exchange: Exchange, clock: Clock) -> None:
        self._committer = committer
        self._exchange = exchange
        self._clock = clock

    async def commit(self, mutation: Mutation, body: Sequence[Buffer] = ()) -> Result:
        """See `Committer`."""
        record = self._record()
        done = await self._committer.commit(mutation, body, record)
        self._exchange.recorded = self._exchange.recorded or bool(record)
        return done

    async def commit_all(self, mutations: Sequence[Mutation]) -> list[Result | Refused]:
        """See `Committer`. The request's own record goes with them."""
        one = self._exchange
        one.detail = _detail(keys=len(mutations) + len(one.refused))
        own = RecordAudit((self._record(),))
        records = [*map(self._of, mutations), b""]
        done = await self._committer.commit_all((*mutations, own), records)
        one.recorded = not isinstance(done.pop(), Refused)
        for mutation, answer in zip(mutations, done, strict=True):
            if isinstance(answer, Refused) and isinstance(mutation, DeleteVersion):
                code = answer.code if answer.code in CATALOGUE else "InternalError"
                one.refused.append(self._of(mutation, S3Error(code)))
        return done

    def _record(self) -> bytes:
        one = self._exchange
        if one.recorded:
            return b""
        status = _STATUS.get(one.head.method, 200)
        return record_of(one, self._clock.monotonic(), status, "", 0)

    def _of(self, mutation: Mutation, error: S3Error | None = None) -> bytes:
        if not isinstance(mutation, DeleteVersion):
            return b""
        version = "" if mutation.version_id is None else show_version_id(mutation.version_id)
        about = (self._exchange, self._clock.monotonic(), mutation.key, version, error)
        return key_record(*about, self._exchange.allowed.get(mutation.key, ""))


def key_record(
    one: Exchange,
    ended: float,
    key: bytes,
    version: str,
    error: S3Error | None,
    decided: str = "",
) -> bytes:
    """The record of one key of a request that deletes many."""
    status, code = (204, "") if error is None else (error.status, error.code)
    record = _record(one, ended, status, code, 0)
    return encode_record(
        replace(
            record,
            operation="DeleteObject",
            key=key,
            version=version,
            bytes_in=0,
            decision=decided or record.decision,
            detail=_OF_MANY,
        )
    )


def recording(
    audit: Audit | None, committer: Committer, exchange: Exchange, clock: Clock
) -> Committer:
    """The committer as a request uses it."""
    return committer if audit is None else ChangeRecorder(audit.committer, exchange, clock)


def attribute(reader: Reader, one: Exchange) -> None:
    """Whose a refusal is where nobody was let in: the store's that the host names, or the key's."""
    store = None
    if one.target is not None and one.target.store is not None:
        store = reader.store_named(one.target.store)
    elif one.claim is not None:
        identity = reader.identity(one.claim.access_key)
        store = None if identity is None else identity.store
    if store is not None:
        one.enter(store)


async def keep_refusal(audit: Audit, one: Exchange, ended: float, status: int) -> None:
    """Commit the record of a refusal, and those of keys that were refused. Raises S3Error
    (ServiceUnavailable) where that is impossible: what cannot be recorded is not answered."""
    records = list(one.refused)
    if status >= 400:
        records.append(record_of(one, ended, status, one.error, 0))
    try:
        await audit.keep(records)
    except (CommitUnknown, CommitterBusy, Refusal) as failure:
        raise S3Error("ServiceUnavailable", "The answer cannot be recorded now.") from failure
    one.refused.clear()
    one.recorded = one.recorded or status >= 400
