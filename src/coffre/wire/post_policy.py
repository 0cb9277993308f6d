"""The policy of a browser form: what its signer allows the form's fields and file to be.

Source: AWS "POST Policy" (SigV4) and "Creating an HTML form" (SigV2), whose words the errors have.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from coffre.wire.dates import parse_iso
from coffre.wire.errors import S3Error

Match = Literal["eq", "starts-with"]

_MATCHES: Final[dict[str, Match]] = {"eq": "eq", "starts-with": "starts-with"}
_RANGE: Final = "content-length-range"
# Fields that need no condition: what says or proves who signed, and what no rule can be about.
_EXEMPT: Final = frozenset({"policy", "signature", "awsaccesskeyid", "x-amz-signature", "file"})
_IGNORED: Final = "x-ignore-"
_DOLLAR: Final = re.compile(r"(\\\\)|\\\$")
_MAX_SIZE: Final = 1 << 60


class Condition(Struct, frozen=True):
    """`field` in lower case; `shown` as the policy has it, for the refusal."""

    match: Match
    field: str
    value: str
    shown: str


class Policy(Struct, frozen=True):
    """`least` and `most` bound the file's size in bytes (`most` None: no bound)."""

    expires_ms: int
    conditions: tuple[Condition, ...]
    least: int = 0
    most: int | None = None


def parse_policy(encoded: str) -> Policy:
    """The policy of a form's `policy` field (base64 of JSON). Raises InvalidPolicyDocument."""
    try:
        text = b64decode("".join(encoded.split()), validate=True).decode()
        # AWS has `\\$` escape a dollar sign, which JSON does not know.
        document = json.loads(_DOLLAR.sub(lambda found: found[1] or "$", text))
    except (ValueError, RecursionError) as error:
        raise _invalid("Invalid JSON.") from error
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    for name in ("expiration", "conditions"):
        if name not in document:
            raise _invalid(f"Policy missing {name}.")
    for name in document:
        if name not in ("expiration", "conditions"):
            raise _invalid(f"Unexpected: '{name}'")
    expiration, listed = document["expiration"], document["conditions"]
    expires_ms = parse_iso(expiration) if isinstance(expiration, str) else None
    if expires_ms is None:
        raise _invalid(f"Invalid 'expiration' value: '{expiration}'")
    if not isinstance(listed, list):
        raise _invalid("Invalid 'conditions' value: must be a List.")
    conditions: list[Condition] = []
    least, most = 0, _MAX_SIZE
    for one in listed:
        if _is_range(one):
            low, high = _range(one)
            least, most = max(least, low), min(most, high)
        else:
            conditions.append(_condition(one))
    return Policy(expires_ms, tuple(conditions), least, most if most < _MAX_SIZE else None)


def check_policy(policy: Policy, fields: Mapping[str, str], bucket: str, now_ms: int) -> None:
    """Hold a form's fields (lower-case name -> text) against its policy. Raises AccessDenied.

    The bucket counts as a field. Every field must be spoken of, but for those that carry the
    signature and those named `x-ignore-…`.
    """
    if now_ms > policy.expires_ms:
        raise _refused("Policy expired.")
    held = {**fields, "bucket": bucket}
    for condition in policy.conditions:
        if not _holds(condition, held.get(condition.field)):
            raise _refused(f"Policy Condition failed: {condition.shown}")
    spoken_of = {condition.field for condition in policy.conditions}
    extra = [
        name
        for name in held
        if name not in spoken_of and name not in _EXEMPT and not name.startswith(_IGNORED)
    ]
    if extra:
        raise _refused(f"Extra input fields: {', '.join(extra)}")


def _holds(condition: Condition, value: str | None) -> bool:
    if value is None:
        return False
    if condition.match == "eq":
        return value == condition.value
    if condition.field == "content-type":
        # A list of types holds if each of them does.
        return all(one.strip().startswith(condition.value) for one in value.split(","))
    return value.startswith(condition.value)


def _is_range(one: Any) -> bool:
    return (
        isinstance(one, list) and bool(one) and isinstance(one[0], str) and one[0].lower() == _RANGE
    )


def _range(one: list[Any]) -> tuple[int, int]:
    numbers = [int(number) for number in one[1:] if _is_number(number)]
    if len(one) != 3 or len(numbers) != 2:
        raise _invalid(f"Invalid {_RANGE}: {json.dumps(one)}")
    return numbers[0], numbers[1]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) <= 18
    return type(value) is int and 0 <= value <= _MAX_SIZE


def _condition(one: Any) -> Condition:
    if isinstance(one, dict):
        if len(one) != 1:
            raise _invalid(
                "Invalid Simple-Condition: Simple-Conditions must have exactly one property "
                "specified."
            )
        ((name, value),) = one.items()
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: value must be a string.")
        return Condition("eq", name.lower(), value, json.dumps(["eq", f"${name}", value]))
    if not isinstance(one, list) or len(one) != 3 or not all(isinstance(it, str) for it in one):
        raise _invalid(f"Invalid Condition: {json.dumps(one)}")
    operator, name, value = one
    match = _MATCHES.get(operator.lower())
    if match is None:
        raise _invalid(f"Unknown condition operation '{operator}'.")
    if not name.startswith("$"):
        raise _invalid(f"Invalid Condition: the field's name must start with '$': {name}")
    return Condition(match, name[1:].lower(), value, json.dumps(one))


def _invalid(detail: str) -> S3Error:
    return S3Error("InvalidPolicyDocument", f"Invalid Policy: {detail}")


def _refused(detail: str) -> S3Error:
    return S3Error("AccessDenied", f"Invalid according to Policy: {detail}")
