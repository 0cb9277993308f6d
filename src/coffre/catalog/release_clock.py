"""The clock that releases: locks, retention and lifecycles end by it, and by no other.

It never runs ahead of the time that really passed. It starts with the wall clock's time when the
catalog gets its first row, and goes on with the boot clock: what the wall clock is set to changes
nothing. Each group writes it down (`tick`), so that a process that was stopped in the same boot
goes on exactly; of a downtime over a reboot, or on another machine, nobody knows how long it was,
and it stands where it stood. It then comes to the real time in one of two ways:

- two independent sources agree what time it is (`AdjustClock`),
- an operator accepts the wall clock's time (`AcceptClock`); that takes effect after
  `ACCEPT_DELAY_MS` by this clock itself, and can be taken back until then.

Both leave a row in `clock_changes`. All of it is rows of the catalog: a replay or a rebuild of them
reads no clock.
"""

from __future__ import annotations

from typing import Final

import apsw
from msgspec import Struct
from msgspec.structs import replace

from coffre.system.clock import Boot

ACCEPT_DELAY_MS: Final = 24 * 3600 * 1000
_GET: Final = (
    "SELECT trusted_ms, boot_id, boot_ms, accept_at_ms, accept_ahead_ms FROM release_clock"
    " WHERE id = 0"
)
_PUT: Final = (
    "INSERT INTO release_clock (id, trusted_ms, boot_id, boot_ms, accept_at_ms, accept_ahead_ms)"
    " VALUES (0, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET trusted_ms = excluded.trusted_ms,"
    " boot_id = excluded.boot_id, boot_ms = excluded.boot_ms,"
    " accept_at_ms = excluded.accept_at_ms, accept_ahead_ms = excluded.accept_ahead_ms"
)
_NOTE: Final = (
    "INSERT INTO clock_changes (ord, kind, before_ms, after_ms, wall_ms, why)"
    " SELECT coalesce(max(ord), 0) + 1, ?, ?, ?, ?, ? FROM clock_changes"
)


class ReleaseClock(Struct, frozen=True):
    """What the clock said (`trusted_ms`, ms since 1970) at a reading of the boot clock.

    From `accept_at_ms` on, by itself, it is `accept_ahead_ms` further; None: nobody accepted that.
    """

    trusted_ms: int
    boot_id: str
    boot_ms: int
    accept_at_ms: int | None = None
    accept_ahead_ms: int = 0

    def at(self, boot: Boot) -> ReleaseClock:
        """The clock at another reading: as much later as is sure to have passed."""
        passed = boot.elapsed_ms - self.boot_ms if boot.id == self.boot_id else 0
        now = replace(
            self,
            trusted_ms=self.trusted_ms + max(0, passed),
            boot_id=boot.id,
            boot_ms=boot.elapsed_ms,
        )
        if now.accept_at_ms is None or now.trusted_ms < now.accept_at_ms:
            return now
        return now.moved_to(now.trusted_ms + now.accept_ahead_ms)

    def moved_to(self, trusted_ms: int) -> ReleaseClock:
        """The clock with another time; what was accepted of the old one is void."""
        return replace(self, trusted_ms=trusted_ms, accept_at_ms=None, accept_ahead_ms=0)


def read_release_clock(db: apsw.Connection) -> ReleaseClock | None:
    """The clock as the last group left it; None before the first."""
    row = db.execute(_GET).get
    return None if row is None else ReleaseClock(*row)


def write_release_clock(db: apsw.Connection, clock: ReleaseClock) -> None:
    """Inside the transaction that is to leave it so."""
    pending = clock.accept_at_ms, clock.accept_ahead_ms
    db.execute(_PUT, (clock.trusted_ms, clock.boot_id, clock.boot_ms, *pending))


def tick(db: apsw.Connection, boot: Boot, wall_ms: int) -> ReleaseClock:
    """Bring the clock to now, inside the open transaction, and say what it is.

    `wall_ms` is where it starts, and is written beside its changes; nothing else comes of it.
    """
    before = read_release_clock(db)
    if before is None:
        now = ReleaseClock(wall_ms, boot.id, boot.elapsed_ms)
        note_change(db, "begun", wall_ms, wall_ms, wall_ms, "")
    else:
        now = before.at(boot)
        if before.boot_id != boot.id:
            note_change(db, "booted", before.trusted_ms, before.trusted_ms, wall_ms, "")
        if before.accept_at_ms is not None and now.accept_at_ms is None:
            reached = now.trusted_ms - before.accept_ahead_ms
            note_change(db, "accepted", reached, now.trusted_ms, wall_ms, "")
    write_release_clock(db, now)
    return now


def note_change(
    db: apsw.Connection, kind: str, before_ms: int, after_ms: int, wall_ms: int, why: str
) -> None:
    """One more row of what changed the clock."""
    db.execute(_NOTE, (kind, before_ms, after_ms, wall_ms, why))
