"""GET ?query=: the objects of a bucket whose indexed metadata is as an expression says.

A page walks the index of its sort key between the bounds that the expression sets for it, so it
costs what the page holds where that key decides, and never more than `MOST_VISITED` entries: a page
that ends there is short and has a marker.
"""

from __future__ import annotations

import operator
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Struct

from coffre.catalog.key_order import encode_key, past_prefix
from coffre.catalog.records import Bucket, Searched, SearchKey, Version
from coffre.catalog.search_values import MISSING, encode
from coffre.s3 import parameters
from coffre.s3.context import Context
from coffre.s3.ecs_buckets import search_keys
from coffre.s3.parameters import show_version_id
from coffre.s3.response import Response, xml
from coffre.s3.unbuilt import check_expected_owner
from coffre.wire.ecs_documents import ATTRIBUTES, Match, MatchPage, render_matches
from coffre.wire.ecs_query import Both, Comparison, Either, Expression, comparisons, parse_query

MOST_VISITED: Final = 10_000
_AT_ONCE: Final = 500
_LAST: Final = b"\xff\xff"
_START: Final = (b"", b"", -1, -1)
_TESTS: Final[dict[str, Callable[[bytes, bytes], bool]]] = {
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
# As the catalog counts: a marker is a client's to write.
_Count = Annotated[int, msgspec.Meta(ge=-1, le=(1 << 63) - 1)]
_Marker = tuple[bytes, bytes, _Count, _Count]
_markers: Final[msgspec.msgpack.Decoder[_Marker]] = msgspec.msgpack.Decoder(_Marker)
_pack: Final = msgspec.msgpack.Encoder().encode
_Wanted = Callable[[Mapping[int, bytes]], bool]
# System metadata by the names under which a match tells of it.
_TOLD: Final = {"CreateTime": "createtime", "LastModified": "mtime", "ObjectName": "object-name"}


class _Search(Struct, frozen=True):
    """A search as it is asked for: `number` is the key that sorts, between the bounds."""

    number: int
    lower: bytes
    upper: bytes
    wanted: _Wanted
    prefix: bytes
    older: bool


async def search_bucket(context: Context) -> Response:
    """GET ?query=expression."""
    head, bucket = context.head, context.bucket
    check_expected_owner(head, bucket)
    keys = search_keys(context, bucket)
    search = _read(context, keys)
    if search.older:
        context.authorize("s3:ListBucketVersions", bucket, None)
    most = parameters.count(head, "max-keys", context.limits.page)
    attributes = _attributes(head.query.get("attributes", ""))
    marker = head.query.get("marker", "")
    found, resumes = _page(context, bucket, search, _parse_marker(marker), most)
    page = MatchPage(
        bucket=bucket.name,
        matches=[_match(version, keys, attributes) for version in found],
        marker=marker,
        next_marker=None if resumes is None else _show_marker(resumes),
        max_keys=most,
    )
    return xml(render_matches(page))


def _read(context: Context, keys: tuple[SearchKey, ...]) -> _Search:
    query, bucket = context.head.query, context.bucket
    expression = parse_query(query["query"])
    numbers = {one.name.lower(): number for number, one in enumerate(keys)}
    first = next(iter(comparisons(expression))).name
    number = _number(numbers, query.get("sorted") or first)
    wanted = _compile(expression, keys, numbers)
    lower, upper = _bounds(expression, keys, numbers, number)
    older = query.get("include-older-versions", query.get("include_older_version", "")).lower()
    prefix = encode_key(bucket.key_order, parameters.raw(context.head, "prefix") or b"")
    return _Search(number, lower, upper, wanted, prefix, older == "true")


def _number(numbers: Mapping[str, int], name: str) -> int:
    found = numbers.get(name.lower())
    if found is None:
        raise parameters.invalid("query", name, "The bucket does not index this metadata key")
    return found


def _argument(keys: tuple[SearchKey, ...], number: int, test: Comparison) -> bytes:
    value = encode(keys[number].kind, test.text)
    if value is None:
        kind = keys[number].kind
        raise parameters.invalid("query", test.text, f"{test.name} is compared with a {kind}")
    return value


def _compile(
    expression: Expression, keys: tuple[SearchKey, ...], numbers: Mapping[str, int]
) -> _Wanted:
    """Whether a version's values are as the expression says. What a version lacks holds for no
    comparison. Raises InvalidArgument."""
    if isinstance(expression, Comparison):
        number = _number(numbers, expression.name)
        value, test = _argument(keys, number, expression), _TESTS[expression.operator]

        def holds(values: Mapping[int, bytes]) -> bool:
            found = values.get(number, MISSING)
            return found != MISSING and test(found, value)

        return holds
    left = _compile(expression.left, keys, numbers)
    right = _compile(expression.right, keys, numbers)
    if isinstance(expression, Both):
        return lambda values: left(values) and right(values)
    return lambda values: left(values) or right(values)


def _bounds(
    expression: Expression,
    keys: tuple[SearchKey, ...],
    numbers: Mapping[str, int],
    number: int,
) -> tuple[bytes, bytes]:
    """Between what values of key `number` the expression can hold; the upper one is beyond."""
    if isinstance(expression, Comparison):
        if _number(numbers, expression.name) != number:
            return b"", _LAST
        value = _argument(keys, number, expression)
        match expression.operator:
            case "==":
                return value, value + b"\0"
            case ">" | ">=":
                return value, MISSING
        return b"", value + b"\0"
    left = _bounds(expression.left, keys, numbers, number)
    right = _bounds(expression.right, keys, numbers, number)
    if isinstance(expression, Either):
        return min(left[0], right[0]), max(left[1], right[1])
    return max(left[0], right[0]), min(left[1], right[1])


def _page(
    context: Context, bucket: Bucket, search: _Search, after: _Marker, most: int
) -> tuple[list[Version], _Marker | None]:
    """Up to `most` matches behind `after`, and behind what the next page begins (None: no more)."""
    found: list[Version] = []
    visited, last = 0, after
    while most and visited < MOST_VISITED:
        some = context.reader.search(
            bucket,
            search.number,
            search.lower,
            search.upper,
            after=last,
            older=search.older,
            limit=_AT_ONCE,
        )
        for one in some:
            if _is_match(search, one):
                if len(found) == most:
                    return found, last
                version = context.reader.searched_version(bucket, one)
                # One that went since the index was read is no match any more.
                if version is not None:
                    found.append(version)
            last = (one.value, one.sort_key, one.order, one.zone)
        visited += len(some)
        if len(some) < _AT_ONCE:
            return found, None
    return found, last if most else None


def _is_match(search: _Search, one: Searched) -> bool:
    beyond = past_prefix(search.prefix) if search.prefix else None
    inside = one.sort_key >= search.prefix and (beyond is None or one.sort_key < beyond)
    return inside and search.wanted(one.values)


def _parse_marker(text: str) -> _Marker:
    if not text:
        return _START
    try:
        return _markers.decode(urlsafe_b64decode(text.encode("ascii") + b"=="))
    except (ValueError, msgspec.DecodeError):
        raise parameters.invalid("marker", text, "The marker is none of this search") from None


def _show_marker(marker: _Marker) -> str:
    return urlsafe_b64encode(_pack(marker)).rstrip(b"=").decode()


def _attributes(text: str) -> list[str]:
    """Names of attributes to tell beside what is indexed; `ALL` means all. Unknown ones are
    not told."""
    asked = {name.strip().lower() for name in text.split(",")}
    return [name for name in ATTRIBUTES if "all" in asked or name.lower() in asked]


def _match(version: Version, keys: tuple[SearchKey, ...], attributes: list[str]) -> Match:
    created_ms = (version.ecs and version.ecs.created_ms) or version.modified_ms
    facts = {
        "ObjectName": version.key.decode(),
        "Owner": version.owner_id,
        "Size": str(version.size),
        "CreateTime": str(created_ms),
        "LastModified": str(version.modified_ms),
    }
    system = {
        _TOLD.get(one.name, one.name.lower()): facts[one.name] for one in keys if one.name in facts
    }
    told = {
        "ContentType": version.metadata.get("content-type"),
        "ContentEncoding": version.metadata.get("content-encoding"),
        "Expires": version.metadata.get("expires"),
        "Expiration": None,
        "Retention": None if version.ecs is None else str(version.ecs.retention_s),
    }
    system |= {name: text for name in attributes if (text := told[name]) is not None}
    user = {one.name: version.metadata[one.name] for one in keys if one.name in version.metadata}
    object_id = "" if version.manifest is None else version.manifest.id.hex()
    return Match(facts["ObjectName"], object_id, show_version_id(version.version_id), system, user)
