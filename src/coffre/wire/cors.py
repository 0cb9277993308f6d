"""CORS: a bucket's rules, read, shown and held against what a browser asks.

Sources: AWS "Elements of a CORS configuration", "Troubleshooting CORS" and PutBucketCors for limits
and words; the Fetch standard for what a browser does with the headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final
from xml.etree.ElementTree import Element

from msgspec import Struct

from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.xml import document, element, integer, malformed, optional, parse, tag

DOCUMENT_LIMIT: Final = 64 * 1024  # bytes, as on AWS
MAX_RULES: Final = 100
MAX_ID: Final = 255  # characters

Header = tuple[bytes, bytes]

_ROOT: Final = "CORSConfiguration"
_METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})
_LISTS: Final = ("AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader")
_SINGLE: Final = ("ID", "MaxAgeSeconds")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What an answer depends on, for caches between it and the browser.
_VARY: Final[Header] = (
    b"vary",
    b"Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
)
_NOT_ALLOWED: Final = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of "
    "Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are "
    "not whitelisted by the resource's CORS spec."
)
_NOT_ENABLED: Final = "CORSResponse: CORS is not enabled for this bucket."
_NO_BUCKET: Final = "CORSResponse: Bucket not found"


class Rule(Struct, frozen=True, array_like=True):
    """One rule; origins and request headers may hold one `*` each, which stands for any text."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_s: int | None = None
    id: str | None = None


class Preflight(Struct, frozen=True):
    """What a browser asks before it sends a request: by which method, with which headers (in lower
    case), from where."""

    origin: str
    method: str
    headers: tuple[str, ...]


def parse_rules(body: bytes) -> tuple[Rule, ...]:
    """The 1 to 100 rules of a CORSConfiguration. MalformedXML; InvalidRequest for a rule that could
    never be meant."""
    root = parse(body, _ROOT, limit=DOCUMENT_LIMIT)
    if not len(root) or any(child.tag != "CORSRule" for child in root):
        raise malformed()
    if len(root) > MAX_RULES:
        raise S3Error(
            "InvalidRequest",
            f"The number of CORS rules should not exceed allowed limit of {MAX_RULES} rules.",
        )
    return tuple(_rule(child) for child in root)


def _rule(child: Element) -> Rule:
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    single: dict[str, str] = {}
    for leaf in child:
        text = leaf.text or ""
        if len(leaf) or leaf.tag in single:
            raise malformed()
        if leaf.tag in _SINGLE:
            single[leaf.tag] = text
        elif leaf.tag in lists:
            lists[leaf.tag].append(text.strip())
        else:
            raise malformed()
    origins, methods, headers, exposed = (tuple(lists[name]) for name in _LISTS)
    if not origins or not methods or "" in origins + headers + exposed:
        raise malformed()
    for method in methods:
        if method not in _METHODS:
            raise S3Error(
                "InvalidRequest",
                "Found unsupported HTTP method in CORS config. Unsupported method is " + method,
            )
    _check_wildcards("AllowedOrigin", origins)
    _check_wildcards("AllowedHeader", headers)
    _check_exposed(exposed)
    age = single.get("MaxAgeSeconds")
    max_age_s = None if age is None else integer(age)
    name = single.get("ID")
    if (max_age_s is not None and not 0 <= max_age_s < 1 << 31) or len(name or "") > MAX_ID:
        raise malformed()
    return Rule(origins, methods, headers, exposed, max_age_s, name)


def _check_wildcards(name: str, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        if pattern.count("*") > 1:
            raise S3Error(
                "InvalidRequest", f'{name} "{pattern}" can not have more than one wildcard.'
            )
        if not all(0x20 < ord(character) < 0x7F for character in pattern):
            raise S3Error("InvalidRequest", f'{name} "{pattern}" contains invalid character.')


def _check_exposed(exposed: Iterable[str]) -> None:
    for name in exposed:
        if "*" in name:
            raise S3Error(
                "InvalidRequest",
                f'ExposeHeader "{name}" contains wildcard. We currently do not support wildcard '
                "for ExposeHeader.",
            )
        if not _TOKEN.fullmatch(name):
            raise S3Error("InvalidRequest", f'ExposeHeader "{name}" contains invalid character.')


def render_rules(rules: Sequence[Rule]) -> bytes:
    """The rules as GetBucketCors shows them."""
    return document(_ROOT, *(_shown(rule) for rule in rules))


def _shown(rule: Rule) -> str:
    values = (rule.origins, rule.methods, rule.headers, rule.exposed)
    return element(
        "CORSRule",
        optional("ID", rule.id),
        *(tag(name, text) for name, some in zip(_LISTS, values, strict=True) for text in some),
        optional("MaxAgeSeconds", rule.max_age_s),
    )


def read_preflight(head: RequestHead) -> Preflight:
    """What a preflight request asks. Raises BadRequest where it does not ask."""
    origin = head.header(b"origin")
    if not origin:
        raise S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    method = head.header(b"access-control-request-method")
    if method not in _METHODS:
        shown = "null" if method is None else method
        raise S3Error("BadRequest", f"Invalid Access-Control-Request-Method: {shown}")
    listed = b",".join(head.by_name.get(b"access-control-request-headers", ()))
    names = (name.strip() for name in listed.decode("latin-1").lower().split(","))
    return Preflight(origin, method, tuple(name for name in names if name))


def allow_preflight(asked: Preflight, rules: Sequence[Rule], resource: str) -> list[Header]:
    """The headers that let the browser go on. Raises `not_enabled`, AccessForbidden.

    `resource` is BUCKET or OBJECT.
    """
    if not rules:
        raise not_enabled(asked, resource)
    for rule in rules:
        if _applies(rule, asked.origin, asked.method) and all(
            _TOKEN.fullmatch(name) and _any_matches(rule.headers, name, any_case=True)
            for name in asked.headers
        ):
            told = _told(rule, asked.origin)
            if asked.headers:
                names = ", ".join(asked.headers).encode("latin-1")
                told.append((b"access-control-allow-headers", names))
            return told
    raise _forbidden(_NOT_ALLOWED, asked, resource)


def not_enabled(asked: Preflight, resource: str) -> S3Error:
    """AccessForbidden, where the bucket has no rules."""
    return _forbidden(_NOT_ENABLED, asked, resource)


def no_bucket(asked: Preflight, resource: str) -> S3Error:
    """AccessForbidden, where there is no such bucket."""
    return _forbidden(_NO_BUCKET, asked, resource)


def headers_for(origin: str, method: str, rules: Sequence[Rule]) -> list[Header]:
    """The headers that let a browser show the answer of a request to the page that made it.

    Where no rule allows it there is `Vary` alone: the answer to another page may differ.
    """
    for rule in rules:
        if _applies(rule, origin, method):
            return _told(rule, origin)
    return [_VARY] if rules else []


def _applies(rule: Rule, origin: str, method: str) -> bool:
    return method in rule.methods and _any_matches(rule.origins, origin, any_case=False)


def _told(rule: Rule, origin: str) -> list[Header]:
    """What a rule that applies says, whatever was asked. A rule for all the world is for requests
    without credentials."""
    told: list[Header] = []
    if "*" in rule.origins:
        told.append((b"access-control-allow-origin", b"*"))
    else:
        told.append((b"access-control-allow-origin", origin.encode("latin-1", "replace")))
        told.append((b"access-control-allow-credentials", b"true"))
    told.append((b"access-control-allow-methods", ", ".join(rule.methods).encode()))
    if rule.exposed:
        told.append((b"access-control-expose-headers", ", ".join(rule.exposed).encode()))
    if rule.max_age_s is not None:
        told.append((b"access-control-max-age", b"%d" % rule.max_age_s))
    told.append(_VARY)
    return told


def _any_matches(patterns: Iterable[str], text: str, *, any_case: bool) -> bool:
    return any(_pattern(pattern, any_case).fullmatch(text) for pattern in patterns)


@lru_cache(maxsize=1024)
def _pattern(pattern: str, any_case: bool) -> re.Pattern[str]:
    parts = (re.escape(part) for part in pattern.split("*"))
    flags = re.DOTALL | (re.IGNORECASE if any_case else 0)
    return re.compile(".*".join(parts), flags)


def _forbidden(message: str, asked: Preflight, resource: str) -> S3Error:
    fields: Mapping[str, str] = {"Method": asked.method, "ResourceType": resource}
    return S3Error("AccessForbidden", message, headers=(_VARY,), **fields)
