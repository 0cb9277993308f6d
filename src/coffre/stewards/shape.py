"""The one shape of background work: a steward does a bounded piece of it a round.

A steward never waits for a time of day or sleeps by itself: it says in `Round.again` when it wants
to be asked next, and whoever runs it (`coffre.stewards.runner`) asks, pauses it, wakes it when what
it waits for happens, and tells the operator how it stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from msgspec import Struct


class Round(Struct, frozen=True):
    """What one round did, and what is left as far as it is known.

    `left` counts `unit`s (chunks, bytes, rows …), None while it is not known; `result` is a short
    clause in plain words for the operator; `again` is seconds until the next round (0: at once).
    """

    did: int = 0
    left: int | None = 0
    unit: str = "chunks"
    moved_bytes: int = 0
    result: str = ""
    again: float = 1.0


class Standing(Struct, frozen=True):
    """A steward as the operator sees it. `rate` is moved bytes a second over the last rounds;
    `last_error` the last round's failure, empty after one that went well; times are ms."""

    name: str
    state: Literal["waiting", "working", "paused", "failing"]
    left: int | None
    unit: str
    rate: float
    last_result: str
    last_error: str
    last_round_ms: int | None
    rounds: int


class Steward(ABC):
    """One kind of background work of a zone; one object, in one process, at a time.

    A round may be cut anywhere by a crash or by `asyncio.CancelledError`: the next one goes on.
    It holds no lock between rounds, so that pausing means not asking.
    """

    name: str

    @abstractmethod
    async def round(self) -> Round:
        """Do a piece of the work, a second or so of it. Raises what may pass (the runner waits
        longer before it asks again)."""

    def hasten(self) -> None:  # noqa: B027  (most need no more than their next round)
        """The operator asks for the work now: a pass that was due later begins with the next
        round."""
