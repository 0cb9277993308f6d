"""Caps of a store: requests a second, requests at once, bytes a second, each off unless it is set.

What is beyond a cap is answered `SlowDown` with Retry-After, before anything else is done for it.
Requests and bytes are taken from buckets of one second's worth that fill at the rate of the cap; a
body may overdraw, and whoever comes next waits until that is made up for. What was used is kept by
whoever implements `Account`, for all processes of a node together.
"""

from __future__ import annotations

from math import ceil
from typing import Final, Protocol

from coffre.catalog.records import Store, StoreLimits
from coffre.wire.errors import S3Error

_LONGEST_WAIT_S: Final = 60


class Account(Protocol):
    """What a store has used of its caps."""

    def begin(self, store_id: bytes, limits: StoreLimits, /) -> float:
        """A request begins: 0, or for how many seconds it is too early; then nothing is taken."""
        ...

    def end(self, store_id: bytes, limits: StoreLimits, size: int, /) -> None:
        """It has ended, with so many bytes of bodies."""
        ...


class Uncounted:
    """`Account` of those who count nothing."""

    def begin(self, store_id: bytes, limits: StoreLimits, /) -> float:
        return 0.0

    def end(self, store_id: bytes, limits: StoreLimits, size: int, /) -> None: ...


UNCOUNTED: Final = Uncounted()


def begin_capped(account: Account, store: Store) -> None:
    """Raises SlowDown beyond a cap; else `account.end` is owed."""
    wait = account.begin(store.id, store.settings.limits)
    if wait > 0:
        seconds = min(_LONGEST_WAIT_S, max(1, ceil(wait)))
        raise S3Error("SlowDown", headers=((b"retry-after", b"%d" % seconds),))
