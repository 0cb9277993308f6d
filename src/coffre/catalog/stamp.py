"""What the committer adds to a mutation: time, order and a few random bytes."""

from __future__ import annotations

import apsw
from msgspec import Struct

from coffre.catalog.release_clock import ReleaseClock, tick
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy

COUNTER_BITS = 15
NONCE_BYTES = 6


class Stamp(Struct, frozen=True):
    """`order` is a hybrid logical clock: 48 bits of ms, 15 of counter; unique in its zone.

    `now_ms` is what is written down (Last-Modified): the wall clock's time, which may be set.
    `trusted_ms` is what anything that ends by time is asked against (retention, locks, lifecycles):
    the release clock's, which never runs ahead of the time that really passed, see
    `coffre.catalog.release_clock`. `now_ms` is never less.
    """

    now_ms: int
    order: int
    zone: int
    nonce: bytes
    trusted_ms: int

    @property
    def version_id(self) -> bytes:
        """16 bytes: zone (2), order (8), nonce (6); so a version is found by seeking its order."""
        return self.zone.to_bytes(2, "big") + self.order.to_bytes(8, "big") + self.nonce


def version_order(version_id: bytes) -> tuple[int, int] | None:
    """(order, zone) of a version id as `Stamp.version_id` makes them; None if it is not one."""
    if len(version_id) != 10 + NONCE_BYTES or version_id[2] & 0x80:
        return None
    return int.from_bytes(version_id[2:10], "big"), int.from_bytes(version_id[:2], "big")


class HybridClock:
    """Stamps whose order strictly rises, whatever the wall clock does.

    `last_order`: the highest order already used (from the catalog), so that a clock set back over
    a restart cannot give an older order to a newer version.
    """

    def __init__(self, clock: Clock, entropy: Entropy, zone: int, last_order: int = 0) -> None:
        self._clock = clock
        self._entropy = entropy
        self._zone = zone
        self.last_order = last_order

    def stamp(self, trusted_ms: int) -> Stamp:
        """The next stamp; `trusted_ms` as the release clock says in the same transaction."""
        # What was written while the wall clock is behind would be older than it is, and end sooner.
        now_ms = max(self._clock.now_ms(), trusted_ms)
        self.observe(max(self.last_order + 1, now_ms << COUNTER_BITS))
        nonce = self._entropy.bytes(NONCE_BYTES)
        return Stamp(now_ms, self.last_order, self._zone, nonce, trusted_ms)

    def release_clock(self, db: apsw.Connection) -> ReleaseClock:
        """The release clock, brought to now in the open transaction."""
        return tick(db, self._clock.boot(), self._clock.now_ms())

    def observe(self, order: int) -> None:
        """Take note of an order made elsewhere: all later stamps are greater."""
        self.last_order = max(self.last_order, order)
