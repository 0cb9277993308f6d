"""Inventory configurations of a bucket: what is reported of its objects, how often, and where to.

Source: AWS API reference of PutBucketInventoryConfiguration; AWS user guide "Amazon S3 Inventory".
"""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import fromstring

from msgspec import Struct

from coffre.wire.configurations import Node
from coffre.wire.errors import S3Error

FIELDS: Final = (
    *("Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded"),
    *("ReplicationStatus", "EncryptionStatus", "ObjectLockRetainUntilDate", "ObjectLockMode"),
    *("ObjectLockLegalHoldStatus", "IntelligentTieringAccessTier", "BucketKeyStatus"),
    *("ChecksumAlgorithm", "ObjectOwner"),
)
# Of AWS's, but nothing here keeps them where a report could find them.
_REFUSED: Final = frozenset({"ObjectAccessControlList", "LifecycleExpirationDate"})
ARN: Final = "arn:aws:s3:::"
_FORMATS: Final = frozenset({"CSV", "Parquet"})
_DESTINATION: Final = Node(
    "S3BucketDestination",
    (
        Node("AccountId"),
        Node("Bucket", required=True),
        Node("Format", required=True, values=_FORMATS | {"ORC"}),
        Node("Prefix"),
        Node("Encryption", (Node("SSE-S3"), Node("SSE-KMS", (Node("KeyId", required=True),)))),
    ),
    required=True,
)
INVENTORY: Final = Node(
    "InventoryConfiguration",
    (
        Node("Destination", (_DESTINATION,), required=True),
        Node("IsEnabled", required=True, values=frozenset({"true", "false"})),
        Node("Filter", (Node("Prefix", required=True),)),
        Node("Id", required=True),
        Node("IncludedObjectVersions", required=True, values=frozenset({"All", "Current"})),
        Node(
            "OptionalFields",
            (Node("Field", many=True, values=frozenset(FIELDS) | _REFUSED),),
            empty=True,
        ),
        Node(
            "Schedule",
            (Node("Frequency", required=True, values=frozenset({"Daily", "Weekly"})),),
            required=True,
        ),
    ),
)


class InventoryRules(Struct, frozen=True):
    """A configuration. `target` is a bucket's name."""

    id: str
    enabled: bool
    target: str
    format: str
    folder: str
    prefix: str
    all_versions: bool
    fields: tuple[str, ...]
    weekly: bool


def read_inventory(kept: bytes) -> InventoryRules:
    """What a kept configuration says. Raises InvalidArgument and NotImplemented for what fits the
    schema and cannot be."""
    root = fromstring(kept)  # noqa: S314  (our own form, held against the schema)
    where = "Destination/S3BucketDestination"
    arn = root.findtext(f"{where}/Bucket") or ""
    if not arn.startswith(ARN) or len(arn) == len(ARN):
        raise S3Error("InvalidArgument", "Invalid ARN", ArgumentName="Bucket", ArgumentValue=arn)
    kind = root.findtext(f"{where}/Format") or ""
    if kind == "ORC":
        raise S3Error("NotImplemented", "Inventories are written as CSV or Parquet, not as ORC")
    if root.find(f"{where}/Encryption/SSE-KMS") is not None:
        raise S3Error("NotImplemented", "Inventories are encrypted with the store's key (SSE-S3)")
    fields = tuple(one.text or "" for one in root.iter("Field"))
    if refused := _REFUSED.intersection(fields):
        raise S3Error("NotImplemented", f"The field {min(refused)} is not in inventories")
    return InventoryRules(
        id=root.findtext("Id") or "",
        enabled=root.findtext("IsEnabled") == "true",
        target=arn.removeprefix(ARN),
        format=kind,
        folder=root.findtext(f"{where}/Prefix") or "",
        prefix=root.findtext("Filter/Prefix") or "",
        all_versions=root.findtext("IncludedObjectVersions") == "All",
        fields=tuple(name for name in FIELDS if name in fields),
        weekly=root.findtext("Schedule/Frequency") == "Weekly",
    )
