"""Records of the audit that come by themselves: of refusals, of reads, of what processes do.

They are part of `coffre.catalog.mutations`, which says what a mutation is. The record of a change
travels beside its mutation instead, and goes into the group that it is applied in.
"""

from __future__ import annotations

from msgspec import Struct


class RecordAudit(Struct, frozen=True, tag=True):
    """Encoded records (`audit_records`) for the group's batch. Never refused."""

    records: tuple[bytes, ...]
