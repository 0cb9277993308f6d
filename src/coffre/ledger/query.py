"""What is searched for in the audit: the same conditions on a record, and as SQL on a segment."""

from __future__ import annotations

from typing import Any, Final, Literal

from msgspec import Struct

from coffre.catalog.audit_records import AuditRecord
from coffre.ledger.names import BUCKET, OPERATION, STORE, TENANT, WHO

Outcome = Literal["ok", "denied", "error"]
OUTCOMES: Final = ("ok", "denied", "error")
DENIED: Final = (401, 403)
_DENIED_SQL: Final = "status IN (401, 403)"
_ERROR_SQL: Final = "(status >= 400 OR (status = 0 AND error <> ''))"
_OUTCOME_SQL: Final = {
    "ok": f"NOT {_ERROR_SQL}",
    "denied": _DENIED_SQL,
    "error": f"{_ERROR_SQL} AND NOT {_DENIED_SQL}",
}


class Query(Struct, frozen=True, kw_only=True):
    """Conditions, all of which a record must meet; None: whatever it is. `principal` is an ARN, a
    name as records have it, or an access key. `since_ms` is the first millisecond that is wanted,
    `until_ms` the first that is not."""

    store: str | None = None
    tenant: str | None = None
    bucket: str | None = None
    key: bytes | None = None
    prefix: bytes | None = None
    principal: str | None = None
    operation: str | None = None
    outcome: Outcome | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def names(self) -> list[tuple[str, str]]:
        """What a segment must name to hold anything that is wanted (`names`)."""
        wanted = (
            (STORE, self.store),
            (TENANT, self.tenant),
            (BUCKET, self.bucket),
            (WHO, self.principal),
            (OPERATION, self.operation),
        )
        return [(kind, name) for kind, name in wanted if name is not None]

    def meets(self, first_ms: int, last_ms: int) -> bool:
        """Whether anything from `first_ms` to `last_ms` may be wanted."""
        return (self.since_ms is None or last_ms >= self.since_ms) and (
            self.until_ms is None or first_ms < self.until_ms
        )

    def matches(self, record: AuditRecord) -> bool:
        """Whether the record is wanted."""
        return (
            self.meets(record.at_ms, record.at_ms)
            and self.store in (None, record.store)
            and self.tenant in (None, record.tenant)
            and self.bucket in (None, record.bucket)
            and self.key in (None, record.key)
            and (self.prefix is None or record.key.startswith(self.prefix))
            and self.principal in (None, record.principal, record.access_key)
            and self.operation in (None, record.operation)
            and self.outcome in (None, outcome_of(record))
        )

    def sql(self) -> tuple[list[str], list[Any]]:
        """The conditions on a row of a segment, and the values of their parameters."""
        clauses: list[str] = []
        values: list[Any] = []
        for clause, value in (
            ("store = ?", self.store),
            ("tenant = ?", self.tenant),
            ("bucket = ?", self.bucket),
            ("key = ?", self.key),
            ("operation = ?", self.operation),
            ("at_ms >= ?", self.since_ms),
            ("at_ms < ?", self.until_ms),
        ):
            if value is not None:
                clauses.append(clause)
                values.append(value)
        if self.principal is not None:
            clauses.append("(principal = ? OR access_key = ?)")
            values += [self.principal, self.principal]
        if self.prefix:
            clauses.append("key >= ?")
            values.append(self.prefix)
            end = _after_all(self.prefix)
            if end:
                clauses.append("key < ?")
                values.append(end)
        if self.outcome is not None:
            clauses.append(_OUTCOME_SQL[self.outcome])
        return clauses, values


def outcome_of(record: AuditRecord) -> Outcome:
    """How it went: `denied` where nobody may, `error` for every other failure. A record without a
    status failed if it names an error."""
    if record.status in DENIED:
        return "denied"
    failed = record.status >= 400 or (record.status == 0 and record.error != "")
    return "error" if failed else "ok"


def _after_all(prefix: bytes) -> bytes:
    """The least key behind all that begin with a prefix; b"" where there is none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b""
