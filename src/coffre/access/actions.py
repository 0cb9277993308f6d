"""The actions that a policy may name, what each is asked on, and the condition keys that it knows.

Source: AWS "Actions, resources, and condition keys for Amazon S3". Names are compared without case,
as AWS does. A test asserts that every permission of the table of operations is listed here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Target(StrEnum):
    """What an action's resource is: a bucket's ARN, an object's, or `*` alone."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


_GRANTS = (
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write-acp",
    "s3:x-amz-grant-full-control",
)
_LOCK = (
    "s3:object-lock-mode",
    "s3:object-lock-retain-until-date",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-legal-hold",
)
_ENCRYPTION = (
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
)
_LISTING = ("s3:prefix", "s3:delimiter", "s3:max-keys")
_NEW_TAGS = ("s3:requestobjecttag/", "s3:requestobjecttagkeys")
_OLD_TAGS = ("s3:existingobjecttag/",)
_VERSION = ("s3:versionid",)
_ACL = ("s3:x-amz-acl", *_GRANTS)
_CONDITIONAL = ("s3:if-match", "s3:if-none-match")

_SERVICE: Final = {
    "s3:ListAllMyBuckets": (),
}
_SETTINGS = (
    *("AccelerateConfiguration", "AnalyticsConfiguration", "BucketCORS", "BucketLogging"),
    *("BucketNotification", "BucketObjectLockConfiguration", "BucketOwnershipControls"),
    *("BucketPolicy", "BucketPublicAccessBlock", "BucketRequestPayment", "BucketTagging"),
    *("BucketVersioning", "BucketWebsite", "EncryptionConfiguration"),
    *("IntelligentTieringConfiguration", "InventoryConfiguration", "LifecycleConfiguration"),
    *("MetricsConfiguration", "ReplicationConfiguration", "BucketMetadataTableConfiguration"),
)
# All but the first are ECS's own.
_OF_BUCKETS = ("ABAC", "IsStaleAllowed", "MetadataSearch")
_METADATA_TABLES = ("Annotation", "Inventory", "Journal")
_BUCKET: Final = {
    **{f"s3:{verb}{what}": () for verb in ("Get", "Put") for what in _SETTINGS},
    "s3:CreateBucket": (*_ACL, "s3:locationconstraint", "s3:x-amz-object-ownership"),
    "s3:DeleteBucket": (),
    "s3:DeleteBucketPolicy": (),
    "s3:DeleteBucketWebsite": (),
    "s3:GetBucketAcl": (),
    "s3:GetBucketLocation": (),
    "s3:GetBucketPolicyStatus": (),
    "s3:PutBucketAcl": _ACL,
    "s3:ListBucket": _LISTING,
    "s3:ListBucketVersions": _LISTING,
    "s3:ListBucketMultipartUploads": (),
    "s3:CreateSession": (),
    **{f"s3:{verb}Bucket{what}": () for verb in ("Get", "Put") for what in _OF_BUCKETS},
    **{f"s3:UpdateBucketMetadata{what}TableConfiguration": () for what in _METADATA_TABLES},
    "s3:CreateBucketMetadataTableConfiguration": (),
    "s3:DeleteBucketMetadataTableConfiguration": (),
}
_WRITES = (
    *(*_ACL, *_ENCRYPTION, *_LOCK, *_NEW_TAGS, *_CONDITIONAL),
    *("s3:x-amz-copy-source", "s3:x-amz-metadata-directive", "s3:x-amz-storage-class"),
    *("s3:x-amz-website-redirect-location", "s3:objectcreationoperation"),
)
_READS = (*_OLD_TAGS, *_CONDITIONAL)
_ANNOTATIONS = (("Get", ""), ("Put", ""), ("Delete", ""), ("List", "s"))
_ON_TAGS = (*_OLD_TAGS, *_NEW_TAGS)
_OBJECT: Final = {
    **{f"s3:{verb}ObjectAnnotation{s}": () for verb, s in _ANNOTATIONS},
    "s3:AbortMultipartUpload": (),
    "s3:BypassGovernanceRetention": (*_ACL, *_LOCK, *_NEW_TAGS, "s3:x-amz-copy-source"),
    "s3:DeleteObject": _CONDITIONAL,
    "s3:DeleteObjectTagging": _OLD_TAGS,
    "s3:DeleteObjectVersion": _VERSION,
    "s3:DeleteObjectVersionTagging": (*_OLD_TAGS, *_VERSION),
    "s3:GetObject": _READS,
    "s3:GetObjectAcl": _OLD_TAGS,
    "s3:GetObjectAttributes": _OLD_TAGS,
    "s3:GetObjectLegalHold": (),
    "s3:GetObjectRetention": (),
    "s3:GetObjectTagging": _OLD_TAGS,
    "s3:GetObjectTorrent": (),
    "s3:GetObjectVersion": (*_READS, *_VERSION),
    "s3:GetObjectVersionAcl": (*_OLD_TAGS, *_VERSION),
    "s3:GetObjectVersionAttributes": (*_OLD_TAGS, *_VERSION),
    "s3:GetObjectVersionTagging": (*_OLD_TAGS, *_VERSION),
    "s3:ListMultipartUploadParts": (),
    "s3:ObjectOwnerOverrideToBucketOwner": (),
    "s3:PutObject": _WRITES,
    "s3:PutObjectAcl": (*_ACL, *_OLD_TAGS, "s3:x-amz-storage-class"),
    "s3:PutObjectLegalHold": ("s3:object-lock-legal-hold",),
    "s3:PutObjectRetention": _LOCK[:3],
    "s3:PutObjectTagging": _ON_TAGS,
    "s3:PutObjectVersionAcl": (*_ACL, *_OLD_TAGS, *_VERSION, "s3:x-amz-storage-class"),
    "s3:PutObjectVersionTagging": (*_ON_TAGS, *_VERSION),
    "s3:RenameObject": ("s3:x-amz-copy-source",),
    "s3:RestoreObject": (),
    "s3:UpdateObjectEncryption": _ENCRYPTION,
}

_TABLES: Final = (
    (Target.SERVICE, _SERVICE),
    (Target.BUCKET, _BUCKET),
    (Target.OBJECT, _OBJECT),
)
TARGETS: Final = {name: target for target, table in _TABLES for name in table}
KEYS: Final = {name: frozenset(keys) for _, table in _TABLES for name, keys in table.items()}
_BY_LOWER: Final = {name.lower(): name for name in TARGETS}

# Keys that every action knows. A key that ends in "/" is followed by a name.
GLOBAL_KEYS: Final = frozenset(
    {
        *("aws:currenttime", "aws:epochtime", "aws:principaltype", "aws:sourceip", "aws:useragent"),
        *("aws:referer", "aws:username", "aws:userid", "aws:securetransport", "aws:principalarn"),
        *("aws:resourcetag/", "s3:buckettag/"),
        *("aws:principalaccount", "aws:principaltag/", "aws:principalisawsservice"),
        *("aws:principalservicename", "aws:principalorgid", "aws:sourcearn", "aws:sourceaccount"),
        *("aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip", "aws:tokenissuetime"),
        *("aws:multifactorauthage", "aws:multifactorauthpresent", "aws:requestedregion"),
        *("aws:viaawsservice", "aws:calledvia", "aws:federatedprovider"),
        *("s3:authtype", "s3:signatureage", "s3:signatureversion", "s3:tlsversion"),
        *("s3:x-amz-content-sha256", "s3:resourceaccount"),
    }
)
# Pairs that the spec's table names and AWS's does not: accepted in the `ecs` dialect.
_OF_ECS: Final = {
    "s3:PutObject": frozenset({"s3:prefix", "s3:delimiter", "s3:versionid"}),
    "s3:PutObjectAcl": frozenset({"s3:prefix", "s3:delimiter", "s3:versionid"}),
    "s3:DeleteObjectVersion": frozenset({"s3:delimiter", "s3:versionid"}),
}
# What only requests to IAM and STS have: known to policies of identities and roles.
IDENTITY_KEYS: Final = frozenset({"aws:requesttag/", "aws:tagkeys", "aws:sourceidentity"})
_EVERY_KEY: Final = GLOBAL_KEYS.union(*KEYS.values())


def canonical(action: str) -> str | None:
    """An action by its own spelling; None for one that does not exist."""
    return _BY_LOWER.get(action.lower())


def is_key(key: str) -> bool:
    """Whether any action knows the condition key `key` (lower case)."""
    return _known(key, _EVERY_KEY)


def is_identity_key(key: str) -> bool:
    """Whether an identity's policy may ask for `key` (lower case): it may also speak of services
    that nobody here knows, but misspells none of S3's keys and none of those that all have."""
    if key.startswith(("aws:", "s3:")):
        return is_key(key) or _known(key, IDENTITY_KEYS)
    return ":" in key


def knows(action: str, key: str, *, ecs: bool = False) -> bool:
    """Whether `action` (its own spelling) knows the condition key `key` (lower case)."""
    extra = _OF_ECS.get(action, frozenset()) if ecs else frozenset()
    return _known(key, GLOBAL_KEYS) or _known(key, KEYS[action]) or key in extra


def _known(key: str, keys: frozenset[str]) -> bool:
    head, slash, name = key.partition("/")
    return key in keys or bool(slash and name and f"{head}/" in keys)
