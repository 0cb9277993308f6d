"""Records of what people do to the node itself: management operations, and signing in.

Arguments are repeated only where they are names and choices (`_TOLD`); of others only that they
were there, for they may be secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import json

from coffre.access.caller import Caller
from coffre.catalog.audit_records import AuditRecord, encode_record
from coffre.catalog.interface import Reader

SIGN_IN: Final = "person.sign_in"
# Operations that change nothing, by the last word of their names, and by name.
_READING: Final = frozenset(
    {
        *("buckets", "check", "compare", "diff", "emptying", "explain", "export_page", "floor"),
        *("history", "kept", "list", "page", "preview", "probed", "report", "search", "show"),
        *("simulate", "statement", "status", "summary", "unsealed", "usage", "verify"),
    }
)
_READING_NAMES: Final = frozenset({"status", "metrics.snapshot", "usage.now", "drive.admit"})
_TOLD: Final = frozenset(
    {
        *("access_key", "action", "active", "alias", "backend", "bucket", "bucket_limit", "days"),
        *("dialect", "drive", "email", "format", "heir", "hours", "id", "key", "kind", "label"),
        *("locked", "method", "month", "name", "node", "now", "old", "owner", "path", "person"),
        *("prefix", "profile", "rack", "role", "segment", "service", "since_ms", "status"),
        *("steward", "store", "target", "tenant", "until_ms", "user", "version", "versioning"),
    }
)
_MOST_CHARACTERS: Final = 200


def only_reads(operation: str) -> bool:
    """Whether a management operation changes nothing: then only its refusal leaves a record."""
    return operation in _READING_NAMES or operation.rpartition(".")[2] in _READING


def management_record(
    reader: Reader,
    at_ms: int,
    operation: str,
    arguments: Mapping[str, Any],
    caller: Caller,
    *,
    error: str = "",
    status: int = 200,
    micros: int = 0,
    decision: str = "",
) -> bytes:
    """The encoded record of a management operation that came at `at_ms`."""
    store = _named(operation, arguments, "store")
    tenant = _named(operation, arguments, "tenant")
    return encode_record(
        AuditRecord(
            at_ms,
            request_id=caller.request_id,
            source="management",
            via=caller.via,
            store=store,
            tenant=_tenant(reader, store, tenant),
            principal=caller.who,
            client=caller.client,
            operation=operation,
            bucket=_named(operation, arguments, "bucket"),
            status=status,
            error=error,
            micros=micros,
            user_agent=caller.user_agent[:256],
            decision=decision,
            detail=_detail(arguments),
        )
    )


def sign_in_record(at_ms: int, caller: Caller, name: str, *, error: str = "") -> bytes:
    """The encoded record of a sign-in as `name`; `error`: why it was refused ("": it was not)."""
    return encode_record(
        AuditRecord(
            at_ms,
            request_id=caller.request_id,
            source="management",
            via=caller.via,
            principal=caller.who,
            client=caller.client,
            operation=SIGN_IN,
            status=403 if error else 200,
            error=error,
            user_agent=caller.user_agent[:256],
            detail=json.encode({"name": name[:_MOST_CHARACTERS]}).decode(),
        )
    )


def _named(operation: str, arguments: Mapping[str, Any], kind: str) -> str:
    """The store, tenant or bucket that an operation is about: `name` is what it is on."""
    own = arguments.get("name") if operation.startswith(f"{kind}.") else None
    found = arguments.get(kind, own)
    return found[:255] if isinstance(found, str) else ""


def _tenant(reader: Reader, store: str, tenant: str) -> str:
    """The id, in hex, of the tenant that an operation is about; "" where it is about none."""
    found = reader.store_named(store) if store else None
    if found is not None:
        return found.tenant_id.hex()
    named = reader.tenant_named(tenant) if tenant else None
    return "" if named is None else named.id.hex()


def _detail(arguments: Mapping[str, Any]) -> str:
    told: dict[str, Any] = {}
    untold: list[str] = []
    for name, value in arguments.items():
        if name in _TOLD and isinstance(value, str | int | bool | float):
            told[name] = value[:_MOST_CHARACTERS] if isinstance(value, str) else value
        elif value is not None:
            untold.append(name[:_MOST_CHARACTERS])
    if untold:
        told["also"] = sorted(untold)[:32]
    return json.encode(told).decode() if told else ""
