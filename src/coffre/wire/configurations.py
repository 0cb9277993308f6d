"""Configurations of which a bucket may have many, told apart by an id: held against AWS's schema
and written again in one form, which is what is kept and told.

Sources: AWS API reference of Put…AnalyticsConfiguration, Put…MetricsConfiguration,
Put…IntelligentTieringConfiguration, and botocore's model of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from coffre.wire.errors import S3Error
from coffre.wire.xml import document, element, flag, integer, malformed, optional, parse, tag

LIMIT: Final = 1000
"""Configurations of one family that a bucket may have (AWS)."""
PAGE: Final = 100
_DOCUMENT_LIMIT: Final = 64 * 1024
_ID: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_LEAST_DAYS: Final = {"ARCHIVE_ACCESS": 90, "DEEP_ARCHIVE_ACCESS": 180}
_MOST_DAYS: Final = 730


@dataclass(frozen=True, slots=True)
class Node:
    """An element of a schema: of `inner` elements, or of text (any, one of `values`, a number)."""

    name: str
    inner: tuple[Node, ...] = ()
    required: bool = False
    many: bool = False
    one_of: bool = False
    values: frozenset[str] = frozenset()
    number: bool = False
    empty: bool = False


def canonical(found: Element, schema: Node) -> str:
    """The element in the schema's order. MalformedXML where it does not fit."""
    if not schema.inner:
        return tag(schema.name, _text(found, schema))
    known = {node.name for node in schema.inner}
    if any(child.tag not in known for child in found):
        raise malformed()
    if (schema.one_of and len(found) != 1) or not (len(found) or schema.empty):
        raise malformed()
    children = []
    for node in schema.inner:
        of_name = [child for child in found if child.tag == node.name]
        if (node.required and not of_name) or (len(of_name) > 1 and not node.many):
            raise malformed()
        children += [canonical(child, node) for child in of_name]
    return element(schema.name, *children)


def _text(found: Element, schema: Node) -> str:
    text = found.text or ""
    if len(found) or (schema.values and text not in schema.values):
        raise malformed()
    return str(integer(text)) if schema.number else text


def _filter(*also: Node) -> Node:
    a_tag = (Node("Key", required=True), Node("Value", required=True))
    either = (Node("Prefix"), Node("Tag", a_tag), *also)
    both = (Node("Prefix"), Node("Tag", a_tag, many=True), *also)
    return Node("Filter", (*either, Node("And", both)), one_of=True)


_IDENTITY: Final = Node("Id", required=True)
_SWITCH: Final = frozenset({"Enabled", "Disabled"})
_S3_DESTINATION: Final = Node(
    "S3BucketDestination",
    (
        Node("Format", required=True, values=frozenset({"CSV"})),
        Node("BucketAccountId"),
        Node("Bucket", required=True),
        Node("Prefix"),
    ),
    required=True,
)
_EXPORT: Final = Node(
    "DataExport",
    (
        Node("OutputSchemaVersion", required=True, values=frozenset({"V_1"})),
        Node("Destination", (_S3_DESTINATION,), required=True),
    ),
)
ANALYTICS: Final = Node(
    "AnalyticsConfiguration",
    (_IDENTITY, _filter(), Node("StorageClassAnalysis", (_EXPORT,), required=True, empty=True)),
)
METRICS: Final = Node("MetricsConfiguration", (_IDENTITY, _filter(Node("AccessPointArn"))))
_TIERING: Final = Node(
    "Tiering",
    (
        Node("Days", required=True, number=True),
        Node("AccessTier", required=True, values=frozenset(_LEAST_DAYS)),
    ),
    required=True,
    many=True,
)
INTELLIGENT_TIERING: Final = Node(
    "IntelligentTieringConfiguration",
    (_IDENTITY, _filter(), Node("Status", required=True, values=_SWITCH), _TIERING),
)


def check_id(identity: str) -> None:
    """InvalidArgument for what no configuration can be called."""
    if not _ID.fullmatch(identity):
        raise S3Error(
            "InvalidArgument",
            "The configuration id must have 1 to 64 letters, digits, '_', '-' or '.'",
            ArgumentName="id",
            ArgumentValue=identity,
        )


def parse_configuration(body: bytes, schema: Node, identity: str) -> bytes:
    """The configuration as it is kept. Its id must be the one that the request names.

    Raises MalformedXML, InvalidArgument, and NotImplemented for what would have to be acted on.
    """
    check_id(identity)
    root = parse(body, schema.name, limit=_DOCUMENT_LIMIT)
    kept = canonical(root, schema)
    if root.findtext("Id") != identity:
        raise S3Error(
            "InvalidArgument",
            "The configuration's Id differs from the id that the request names",
            ArgumentName="id",
            ArgumentValue=identity,
        )
    both = root.find("Filter/And")
    if both is not None and len(both) < 2:
        raise malformed()
    if root.find("StorageClassAnalysis/DataExport") is not None:
        raise S3Error("NotImplemented", "The export of storage class analysis is not implemented")
    _check_tierings(root)
    return kept.encode()


def _check_tierings(root: Element) -> None:
    """InvalidArgument for days out of a tier's range, or a tier named twice."""
    tiers = [
        (one.findtext("AccessTier") or "", one.findtext("Days") or "")
        for one in root.iter("Tiering")
    ]
    for tier, days in tiers:
        if not _LEAST_DAYS[tier] <= integer(days) <= _MOST_DAYS:
            raise S3Error(
                "InvalidArgument",
                f"Days of {tier} must be between {_LEAST_DAYS[tier]} and {_MOST_DAYS}",
                ArgumentName="Days",
                ArgumentValue=days,
            )
    if len({tier for tier, _ in tiers}) < len(tiers):
        raise malformed()


def render_configuration(kept: bytes, schema: Node) -> bytes:
    """A kept configuration as the answer that tells it."""
    inner = kept.decode().removeprefix(f"<{schema.name}>").removesuffix(f"</{schema.name}>")
    return document(schema.name, inner)


def render_configurations(
    root: str, kept: Iterable[bytes], token: str | None, next_token: str | None
) -> bytes:
    """A page of kept configurations; `root` is the operation's own."""
    return document(
        root,
        *(one.decode() for one in kept),
        flag("IsTruncated", next_token is not None),
        optional("ContinuationToken", token),
        optional("NextContinuationToken", next_token),
    )


def parse_acceleration(body: bytes) -> bytes:
    """AccelerateConfiguration as it is kept."""
    status = Node("Status", required=True, values=frozenset({"Enabled", "Suspended"}))
    root = parse(body, "AccelerateConfiguration", limit=_DOCUMENT_LIMIT)
    return _whole(canonical(root, Node("AccelerateConfiguration", (status,))))


def parse_request_payment(body: bytes) -> bytes:
    """RequestPaymentConfiguration as it is kept."""
    payer = Node("Payer", required=True, values=frozenset({"Requester", "BucketOwner"}))
    root = parse(body, "RequestPaymentConfiguration", limit=_DOCUMENT_LIMIT)
    return _whole(canonical(root, Node("RequestPaymentConfiguration", (payer,))))


def requester_pays(kept: bytes) -> bool:
    """What a kept RequestPaymentConfiguration says."""
    return b"<Payer>Requester</Payer>" in kept


def _whole(markup: str) -> bytes:
    """Markup of one element as a document in S3's namespace."""
    name, _, rest = markup.removeprefix("<").partition(">")
    return document(name, rest.removesuffix(f"</{name}>"))
