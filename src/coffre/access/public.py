"""Is a policy public? AWS's rule, which block public access and the policy's status ask.

Source: AWS "Blocking public access: The meaning of public". A policy is public if a statement
allows everybody something and no condition with fixed values ties it to a network, an account, a
principal or the like.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from coffre.access.conditions import Condition
from coffre.access.policy import Policy, Statement

_TYING_KEYS: Final = frozenset(
    {
        *("aws:principalorgid", "aws:sourcearn", "aws:sourceaccount", "aws:sourcevpc"),
        *("aws:sourcevpce", "aws:principalarn", "aws:principalaccount", "aws:userid"),
        *("aws:username", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    }
)
_TYING_OPERATORS: Final = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike"}
)
_WIDEST: Final = {4: 8, 6: 32}


def is_public(policy: Policy) -> bool:
    """Whether any statement gives everybody a right."""
    return any(public_statements(policy))


def public_statements(policy: Policy) -> tuple[Statement, ...]:
    """The statements that make it so."""
    return tuple(
        one
        for one in policy.statements
        if one.allows and one.of_everybody and not any(_ties(c) for c in one.conditions)
    )


def _ties(condition: Condition) -> bool:
    """Whether it holds for a few only, by values that nobody chooses with a request."""
    if condition.if_exists or condition.quantifier == "ForAllValues":
        return False
    if condition.key == "aws:sourceip" and condition.operator == "ipaddress":
        return all(_is_narrow(value) for value in condition.values)
    fixed = all(not set(value) & set("*?$") for value in condition.values)
    return condition.key in _TYING_KEYS and condition.operator in _TYING_OPERATORS and fixed


def _is_narrow(text: str) -> bool:
    network = ipaddress.ip_network(text, strict=False)
    return network.prefixlen >= _WIDEST[network.version]
