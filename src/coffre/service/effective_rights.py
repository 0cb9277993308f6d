"""Who may what on a bucket as far as its policy, its owner and roles on it say.

A policy speaks of patterns, people ask about keys: each resource that a policy names stands for
itself, tried with a key that it matches. Conditions are not tried: a right is certain without
them, or it is `conditional`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from coffre.access import actions
from coffre.access.actions import Target
from coffre.access.decision import Resource, decide
from coffre.access.policy import Policy, Statement
from coffre.access.principals import Principal
from coffre.access.roles import Role
from coffre.catalog.records import Bucket

_VARIABLE: Final = re.compile(r"\$\{[^}]*\}|\*|\?")
_MOST_KEYS: Final = 30


class Right(NamedTuple):
    """`on`: the bucket, or `bucket/key`, a key that stands for those that a resource matches."""

    who: str
    on: str
    action: str
    conditional: bool


def rights(
    bucket: Bucket,
    policy: Policy | None,
    people: Mapping[str, Principal],
    roles: Mapping[str, str],
    keys: Sequence[bytes],
    asked_for: Collection[str],
) -> set[Right]:
    """Which of the actions `asked_for` each of `people`, by name, may use on the bucket and on
    `keys`."""
    possible = None if policy is None else Policy(tuple(_possible(policy.statements)))
    certain = None if policy is None else Policy(tuple(_certain(policy.statements)))
    found: set[Right] = set()
    for who, one in people.items():
        role = roles.get(one.user_id or "")
        about = Resource(bucket.name, bucket.owner_id, role=None if role is None else Role(role))
        for action in asked_for:
            for key in _keys(actions.TARGETS[action], keys):
                asked = replace(about, key=key, policy=possible)
                if not decide(one, action, asked).allowed:
                    continue
                sure = decide(one, action, replace(asked, policy=certain)).allowed
                found.add(Right(who, asked.path, action, not sure))
    return found


def actions_of(*policies: Policy | None) -> frozenset[str]:
    """The actions that any of the policies speaks of: one takes the place of the other and changes
    nothing of the rest."""
    statements = [one for policy in policies if policy for one in policy.statements]
    return frozenset(
        action for action in actions.TARGETS if any(one.covers(action) for one in statements)
    )


def example_keys(documents: Iterable[bytes]) -> list[bytes]:
    """A key for every resource that policies name, and one that none of them names."""
    keys = {"any-other-key"}
    for document in documents:
        statements = json.loads(document)["Statement"]
        for one in statements if isinstance(statements, list) else [statements]:
            for element in ("Resource", "NotResource"):
                named = one.get(element, [])
                for text in named if isinstance(named, list) else [named]:
                    keys.add(_VARIABLE.sub("example", text.partition("/")[2]))
    keys.discard("")
    # JSON can say what no text is: half of a surrogate pair.
    return [key.encode(errors="replace") for key in sorted(keys)[:_MOST_KEYS]]


def _keys(target: Target, keys: Iterable[bytes]) -> Iterable[bytes | None]:
    match target:
        case Target.OBJECT:
            return keys
        case Target.BUCKET:
            return (None,)
    return ()


def _possible(statements: Iterable[Statement]) -> Iterator[Statement]:
    """As if every condition of what allows held, and none of what denies."""
    for one in statements:
        if one.allows:
            yield replace(one, conditions=())
        elif not one.conditions:
            yield one


def _certain(statements: Iterable[Statement]) -> Iterator[Statement]:
    """As if no condition of what allows held, and every one of what denies."""
    for one in statements:
        if not one.allows:
            yield replace(one, conditions=())
        elif not one.conditions:
            yield one
