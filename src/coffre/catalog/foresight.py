"""What a lifecycle will do to the versions of one key, if nobody else touches them: rules played
forward in time, consequences too (the marker that an expiration leaves, once nothing is behind it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from coffre.catalog.lifecycle_mutations import Act
from coffre.catalog.lifecycle_rules import Rule, Subject, Verdict, choose, deletion, transition


class Foreseen(Struct, frozen=True):
    """One thing that a rule will do, at `due_ms` at the earliest. `version_id` is empty for a null
    version and for a marker that does not stand yet; `held`: a lock or a retention period would not
    let it happen then; `storage_class`: of a move."""

    key: bytes
    version_id: bytes
    act: Act
    rule_id: str
    size: int
    due_ms: int
    held: bool = False
    storage_class: str = ""


@dataclass
class Standing:
    """A version of the key, as it stands at the time that is played."""

    version_id: bytes
    is_null: bool
    marker: bool
    size: int
    tags: dict[str, str]
    modified_ms: int
    noncurrent_ms: int | None
    storage_class: str = "STANDARD"
    kept_ms: int = 0
    """Something keeps it until then: so long it is not asked again."""


FOR_EVER: Final = 1 << 62
Kept = Callable[[Standing, int], int]
"""Until when something keeps a version that stands at a time: 0 where nothing does."""


def foresee(
    rules: Sequence[Rule],
    versioning: str,
    key: bytes,
    versions: Sequence[Standing],
    now_ms: int,
    kept: Kept,
) -> list[Foreseen]:
    """What will happen to `versions` (the newest first), in order of time. `kept` says until when
    something keeps a version."""
    play = _Play(tuple(rules), versioning, key, list(versions), kept)
    at_ms = now_ms
    while due := play.due():
        at_ms = max(at_ms, min(due_ms for _, _, due_ms in due))
        for version, subject, due_ms in reversed(due):
            if due_ms <= at_ms:
                play.act(version, subject, at_ms)
    return play.foreseen


class _Play:
    def __init__(
        self,
        rules: tuple[Rule, ...],
        versioning: str,
        key: bytes,
        versions: list[Standing],
        kept: Kept,
    ) -> None:
        self._rules = rules
        self._versioning = versioning
        self._key = key
        self._versions = versions
        self._kept = kept
        self.foreseen: list[Foreseen] = []

    def due(self) -> list[tuple[Standing, Subject, int]]:
        """Versions that a rule will act on, the newest first, as rules see them, and when."""
        found: list[tuple[Standing, Subject, int]] = []
        newer, alone = 0, len(self._versions) == 1
        for at, version in enumerate(self._versions):
            subject = Subject(
                self._key,
                version.tags,
                version.size,
                version.marker,
                version.modified_ms,
                at == 0,
                version.noncurrent_ms,
                newer,
                alone,
                version.storage_class,
            )
            gone, moved = deletion(self._rules, subject), transition(self._rules, subject)
            dues = [] if moved is None else [moved.due_ms]
            if gone is not None and version.kept_ms < FOR_EVER:
                dues.append(max(gone.due_ms, version.kept_ms))
            if dues:
                found.append((version, subject, min(dues)))
            newer += at > 0 and not version.marker
        return found

    def act(self, version: Standing, subject: Subject, at_ms: int) -> None:
        """What is to be done with a version then."""
        keeps = self._versioning == "enabled"
        if version.kept_ms > at_ms:
            found = transition(self._rules, subject, at_ms)
        else:
            found = choose(self._rules, subject, at_ms, keeps=keeps)
        if found is not None and not found.storage_class:
            self._delete(version, found, at_ms)
            # A lock keeps bytes, not their class.
            held = version.kept_ms > at_ms
            found = transition(self._rules, subject, at_ms) if held else None
        if found is not None:
            version.storage_class = found.storage_class
            self.foreseen.append(
                Foreseen(
                    self._key,
                    version.version_id,
                    "move",
                    found.rule.id,
                    version.size,
                    at_ms,
                    storage_class=found.storage_class,
                )
            )

    def _delete(self, version: Standing, verdict: Verdict, at_ms: int) -> None:
        current = version is self._versions[0] and not version.marker
        marks = current and self._versioning != "never"
        erased = [version]
        if marks:
            keeps = self._versioning == "enabled"
            erased = [] if keeps else [one for one in self._versions if one.is_null]
        version.kept_ms = max((self._kept(one, at_ms) for one in erased), default=0)
        held = version.kept_ms > at_ms
        self.foreseen.append(
            Foreseen(
                self._key,
                version.version_id,
                "expire" if current else "remove",
                verdict.rule.id,
                version.size,
                at_ms,
                held,
            )
        )
        if held:
            return
        self._versions = [one for one in self._versions if one not in erased]
        if marks:
            if self._versions and self._versions[0] is version:
                version.noncurrent_ms = at_ms
            null = self._versioning == "suspended"
            self._versions.insert(0, Standing(b"", null, True, 0, {}, at_ms, None))
