"""Idempotency-Key: a POST that is sent again is answered as before, and done once.

Answers are kept for 24 hours, sealed, since some hold secrets; a key that comes with another
request is refused, and so is one whose first request is still under way.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec
from msgspec import Struct

from coffre.console.api.problem import Problem
from coffre.console.kept import Kept, Memory, Sealer
from coffre.system.clock import Clock

HEADER: Final = "Idempotency-Key"
KEPT_MS: Final = 24 * 3600 * 1000
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Remembered(Struct, frozen=True, array_like=True):
    """An answer as it was given."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class _Entry(Struct, frozen=True, array_like=True):
    request: bytes
    answer: Remembered | None = None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Entry).decode


class Repetitions:
    """What was answered to requests that may come again."""

    def __init__(self, memory: Memory, sealer: Sealer, clock: Clock) -> None:
        self._memory = memory
        self._sealer = sealer
        self._clock = clock
        self._running: set[bytes] = set()

    def begin(self, owner: bytes, key: str, request: bytes) -> Remembered | bytes:
        """The answer of before; else a place, which `end` or `give_up` is owed. `request` is all
        of it that matters. Raises Problem."""
        if not _KEY.fullmatch(key):
            raise Problem("InvalidArgument", "1 to 255 visible characters", HEADER)
        place = hashlib.sha256(b"\0".join((owner, key.encode()))).digest()
        digest = hashlib.sha256(request).digest()
        if place in self._running:
            raise Problem("IdempotencyKeyInUse", field=HEADER)
        kept = self._memory.get("answer", place)
        value = None if kept is None else self._sealer.open(kept.value)
        if value is not None:
            entry = _unpack(value)
            if entry.request != digest:
                raise Problem("IdempotencyKeyReused", field=HEADER)
            if entry.answer is not None:
                return entry.answer
            # It was begun by a process that is gone: whether it was done is not known here.
            raise Problem(
                "Conflict",
                "this request was begun and not answered: look, then use another key",
                HEADER,
            )
        self._running.add(place)
        self._keep(owner, place, _Entry(digest))
        return place

    def end(self, owner: bytes, place: bytes, request: bytes, answer: Remembered) -> None:
        """Remember what was answered."""
        self._running.discard(place)
        self._keep(owner, place, _Entry(hashlib.sha256(request).digest(), answer))

    def give_up(self, place: bytes) -> None:
        """It was not done: the same key may come again."""
        self._running.discard(place)
        self._memory.drop("answer", place)

    def _keep(self, owner: bytes, place: bytes, entry: _Entry) -> None:
        ends_ms = self._clock.now_ms() + KEPT_MS
        self._memory.put("answer", Kept(place, owner, ends_ms, self._sealer.seal(_pack(entry))))
