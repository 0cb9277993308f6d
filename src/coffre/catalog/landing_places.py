"""On which drives the log's next landing chunk goes, also when nothing else fits on them."""

from __future__ import annotations

import logging

from coffre.vault.ballast import throw_off
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.interface import StorageFull

_journal = logging.getLogger(__name__)
# Free space that a landing chunk for deletes is worth opening with.
_DELETES_NEED = 256 * 1024


def choose_places(drives: DriveSet, copies: int, *, blobs: bool) -> list[Drive]:
    """Drives for the mirrors of a landing chunk. Raises StorageFull.

    Deletes must go on where bodies (`blobs`) do not fit: they may use what is kept in reserve, and
    where somebody else used that up, what the ballast took.
    """
    try:
        return drives.choose_mirrors(copies)
    except StorageFull:
        if blobs:
            raise
    least = min(drives.reserve_bytes, _DELETES_NEED)
    everywhere = drives.among(drives.present(), reserve_bytes=least)
    try:
        return everywhere.choose_mirrors(copies)
    except StorageFull:
        if not throw_off(drives):
            raise
    _journal.error("no drive has space for deletes: the ballast is given up")
    return everywhere.choose_mirrors(copies)
