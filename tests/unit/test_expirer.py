"""How many groups the expirer takes for what is due, and by which clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from coffre.catalog.event_mutations import EventPlace
from coffre.catalog.lifecycle_mutations import Expiration, JudgeVersions, PutLifecycle
from coffre.catalog.lifecycle_rules import Lifecycle, Rule
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUser,
    Mutation,
    ObjectFacts,
    PutBucketDocument,
    PutVersion,
    Refused,
    Result,
)
from coffre.catalog.records import Secret
from coffre.stewards.expirer import ROUND_S, ROWS, Expirer, behind_s, lag_s
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Blob

TENANT, STORE, KEY, BUCKET = (bytes([n]) * 16 for n in range(1, 5))
DAY_S = 24 * 3600
OBJECTS = 2 * ROWS + 5


class Counting(MemoryCatalog):
    """A catalog that counts the groups that its expirer asks for."""

    groups = 0

    async def commit_all(
        self, mutations: Sequence[Mutation], records: Sequence[bytes] = ()
    ) -> list[Result | Refused]:
        self.groups += 1
        return await super().commit_all(mutations, records)


class World:
    """A bucket with objects that expire in a day."""

    def __init__(self, *documents: Mutation) -> None:
        self.clock = ManualClock()
        entropy = SeededEntropy(3)
        self.catalog = Counting(self.clock, entropy, 1, MemoryChunkStore().land)
        self.gone: list[Expiration] = []
        self.expirer = Expirer(self.catalog, self.catalog, self.clock, self.gone.append)
        rule = Rule("r", enabled=True, days=1)
        for mutation in (
            CreateTenant(TENANT, "t"),
            CreateStore(STORE, "s", TENANT, KEY, b"root", b"wrapped"),
            CreateUser("u", STORE, "u", "object", "AK", Secret(b"w", b"root")),
            CreateBucket(BUCKET, STORE, "bucket", "u", "us-east-1"),
            *documents,
            PutLifecycle(BUCKET, Lifecycle((rule,), b"")),
            JudgeVersions(BUCKET),
        ):
            self.do(mutation)
        for at in range(OBJECTS):
            blob = Blob(entropy.bytes(16), 0, KEY, b"k")
            facts = ObjectFacts("e", "u")
            self.do(PutVersion(BUCKET, b"%d" % at, entropy.bytes(16), blob, facts))

    def do(self, mutation: Any) -> Any:
        return asyncio.run(self.catalog.commit(mutation))

    def work(self) -> int:
        """Rounds until nothing is due; how many groups they took."""
        before = self.catalog.groups
        while asyncio.run(self.expirer.round()).again < ROUND_S:
            pass
        return self.catalog.groups - before


def test_what_is_due_goes_many_to_a_group() -> None:
    world = World()
    world.clock.advance(3 * DAY_S)
    assert world.work() == 3
    assert len({one.key for one in world.gone}) == OBJECTS


def test_where_a_bucket_notifies_events_share_groups_too() -> None:
    world = World(PutBucketDocument(BUCKET, "notification", b"told"))
    world.clock.advance(3 * DAY_S)
    assert world.work() == 4
    assert len({one.key for one in world.gone}) == OBJECTS
    events = world.catalog.events(after=EventPlace(b"", 0, 0), limit=1000)
    assert [one.name for _, one in events].count("LifecycleExpiration:Delete") == OBJECTS


@pytest.mark.parametrize("jump_s", [365 * DAY_S, -365 * DAY_S])
def test_nothing_is_asked_for_because_the_wall_clock_jumped(jump_s: int) -> None:
    world = World()
    world.clock.step(jump_s)
    assert (world.work(), lag_s(world.catalog, world.clock)) == (0, 0)
    assert behind_s(world.catalog, world.clock) == jump_s
    world.clock.advance(3 * DAY_S)
    assert lag_s(world.catalog, world.clock) > 0
    assert world.work() == 3
