"""Conditions of a policy's statement: operators over what a request says of itself.

Source: AWS "IAM JSON policy elements: Condition operators". A condition holds when one of its
values does (a negated one when none does); several conditions hold when all do. Of a fact that the
request does not have, negated operators and `…IfExists` hold, `Null` is asked, all else fails.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from coffre.access.patterns import Facts, compile_pattern

# Whether one text of the request fits the condition's values.
_Test = Callable[[str, Facts], bool]
_Quantifier = Literal["", "ForAllValues", "ForAnyValue"]
# One that parts an ARN: those within `${aws:…}` do not.
_COLON: Final = re.compile(r":(?![^{}]*\})")


class BadCondition(ValueError):
    """An operator that does not exist or a value that it cannot take; the message says which."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. `key` is in lower case; `values` are as written."""

    key: str
    operator: str
    values: tuple[str, ...]
    negated: bool
    if_exists: bool
    quantifier: _Quantifier
    test: _Test

    def holds(self, facts: Facts) -> bool:
        given = facts.get(self.key)
        if self.operator == "null":
            return any((value == "true") == (not given) for value in self.values)
        if not given:
            if self.quantifier:
                return self.quantifier == "ForAllValues" or self.if_exists
            return self.negated or self.if_exists
        fits = (self.test(text, facts) != self.negated for text in given)
        if self.quantifier == "ForAllValues" or (self.negated and not self.quantifier):
            return all(fits)
        return any(fits)


def compile_condition(
    operator: str, key: str, values: tuple[str, ...], *, variables: bool
) -> Condition:
    """Raises BadCondition. `variables`: the policy's version knows them."""
    quantifier: _Quantifier = ""
    name = operator
    prefix, colon, rest = operator.partition(":")
    if colon:
        found = _QUANTIFIERS.get(prefix.lower())
        if found is None:
            raise BadCondition(f"Invalid Condition type : {operator}")
        quantifier, name = found, rest
    lower = name.lower()
    if_exists = lower.endswith("ifexists") and lower != "nullifexists"
    if if_exists:
        lower = lower.removesuffix("ifexists")
    if lower == "null":
        if any(value.lower() not in ("true", "false") for value in values):
            raise BadCondition(f"Null takes true or false, not {values[0]}")
        told = tuple(value.lower() for value in values)
        return Condition(key, lower, told, False, False, quantifier, lambda text, facts: True)
    kind = _OPERATORS.get(lower)
    if kind is None:
        raise BadCondition(f"Invalid Condition type : {operator}")
    make, negated = kind
    test = make(values, variables)
    return Condition(key, lower, values, negated, if_exists, quantifier, test)


def moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or a number of them. Raises ValueError."""
    try:
        number = float(_number(text))
    except InvalidOperation:
        pass
    else:
        if number in (float("inf"), float("-inf")):
            raise ValueError(text)
        return number
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _texts(*, wild: bool, fold: bool = False) -> Callable[[tuple[str, ...], bool], _Test]:
    def make(values: tuple[str, ...], variables: bool) -> _Test:
        patterns = [
            compile_pattern(one, wild=wild, variables=variables, fold=fold) for one in values
        ]

        def test(text: str, facts: Facts) -> bool:
            asked = text.lower() if fold else text
            return any(pattern(asked, facts) for pattern in patterns)

        return test

    return make


def _ordered(
    read: Callable[[str], float | Decimal], fits: Callable[[int], bool]
) -> Callable[[tuple[str, ...], bool], _Test]:
    """Numbers and dates: `fits` is asked of the sign of (request - policy)."""

    def make(values: tuple[str, ...], variables: bool) -> _Test:
        try:
            limits = [read(value) for value in values]
        except (ValueError, InvalidOperation, OverflowError) as error:
            raise BadCondition(f"invalid value in {', '.join(values)}") from error

        def test(text: str, facts: Facts) -> bool:
            try:
                asked = read(text)
            except (ValueError, InvalidOperation, OverflowError):
                return False
            return any(fits((asked > limit) - (asked < limit)) for limit in limits)

        return test

    return make


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return number


def _truths(values: tuple[str, ...], variables: bool) -> _Test:
    wanted = {value.lower() for value in values}
    if not wanted <= {"true", "false"}:
        raise BadCondition(f"Bool takes true or false, not {values[0]}")
    return lambda text, facts: text.lower() in wanted


def _binaries(values: tuple[str, ...], variables: bool) -> _Test:
    try:
        wanted = {base64.b64decode(value, validate=True) for value in values}
    except (binascii.Error, ValueError) as error:
        raise BadCondition("BinaryEquals takes base64") from error

    def test(text: str, facts: Facts) -> bool:
        try:
            return base64.b64decode(text, validate=True) in wanted
        except (binascii.Error, ValueError):
            return False

    return test


def _networks(values: tuple[str, ...], variables: bool) -> _Test:
    try:
        networks = [ipaddress.ip_network(value, strict=False) for value in values]
    except ValueError as error:
        raise BadCondition(f"invalid address or range: {error}") from error

    def test(text: str, facts: Facts) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in networks)

    return test


def _arns(values: tuple[str, ...], variables: bool) -> _Test:
    """Six parts, each matched by itself: a star does not reach over a colon, but in the last."""
    split = [_COLON.split(value, maxsplit=5) for value in values]
    if any(len(parts) != 6 for parts in split):
        raise BadCondition(f"invalid ARN in {', '.join(values)}")
    patterns = [[compile_pattern(one, variables=variables) for one in parts] for parts in split]

    def test(text: str, facts: Facts) -> bool:
        asked = text.split(":", 5)
        return len(asked) == 6 and any(
            all(one(part, facts) for one, part in zip(pattern, asked, strict=True))
            for pattern in patterns
        )

    return test


_COMPARISONS: Final[dict[str, tuple[Callable[[int], bool], bool]]] = {
    "equals": (lambda sign: sign == 0, False),
    "notequals": (lambda sign: sign == 0, True),
    "lessthan": (lambda sign: sign < 0, False),
    "lessthanequals": (lambda sign: sign <= 0, False),
    "greaterthan": (lambda sign: sign > 0, False),
    "greaterthanequals": (lambda sign: sign >= 0, False),
}
# Name in lower case -> (what makes the test of its values, whether it is negated).
_OPERATORS: Final[dict[str, tuple[Callable[[tuple[str, ...], bool], _Test], bool]]] = {
    "stringequals": (_texts(wild=False), False),
    "stringnotequals": (_texts(wild=False), True),
    "stringequalsignorecase": (_texts(wild=False, fold=True), False),
    "stringnotequalsignorecase": (_texts(wild=False, fold=True), True),
    "stringlike": (_texts(wild=True), False),
    "stringnotlike": (_texts(wild=True), True),
    **{
        f"numeric{name}": (_ordered(_number, fits), no) for name, (fits, no) in _COMPARISONS.items()
    },
    **{f"date{name}": (_ordered(moment, fits), no) for name, (fits, no) in _COMPARISONS.items()},
    "bool": (_truths, False),
    "binaryequals": (_binaries, False),
    "ipaddress": (_networks, False),
    "notipaddress": (_networks, True),
    "arnequals": (_arns, False),
    "arnlike": (_arns, False),
    "arnnotequals": (_arns, True),
    "arnnotlike": (_arns, True),
}
_QUANTIFIERS: Final[dict[str, _Quantifier]] = {
    "forallvalues": "ForAllValues",
    "foranyvalue": "ForAnyValue",
}
OPERATORS: Final = frozenset({*_OPERATORS, "null"})
