"""What expiry costs, in steps of SQLite's virtual machine: what expires counts, not what exists."""

from __future__ import annotations

import asyncio
from typing import Any

import apsw
import pytest

from coffre.catalog import lifecycle_rules
from coffre.catalog.lifecycle_mutations import Expired, ExpireDue, JudgeVersions, PutLifecycle
from coffre.catalog.lifecycle_rules import Lifecycle, Rule
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUser,
    DeleteVersion,
    ObjectFacts,
    PutVersion,
    SetVersioning,
)
from coffre.catalog.records import Secret
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Blob

TENANT, STORE, KEY, BUCKET = (bytes([n]) * 16 for n in range(1, 5))
DUE = 10


class Catalog:
    """A bucket with a rule about `tmp/`, and a count of what statements cost."""

    def __init__(self) -> None:
        self.clock, self.entropy = ManualClock(), SeededEntropy(3)
        self.catalog = MemoryCatalog(self.clock, self.entropy, 1, MemoryChunkStore().land)
        self.steps = 0
        for mutation in (
            CreateTenant(TENANT, "t"),
            CreateStore(STORE, "s", TENANT, KEY, b"root", b"wrapped"),
            CreateUser("u", STORE, "u", "object", "AK", Secret(b"w", b"root")),
            CreateBucket(BUCKET, STORE, "bucket", "u", "us-east-1"),
        ):
            self.do(mutation)
        rule = Rule("r", enabled=True, prefix=b"tmp/", days=1)
        self.do(PutLifecycle(BUCKET, Lifecycle((rule,), b"")))
        self.do(JudgeVersions(BUCKET))

    def do(self, mutation: Any, *body: bytes) -> Any:
        return asyncio.run(self.catalog.commit(mutation, body))

    def put(self, key: str) -> None:
        blob = Blob(self.entropy.bytes(16), 0, KEY, b"k")
        self.do(
            PutVersion(BUCKET, key.encode(), self.entropy.bytes(16), blob, ObjectFacts("e", "u"))
        )

    def counted(self, mutation: Any) -> tuple[Any, int]:
        def statement(event: dict[str, dict[str, int]]) -> None:
            self.steps += event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]

        db: apsw.Connection = self.catalog._db
        self.steps = 0
        db.trace_v2(apsw.SQLITE_TRACE_PROFILE, statement)
        done = self.do(mutation)
        db.trace_v2(0, None)
        return done, self.steps


@pytest.mark.parametrize("others", [10, 3000])
def test_what_is_not_due_costs_nothing(others: int) -> None:
    catalog = Catalog()
    for at in range(others):
        catalog.put(f"kept/{at}")
    for at in range(DUE):
        catalog.put(f"tmp/{at}")
    catalog.clock.advance(3 * 24 * 3600)
    done, steps = catalog.counted(ExpireDue(200))
    assert isinstance(done, Expired)
    assert len(done.done) == DUE
    assert steps < 450 * DUE
    done, steps = catalog.counted(ExpireDue(200))
    assert done == Expired(0, False)
    # The group itself, with its clock.
    assert steps < 120


@pytest.mark.parametrize("kept", [0, 5])
def test_delete_markers_of_a_key_cost_its_writes_nothing(kept: int) -> None:
    costs = []
    for markers in (10, 1000):
        catalog = Catalog()
        catalog.do(SetVersioning(BUCKET, "enabled"))
        if kept:
            rule = Rule("r", enabled=True, noncurrent_days=1, newer_noncurrent=kept)
            catalog.do(PutLifecycle(BUCKET, Lifecycle((rule,), b"")))
        for _ in range(markers):
            catalog.do(DeleteVersion(BUCKET, b"tmp/key"))
        costs.append(catalog.counted(DeleteVersion(BUCKET, b"tmp/key"))[1])
    assert costs[0] == costs[1]


@pytest.mark.parametrize("kept", [1, 20])
def test_a_write_asks_each_rule_three_times_however_many_versions_rules_keep(
    monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    catalog, asked = Catalog(), []
    catalog.do(SetVersioning(BUCKET, "enabled"))
    about = lifecycle_rules._is_about

    def counted(rule: Rule, *facts: Any) -> bool:
        asked.append(rule.id)
        return about(rule, *facts)

    rules = [
        Rule(f"{at}", enabled=True, noncurrent_days=1, newer_noncurrent=1 + at % kept)
        for at in range(60)
    ]
    rules.append(Rule("elsewhere", enabled=True, prefix=b"other/", days=1))
    catalog.do(PutLifecycle(BUCKET, Lifecycle(tuple(rules), b"")))
    for _ in range(kept + 5):
        catalog.put("key")
    monkeypatch.setattr(lifecycle_rules, "_is_about", counted)
    catalog.put("key")
    assert len(asked) > 60
    # Each answers for deletions and for moves of what it is about, which may look twice.
    assert len(asked) <= 60 * 3 * 3
    assert "elsewhere" not in asked
