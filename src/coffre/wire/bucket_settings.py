"""A bucket's small configurations: parsed to what they mean, rendered as they are kept and told.

Element names and rules: the AWS API reference of each operation. Raised for a document that is not
as the schema says: MalformedXML; for what it says and we do not do: NotImplemented.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.etree.ElementTree import Element

from coffre.wire.errors import S3Error
from coffre.wire.kms import AES256, KMS
from coffre.wire.xml import (
    boolean,
    document,
    element,
    flag,
    leaves,
    malformed,
    optional,
    parse,
    tag,
)

DOCUMENT_LIMIT: Final = 64 * 1024  # bytes


class Ownership(StrEnum):
    """Who owns what others write into a bucket, and whether ACLs count (AWS, "Controlling ownership
    of objects and disabling ACLs")."""

    OBJECT_WRITER = "ObjectWriter"
    BUCKET_OWNER_PREFERRED = "BucketOwnerPreferred"
    BUCKET_OWNER_ENFORCED = "BucketOwnerEnforced"


def parse_ownership(body: bytes) -> Ownership:
    """OwnershipControls: exactly one rule."""
    rule = _only(parse(body, "OwnershipControls"), "Rule")
    return ownership(leaves(rule, ("ObjectOwnership",)).get("ObjectOwnership", ""))


def ownership(text: str) -> Ownership:
    """An ownership by its name."""
    try:
        return Ownership(text)
    except ValueError:
        raise malformed() from None


def render_ownership(kept: Ownership) -> bytes:
    return document("OwnershipControls", element("Rule", tag("ObjectOwnership", kept)))


@dataclass(frozen=True, slots=True)
class PublicAccessBlock:
    """What of public access a bucket refuses (AWS, "Blocking public access")."""

    block_acls: bool = False
    ignore_acls: bool = False
    block_policy: bool = False
    restrict_buckets: bool = False


_BLOCKS: Final = (
    *("BlockPublicAcls", "IgnorePublicAcls"),
    *("BlockPublicPolicy", "RestrictPublicBuckets"),
)


def parse_public_access_block(body: bytes) -> PublicAccessBlock:
    """PublicAccessBlockConfiguration; what it leaves out is not blocked."""
    found = leaves(parse(body, "PublicAccessBlockConfiguration"), _BLOCKS)
    return PublicAccessBlock(*(boolean(found.get(name, "false")) for name in _BLOCKS))


def render_public_access_block(kept: PublicAccessBlock) -> bytes:
    values = (kept.block_acls, kept.ignore_acls, kept.block_policy, kept.restrict_buckets)
    flags = (flag(name, value) for name, value in zip(_BLOCKS, values, strict=True))
    return document("PublicAccessBlockConfiguration", *flags)


def render_policy_status(public: bool) -> bytes:
    return document("PolicyStatus", flag("IsPublic", public))


_KEY_NAME_LIMIT: Final = 2048
_ENCRYPTION: Final = "ServerSideEncryptionConfiguration"
_RULE: Final = ("ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes")


@dataclass(frozen=True, slots=True)
class BucketEncryption:
    """With what new objects are encrypted that say nothing: AES256, or aws:kms with a key by any
    of its names (`kms_key`; empty: the store's own). A bucket key is only told back;
    `blocks_customer_keys`: no object may be put with a key that its customer brings."""

    bucket_key: bool = False
    blocks_customer_keys: bool = False
    algorithm: str = AES256
    kms_key: str = ""


def parse_encryption(body: bytes) -> BucketEncryption:
    """ServerSideEncryptionConfiguration: exactly one rule. Raises beside MalformedXML:
    NotImplemented (aws:kms:dsse), InvalidArgument (a key for AES256)."""
    rule = _only(parse(body, _ENCRYPTION), "Rule")
    parts = _by_name(rule, _RULE)
    default, blocked = parts.get(_RULE[0]), parts.get(_RULE[2])
    algorithm, kms_key = AES256, ""
    if default is not None:
        algorithm, kms_key = _default(leaves(default, ("SSEAlgorithm", "KMSMasterKeyID")))
    elif blocked is None:
        raise malformed()
    key = parts.get(_RULE[1])
    return BucketEncryption(
        key is not None and boolean(key.text or ""),
        blocked is not None and _blocked(blocked),
        algorithm,
        kms_key,
    )


def _blocked(parent: Element) -> bool:
    types = {one.text for one in parent if one.tag == "EncryptionType"}
    if len(types) != len(parent) or not types <= {"NONE", "SSE-C"} or len(types) != 1:
        raise malformed()
    return types == {"SSE-C"}


def _default(found: dict[str, str]) -> tuple[str, str]:
    algorithm, key = found.get("SSEAlgorithm", ""), found.get("KMSMasterKeyID", "").strip()
    if algorithm == "aws:kms:dsse":
        raise S3Error("NotImplemented", "Encryption in two layers is not implemented")
    if algorithm not in (AES256, KMS) or len(key) > _KEY_NAME_LIMIT:
        raise malformed()
    if key and algorithm == AES256:
        raise S3Error(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms",
            ArgumentName="ApplyServerSideEncryptionByDefault",
            ArgumentValue="KMSMasterKeyID",
        )
    return algorithm, key


def render_encryption(kept: BucketEncryption) -> bytes:
    default = element(
        _RULE[0],
        tag("SSEAlgorithm", kept.algorithm),
        optional("KMSMasterKeyID", kept.kms_key or None),
    )
    blocked = ""
    if kept.blocks_customer_keys:
        blocked = element(_RULE[2], tag("EncryptionType", "SSE-C"))
    return document(_ENCRYPTION, element("Rule", default, flag(_RULE[1], kept.bucket_key), blocked))


def render_request_payment() -> bytes:
    """RequestPaymentConfiguration of a bucket that nobody configured."""
    return document("RequestPaymentConfiguration", tag("Payer", "BucketOwner"))


def render_logging() -> bytes:
    return document("BucketLoggingStatus")


def parse_abac(body: bytes) -> bytes:
    """AbacStatus, as it is kept: whether policies may ask for a bucket's tags."""
    status = leaves(parse(body, "AbacStatus"), ("Status",)).get("Status")
    if status not in ("Enabled", "Disabled"):
        raise malformed()
    return render_abac(enabled=status == "Enabled")


def render_abac(*, enabled: bool = False) -> bytes:
    return document("AbacStatus", tag("Status", "Enabled" if enabled else "Disabled"))


def render_acceleration() -> bytes:
    """AccelerateConfiguration of a bucket that never had it."""
    return document("AccelerateConfiguration")


def render_no_configurations(root: str) -> bytes:
    """A list of configurations that has none; `root` is the operation's own."""
    return document(root, flag("IsTruncated", False))


def _only(root: Element, name: str) -> Element:
    if [child.tag for child in root] != [name]:
        raise malformed()
    return root[0]


def _by_name(parent: Element, known: Collection[str]) -> dict[str, Element]:
    found = {child.tag: child for child in parent}
    if len(found) < len(parent) or not found.keys() <= set(known):
        raise malformed()
    return found
