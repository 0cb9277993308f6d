"""Policies: JSON documents read strictly, refused by name of what is wrong, compiled once.

Source: AWS "Policies and permissions in Amazon S3" and "IAM JSON policy elements reference"; ECS
also takes resources without `arn:aws:s3:::` and principals without an ARN. What AWS refuses with
MalformedPolicy is `BadPolicy`: its `field` is the element's path (`Statement[0].Action`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from coffre.access import actions
from coffre.access.conditions import BadCondition, Condition, compile_condition
from coffre.access.patterns import Facts, Pattern, compile_pattern, glob
from coffre.access.principals import (
    BadPrincipal,
    Principal,
    Principals,
    read_principals,
)

POLICY_BYTES: Final = 20 * 1024
_KEPT: Final = 128
"""Pairs of action and principal whose statements a policy remembers."""
_ARNS: Final = ("arn:", "urn:")
_SERVICE: Final = re.compile(r"(?!s3$)[a-z0-9-]+")
_EVERYTHING: Final = compile_pattern("*")
_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_POLICY_FIELDS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_FIELDS: Final = frozenset(
    {
        *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
        *("Resource", "NotResource", "Condition"),
    }
)


class BadPolicy(ValueError):
    """A policy that cannot be taken: where, and AWS's words for it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        self.message = message
        super().__init__(f"{message} ({field})" if field else message)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: may `principal` use `action` on `resource` (`bucket` or `bucket/key`; empty for
    the service), of which `facts` says what the request says."""

    principal: Principal
    action: str
    resource: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement. `place` is its path in the document, `sid` its name if it has one."""

    place: str
    sid: str
    allows: bool
    principals: Principals | None
    not_principals: bool
    covers: Callable[[str], bool]
    resources: tuple[Pattern, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]

    def names(self, principal: Principal) -> bool:
        """Whether it is about this principal."""
        if self.principals is None:
            return True
        named = self.principals.name(principal, denies=not self.allows)
        return named != self.not_principals

    def applies(self, asked: Asked) -> bool:
        """Whether it is about this question, of whose action and principal it is."""
        # A loop, not `any`: this is asked of every statement of every request.
        resource, facts = asked.resource, asked.facts
        for one in self.resources:
            if one(resource, facts):
                if self.not_resources:
                    return False
                break
        else:
            if not self.not_resources:
                return False
        return all(one.holds(asked.facts) for one in self.conditions)

    @property
    def of_everybody(self) -> bool:
        """Whether it allows or denies whoever asks, as far as principals go."""
        return self.principals is not None and (self.not_principals or self.principals.everybody)


@dataclass(slots=True)
class Policy:
    """A compiled policy: its statements, and which are about whom: most are about others."""

    statements: tuple[Statement, ...]
    _about: dict[tuple[str, Principal], tuple[Statement, ...]] = field(default_factory=dict)

    def covering(self, action: str) -> Iterator[Statement]:
        """The statements about an action, whoever's."""
        return (one for one in self.statements if one.covers(action))

    def about(self, action: str, principal: Principal) -> tuple[Statement, ...]:
        """The statements about an action of a principal's, those that deny first."""
        found = self._about.get((action, principal))
        if found is None:
            naming = [one for one in self.covering(action) if one.names(principal)]
            found = tuple(sorted(naming, key=lambda one: one.allows))
            if len(self._about) >= _KEPT:
                self._about.clear()
            # Without its own policies: a thousand buckets' policies would keep those of everybody.
            self._about[action, replace(principal, identity=None)] = found
        return found


def read_policy(
    document: bytes,
    *,
    bucket: str | None = None,
    ecs: bool = False,
    limit: int = POLICY_BYTES,
    trust: bool = False,
) -> Policy:
    """A bucket's policy (`bucket` is its name), or an identity's (None: it names no principals).
    `trust`: a role's, which says who may assume it and names no resource.

    Raises BadPolicy. `ecs`: the dialect's pairs of key and action are taken too.
    """
    if len(document) > limit:
        raise BadPolicy("", f"Policy exceeds the maximum allowed document size: {limit} bytes")
    tree = _json(document)
    _only(tree, _POLICY_FIELDS, "")
    version = tree.get("Version", _VERSIONS[1])
    if version not in _VERSIONS:
        raise BadPolicy("Version", "The policy must contain a valid version string")
    if not isinstance(tree.get("Id", ""), str):
        raise BadPolicy("Id", "Invalid policy syntax.")
    reader = _Reader(bucket, ecs, version == _VERSIONS[0], trust)
    given = tree.get("Statement")
    listed = given if isinstance(given, list) else [given]
    if given is None or not listed:
        raise BadPolicy("Statement", "Missing required field Statement")
    statements = [reader.statement(one, f"Statement[{i}]") for i, one in enumerate(listed)]
    sids = [one.sid for one in statements if one.sid]
    if len(set(sids)) < len(sids):
        raise BadPolicy("Statement", "Statement IDs (SID) in a single policy must be unique.")
    return Policy(tuple(statements))


def _json(document: bytes) -> dict[str, Any]:
    if not document.lstrip()[:1] == b"{":
        raise BadPolicy("", "Policies must be valid JSON and the first byte must be '{'")
    try:
        tree = json.loads(document, object_pairs_hook=_without_doubles, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadPolicy):
            raise
        raise BadPolicy("", "This policy contains invalid Json") from error
    assert isinstance(tree, dict), "a document that begins with { and is JSON is an object"
    return tree


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise BadPolicy(pairs[-1][0], "Duplicate field in policy")
    return tree


def _refuse(name: str) -> None:
    raise ValueError(name)


def _only(tree: Any, known: frozenset[str], place: str) -> None:
    if not isinstance(tree, dict):
        raise BadPolicy(place, "Invalid policy syntax.")
    for name in tree:
        if name not in known:
            raise BadPolicy(f"{place}.{name}".lstrip("."), f"Unknown field {name}")


def _texts(value: Any, place: str) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, str) for one in listed):
        raise BadPolicy(place, "Invalid policy syntax.")
    return tuple(listed)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Compiles statements of one document."""

    bucket: str | None
    ecs: bool
    variables: bool
    trust: bool = False

    def statement(self, tree: Any, place: str) -> Statement:
        _only(tree, _STATEMENT_FIELDS, place)
        sid = tree.get("Sid", "")
        if not isinstance(sid, str):
            raise BadPolicy(f"{place}.Sid", "Invalid policy syntax.")
        effect = tree.get("Effect")
        if effect not in ("Allow", "Deny"):
            raise BadPolicy(f"{place}.Effect", f"Invalid effect: {effect}")
        principals, not_principals = self._principals(tree, place, effect)
        named, not_actions = _either(tree, "Action", place)
        asked = self._actions(named, place)
        covered = frozenset(actions.TARGETS) - asked if not_actions else asked
        if self.trust:
            if "Resource" in tree or "NotResource" in tree:
                raise BadPolicy(f"{place}.Resource", "Has prohibited field Resource")
            resources: tuple[Pattern, ...] = (_EVERYTHING,)
            not_resources = False
        else:
            resources, not_resources = self._resources(tree, place, covered)
        return Statement(
            place,
            sid,
            effect == "Allow",
            principals,
            not_principals,
            covered.__contains__ if self.bucket else _covers(covered, named, not_actions),
            resources,
            not_resources,
            self._conditions(tree.get("Condition", {}), place, covered, named),
        )

    def _principals(
        self, tree: dict[str, Any], place: str, effect: str
    ) -> tuple[Principals | None, bool]:
        names = [name for name in ("Principal", "NotPrincipal") if name in tree]
        if self.bucket is None and not self.trust:
            if names:
                raise BadPolicy(
                    f"{place}.{names[0]}", "Policy document should not specify a principal."
                )
            return None, False
        if len(names) != 1:
            raise BadPolicy(f"{place}.Principal", "Missing required field Principal")
        if names[0] == "NotPrincipal" and effect == "Allow":
            raise BadPolicy(f"{place}.NotPrincipal", "Allow with NotPrincipal is not allowed.")
        try:
            found = read_principals(tree[names[0]], trust=self.trust)
            return found, names[0] == "NotPrincipal"
        except BadPrincipal as error:
            raise BadPolicy(f"{place}.{names[0]}", str(error)) from error

    def _actions(self, named: tuple[str, ...], place: str) -> frozenset[str]:
        """Every known action that the names mean. Unknown ones are refused."""
        found: set[str] = set()
        for name in named:
            if "*" in name or "?" in name:
                fits = glob(name.lower())
                meant = {one for one in actions.TARGETS if fits(one.lower())}
            else:
                one = actions.canonical(name)
                meant = {one} if one is not None else set()
            # An identity's policy may speak of other services: nothing here answers to those.
            elsewhere = self.bucket is None and not name.lower().startswith("s3:") and ":" in name
            if not meant and not elsewhere:
                raise BadPolicy(f"{place}.Action", f"Policy has invalid action: {name}")
            found |= meant
        return frozenset(found)

    def _resources(
        self, tree: dict[str, Any], place: str, covered: Iterable[str]
    ) -> tuple[tuple[Pattern, ...], bool]:
        named, negated = _either(tree, "Resource", place)
        patterns: list[Pattern] = []
        targets: set[actions.Target] = set()
        for name in named:
            path = self._path(name, place)
            on_objects = "/" in path
            pattern = compile_pattern(path, variables=self.variables)
            in_s3 = bool(name.strip("*")) and not path.startswith(_ARNS)
            patterns.append(_only_in_s3(pattern) if self.bucket is None and in_s3 else pattern)
            targets.add(actions.Target.OBJECT if on_objects else actions.Target.BUCKET)
            if path == "*" or path.endswith("*"):
                targets.update((actions.Target.OBJECT, actions.Target.BUCKET))
            if path == "*":
                targets.add(actions.Target.SERVICE)
        fits = negated or not covered or any(actions.TARGETS[one] in targets for one in covered)
        if self.bucket is not None and not fits:
            raise BadPolicy(
                f"{place}.Resource", "Action does not apply to any resource(s) in statement"
            )
        return tuple(patterns), negated

    def _path(self, name: str, place: str) -> str:
        """`bucket` or `bucket/key` of a resource, with or without an ARN around it."""
        path = name
        if name.startswith(_ARNS):
            parts = name.split(":", 5)
            # An identity's policy may speak of other services.
            if self.bucket is None and len(parts) == 6 and _SERVICE.fullmatch(parts[2]):
                return name
            if len(parts) < 6 or parts[2] != "s3" or not parts[5]:
                raise BadPolicy(f"{place}.Resource", f"Policy has invalid resource: {name}")
            path = parts[5]
        if not path:
            raise BadPolicy(f"{place}.Resource", "Policy has invalid resource")
        if self.bucket is not None and not self._is_about_the_bucket(path):
            raise BadPolicy(f"{place}.Resource", f"Policy has invalid resource: {name}")
        return path

    def _is_about_the_bucket(self, path: str) -> bool:
        head, slash, _ = path.partition("/")
        if "${" in head:
            return True
        if glob(head)(self.bucket or ""):
            return True
        return not slash and "*" in head and glob(head)(f"{self.bucket}/")

    def _conditions(
        self, tree: Any, place: str, covered: frozenset[str], named: tuple[str, ...]
    ) -> tuple[Condition, ...]:
        place = f"{place}.Condition"
        if not isinstance(tree, dict):
            raise BadPolicy(place, "Invalid policy syntax.")
        exact = {one for name in named if (one := actions.canonical(name))} & covered
        found: list[Condition] = []
        for operator, tests in tree.items():
            if not isinstance(tests, dict) or not tests:
                raise BadPolicy(f"{place}.{operator}", "Invalid policy syntax.")
            for key, values in tests.items():
                where = f"{place}.{operator}.{key}"
                lower = key.lower()
                is_key = actions.is_key if self.bucket is not None else actions.is_identity_key
                if not is_key(lower):
                    raise BadPolicy(where, f"Policy has an invalid condition key - {key}")
                asked = (exact or covered) if self.bucket is not None else ()
                known = [actions.knows(one, lower, ecs=self.ecs) for one in asked]
                if asked and not (all(known) if exact else any(known)):
                    raise BadPolicy(
                        where,
                        "Conditions do not apply to combination of actions and resources in"
                        " statement",
                    )
                found.append(self._condition(operator, lower, values, where))
        return tuple(found)

    def _condition(self, operator: str, key: str, values: Any, where: str) -> Condition:
        listed = values if isinstance(values, list) else [values]
        told: list[str] = []
        for value in listed:
            if isinstance(value, bool):
                told.append("true" if value else "false")
            elif isinstance(value, str | int | float):
                told.append(str(value))
            else:
                raise BadPolicy(where, "Invalid policy syntax.")
        if not told:
            raise BadPolicy(where, "Invalid policy syntax.")
        try:
            return compile_condition(operator, key, tuple(told), variables=self.variables)
        except BadCondition as error:
            raise BadPolicy(where, str(error)) from error


def _only_in_s3(pattern: Pattern) -> Pattern:
    """What names buckets and objects names nothing else, however many stars it has."""
    return lambda text, facts: not text.startswith(_ARNS) and pattern(text, facts)


def _covers(
    covered: frozenset[str], named: tuple[str, ...], not_actions: bool
) -> Callable[[str], bool]:
    """Which actions a statement of an identity's policy is about: of S3 those `covered`, of other
    services those that fit the names as they stand."""
    elsewhere = [glob(name.lower()) for name in named]

    def covers(action: str) -> bool:
        if action.startswith("s3:"):
            return action in covered
        return any(one(action.lower()) for one in elsewhere) != not_actions

    return covers


def _either(
    tree: dict[str, Any], name: Literal["Action", "Resource"], place: str
) -> tuple[tuple[str, ...], bool]:
    """An element or its `Not…` form: its texts, and whether it is the latter."""
    names = [one for one in (name, f"Not{name}") if one in tree]
    if len(names) != 1:
        raise BadPolicy(f"{place}.{name}", f"Missing required field {name}")
    return _texts(tree[names[0]], f"{place}.{names[0]}"), names[0] != name
