"""LifecycleConfiguration: parsed to its rules, refused as AWS refuses, rendered in one form.

Sources: AWS, "Lifecycle configuration elements", the API reference of
PutBucketLifecycleConfiguration and its data types, botocore's model; the published service's own
list of rules. A document that is not as the schema says is MalformedXML, as is one of more than
1000 rules; what it says and cannot mean is InvalidArgument or InvalidRequest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from xml.etree.ElementTree import Element

from coffre.wire.dates import iso_second, parse_iso
from coffre.wire.errors import S3Error
from coffre.wire.tags import OBJECT_TAGS, checked
from coffre.wire.xml import (
    boolean,
    document,
    element,
    flag,
    integer,
    leaves,
    malformed,
    optional,
    parse,
    tag,
)

DOCUMENT_LIMIT: Final = 4 << 20  # bytes: 1000 rules of ten tags each
RULES: Final = 1000
_ROOT: Final = "LifecycleConfiguration"
_ID_LIMIT: Final = 255
_PREFIX_LIMIT: Final = 1024
_DAYS_LIMIT: Final = (1 << 31) - 1
_SIZE_LIMIT: Final = 50 << 40
_NEWER_LIMIT: Final = 100
_DAY_MS: Final = 24 * 3600 * 1000
_RULE: Final = frozenset(
    {
        *("ID", "Prefix", "Filter", "Status", "Expiration", "Transition"),
        *("NoncurrentVersionExpiration", "NoncurrentVersionTransition"),
        "AbortIncompleteMultipartUpload",
    }
)
_MANY: Final = frozenset({"Transition", "NoncurrentVersionTransition"})
_CONDITIONS: Final = ("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
_CLASSES: Final = {
    "STANDARD_IA": 30,
    "INTELLIGENT_TIERING": 0,
    "ONEZONE_IA": 30,
    "GLACIER_IR": 0,
    "GLACIER": 0,
    "DEEP_ARCHIVE": 0,
}
"""Classes that a transition may name, the warmest first, and the least days before it (AWS)."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A move to a storage class, `days` after an object was made or stopped to be current, or at
    `date_ms`; `newer` noncurrent versions stay."""

    storage_class: str
    days: int | None = None
    date_ms: int | None = None
    newer: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `bare`: its prefix stands beside a filter's place, as the earliest form has it.
    Sizes are bytes, `date_ms` a midnight (UTC)."""

    id: str
    enabled: bool
    bare: bool = False
    prefix: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    larger: int | None = None
    smaller: int | None = None
    days: int | None = None
    date_ms: int | None = None
    expired_marker: bool | None = None
    noncurrent_days: int | None = None
    newer_noncurrent: int | None = None
    abort_days: int | None = None
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[Transition, ...] = ()


def parse_lifecycle(body: bytes) -> tuple[Rule, ...]:
    """The rules of a LifecycleConfiguration; a rule without an id has an empty one.

    Raises MalformedXML, InvalidArgument, InvalidRequest, InvalidTag, BadRequest.
    """
    root = parse(body, _ROOT, limit=DOCUMENT_LIMIT)
    if not 0 < len(root) <= RULES or any(child.tag != "Rule" for child in root):
        raise malformed()
    rules = tuple(_rule(child) for child in root)
    ids = [rule.id for rule in rules if rule.id]
    if len(set(ids)) < len(ids):
        raise _argument("Rule ID must be unique. Found same ID for more than one rule")
    return rules


def render_lifecycle(rules: Iterable[Rule]) -> bytes:
    """LifecycleConfiguration."""
    return document(_ROOT, *(_rendered(rule) for rule in rules))


def _rule(parent: Element) -> Rule:
    found = {child.tag: child for child in parent}
    single = [child.tag for child in parent if child.tag not in _MANY]
    if not found.keys() <= _RULE or len(set(single)) < len(single):
        raise malformed()
    if ("Filter" in found) == ("Prefix" in found):
        raise malformed()
    identity, status = _text(found.get("ID")), _text(found.get("Status"))
    if status not in ("Enabled", "Disabled"):
        raise malformed()
    if len(identity) > _ID_LIMIT:
        raise _argument("ID length should not exceed allowed limit of 255")
    bare = "Prefix" in found
    prefix, tags, larger, smaller = _filter(found["Prefix" if bare else "Filter"], bare)
    days, date_ms, marker = _expiration(found.get("Expiration"))
    noncurrent, newer = _noncurrent(found.get("NoncurrentVersionExpiration"))
    rule = Rule(
        id=identity,
        enabled=status == "Enabled",
        bare=bare,
        prefix=prefix,
        tags=tags,
        larger=larger,
        smaller=smaller,
        days=days,
        date_ms=date_ms,
        expired_marker=marker,
        noncurrent_days=noncurrent,
        newer_noncurrent=newer,
        abort_days=_abort(found.get("AbortIncompleteMultipartUpload")),
        transitions=tuple(_transition(one) for one in parent.findall("Transition")),
        noncurrent_transitions=tuple(
            _noncurrent_transition(one) for one in parent.findall("NoncurrentVersionTransition")
        ),
    )
    _check(rule)
    return rule


def _check(rule: Rule) -> None:
    """What a rule's parts say of each other."""
    actions = (rule.days, rule.date_ms, rule.expired_marker, rule.noncurrent_days, rule.abort_days)
    moves = (*rule.transitions, *rule.noncurrent_transitions)
    if all(action is None for action in actions) and not moves:
        raise _request("At least one action needs to be specified in a rule")
    if rule.expired_marker is not None and rule.tags:
        raise _request("ExpiredObjectDeleteMarker cannot be specified with Tags.")
    if rule.abort_days is not None and rule.tags:
        raise _request("AbortIncompleteMultipartUpload cannot be specified with Tags.")
    if rule.abort_days is not None and (rule.larger, rule.smaller) != (None, None):
        raise _request("AbortIncompleteMultipartUpload cannot be specified with ObjectSize.")
    _check_moves(rule)


def _check_moves(rule: Rule) -> None:
    timed = {(one.days is None) for one in rule.transitions}
    if rule.days is not None or rule.date_ms is not None:
        timed.add(rule.days is None)
    if len(timed) > 1:
        raise _request(
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle "
            f"rule for prefix '{rule.prefix or ''}'"
        )
    for moves in (rule.transitions, rule.noncurrent_transitions):
        classes = [one.storage_class for one in moves]
        if len(set(classes)) < len(classes):
            raise _request("'StorageClass' must be different for each transition of a rule")
        _check_order(moves)
    for ends, moves, what in (
        (rule.days, rule.transitions, "Expiration"),
        (rule.noncurrent_days, rule.noncurrent_transitions, "NoncurrentVersionExpiration"),
    ):
        if ends is not None and any((one.days or 0) >= ends for one in moves):
            raise _argument(
                f"Days of the {what} action must be greater than Days of the rule's transitions"
            )


def _check_order(moves: tuple[Transition, ...]) -> None:
    """A colder class comes later, and after an infrequent-access class by the days that this one
    has at least."""
    warm_to_cold = sorted(moves, key=lambda one: [*_CLASSES].index(one.storage_class))
    for before, after in pairwise(warm_to_cold):
        least = _CLASSES[before.storage_class] if before.days is not None else 0
        began, comes = (one.date_ms if one.days is None else one.days for one in (before, after))
        if (comes or 0) < (began or 0) + max(least, 1):
            what = "Days" if before.days is not None else "Date"
            more = f"{least} days more than" if least else "later than"
            raise _argument(
                f"'{what}' in the Transition action for StorageClass '{after.storage_class}' must"
                f" be {more} '{what}' in the Transition action for StorageClass"
                f" '{before.storage_class}'"
            )


def _filter(
    parent: Element, bare: bool
) -> tuple[str | None, tuple[tuple[str, str], ...], int | None, int | None]:
    """(prefix, tags, larger than, smaller than) of what a rule is about."""
    if bare:
        return _prefix(parent), (), None, None
    inner = list(parent)
    both = len(inner) == 1 and inner[0].tag == "And"
    if both:
        inner = list(inner[0])
        if len(inner) < 2:
            raise malformed()
    elif len(inner) > 1:
        raise malformed()
    names = [child.tag for child in inner]
    single = [name for name in names if name != "Tag"]
    if not set(names) <= set(_CONDITIONS) or len(set(single)) < len(single):
        raise malformed()
    found = {child.tag: child for child in inner}
    larger, smaller = (_size(found.get(name), name) for name in _CONDITIONS[2:])
    if larger is not None and smaller is not None and smaller <= larger:
        raise _request(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
        )
    prefix = _prefix(found["Prefix"]) if "Prefix" in found else None
    return prefix, _tags([child for child in inner if child.tag == "Tag"]), larger, smaller


def _prefix(found: Element) -> str:
    prefix = _text(found)
    if len(prefix.encode()) > _PREFIX_LIMIT:
        raise _request(f"The maximum size of a prefix is {_PREFIX_LIMIT}.")
    return prefix


def _tags(found: list[Element]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for one in found:
        parts = leaves(one, ("Key", "Value"))
        if len(parts) != 2:
            raise malformed()
        pairs.append((parts["Key"], parts["Value"]))
    if len({key for key, _ in pairs}) < len(pairs):
        raise _request("Duplicate Tag Keys are not allowed.")
    checked(pairs, OBJECT_TAGS)
    return tuple(pairs)


def _size(found: Element | None, name: str) -> int | None:
    if found is None:
        return None
    size = integer(_text(found))
    if not 0 <= size <= _SIZE_LIMIT:
        raise _request(f"'{name}' must be between 0 and {_SIZE_LIMIT}.")
    return size


def _expiration(found: Element | None) -> tuple[int | None, int | None, bool | None]:
    """(days, date, expired markers): exactly one of them is said."""
    if found is None:
        return None, None, None
    parts = leaves(found, ("Days", "Date", "ExpiredObjectDeleteMarker"))
    if len(parts) != 1:
        raise malformed()
    if "Days" in parts:
        return _days(parts["Days"], "'Days' for Expiration action"), None, None
    if "Date" in parts:
        return None, _date(parts["Date"]), None
    return None, None, boolean(parts["ExpiredObjectDeleteMarker"])


def _noncurrent(found: Element | None) -> tuple[int | None, int | None]:
    if found is None:
        return None, None
    parts = leaves(found, ("NoncurrentDays", "NewerNoncurrentVersions"))
    if "NoncurrentDays" not in parts:
        raise malformed()
    name = "'NoncurrentDays' for NoncurrentVersionExpiration action"
    return _days(parts["NoncurrentDays"], name), _newer(parts)


def _newer(parts: dict[str, str]) -> int | None:
    if "NewerNoncurrentVersions" not in parts:
        return None
    newer = integer(parts["NewerNoncurrentVersions"])
    if not 0 < newer <= _NEWER_LIMIT:
        raise _argument(
            f"'NewerNoncurrentVersions' must be a positive integer of at most {_NEWER_LIMIT}"
        )
    return newer


def _abort(found: Element | None) -> int | None:
    if found is None:
        return None
    parts = leaves(found, ("DaysAfterInitiation",))
    if not parts:
        raise malformed()
    name = "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action"
    return _days(parts["DaysAfterInitiation"], name)


def _transition(found: Element) -> Transition:
    parts = leaves(found, ("Days", "Date", "StorageClass"))
    if ("Days" in parts) == ("Date" in parts):
        raise malformed()
    storage_class = _class(parts)
    if "Date" in parts:
        return Transition(storage_class, date_ms=_date(parts["Date"]))
    return Transition(storage_class, _days_before(parts["Days"], "Days", storage_class))


def _noncurrent_transition(found: Element) -> Transition:
    parts = leaves(found, ("NoncurrentDays", "NewerNoncurrentVersions", "StorageClass"))
    if "NoncurrentDays" not in parts:
        raise malformed()
    storage_class = _class(parts)
    days = _days_before(parts["NoncurrentDays"], "NoncurrentDays", storage_class)
    return Transition(storage_class, days, newer=_newer(parts))


def _class(parts: dict[str, str]) -> str:
    if parts.get("StorageClass") not in _CLASSES:
        raise malformed()
    return parts["StorageClass"]


def _days_before(text: str, name: str, storage_class: str) -> int:
    days, least = integer(text), _CLASSES[storage_class]
    if days < 0:
        raise _argument(f"'{name}' in Transition action must be nonnegative")
    if days > _DAYS_LIMIT:
        raise malformed()
    if days < least:
        raise _argument(
            f"'{name}' in Transition action must be greater than or equal to {least} for"
            f" storageClass '{storage_class}'"
        )
    return days


def _days(text: str, name: str) -> int:
    days = integer(text)
    if days > _DAYS_LIMIT:
        raise malformed()
    if days < 1:
        raise _argument(f"{name} must be a positive integer")
    return days


def _date(text: str) -> int:
    date_ms = parse_iso(text)
    if date_ms is None:
        raise malformed()
    if date_ms % _DAY_MS:
        raise _argument("'Date' must be at midnight GMT")
    return date_ms


def _text(found: Element | None) -> str:
    """An element's own text; one with elements inside is none that we know."""
    if found is not None and len(found):
        raise malformed()
    return "" if found is None else found.text or ""


def _argument(message: str) -> S3Error:
    return S3Error("InvalidArgument", message)


def _request(message: str) -> S3Error:
    return S3Error("InvalidRequest", message)


def _rendered(rule: Rule) -> str:
    about = tag("Prefix", rule.prefix or "") if rule.bare else _rendered_filter(rule)
    marker = rule.expired_marker
    expiration = "".join(
        (
            optional("Days", rule.days),
            "" if rule.date_ms is None else tag("Date", iso_second(rule.date_ms)),
            "" if marker is None else flag("ExpiredObjectDeleteMarker", marker),
        )
    )
    noncurrent = optional("NoncurrentDays", rule.noncurrent_days) + optional(
        "NewerNoncurrentVersions", rule.newer_noncurrent
    )
    return element(
        "Rule",
        tag("ID", rule.id),
        about,
        tag("Status", "Enabled" if rule.enabled else "Disabled"),
        *(_rendered_move("Transition", "Days", one) for one in rule.transitions),
        _unless_empty("Expiration", expiration),
        *(
            _rendered_move("NoncurrentVersionTransition", "NoncurrentDays", one)
            for one in rule.noncurrent_transitions
        ),
        _unless_empty("NoncurrentVersionExpiration", noncurrent),
        _unless_empty(
            "AbortIncompleteMultipartUpload", optional("DaysAfterInitiation", rule.abort_days)
        ),
    )


def _rendered_filter(rule: Rule) -> str:
    parts = [
        optional("Prefix", rule.prefix),
        *(element("Tag", tag("Key", key), tag("Value", value)) for key, value in rule.tags),
        optional("ObjectSizeGreaterThan", rule.larger),
        optional("ObjectSizeLessThan", rule.smaller),
    ]
    said = [part for part in parts if part]
    return element("Filter", element("And", *said) if len(said) > 1 else "".join(said))


def _rendered_move(name: str, days: str, move: Transition) -> str:
    return element(
        name,
        optional(days, move.days),
        "" if move.date_ms is None else tag("Date", iso_second(move.date_ms)),
        optional("NewerNoncurrentVersions", move.newer),
        tag("StorageClass", move.storage_class),
    )


def _unless_empty(name: str, inner: str) -> str:
    return element(name, inner) if inner else ""
