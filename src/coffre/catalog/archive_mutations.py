"""Mutations of archived versions: they are restored for some days, and gathered.

They are part of `coffre.catalog.mutations`, which says what a mutation is. A `place` says which
version is meant, as it was read: a null version that was replaced since has another order.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from coffre.catalog.event_mutations import Caused
from coffre.vault.records import Blob

Tier = Literal["Expedited", "Standard", "Bulk"]
TIERS: tuple[Tier, ...] = ("Expedited", "Standard", "Bulk")
"""The fastest first."""
Place = tuple[bytes, bytes, int, int]
"""Of a version: its bucket's id, sort key, order and zone."""


class RestoreVersion(Caused, frozen=True, tag=True):
    """An archived version is to be readable for `days`, `delay_ms` from now on at the earliest; the
    copy's manifest will be `manifest_id`. Of one that is restored already the days count anew; one
    that is on its way may be hastened by a faster tier. Answers `Restoring`.

    Refused: NoSuchBucket, NoSuchKey (there is no such version, or it is a delete marker),
    OperationAborted (it is another), InvalidObjectState (it is not archived),
    RestoreAlreadyInProgress.
    """

    bucket_id: bytes
    key: bytes
    version_id: bytes
    order: int
    days: int
    tier: Tier
    delay_ms: int
    manifest_id: bytes


class RestoreBlob(Struct, frozen=True, tag=True):
    """The bytes of an archived version again, as they were: of part `number`, or all of them (0),
    which ends the restoration. Refused: OperationAborted (nobody waits for them, or they are there
    already)."""

    place: Place
    manifest_id: bytes
    number: int
    blob: Blob


class FinishRestore(Struct, frozen=True, tag=True):
    """An archived version can be read from now on: all parts of its copy are there, or it needs
    none (`shared`), because it lies as any other object does. Refused: OperationAborted."""

    place: Place
    shared: bool = False


class DropRestored(Struct, frozen=True, tag=True):
    """The copy of an archived version goes; no error where there is none. Refused:
    OperationAborted, while its days are not over by the committer's own clock."""

    place: Place


class CompressBlob(Struct, frozen=True, tag=True):
    """Bytes of an archived version lie elsewhere now, compressed: of part `number`, or the
    manifest's own blob (0), which was `old`.

    Refused: OperationAborted where anything else needs them as they were: another version, one that
    is not archived, a key that is not the store's.
    """

    place: Place
    number: int
    old: Blob
    blob: Blob


class SettleArchived(Struct, frozen=True, tag=True):
    """Nothing is to be done for a version any more that was due at `due_ms`."""

    place: Place
    due_ms: int


ArchiveMutation = (
    RestoreVersion | RestoreBlob | FinishRestore | DropRestored | CompressBlob | SettleArchived
)


class Restoring(Struct, frozen=True, tag=True):
    """`again`: the version could be read already, its days count anew."""

    again: bool
