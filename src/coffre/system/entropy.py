"""Randomness as an argument. Ids are 128 bits and name the zone and the time that made them."""

from __future__ import annotations

import os
import random
from typing import Protocol

ID_BYTES = 16
_RANDOM_BYTES = 8


class Entropy(Protocol):
    """A source of random bytes."""

    def bytes(self, count: int) -> bytes:
        """`count` random bytes, fit for keys and secrets."""
        ...


class SystemEntropy:
    """The kernel's random source."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)


class SeededEntropy:
    """Replayable bytes from a seed: for tests and the simulator only."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  (not for secrets: a test twin)

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)


def new_id(entropy: Entropy, zone: int, now_ms: int) -> bytes:
    """A 16-byte id: the zone's number (2 bytes, big-endian), ms since 1970 (6), 8 random bytes.

    Ids made one after the other lie side by side in an index; no secret: 64 bits are random.
    """
    return zone.to_bytes(2, "big") + now_ms.to_bytes(6, "big") + entropy.bytes(_RANDOM_BYTES)
