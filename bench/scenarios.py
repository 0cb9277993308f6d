"""What is measured, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Literal

KIB = 1024
MIB = 1024 * 1024

Operation = Literal["PUT", "GET", "LIST"]
Reference = Literal["bare answer", "3-file sync loop", "bare MD5"]

# What the load generator keeps ready: whole requests, bodies included.
_PREBUILT_BYTES = 96 * MIB
_MOST_KEYS = 16_384


@dataclass(frozen=True)
class Scenario:
    """One kind of load. `body_bytes`: of each object (of a LIST: objects in the bucket)."""

    operation: Operation
    body_bytes: int
    clients: int
    references: tuple[Reference, ...]

    @property
    def name(self) -> str:
        """Such as `put-4KiB-c64`: what `--only` matches."""
        what = f"{self.body_bytes}" if self.operation == "LIST" else size_text(self.body_bytes)
        return f"{self.operation.lower()}-{what}-c{self.clients}"

    @property
    def streams(self) -> bool:
        """Whether bodies are so large that bytes are counted rather than requests."""
        return self.operation != "LIST" and self.body_bytes > MIB

    @property
    def keys(self) -> int:
        """How many distinct keys the load goes through before it begins again."""
        if self.operation == "LIST":
            return 256
        return min(_MOST_KEYS, _PREBUILT_BYTES // self.body_bytes)


@dataclass(frozen=True)
class Scale:
    """How long to look. `transfers`: large bodies that each client moves in a round;
    `listed`: objects in the small and in the large bucket whose listing is counted;
    `restarted`: objects of the node whose restart, and rebuild, is timed; `stored`: objects of
    4 KiB and of 1 MiB whose bytes on drives are counted; `decided`: requests of which each round
    takes the cost of deciding; `audited`: rounds with and without audit; `repaired`: MiB put
    before a rack goes,
    and seconds of load beside its repair."""

    seconds: float
    rounds: int
    transfers: int
    listed: tuple[int, int]
    syncs: int
    restarted: int
    stored: tuple[int, int]
    decided: int
    audited: int
    repaired: tuple[int, float]


FULL = Scale(
    seconds=4,
    rounds=3,
    transfers=4,
    listed=(10_000, 1_000_000),
    syncs=400,
    restarted=1_000_000,
    stored=(100_000, 1000),
    decided=20_000,
    audited=9,
    repaired=(3072, 8),
)
QUICK = Scale(
    seconds=1,
    rounds=3,
    transfers=2,
    listed=(10_000, 100_000),
    syncs=100,
    restarted=50_000,
    stored=(5000, 100),
    decided=2000,
    audited=5,
    repaired=(512, 3),
)


def _small() -> Iterable[Scenario]:
    for size in (4 * KIB, 128 * KIB):
        for clients in (1, 16, 64):
            yield Scenario("PUT", size, clients, ("bare answer", "3-file sync loop"))
        for clients in (1, 16, 64):
            yield Scenario("GET", size, clients, ("bare answer",))


def _large() -> Iterable[Scenario]:
    for clients in (1, 4):
        yield Scenario("PUT", 64 * MIB, clients, ("bare answer", "bare MD5"))
    for clients in (1, 4):
        yield Scenario("GET", 64 * MIB, clients, ("bare answer",))


def _lists() -> Iterable[Scenario]:
    for clients in (1, 16):
        yield Scenario("LIST", 10_000, clients, ("bare answer",))


SCENARIOS: tuple[Scenario, ...] = (*_small(), *_large(), *_lists())

# Parts of a run that are not load on a server.
EXTRAS = (
    *("sync-cost", "list-steps", "restart", "rebuild", "repair", "overhead", "decision"),
    "audit",
)


def chosen(pattern: str) -> tuple[list[Scenario], list[str]]:
    """Scenarios and extras whose names match a shell pattern, or contain it."""

    def matches(name: str) -> bool:
        return pattern in name or fnmatch(name, pattern)

    return [s for s in SCENARIOS if matches(s.name)], [name for name in EXTRAS if matches(name)]


def size_text(count: int) -> str:
    """A size as people write it: `4KiB`, `64MiB`."""
    return f"{count // MIB}MiB" if count >= MIB else f"{count // KIB}KiB"
