"""What a bucket's lifecycle says of one version or upload: when which rule acts on it.

Pure: from (rules, facts) to a time. Sources: AWS, "Lifecycle configuration elements", "Expiring
objects", "How S3 Lifecycle interacts with other bucket configurations".

- A period counts in whole days from a version's creation, from when it stopped to be current, or
  from an upload's initiation, and ends at the next midnight (UTC) behind it.
- A date acts from that midnight on, on whatever it then meets, also on what comes later.
- A delete marker that hides other versions is left alone; one that stands alone expires by any
  expiration, and by `expired_marker` at once.
- Of the newest noncurrent versions of a key `newer_noncurrent` stay. Markers do not count among
  them, so that a marker never takes the place of an object.
- A version moves to a colder storage class only. Of several moves that are due the one to the
  coldest class is made. What is to be deleted for good is not moved; what a marker is to hide is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.msgpack import Decoder

DAY_MS: Final = 24 * 3600 * 1000
LIFECYCLE: Final = "lifecycle"
"""The kind of the bucket's document that holds it, packed."""


class Move(Struct, frozen=True, array_like=True):
    """A transition to a storage class, `days` after a version was made or stopped to be current, or
    at `date_ms`; of noncurrent ones the `newer` newest stay, and what is below `least` bytes."""

    storage_class: str
    days: int | None = None
    date_ms: int | None = None
    newer: int = 0
    least: int = 0


class Rule(Struct, frozen=True, array_like=True):
    """One rule that may act. `larger` and `smaller`: sizes in bytes that the object's must be
    above and below; `date_ms` is a midnight (UTC); None: there is no such action or condition."""

    id: str
    enabled: bool
    prefix: bytes = b""
    tags: dict[str, str] = {}
    larger: int | None = None
    smaller: int | None = None
    days: int | None = None
    date_ms: int | None = None
    expired_marker: bool = False
    noncurrent_days: int | None = None
    newer_noncurrent: int = 0
    abort_days: int | None = None
    moves: tuple[Move, ...] = ()
    noncurrent_moves: tuple[Move, ...] = ()


class Lifecycle(Struct, frozen=True, array_like=True):
    """A bucket's lifecycle: its rules, the document that tells them, and below which size objects
    stay in their storage class, as the client said."""

    rules: tuple[Rule, ...]
    told: bytes
    minimum_size: str = ""


class Subject(NamedTuple):
    """What is known of a version. `noncurrent_ms`: since when it is not `current`; `newer`: how
    many noncurrent objects of its key are newer; `alone`: its key has no other version."""

    key: bytes
    tags: dict[str, str]
    size: int
    marker: bool
    modified_ms: int
    current: bool
    noncurrent_ms: int | None
    newer: int
    alone: bool
    storage_class: str = "STANDARD"


class Verdict(NamedTuple):
    """From `due_ms` on, `rule` acts: it deletes, or moves to `storage_class`."""

    due_ms: int
    rule: Rule
    storage_class: str = ""


WARM_TO_COLD: Final = (
    *("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA"),
    *("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"),
)
"""Storage classes, each colder than those before it (AWS, "Supported lifecycle transitions")."""


def end_of(start_ms: int, days: int) -> int:
    """The first midnight behind `days` whole days from `start_ms` on."""
    return ((start_ms + days * DAY_MS) // DAY_MS + 1) * DAY_MS


def rules_about(rules: Iterable[Rule], key: bytes) -> list[Rule]:
    """Those that may act on versions of a key, whatever these are."""
    return [rule for rule in rules if rule.enabled and key.startswith(rule.prefix)]


def judge(rules: Sequence[Rule], subject: Subject) -> Verdict | None:
    """The rule that acts first on a version; of several at once the first of the configuration that
    deletes, else the first that moves."""
    rules = list(_about(rules, subject))
    found = deletion(rules, subject), transition(rules, subject)
    return min((one for one in found if one is not None), key=_when, default=None)


def deletion(rules: Iterable[Rule], subject: Subject) -> Verdict | None:
    """The rule that deletes a version, or hides it, first."""
    when = _of_current if subject.current else _of_noncurrent
    return _first((when(rule, subject), rule) for rule in _about(rules, subject))


def transition(
    rules: Iterable[Rule], subject: Subject, now_ms: int | None = None
) -> Verdict | None:
    """The rule that moves a version first; with `now_ms` the one of those that are due then which
    moves it furthest."""
    found = list(_moves(rules, subject))
    if now_ms is None:
        return min(found, key=_when, default=None)
    due = [one for one in found if one.due_ms <= now_ms]
    return max(due, key=lambda one: WARM_TO_COLD.index(one.storage_class), default=None)


def choose(
    rules: tuple[Rule, ...], subject: Subject, now_ms: int, *, keeps: bool
) -> Verdict | None:
    """What is to be done with a version now. `keeps`: a marker would hide the current version, not
    take its place."""
    gone, moved = deletion(rules, subject), transition(rules, subject, now_ms)
    if gone is not None and gone.due_ms > now_ms:
        gone = None
    hides = keeps and subject.current and not subject.marker
    return moved or gone if hides else gone or moved


def judge_upload(rules: Iterable[Rule], key: bytes, initiated_ms: int) -> Verdict | None:
    """The rule that aborts an upload first."""
    return _first(
        (end_of(initiated_ms, rule.abort_days), rule)
        for rule in rules
        if rule.enabled and rule.abort_days is not None and key.startswith(rule.prefix)
    )


def most_kept(rules: Iterable[Rule]) -> int:
    """How many noncurrent versions any rule keeps: what one more of them may change."""
    return max(
        (
            max(rule.newer_noncurrent, *(move.newer for move in rule.noncurrent_moves), 0)
            for rule in rules
            if rule.enabled
        ),
        default=0,
    )


@lru_cache(maxsize=256)
def unpack_lifecycle(packed: bytes) -> Lifecycle:
    """A lifecycle as its document holds it."""
    return _unpack(packed)


_unpack: Final = Decoder(Lifecycle).decode


def _first(dues: Iterable[tuple[int | None, Rule]]) -> Verdict | None:
    found: Verdict | None = None
    for due_ms, rule in dues:
        if due_ms is not None and (found is None or due_ms < found.due_ms):
            found = Verdict(due_ms, rule)
    return found


def _when(verdict: Verdict) -> int:
    return verdict.due_ms


def _about(rules: Iterable[Rule], subject: Subject) -> Iterator[Rule]:
    for rule in rules:
        if rule.enabled and _is_about(rule, subject.key, subject.tags, subject.size):
            yield rule


def _moves(rules: Iterable[Rule], subject: Subject) -> Iterator[Verdict]:
    """Every move that a version has before it."""
    since_ms = subject.modified_ms if subject.current else subject.noncurrent_ms
    if subject.marker or since_ms is None:
        return
    for rule in _about(rules, subject):
        for move in rule.moves if subject.current else rule.noncurrent_moves:
            kept = not subject.current and subject.newer < move.newer
            if kept or subject.size < move.least or not _is_colder(subject, move.storage_class):
                continue
            due_ms = move.date_ms if move.days is None else end_of(since_ms, move.days)
            if due_ms is not None:
                yield Verdict(due_ms, rule, move.storage_class)


def _is_colder(subject: Subject, wanted: str) -> bool:
    """May a version move to a class? Classes that are no more than a word count as STANDARD."""
    now = subject.storage_class
    if (now, wanted) == ("ONEZONE_IA", "GLACIER_IR"):
        return False
    rank = WARM_TO_COLD.index(now) if now in WARM_TO_COLD else 0
    return WARM_TO_COLD.index(wanted) > rank


def _is_about(rule: Rule, key: bytes, tags: dict[str, str], size: int) -> bool:
    if rule.larger is not None and size <= rule.larger:
        return False
    if rule.smaller is not None and size >= rule.smaller:
        return False
    return key.startswith(rule.prefix) and rule.tags.items() <= tags.items()


def _of_current(rule: Rule, subject: Subject) -> int | None:
    if subject.marker:
        if not subject.alone:
            return None
        if rule.expired_marker:
            return subject.modified_ms
    if rule.days is not None:
        return end_of(subject.modified_ms, rule.days)
    return rule.date_ms


def _of_noncurrent(rule: Rule, subject: Subject) -> int | None:
    if rule.noncurrent_days is None or subject.noncurrent_ms is None:
        return None
    if subject.newer < rule.newer_noncurrent:
        return None
    return end_of(subject.noncurrent_ms, rule.noncurrent_days)
