"""The release clock's mutations. The group has brought it to now before (`release_clock.tick`)."""

from __future__ import annotations

import apsw
from msgspec.structs import replace

from coffre.catalog.clock_mutations import AcceptClock, AdjustClock, CancelClock, NoteClock
from coffre.catalog.metering import note_put_back
from coffre.catalog.mutations import Done, Refusal
from coffre.catalog.release_clock import (
    ACCEPT_DELAY_MS,
    ReleaseClock,
    note_change,
    read_release_clock,
    write_release_clock,
)
from coffre.catalog.stamp import Stamp


def note_clock(db: apsw.Connection, mutation: NoteClock, stamp: Stamp) -> Done:
    write_release_clock(db, _clock(db))
    return Done()


def adjust_clock(db: apsw.Connection, mutation: AdjustClock, stamp: Stamp) -> Done:
    clock, to_ms = _clock(db), mutation.to_ms
    if to_ms < clock.trusted_ms:
        note_put_back(db, clock.trusted_ms)
    write_release_clock(db, clock.moved_to(to_ms))
    note_change(db, "agreed", clock.trusted_ms, to_ms, stamp.now_ms, mutation.why)
    return Done()


def accept_clock(db: apsw.Connection, mutation: AcceptClock, stamp: Stamp) -> Done:
    clock, ahead_ms = _clock(db), stamp.now_ms - stamp.trusted_ms
    if clock.accept_at_ms is not None:
        raise Refusal("OperationAborted", "the wall clock's time was accepted already")
    if ahead_ms <= 0:
        raise Refusal("OperationAborted", "the release clock is not behind the wall clock")
    at_ms = clock.trusted_ms + ACCEPT_DELAY_MS
    write_release_clock(db, replace(clock, accept_at_ms=at_ms, accept_ahead_ms=ahead_ms))
    note_change(db, "asked", at_ms, at_ms + ahead_ms, stamp.now_ms, mutation.why)
    return Done()


def cancel_clock(db: apsw.Connection, mutation: CancelClock, stamp: Stamp) -> Done:
    clock = _clock(db)
    if clock.accept_at_ms is None:
        raise Refusal("OperationAborted", "nothing was accepted that could be cancelled")
    write_release_clock(db, clock.moved_to(clock.trusted_ms))
    note_change(db, "cancelled", clock.trusted_ms, clock.trusted_ms, stamp.now_ms, mutation.why)
    return Done()


def _clock(db: apsw.Connection) -> ReleaseClock:
    clock = read_release_clock(db)
    assert clock is not None, "every group brings the clock to now first"
    return clock
