"""Keeps the release clock (`coffre.catalog.release_clock`): notes it, asks sources, takes orders.

Beside what every group writes down, it is noted when the machine has started, when what an operator
accepted takes effect, and now and then while nothing else is written. While it is apart from the
wall clock, sources are asked; where two of them agree, it says what they say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from coffre.catalog.clock_mutations import (
    AcceptClock,
    AdjustClock,
    CancelClock,
    ClockMutation,
    NoteClock,
)
from coffre.catalog.interface import Committer, CommitterBusy, CommitUnknown, Reader
from coffre.catalog.mutations import Refusal
from coffre.catalog.release_clock import ReleaseClock
from coffre.service.administration import Invalid
from coffre.service.time_sources import AGREE_WITHIN_MS, Reading, TimeSource, agreed_ms
from coffre.system.clock import Clock

log = logging.getLogger("coffre.clock")

LOOK_EVERY_S: Final = 60.0
# What a reboot after a quiet time costs at most; each note opens a chunk on a quiet node.
NOTE_EVERY_MS: Final = 6 * 3600 * 1000
_CHANGES_SHOWN: Final = 20
# The two clocks are read one behind the other, and the wall clock is slewed.
_WORTH_ACCEPTING_S: Final = 0.5


class ClockKeeper:
    """The release clock of a zone, in the process that commits."""

    def __init__(
        self, reader: Reader, committer: Committer, clock: Clock, sources: Sequence[TimeSource]
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._clock = clock
        self._sources = sources

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        """What an operator may ask for, by name."""
        return {"clock.show": self.show, "clock.accept": self.accept, "clock.cancel": self.cancel}

    async def keep(self) -> None:
        """Look after the clock until cancelled."""
        while True:
            try:
                await self.look()
            except (Refusal, CommitUnknown, CommitterBusy) as error:
                log.warning("the release clock is not noted yet: %s", error)
            except Exception:  # It stays behind, which releases nothing: no reason to end the node.
                log.exception("the release clock is not looked after")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Note the clock if that is due; adjust it if sources agree that it is wrong."""
        noted, boot = self._reader.release_clock(), self._clock.boot()
        if noted is None or self._is_due(noted, now := noted.at(boot)):
            await self._committer.commit(NoteClock())
            return
        if abs(self._clock.now_ms() - now.trusted_ms) <= AGREE_WITHIN_MS:
            return
        readings = await self._readings()
        found, now = agreed_ms(readings), now.at(self._clock.boot())
        if found is None or abs(found - now.trusted_ms) <= AGREE_WITHIN_MS:
            return
        why = ", ".join(one.source for one in readings if _says(one, found))
        log.warning("the release clock is put right by %d ms: %s", found - now.trusted_ms, why)
        await self._committer.commit(AdjustClock(found, why))

    async def show(self) -> dict[str, Any]:
        """The clock, the wall clock, what sources say, what is pending, what changed it."""
        facts = clock_facts(self._reader, self._clock)
        readings = await self._readings()
        changes = self._reader.clock_changes(_CHANGES_SHOWN)
        return {
            **facts,
            "sources": [msgspec.to_builtins(reading) for reading in readings],
            "agreed_ms": agreed_ms(readings),
            "changes": [msgspec.to_builtins(change) for change in changes],
        }

    async def accept(self, why: str = "") -> dict[str, Any]:
        """Put the clock forward to the wall clock's time, 24 hours from now. Raises Invalid where
        it is behind by less than half a second, and where a source says that the wall clock is
        wrong."""
        if clock_facts(self._reader, self._clock)["behind_s"] < _WORTH_ACCEPTING_S:
            raise Invalid(
                "ClockNotBehind",
                "the release clock is not behind the wall clock: there is nothing to accept",
                "clock",
            )
        wall_ms = self._clock.now_ms()
        for one in await self._readings():
            if one.now_ms is not None and abs(one.now_ms - wall_ms) > AGREE_WITHIN_MS:
                raise Invalid(
                    "ClockDisputed", f"{one.source} says that the wall clock is not right", "clock"
                )
        return await self._ordered(AcceptClock(why))

    async def cancel(self, why: str = "") -> dict[str, Any]:
        """Take back what was accepted, before it takes effect."""
        return await self._ordered(CancelClock(why))

    async def _ordered(self, order: ClockMutation) -> dict[str, Any]:
        await self._committer.commit(order)
        facts = clock_facts(self._reader, self._clock)
        log.warning("%s by an operator: %s", type(order).__name__, facts)
        return facts

    async def _readings(self) -> list[Reading]:
        return list(await asyncio.gather(*(source.read() for source in self._sources)))

    def _is_due(self, noted: ReleaseClock, now: ReleaseClock) -> bool:
        return (
            noted.boot_id != now.boot_id
            or noted.accept_at_ms != now.accept_at_ms
            or now.trusted_ms - noted.trusted_ms >= NOTE_EVERY_MS
        )


def clock_facts(reader: Reader, clock: Clock) -> dict[str, Any]:
    """The release clock beside the wall clock; `behind_s` is negative where it is ahead. `pending`
    is what was accepted: when it takes effect, and by how much it puts the clock forward."""
    wall_ms, noted = clock.now_ms(), reader.release_clock()
    now = None if noted is None else noted.at(clock.boot())
    trusted_ms = wall_ms if now is None else now.trusted_ms
    pending = None
    if now is not None and now.accept_at_ms is not None:
        pending = {
            "at_ms": now.accept_at_ms,
            "in_s": round((now.accept_at_ms - trusted_ms) / 1000),
            "ahead_s": round(now.accept_ahead_ms / 1000),
        }
    return {
        "trusted_ms": trusted_ms,
        "wall_ms": wall_ms,
        "behind_s": round((wall_ms - trusted_ms) / 1000, 1) + 0.0,  # Never -0.0.
        "pending": pending,
    }


def _says(reading: Reading, found_ms: int) -> bool:
    return reading.now_ms is not None and 0 <= reading.now_ms - found_ms <= AGREE_WITHIN_MS
