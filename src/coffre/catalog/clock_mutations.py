"""Mutations of the release clock (`coffre.catalog.release_clock`), and the rows that tell of them.

They are part of `coffre.catalog.mutations`, which says what a mutation is.
"""

from __future__ import annotations

from msgspec import Struct


class NoteClock(Struct, frozen=True, tag=True):
    """A group for the clock's own sake: what it says now is written down."""


class AdjustClock(Struct, frozen=True, tag=True):
    """The clock says `to_ms` from now on, later or earlier than before: independent sources agree,
    as `why` tells. What an operator accepted before is void."""

    to_ms: int
    why: str


class AcceptClock(Struct, frozen=True, tag=True):
    """As far as the wall clock is ahead now, the clock will be put forward, `ACCEPT_DELAY_MS` from
    now by itself. Refused: OperationAborted (it is not behind, or that is asked for already)."""

    why: str


class CancelClock(Struct, frozen=True, tag=True):
    """What `AcceptClock` asked for does not happen. Refused: OperationAborted (nothing is)."""

    why: str


ClockMutation = NoteClock | AdjustClock | AcceptClock | CancelClock


class ClockChange(Struct, frozen=True):
    """What changed the release clock, beside time. `kind`: begun (its first reading), booted (the
    machine started; how long it was off is not known), asked, cancelled, accepted, agreed.

    `wall_ms` is what the wall clock said, or the release clock where that was later.
    """

    kind: str
    before_ms: int
    after_ms: int
    wall_ms: int
    why: str
