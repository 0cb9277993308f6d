"""Headers and documents of the ECS extensions: parsed to values, rendered to answers.

Source: Dell ECS Data Access Guide and REST API reference. Instants are milliseconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from coffre.wire.dates import iso
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.xml import document, element, flag, optional, tag

Kind = Literal["string", "integer", "datetime", "decimal"]
KINDS: Final = ("string", "integer", "datetime", "decimal")
USER_PREFIX: Final = "x-amz-meta-"
# Told with a match when asked for, never searched by.
ATTRIBUTES: Final = {
    "ContentType": "string",
    "Expiration": "datetime",
    "ContentEncoding": "string",
    "Expires": "datetime",
    "Retention": "integer",
}
_SECONDS: Final = re.compile(r"-1|[0-9]{1,10}")


def invalid_header(name: str, value: str, message: str) -> S3Error:
    """InvalidArgument that names the header and repeats its value."""
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)


def seconds(head: RequestHead, name: str) -> int | None:
    """A retention period: seconds, -1 for ever; None when absent. Raises InvalidArgument."""
    text = head.header(name.encode())
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise invalid_header(name, text, f"{name} is a number of seconds, or -1 for ever")
    return int(text)


def switch(head: RequestHead, name: str) -> bool | None:
    """`true` or `false`; None when absent. Raises InvalidArgument."""
    text = head.header(name.encode())
    if text is None:
        return None
    if text.lower() not in ("true", "false"):
        raise invalid_header(name, text, f"{name} is true or false")
    return text.lower() == "true"


def parse_search_keys(text: str, system: Mapping[str, str], most: int) -> list[tuple[str, Kind]]:
    """`x-emc-metadata-search`: `Size,x-amz-meta-colour;string,…`, a user key being a string where
    nothing else is said. Raises InvalidArgument."""
    found: dict[str, Kind] = {}
    by_name = {name.lower(): name for name in system}
    for piece in text.split(","):
        name, _, kind = (word.strip() for word in piece.partition(";"))
        known = by_name.get(name.lower())
        name = known or name.lower()
        kind = kind.lower() or (system[known] if known else "string")
        wrong = (
            kind not in KINDS
            or name in found
            or (kind != system[known] if known else not name.startswith(USER_PREFIX))
        )
        if wrong or name == USER_PREFIX:
            raise invalid_header(
                "x-emc-metadata-search", text, f"{piece.strip()!r} is no metadata key to search by"
            )
        found[name] = cast("Kind", kind)
    if len(found) > most:
        raise invalid_header("x-emc-metadata-search", text, f"A bucket indexes at most {most} keys")
    return list(found.items())


def render_search_keys(keys: Iterable[tuple[str, str]], *, enabled: bool | None = None) -> bytes:
    """MetadataSearchList, of the keys that a bucket indexes or that any bucket may index."""
    return document(
        "MetadataSearchList",
        "" if enabled is None else flag("MetadataSearchEnabled", enabled),
        element(
            "IndexableKeys",
            *(element("Key", tag("Name", name), tag("Datatype", kind)) for name, kind in keys),
        ),
        element(
            "OptionalAttributes",
            *(
                element("Attribute", tag("Name", name), tag("Datatype", kind))
                for name, kind in ATTRIBUTES.items()
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class Match:
    """One version that a search found; metadata as text by name."""

    name: str
    object_id: str
    version_id: str
    system: Mapping[str, str]
    user: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MatchPage:
    """A page of matches; `next_marker` None: the last one."""

    bucket: str
    matches: Sequence[Match]
    marker: str
    next_marker: str | None
    max_keys: int


def render_matches(page: MatchPage) -> bytes:
    """BucketQueryResult, which has no namespace."""
    return document(
        "BucketQueryResult",
        tag("Name", page.bucket),
        tag("Marker", page.marker),
        tag("NextMarker", "NO MORE PAGES" if page.next_marker is None else page.next_marker),
        flag("IsTruncated", page.next_marker is not None),
        tag("MaxKeys", page.max_keys),
        element("ObjectMatches", *(_match(one) for one in page.matches)),
        xmlns=False,
    )


def _match(one: Match) -> str:
    return element(
        "object",
        tag("objectName", one.name),
        tag("objectId", one.object_id),
        tag("versionId", one.version_id),
        _metadata("SYSMD", one.system),
        _metadata("USERMD", one.user),
        "<indexKey/>",
    )


def _metadata(kind: str, entries: Mapping[str, str]) -> str:
    pairs = (
        element("entry", tag("key", name), tag("value", text)) for name, text in entries.items()
    )
    return element("queryMds", tag("type", kind), element("mdMap", *pairs))


def render_ping() -> bytes:
    """PingList: the node takes requests."""
    return document(
        "PingList",
        element(
            "PingItem",
            tag("Name", "MAINTENANCE_MODE"),
            tag("Status", "OFF"),
            tag("Text", "Data Node is Available"),
        ),
        element("PingItem", tag("Name", "LOAD_FACTOR"), tag("Value", "1")),
    )


def render_endpoints(nodes: Iterable[str], version: str) -> bytes:
    """ListDataNode: where else the service answers, and what it is."""
    return document(
        "ListDataNode", *(tag("DataNodes", node) for node in nodes), tag("VersionInfo", version)
    )


def render_stale_allowed(allowed: bool) -> bytes:
    """IsStaleAllowed."""
    return document("IsStaleAllowed", "true" if allowed else "false")


@dataclass(frozen=True, slots=True)
class EmptyingStatus:
    """How far the emptying of a bucket is."""

    status: str
    created_ms: int
    updated_ms: int
    deleted: int
    retained: int
    objects: int
    size: int
    message: str | None = None


def render_emptying(one: EmptyingStatus) -> bytes:
    """EmptyBucketStatus."""
    return document(
        "EmptyBucketStatus",
        tag("Status", one.status),
        tag("Created", iso(one.created_ms)),
        tag("LastUpdated", iso(one.updated_ms)),
        tag("EntriesDeleted", one.deleted),
        tag("FailedToDeleteDueToRetention", one.retained),
        tag("FailedToDeleteDueToPermission", 0),
        tag("FailedToDeleteDueToDangling", 0),
        tag("FailedToDeleteDueToOther", 0),
        tag("ApproxObjectCount", one.objects),
        tag("ApproxTotalSize", one.size),
        tag("ApproxTotalSizeUnitString", "bytes"),
        optional("Message", one.message),
    )
