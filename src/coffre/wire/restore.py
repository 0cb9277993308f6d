"""RestoreObject: what it asks for, and how answers tell of a restored copy.

Sources: AWS API reference of RestoreObject, GetObject (`x-amz-restore`), ListObjectsV2
(`x-amz-optional-object-attributes`); AWS, "Understanding archive retrieval options".
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple
from xml.etree.ElementTree import Element

from coffre.wire.configurations import Node, canonical
from coffre.wire.dates import http_date, iso
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.xml import element, flag, integer, malformed, optional, parse

RESTORE_LIMIT: Final = 64 * 1024
Tier = Literal["Expedited", "Standard", "Bulk"]
_TIERS: Final[dict[str, Tier]] = {
    "Expedited": "Expedited",
    "Standard": "Standard",
    "Bulk": "Bulk",
}
_MOST_DAYS: Final = (1 << 31) - 1
_OPTIONAL: Final = b"x-amz-optional-object-attributes"
_STATUS: Final = "RestoreStatus"
_TIER: Final = Node("Tier", values=frozenset(_TIERS))
_RESTORE: Final = Node(
    "RestoreRequest",
    (
        Node("Days", number=True),
        Node("GlacierJobParameters", (_TIER,)),
        Node("Type", values=frozenset({"SELECT"})),
        _TIER,
        Node("Description"),
        Node("SelectParameters"),
        Node("OutputLocation"),
    ),
    empty=True,
)


class RestoreAsked(NamedTuple):
    """For how many days an object is to be readable, and how soon."""

    days: int
    tier: Tier


def parse_restore(body: bytes) -> RestoreAsked:
    """What RestoreRequest asks for; the tier is Standard where it names none. Raises MalformedXML,
    InvalidArgument; NotImplemented for a query (`Type`)."""
    root = parse(body, "RestoreRequest", limit=RESTORE_LIMIT)
    if root.find("Type") is not None or root.find("SelectParameters") is not None:
        raise S3Error("NotImplemented", "Queries of archived objects are not implemented")
    canonical(root, _RESTORE)
    text = root.findtext("Days")
    if text is None:
        raise malformed()
    days = integer(text)
    if days < 1:
        raise _invalid("Days", text, "restoration days should be at least 1")
    if days > _MOST_DAYS:
        raise malformed()
    return RestoreAsked(days, _tier(root))


def _tier(root: Element) -> Tier:
    """The job's tier; the element beside it is of queries, and said by some clients."""
    said = root.findtext("GlacierJobParameters/Tier") or root.findtext("Tier") or "Standard"
    return _TIERS[said]


def check_tier(asked: RestoreAsked, storage_class: str) -> None:
    """Raises InvalidArgument for a tier that a class does not have."""
    if asked.tier == "Expedited" and storage_class == "DEEP_ARCHIVE":
        raise _invalid(
            "Tier", asked.tier, "Retrieval option is not supported by this storage class"
        )


def restore_header(expires_ms: int | None) -> bytes:
    """`x-amz-restore`'s value; None: the copy is on its way."""
    if expires_ms is None:
        return b'ongoing-request="true"'
    return f'ongoing-request="false", expiry-date="{http_date(expires_ms)}"'.encode()


def wants_restore_status(head: RequestHead) -> bool:
    """Whether a listing is to tell of restored copies. Raises InvalidArgument for anything else
    that `x-amz-optional-object-attributes` names."""
    values = head.by_name.get(_OPTIONAL)
    if values is None:
        return False
    names = [name.strip() for value in values for name in value.decode("latin-1").split(",")]
    for name in names:
        if name != _STATUS:
            raise _invalid(_OPTIONAL.decode(), name, "Invalid optional object attribute specified")
    return True


def restore_status(expires_ms: int | None) -> str:
    """RestoreStatus of a listing's entry; None: the copy is on its way."""
    return element(
        _STATUS,
        flag("IsRestoreInProgress", expires_ms is None),
        optional("RestoreExpiryDate", None if expires_ms is None else iso(expires_ms)),
    )


def _invalid(name: str, value: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)
