"""A request's parameters, held against the rules of their names: AWS's, in AWS's words.

Source: the IAM and STS API references; a name means the same wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from coffre.wire.query_protocol import QueryError, members


class Rule(Struct, frozen=True):
    pattern: str = ""
    least: int = 1
    most: int = 128
    choices: tuple[str, ...] = ()


_NAME: Final = r"[\w+=,.@-]+"
_PATH: Final = r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)"
_TEXT: Final = r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*"
_DOCUMENT: Final = Rule(r"[\u0009\u000A\u000D\u0020-\u00FF]+", 1, 131_072)
_ARN: Final = Rule("", 20, 2048)
# AWS's \p{L}\p{Z}\p{N}: of white space no control characters, which XML cannot carry.
_TAG: Final = r"[\w \u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000.:/=+\-@]"
RULES: Final[dict[str, Rule]] = {
    "AccessKeyId": Rule(r"[\w]+", 16, 128),
    "AssumeRolePolicyDocument": _DOCUMENT,
    "Description": Rule(_TEXT, 0, 1000),
    "EntityFilter": Rule(
        choices=("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")
    ),
    "ExternalId": Rule(r"[\w+=,.@:\/-]*", 2, 1224),
    "GroupName": Rule(_NAME, 1, 128),
    "Marker": Rule(r"[\u0020-\u00FF]+", 1, 320),
    "NewGroupName": Rule(_NAME, 1, 128),
    "NewPath": Rule(_PATH, 1, 512),
    "NewUserName": Rule(_NAME, 1, 64),
    "Path": Rule(_PATH, 1, 512),
    "PathPrefix": Rule(r"\u002F[\u0021-\u007F]*", 1, 512),
    "PermissionsBoundary": _ARN,
    "Policy": Rule(_DOCUMENT.pattern, 1, 2048),
    "PolicyArn": _ARN,
    "PolicyDocument": _DOCUMENT,
    "PolicyName": Rule(_NAME, 1, 128),
    "PolicySourceArn": _ARN,
    "PolicyUsageFilter": Rule(choices=("PermissionsPolicy", "PermissionsBoundary")),
    "CallerArn": Rule("", 1, 2048),
    "ResourcePolicy": _DOCUMENT,
    "RoleArn": _ARN,
    "RoleName": Rule(_NAME, 1, 64),
    "RoleSessionName": Rule(r"[\w+=,.@-]*", 2, 64),
    "Scope": Rule(choices=("All", "AWS", "Local")),
    "Status": Rule(choices=("Active", "Inactive")),
    "UserName": Rule(_NAME, 1, 64),
    "VersionId": Rule(r"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?", 1, 64),
    "WebIdentityToken": Rule("", 4, 20_000),
}
_NUMBERS: Final = {
    "DurationSeconds": (900, 129_600),
    "MaxItems": (1, 1000),
    "MaxSessionDuration": (3600, 43_200),
}
MOST_TAGS: Final = 50


class Parameters:
    """Parameters by name. Every method raises ValidationError for what breaks a rule."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given

    @property
    def names(self) -> frozenset[str]:
        """What is given, lists by their own name."""
        return frozenset(name.partition(".")[0] for name in self._given)

    @property
    def size(self) -> int:
        """Characters of all values."""
        return sum(map(len, self._given.values()))

    def optional(self, name: str) -> str | None:
        value = self._given.get(name)
        if value is not None:
            check(name, value, RULES[name])
        return value

    def text(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise refused(name, None, "Member must not be null")
        return value

    def number(self, name: str, default: int) -> int:
        value = self._given.get(name)
        if value is None:
            return default
        least, most = _NUMBERS[name]
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < least:
            raise refused(name, value, f"Member must have value greater than or equal to {least}")
        if int(value) > most:
            raise refused(name, value, f"Member must have value less than or equal to {most}")
        return int(value)

    def flag(self, name: str) -> bool:
        value = self._given.get(name, "false")
        if value.lower() not in ("true", "false"):
            raise refused(name, value, "Member must be true or false")
        return value.lower() == "true"

    def texts(self, name: str, rule: Rule, *, most: int = 100) -> list[str]:
        """A list of plain values."""
        items = members(self._given, name)
        if len(items) > most:
            raise refused(name, f"{len(items)} members", f"Member must have at most {most}")
        for item in items:
            if item.keys() != {""}:
                raise refused(name, "a structure", "Member must be a value")
            check(name, item[""], rule)
        return [item[""] for item in items]

    def structures(self, name: str, *fields: str) -> list[Mapping[str, str]]:
        """A list of structures, of whose fields there are no others than these (lists in them by
        their own name)."""
        items = members(self._given, name)
        for item in items:
            for field in item:
                if field.partition(".")[0] not in fields:
                    raise refused(name, field, "Member must have no such field")
        return list(items)

    def tags(self) -> dict[str, str]:
        """`Tags`: at most 50, of different keys."""
        found: dict[str, str] = {}
        items = self.structures("Tags", "Key", "Value")
        for item in items:
            key, value = item.get("Key", ""), item.get("Value", "")
            check("tags.key", key, Rule(_TAG + "+", 1, 128))
            check("tags.value", value, Rule(_TAG + "*", 0, 256))
            found[key] = value
        if len({key.lower() for key in found}) < len(items):
            raise QueryError("InvalidInput", "Duplicate tag keys found.")
        if len(found) > MOST_TAGS:
            raise QueryError("LimitExceeded", f"At most {MOST_TAGS} tags.")
        return found


def check(name: str, value: str, rule: Rule) -> None:
    """Raises ValidationError."""
    if rule.choices:
        if value not in rule.choices:
            listed = ", ".join(rule.choices)
            raise refused(name, value, f"Member must satisfy enum value set: [{listed}]")
        return
    if len(value) < rule.least:
        wanted = f"Member must have length greater than or equal to {rule.least}"
        raise refused(name, value, wanted)
    if len(value) > rule.most:
        wanted = f"Member must have length less than or equal to {rule.most}"
        raise refused(name, f"{value[:100]}…", wanted)
    # Tags alone may be in any script.
    flags = 0 if name.startswith("tags.") else re.ASCII
    if rule.pattern and not re.fullmatch(rule.pattern, value, flags):
        wanted = f"Member must satisfy regular expression pattern: {rule.pattern}"
        raise refused(name, value[:200], wanted)


def refused(name: str, value: str | None, wanted: str) -> QueryError:
    shown = "null" if value is None else f"'{value}'"
    where = name[:1].lower() + name[1:]
    return QueryError(
        "ValidationError",
        f"1 validation error detected: Value {shown} at '{where}' failed to satisfy constraint:"
        f" {wanted}",
    )
