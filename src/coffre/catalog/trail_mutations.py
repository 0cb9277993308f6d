"""What is done with the audit's records once they are written: packed, merged, removed, forwarded.

They are part of `coffre.catalog.mutations`, which says what a mutation is.
"""

from __future__ import annotations

from msgspec import Struct

from coffre.catalog.trail_records import AuditSegment, AuditTarget
from coffre.vault.records import Blob


class FoundAudit(Struct, frozen=True, tag=True):
    """The store and the bucket that segments lie in, with the store's key. No error where they
    are."""

    key_id: bytes
    root_key_id: bytes
    wrapped_key: bytes
    region: str


class PackAudit(Struct, frozen=True, tag=True):
    """A segment takes the place of batches, or of the segments whose first sequences `merged`
    names. Refused: OperationAborted, when they are not exactly what it holds."""

    segment: AuditSegment
    manifest_id: bytes
    blob: Blob
    etag: str
    merged: tuple[int, ...] = ()


class RemoveAudit(Struct, frozen=True, tag=True):
    """The oldest segment is gone. Refused: OperationAborted, when another is the oldest."""

    first_sequence: int


class MoveTarget(Struct, frozen=True, tag=True):
    """How far a target of the forwarding is from now on (None: nobody forwards to it any more).
    Refused: OperationAborted, where it is not as it was `seen` (None: there was none)."""

    name: str
    seen: AuditTarget | None
    target: AuditTarget | None


TrailMutation = FoundAudit | PackAudit | RemoveAudit | MoveTarget
