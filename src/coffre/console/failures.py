"""Failures to sign in: whoever fails again and again waits, longer each time.

Counted for a name from one address, for a name from anywhere, and for an address. A name that is
nobody's is counted like any other, so that the delay tells nothing. An attempt counts before it is
looked at: many at once gain nothing.
"""

from __future__ import annotations

import hashlib
from typing import Final

from coffre.console.api.problem import Problem
from coffre.console.kept import Kept, Memory
from coffre.system.clock import Clock

FREE_PAIR: Final = 5
FREE_ADDRESS: Final = 20
FREE_NAME: Final = 50
_FIRST_DELAY_S: Final = 5
_LONGEST_S: Final = 900
# So long after the last failure it is forgotten.
_KEPT_MS: Final = 24 * 3600 * 1000


class Failures:
    """Of names and addresses, across restarts."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        self._memory = memory
        self._clock = clock

    def begin(self, name: str, client: str) -> None:
        """An attempt, which counts as a failure until `forgive`. Raises Problem (TooManyAttempts)
        with Retry-After."""
        now_ms = self._clock.now_ms()
        counted = [(key, free, *self._read(key)) for key, free in _keys(name, client)]
        wait_ms = max(
            (last_ms + _delay_ms(count, free) - now_ms for _, free, count, last_ms in counted),
            default=0,
        )
        if wait_ms > 0:
            seconds = -(-wait_ms // 1000)
            raise Problem("TooManyAttempts", headers={"Retry-After": str(seconds)})
        for key, _, count, _ in counted:
            self._write(key, count + 1, now_ms)

    def undo(self, name: str, client: str) -> None:
        """The attempt was none. What was tried before still counts."""
        for key, _ in _keys(name, client):
            count, last_ms = self._read(key)
            if count:
                self._write(key, count - 1, last_ms)

    def forgive(self, name: str, client: str) -> None:
        """Somebody is signed in, and what they got wrong from there is forgotten; not what others
        tried from there, or on this name."""
        self.undo(name, client)
        self._memory.drop("failures", _keys(name, client)[0][0])

    def _read(self, key: bytes) -> tuple[int, int]:
        kept = self._memory.get("failures", key)
        if kept is None:
            return 0, 0
        return int.from_bytes(kept.value[:4], "big"), int.from_bytes(kept.value[4:], "big")

    def _write(self, key: bytes, count: int, last_ms: int) -> None:
        value = count.to_bytes(4, "big") + last_ms.to_bytes(8, "big")
        ends_ms = self._clock.now_ms() + _KEPT_MS
        self._memory.put("failures", Kept(key, b"", ends_ms, value))


def _keys(name: str, client: str) -> tuple[tuple[bytes, int], ...]:
    counted = ((f"{name}\0{client}", FREE_PAIR), (f"\0{client}", FREE_ADDRESS), (name, FREE_NAME))
    return tuple((hashlib.sha256(text.encode()).digest(), free) for text, free in counted)


def _delay_ms(count: int, free: int) -> int:
    if count < free:
        return 0
    return 1000 * min(_LONGEST_S, _FIRST_DELAY_S << min(count - free, 16))
