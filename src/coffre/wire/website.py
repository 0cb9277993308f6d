"""A bucket's website: its configuration, the redirects that it asks for, and the pages that tell a
browser of an error.

Sources: AWS API reference of PutBucketWebsite; AWS user guide "Configuring advanced conditional
redirects", "Website endpoints". Raised for a document that is not as the schema says: MalformedXML;
for what contradicts itself: InvalidRequest, InvalidArgument.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, quote_from_bytes
from xml.etree.ElementTree import Element

from coffre.wire.configurations import Node, canonical, render_configuration
from coffre.wire.errors import S3Error
from coffre.wire.xml import parse

DOCUMENT_LIMIT: Final = 128 * 1024
RULE_LIMIT: Final = 50
_ROOT: Final = "WebsiteConfiguration"
_CODES: Final = frozenset(str(status.value) for status in HTTPStatus if 400 <= status.value < 600)
_REDIRECTS: Final = frozenset({"301", "302", "303", "304", "305", "307", "308"})
_KEPT_IN_LOCATIONS: Final = "/:?#[]@!$&'()*+,;=%~"

_PROTOCOL: Final = Node("Protocol")
_REDIRECT: Final = Node(
    "Redirect",
    (
        _PROTOCOL,
        Node("HostName"),
        Node("ReplaceKeyPrefixWith"),
        Node("ReplaceKeyWith"),
        Node("HttpRedirectCode"),
    ),
    required=True,
)
_CONDITION: Final = Node(
    "Condition", (Node("KeyPrefixEquals"), Node("HttpErrorCodeReturnedEquals")), empty=True
)
_SCHEMA: Final = Node(
    _ROOT,
    (
        Node("RedirectAllRequestsTo", (Node("HostName", required=True), _PROTOCOL)),
        Node("IndexDocument", (Node("Suffix", required=True),)),
        Node("ErrorDocument", (Node("Key", required=True),)),
        Node(
            "RoutingRules", (Node("RoutingRule", (_CONDITION, _REDIRECT), many=True),), empty=True
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A routing rule: where a request goes whose key begins with `prefix` (None: any) or that was
    answered with `error` (None: whatever it would be answered)."""

    prefix: str | None
    error: int | None
    protocol: str | None
    host: str | None
    replace_prefix: str | None
    replace_key: str | None
    status: int

    def meets(self, key: bytes, error: int | None) -> bool:
        """Does the rule hold for a key, before it is looked for (`error` None) or after that was
        answered with an error?"""
        if self.error != error:
            return False
        return self.prefix is None or key.startswith(self.prefix.encode())

    def location(self, key: bytes, scheme: str, host: str) -> str:
        """The URL that the request goes to; it came by `scheme` and `host`."""
        if self.replace_key is not None:
            path = quote(self.replace_key, safe=_KEPT_IN_LOCATIONS)
        elif self.replace_prefix is not None:
            rest = key.removeprefix((self.prefix or "").encode())
            path = quote(self.replace_prefix, safe=_KEPT_IN_LOCATIONS) + quote_from_bytes(rest)
        else:
            path = quote_from_bytes(key)
        return f"{self.protocol or scheme}://{self.host or host}/{path}"


@dataclass(frozen=True, slots=True)
class Website:
    """What a bucket's website does: redirect every request (`all_to`: protocol and host), or serve
    objects, `index` for folders and `error` for what goes wrong, after its rules."""

    index: str = ""
    error: str | None = None
    all_to: tuple[str | None, str] | None = None
    rules: tuple[Rule, ...] = ()

    def rule(self, key: bytes, error: int | None) -> Rule | None:
        """The first rule that holds."""
        return next((one for one in self.rules if one.meets(key, error)), None)


def parse_website(body: bytes) -> bytes:
    """WebsiteConfiguration as it is kept."""
    root = parse(body, _ROOT, limit=DOCUMENT_LIMIT)
    kept = canonical(root, _SCHEMA).encode()
    _check(root)
    return render_configuration(kept, _SCHEMA)


@lru_cache(maxsize=64)
def read_website(kept: bytes) -> Website:
    """What a kept document says."""
    root = parse(kept, _ROOT, limit=2 * DOCUMENT_LIMIT)
    everything = root.find("RedirectAllRequestsTo")
    if everything is not None:
        to = (everything.findtext("Protocol"), everything.findtext("HostName") or "")
        return Website(all_to=to)
    return Website(
        root.findtext("IndexDocument/Suffix") or "",
        root.findtext("ErrorDocument/Key"),
        None,
        tuple(_rule(one) for one in root.iter("RoutingRule")),
    )


def _rule(found: Element) -> Rule:
    error = found.findtext("Condition/HttpErrorCodeReturnedEquals")
    return Rule(
        found.findtext("Condition/KeyPrefixEquals"),
        None if error is None else int(error),
        found.findtext("Redirect/Protocol"),
        found.findtext("Redirect/HostName"),
        found.findtext("Redirect/ReplaceKeyPrefixWith"),
        found.findtext("Redirect/ReplaceKeyWith"),
        int(found.findtext("Redirect/HttpRedirectCode") or 301),
    )


def _check(root: Element) -> None:
    everything = root.find("RedirectAllRequestsTo")
    if everything is not None:
        if len(root) > 1:
            raise _wrong(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."
            )
        _check_redirect(everything)
        return
    suffix = root.findtext("IndexDocument/Suffix")
    if suffix is None:
        raise _argument(
            "IndexDocument",
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
        )
    if not suffix or "/" in suffix:
        raise _argument("IndexDocument", "The IndexDocument Suffix is not well formed")
    if root.findtext("ErrorDocument/Key") == "":
        raise _argument("ErrorDocument", "The ErrorDocument Key is not well formed")
    rules = list(root.iter("RoutingRule"))
    if len(rules) > RULE_LIMIT:
        raise _wrong(
            f"{len(rules)} routing rules provided, the number of routing rules in a website"
            f" configuration is limited to {RULE_LIMIT}."
        )
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Element) -> None:
    condition, redirect = rule.find("Condition"), rule.find("Redirect")
    assert redirect is not None, "the schema requires it"
    if condition is not None:
        if not len(condition):
            raise _wrong(
                "Condition cannot be empty. To redirect all requests without a condition, the"
                " condition element shouldn't be present."
            )
        error = condition.findtext("HttpErrorCodeReturnedEquals")
        if error is not None and error not in _CODES:
            raise _wrong(
                f"The provided HTTP error code ({error}) is not valid. Valid codes are 4XX or 5XX."
            )
    _check_redirect(redirect)
    replaced = {child.tag for child in redirect}
    if {"ReplaceKeyWith", "ReplaceKeyPrefixWith"} <= replaced:
        raise _wrong("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    code = redirect.findtext("HttpRedirectCode")
    if code is not None and code not in _REDIRECTS:
        raise _wrong(
            f"The provided HTTP redirect code ({code}) is not valid."
            " Valid codes are 3XX except 300."
        )


def _check_redirect(redirect: Element) -> None:
    if redirect.findtext("Protocol") not in (None, "http", "https"):
        raise _wrong(
            "Invalid protocol, protocol can be http or https. If not defined, the protocol will be"
            " selected automatically."
        )
    host = redirect.findtext("HostName")
    if host is not None and (not host or any(sign in host for sign in "/\r\n \t")):
        raise _argument("HostName", "The HostName is not well formed")


def _wrong(message: str) -> S3Error:
    return S3Error("InvalidRequest", message)


def _argument(name: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name)


def error_page(
    error: S3Error, request_id: str, host_id: str, missing: tuple[str, S3Error] | None = None
) -> bytes:
    """What a browser shows of an error. `missing`: the key of the error document that should have
    been shown instead, and why it was not."""
    title = f"{error.status} {HTTPStatus(error.status).phrase}"
    pairs = [("Code", error.code), ("Message", error.message), *error.fields.items()]
    items = _items([*pairs, ("RequestId", request_id), ("HostId", host_id)])
    if missing is not None:
        key, why = missing
        told = _items([("Code", why.code), ("Message", why.message), ("Key", key)])
        items += (
            "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n"
            + told
        )
    return (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{items}"
        "<hr/>\n</body>\n</html>\n"
    ).encode()


def moved_page(status: int) -> bytes:
    """The body of a redirect."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<hr/>\n"
        "</body>\n</html>\n"
    ).encode()


def _items(pairs: list[tuple[str, str]]) -> str:
    lines = (f"<li>{name}: {escape(text)}</li>\n" for name, text in pairs)
    return f"<ul>\n{''.join(lines)}</ul>\n"
