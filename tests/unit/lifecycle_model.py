"""A plain model of lifecycles beside the engine of them.

The model keeps every version of every key in a list and, whenever time has passed, looks at all of
them over and over until no rule has anything left to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from coffre.catalog.lifecycle_mutations import (
    DeleteLifecycle,
    Expiration,
    Expired,
    ExpireDue,
    JudgeVersions,
    PutLifecycle,
)
from coffre.catalog.lifecycle_rules import Lifecycle, Move, Rule
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    CreateBucket,
    CreateStore,
    CreateTenant,
    CreateUpload,
    CreateUser,
    DeleteVersion,
    ObjectFacts,
    PutVersion,
    SetTags,
    SetVersioning,
    Written,
)
from coffre.catalog.records import Bucket, EcsFacts, Secret
from coffre.system.clock import ManualClock
from coffre.system.entropy import SeededEntropy
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Blob

DAY_S = 24 * 3600
HORIZON = 20  # days
START_MS = 1_700_000_000_000  # 14 November 2023, 22:13:20
COLDNESS = ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
TENANT, STORE, KEY, BUCKET = (bytes([n]) * 16 for n in range(1, 5))


@dataclass
class Model:
    """One version: what a person would write down of it. The lock holds until `locked_ms`."""

    version_id: bytes
    is_null: bool
    marker: bool
    size: int
    tags: dict[str, str]
    made_ms: int
    old_since_ms: int = 0
    locked_ms: int = 0
    kind: str = "STANDARD"
    held: bool = False

    def is_locked(self, now_ms: int) -> bool:
        return not self.marker and (self.held or self.locked_ms > now_ms)


@dataclass
class World:
    """The engine, and beside it the model of the same history."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(START_MS))
    keys: dict[bytes, list[Model]] = field(default_factory=dict)
    uploads: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    versioning: str = "never"

    def __post_init__(self) -> None:
        self.entropy = SeededEntropy(7)
        self.catalog = MemoryCatalog(self.clock, self.entropy, 1, MemoryChunkStore().land)
        for mutation in (
            CreateTenant(TENANT, "t"),
            CreateStore(STORE, "s", TENANT, KEY, b"root", b"wrapped"),
            CreateUser("u", STORE, "u", "object", "AK", Secret(b"w", b"root")),
            CreateBucket(BUCKET, STORE, "bucket", "u", "us-east-1"),
        ):
            self.do(mutation)

    @property
    def now_ms(self) -> int:
        """The time that has really passed, wherever the wall clock was set."""
        return START_MS + round(self.clock.monotonic() * 1000)

    def do(self, mutation: Any, *body: bytes) -> Any:
        return asyncio.run(self.catalog.commit(mutation, body))

    @property
    def bucket(self) -> Bucket:
        found = self.catalog.bucket(STORE, "bucket")
        assert found is not None
        return found

    def put(
        self,
        key: bytes,
        size: int,
        tags: dict[str, str],
        locked_days: int,
        kind: str = "STANDARD",
    ) -> None:
        now_ms, versions = self.now_ms, self.keys.setdefault(key, [])
        locked_ms = now_ms + locked_days * DAY_S * 1000
        if self.versioning != "enabled" and any(
            old.locked_ms > now_ms for old in versions if old.is_null
        ):
            return
        blob = Blob(self.entropy.bytes(16), size, KEY, b"k")
        facts = ObjectFacts(
            "e",
            "u",
            tags=tags,
            storage_class=kind,
            ecs=EcsFacts(retention_s=locked_days * DAY_S) if locked_days else None,
        )
        done = self.do(
            PutVersion(BUCKET, key, self.entropy.bytes(16), blob, facts), b"x" * (size + 16)
        )
        assert isinstance(done, Written)
        null = self.versioning != "enabled"
        made = Model(done.version_id, null, False, size, tags, now_ms, 0, locked_ms, kind)
        self._add(versions, made)

    def delete(self, key: bytes, at: int | None) -> None:
        """The key, or its version number `at`, the newest being 0."""
        now_ms, versions = self.now_ms, self.keys.setdefault(key, [])
        if at is not None or self.versioning == "never":
            if not versions:
                return
            chosen = versions[(at or 0) % len(versions)]
            if chosen.is_locked(now_ms):
                return
            self.do(DeleteVersion(BUCKET, key, chosen.version_id))
            self._remove(versions, chosen)
            return
        if self.versioning == "suspended" and any(
            old.locked_ms > now_ms for old in versions if old.is_null and not old.marker
        ):
            return
        done = self.do(DeleteVersion(BUCKET, key, owner_id="u"))
        null = self.versioning != "enabled"
        self._add(versions, Model(done.marker_version_id, null, True, 0, {}, now_ms))

    def tag(self, key: bytes, at: int, tags: dict[str, str]) -> None:
        versions = self.keys.get(key, [])
        chosen = versions[at % len(versions)] if versions else None
        if chosen is None or chosen.marker:
            return
        found = self.catalog.version(self.bucket, key, chosen.version_id)
        assert found is not None
        self.do(SetTags(BUCKET, key, chosen.version_id, found.order, tags))
        chosen.tags = tags

    def upload(self, key: bytes) -> None:
        upload_id = self.entropy.bytes(16)
        self.do(CreateUpload(upload_id, BUCKET, key, self.entropy.bytes(16), "u"))
        self.uploads[upload_id] = key, self.now_ms

    def version(self, state: Any) -> None:
        self.do(SetVersioning(BUCKET, state))
        self.judge()
        self.versioning = state

    def rule(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        if not rules:
            self.do(DeleteLifecycle(BUCKET))
            return
        self.do(PutLifecycle(BUCKET, Lifecycle(rules, b"")))
        self.judge()

    def play(self, steps: list[tuple[Any, ...]]) -> None:
        """One after the other, a second apart; what goes is held against the model."""
        for name, *arguments in steps:
            self.clock.advance(1)
            if name == "wait":
                (self.clock.advance if arguments[0] > 0 else self.clock.step)(*arguments)
                self.check()
            else:
                getattr(self, name)(*arguments)
        self.check()

    def judge(self) -> None:
        while self.do(JudgeVersions(BUCKET, 2)).more:
            pass

    def _add(self, versions: list[Model], new: Model) -> None:
        """A new version is the current one; a null one takes the place of an older null one."""
        if new.is_null:
            versions[:] = [old for old in versions if not old.is_null]
        if versions and not versions[0].old_since_ms:
            versions[0].old_since_ms = new.made_ms
        versions.insert(0, new)

    def _remove(self, versions: list[Model], gone: Model) -> None:
        """What is current again is old only from when the next one comes."""
        versions.remove(gone)
        if versions:
            versions[0].old_since_ms = 0

    def expire(self) -> set[tuple[bytes, bytes, str]]:
        """What the engine does until nothing is due."""
        done = self.expire_all()
        return {(one.key, one.version_id, one.act + one.storage_class) for one in done}

    def expire_all(self) -> list[Expiration]:
        done: list[Expiration] = []
        more = True
        while more:
            step = self.do(ExpireDue(3))
            assert isinstance(step, Expired)
            done += [one for one in step.done if not one.held]
            oldest_ms = self.catalog.oldest_due_ms()
            more = step.more or (oldest_ms is not None and oldest_ms <= self.now_ms)
        return done

    def modelled(self) -> set[tuple[bytes, bytes, str]]:
        """What the rules say has to happen by now."""
        done: set[tuple[bytes, bytes, str]] = set()
        now_ms = self.now_ms
        for upload_id, (key, began_ms) in list(self.uploads.items()):
            if any(
                rule.enabled
                and rule.abort_days
                and key.startswith(rule.prefix)
                and midnight_after(began_ms + rule.abort_days * DAY_S * 1000) <= now_ms
                for rule in self.rules
            ):
                del self.uploads[upload_id]
                done.add((key, upload_id, "abort"))
        for key, versions in self.keys.items():
            while True:
                acts = [one for one in self._due(key, versions) if self._may(versions, *one)]
                moves = list(self._moves(key, versions, acts))
                if not acts and not moves:
                    break
                for version, kind in moves:
                    done.add((key, version.version_id, "move" + kind))
                    version.kind = kind
                for version, act in acts:
                    done.add((key, version.version_id, act))
                    self._act(versions, version, act)
        return done

    def _due(self, key: bytes, versions: list[Model]) -> Iterator[tuple[Model, str]]:
        for at, version in reversed(list(enumerate(versions))):
            for rule in self.rules:
                if (
                    rule.enabled
                    and applies(rule, key, version)
                    and self._is_due(rule, versions, at)
                ):
                    act = "expire" if at == 0 and not version.marker else "remove"
                    yield version, act
                    break

    def _moves(
        self, key: bytes, versions: list[Model], acts: list[tuple[Model, str]]
    ) -> Iterator[tuple[Model, str]]:
        """Versions to move, and where to: the furthest, unless they are to go for good."""
        hides = self.versioning == "enabled"
        going = [one for one, act in acts if act == "remove" or not hides]
        for at, version in enumerate(versions):
            if version.marker or any(version is one for one in going):
                continue
            kinds = [
                move.storage_class
                for rule in self.rules
                if rule.enabled and applies(rule, key, version)
                for move in (rule.noncurrent_moves if at else rule.moves)
                if self._is_move_due(move, versions, at)
            ]
            if kinds:
                yield version, max(kinds, key=COLDNESS.index)

    def _is_move_due(self, move: Move, versions: list[Model], at: int) -> bool:
        version = versions[at]
        if COLDNESS.index(move.storage_class) <= COLDNESS.index(version.kind):
            return False
        if (version.kind, move.storage_class) == ("ONEZONE_IA", "GLACIER_IR"):
            return False
        newer = sum(not one.marker for one in versions[1:at])
        if version.size < move.least or (at and newer < move.newer):
            return False
        if move.days is None:
            return move.date_ms is not None and move.date_ms <= self.now_ms
        since_ms = version.old_since_ms if at else version.made_ms
        return midnight_after(since_ms + move.days * DAY_S * 1000) <= self.now_ms

    def _is_due(self, rule: Rule, versions: list[Model], at: int) -> bool:
        now_ms, version = self.now_ms, versions[at]
        if at:
            newer = sum(not one.marker for one in versions[1:at])
            return (
                rule.noncurrent_days is not None
                and newer >= rule.newer_noncurrent
                and midnight_after(version.old_since_ms + rule.noncurrent_days * DAY_S * 1000)
                <= now_ms
            )
        if version.marker and len(versions) > 1:
            return False
        if version.marker and rule.expired_marker:
            return version.made_ms <= now_ms
        if rule.days is not None:
            return midnight_after(version.made_ms + rule.days * DAY_S * 1000) <= now_ms
        return rule.date_ms is not None and rule.date_ms <= now_ms

    def _may(self, versions: list[Model], version: Model, act: str) -> bool:
        """A lock keeps what would go for good, and nothing else."""
        goes = [version]
        if act == "expire" and self.versioning != "never":
            goes = [one for one in versions if one.is_null and self.versioning == "suspended"]
        return not any(one.is_locked(self.now_ms) for one in goes)

    def _act(self, versions: list[Model], version: Model, act: str) -> None:
        if act == "expire" and self.versioning != "never":
            null = self.versioning == "suspended"
            marker = Model(b"" if null else b"?", null, True, 0, {}, self.now_ms)
            self._add(versions, marker)
            return
        self._remove(versions, version)

    def check(self) -> None:
        """Both did the same, and are in the same state."""
        modelled, done = self.modelled(), self.expire()
        assert done == modelled
        for key, versions in self.keys.items():
            stand = self.catalog.list_versions(
                self.bucket,
                prefix=key,
                delimiter=b"",
                after_key=b"",
                after_version=None,
                limit=1000,
            ).versions
            mine = [one for one in stand if one.key == key]
            assert [one.marker for one in mine] == [one.marker for one in versions]
            for model, one in zip(versions, mine, strict=True):
                if model.version_id == b"?":
                    model.version_id, model.made_ms = one.version_id, one.modified_ms
                assert model.version_id == one.version_id
                assert model.kind == one.storage_class


def midnight_after(at_ms: int) -> int:
    return at_ms - at_ms % (DAY_S * 1000) + DAY_S * 1000


def applies(rule: Rule, key: bytes, version: Model) -> bool:
    return (
        key.startswith(rule.prefix)
        and all(version.tags.get(name) == value for name, value in rule.tags.items())
        and (rule.larger is None or version.size > rule.larger)
        and (rule.smaller is None or version.size < rule.smaller)
    )
