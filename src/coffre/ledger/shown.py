"""A record of the audit as people and programs are shown it: JSON, lines of it, CSV, syslog."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from coffre.ledger.placed import Placed
from coffre.ledger.query import outcome_of

FIELDS: Final = (
    *("id", "at_ms", "request_id", "source", "via", "store", "tenant", "principal", "access_key"),
    *("client", "operation", "bucket", "key", "version", "status", "error", "bytes_in"),
    *("bytes_out", "duration_ms", "tls", "user_agent", "decision", "detail"),
)
# RFC 5424: facility 13, log audit; informational, notice, warning.
_FACILITY: Final = 13 * 8
_SEVERITY: Final = {"ok": 6, "error": 5, "denied": 4}


def shown(row: Placed) -> dict[str, Any]:
    """A record by the names of `FIELDS`. `id` is the same wherever the record is shown; of a key
    that is no UTF-8, what is none is replaced."""
    record = row.record
    return {
        "id": f"{row.batch}-{row.place}",
        "at_ms": record.at_ms,
        "request_id": record.request_id,
        "source": record.source,
        "via": record.via,
        "store": record.store,
        "tenant": record.tenant,
        "principal": record.principal,
        "access_key": record.access_key,
        "client": record.client,
        "operation": record.operation,
        "bucket": record.bucket,
        "key": record.key.decode("utf-8", "replace"),
        "version": record.version,
        "status": record.status,
        "error": record.error,
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
        "duration_ms": record.micros / 1000,
        "tls": record.tls,
        "user_agent": record.user_agent,
        "decision": record.decision,
        "detail": record.detail,
    }


def json_lines(rows: Sequence[Placed]) -> bytes:
    """A line of JSON for each."""
    return b"".join(msgspec.json.encode(shown(row)) + b"\n" for row in rows)


def csv_lines(records: Sequence[dict[str, Any]], *, heading: bool) -> str:
    """Records as `shown` has them, as CSV (RFC 4180); `heading`: names first. What a spreadsheet
    would take for a formula has an apostrophe in front."""
    text = io.StringIO()
    writer = csv.writer(text)
    if heading:
        writer.writerow(FIELDS)
    for record in records:
        writer.writerow(_harmless(record[name]) for name in FIELDS)
    return text.getvalue()


def syslog_message(row: Placed, host: str) -> bytes:
    """A message as RFC 5424 has it, its text a line of JSON."""
    record = row.record
    priority = _FACILITY + _SEVERITY[outcome_of(record)]
    at = datetime.fromtimestamp(record.at_ms / 1000, UTC)
    stamp = f"{at:%Y-%m-%dT%H:%M:%S}.{record.at_ms % 1000:03d}Z"
    kind = "".join(sign for sign in record.operation if "!" <= sign <= "~")[:32] or "-"
    head = f"<{priority}>1 {stamp} {host[:255] or '-'} coffre - {kind} - "
    return head.encode("ascii", "replace") + msgspec.json.encode(shown(row))


def _harmless(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
