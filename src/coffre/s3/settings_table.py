"""The rows of the one table that are about a bucket's sub-resources and an object's tags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from coffre.s3 import (
    access_logs,
    acls,
    bucket_settings,
    lifecycle,
    notifications,
    object_annotations,
    object_encryption,
    object_lock,
    policies,
    replication,
    tagging,
    website,
)
from coffre.s3.bucket_settings import ACCELERATION
from coffre.s3.control import ABAC, ENCRYPTION, OWNERSHIP, POLICY, PUBLIC_ACCESS_BLOCK
from coffre.s3.identified import Family
from coffre.s3.inventory import check_inventory
from coffre.s3.operation import (
    NO_BODY,
    STREAM,
    Body,
    Handler,
    Metering,
    Need,
    On,
    Operation,
    Selector,
    document,
)
from coffre.s3.request_payment import REQUEST_PAYMENT
from coffre.s3.website import WEBSITE
from coffre.wire import bucket_settings as documents
from coffre.wire.acl import DOCUMENT_LIMIT as ACL_LIMIT
from coffre.wire.configurations import (
    ANALYTICS,
    INTELLIGENT_TIERING,
    METRICS,
    parse_request_payment,
)
from coffre.wire.inventory import INVENTORY
from coffre.wire.lifecycle import DOCUMENT_LIMIT as LIFECYCLE_LIMIT
from coffre.wire.notifications import DOCUMENT_LIMIT as NOTIFICATION_LIMIT
from coffre.wire.object_lock import DOCUMENT_LIMIT as OBJECT_LOCK_LIMIT
from coffre.wire.tags import DOCUMENT_LIMIT as TAGGING_LIMIT
from coffre.wire.website import DOCUMENT_LIMIT as WEBSITE_LIMIT

_LIMITS: Final = {
    "acl": ACL_LIMIT,
    "lifecycle": LIFECYCLE_LIMIT,
    "website": WEBSITE_LIMIT,
    "notification": NOTIFICATION_LIMIT,
}
_METERING: Final = {"GET": Metering.READ, "PUT": Metering.WRITE, "DELETE": Metering.WRITE}


def _row(
    name: str,
    method: str,
    need: Need,
    handler: Handler,
    sub_resource: str,
    body: Body = NO_BODY,
) -> Operation:
    metering, selector = _METERING[method], Selector(sub_resource)
    return Operation(name, method, need.on, (need,), handler, metering, selector, body)


def _bucket(permission: str) -> Need:
    return Need(f"s3:{permission}", On.BUCKET)


def _setting(
    sub_resource: str,
    name: str,
    permission: str,
    *,
    get: Handler,
    put: Handler | None = None,
    delete: Handler | None = None,
    deletes: str = "",
) -> Iterator[Operation]:
    """Get, Put and Delete of one configuration. Who may put one may delete it, as on AWS, but for
    those that have a permission of their own (`deletes`)."""
    reads, writes = _bucket(f"Get{permission}"), _bucket(f"Put{permission}")
    yield _row(f"Get{name}", "GET", reads, get, sub_resource)
    if put is not None:
        body = document(_LIMITS.get(sub_resource, documents.DOCUMENT_LIMIT))
        yield _row(f"Put{name}", "PUT", writes, put, sub_resource, body)
    if delete is not None:
        need = _bucket(deletes) if deletes else writes
        yield _row(f"Delete{name}", "DELETE", need, delete, sub_resource)


def _family(what: str, family: Family) -> Iterator[Operation]:
    """A configuration of which a bucket may have several, told apart by `id`."""
    sub, one = family.name, f"{family.name}&id"
    reads, writes = (_bucket(f"{verb}{what}Configuration") for verb in ("Get", "Put"))
    body = document(documents.DOCUMENT_LIMIT)
    yield _row(f"ListBucket{what}Configurations", "GET", reads, family.list, sub)
    yield _row(f"GetBucket{what}Configuration", "GET", reads, family.get, one)
    yield _row(f"PutBucket{what}Configuration", "PUT", writes, family.put, one, body)
    yield _row(f"DeleteBucket{what}Configuration", "DELETE", writes, family.delete, one)


def _object(verb: str, what: str) -> Need:
    return Need(f"s3:{verb}Object{what}", On.OBJECT, versioned=f"s3:{verb}ObjectVersion{what}")


BUCKET_SETTINGS: Final = (
    *_setting("acl", "BucketAcl", "BucketAcl", get=acls.get_bucket_acl, put=acls.put_bucket_acl),
    _row(
        "GetBucketTagging",
        "GET",
        _bucket("GetBucketTagging"),
        tagging.get_bucket_tagging,
        "tagging",
    ),
    _row(
        "PutBucketTagging",
        "PUT",
        _bucket("PutBucketTagging"),
        tagging.put_bucket_tagging,
        "tagging",
        document(TAGGING_LIMIT),
    ),
    _row(
        "DeleteBucketTagging",
        "DELETE",
        _bucket("PutBucketTagging"),
        tagging.delete_bucket_tagging,
        "tagging",
    ),
    *_setting(
        "encryption",
        "BucketEncryption",
        "EncryptionConfiguration",
        get=bucket_settings.get_bucket_encryption,
        put=bucket_settings.put_bucket_encryption,
        delete=bucket_settings.deleting(ENCRYPTION),
    ),
    *_setting(
        "ownershipControls",
        "BucketOwnershipControls",
        "BucketOwnershipControls",
        get=bucket_settings.getting(OWNERSHIP, "OwnershipControlsNotFoundError"),
        put=bucket_settings.put_bucket_ownership_controls,
        delete=bucket_settings.deleting(OWNERSHIP),
    ),
    *_setting(
        "publicAccessBlock",
        "PublicAccessBlock",
        "BucketPublicAccessBlock",
        get=bucket_settings.getting(PUBLIC_ACCESS_BLOCK, "NoSuchPublicAccessBlockConfiguration"),
        put=bucket_settings.put_public_access_block,
        delete=bucket_settings.deleting(PUBLIC_ACCESS_BLOCK),
    ),
    *_setting(
        "requestPayment",
        "BucketRequestPayment",
        "BucketRequestPayment",
        get=bucket_settings.kept_or(REQUEST_PAYMENT, documents.render_request_payment()),
        put=bucket_settings.keeping(REQUEST_PAYMENT, parse_request_payment),
    ),
    *_setting(
        "logging",
        "BucketLogging",
        "BucketLogging",
        get=access_logs.get_bucket_logging,
        put=access_logs.put_bucket_logging,
    ),
    *_setting(
        "notification",
        "BucketNotificationConfiguration",
        "BucketNotification",
        get=notifications.get_bucket_notification,
        put=notifications.put_bucket_notification,
    ),
    *_setting(
        "accelerate",
        "BucketAccelerateConfiguration",
        "AccelerateConfiguration",
        get=bucket_settings.kept_or(ACCELERATION, documents.render_acceleration()),
        put=bucket_settings.put_acceleration,
    ),
    *_setting(
        "policyStatus",
        "BucketPolicyStatus",
        "BucketPolicyStatus",
        get=policies.get_bucket_policy_status,
    ),
    *_setting(
        "policy",
        "BucketPolicy",
        "BucketPolicy",
        get=policies.get_bucket_policy,
        put=policies.put_bucket_policy,
        delete=bucket_settings.deleting(POLICY),
        deletes="DeleteBucketPolicy",
    ),
    *_setting(
        "abac",
        "BucketAbac",
        "BucketABAC",
        get=bucket_settings.kept_or(ABAC, documents.render_abac()),
        put=bucket_settings.keeping(ABAC, documents.parse_abac),
    ),
    *_setting(
        "website",
        "BucketWebsite",
        "BucketWebsite",
        get=bucket_settings.getting(WEBSITE, "NoSuchWebsiteConfiguration"),
        put=website.put_bucket_website,
        delete=bucket_settings.deleting(WEBSITE),
        deletes="DeleteBucketWebsite",
    ),
    *_setting(
        "replication",
        "BucketReplication",
        "ReplicationConfiguration",
        get=bucket_settings.lacking("ReplicationConfigurationNotFoundError"),
        put=replication.put_bucket_replication,
        delete=bucket_settings.delete_nothing,
    ),
    *_setting(
        "lifecycle",
        "BucketLifecycleConfiguration",
        "LifecycleConfiguration",
        get=lifecycle.get_lifecycle,
        put=lifecycle.put_lifecycle,
    ),
    _row(
        "DeleteBucketLifecycle",
        "DELETE",
        _bucket("PutLifecycleConfiguration"),
        lifecycle.delete_lifecycle,
        "lifecycle",
    ),
    *_setting(
        "object-lock",
        "ObjectLockConfiguration",
        "BucketObjectLockConfiguration",
        get=object_lock.get_object_lock,
        put=object_lock.put_object_lock,
    ),
    *_family("Analytics", Family("analytics", ANALYTICS, "ListBucketAnalyticsConfigurationResult")),
    *_family(
        "Inventory",
        Family("inventory", INVENTORY, "ListInventoryConfigurationsResult", check_inventory),
    ),
    *_family("Metrics", Family("metrics", METRICS, "ListMetricsConfigurationsResult")),
    *_family(
        "IntelligentTiering",
        Family(
            "intelligent-tiering",
            INTELLIGENT_TIERING,
            "ListBucketIntelligentTieringConfigurationsOutput",
        ),
    ),
)


def _annotations() -> Iterator[Operation]:
    one = "annotation&annotationName"
    for verb, method, sub, handler, body in (
        ("List", "GET", "annotation", object_annotations.list_object_annotations, NO_BODY),
        ("Get", "GET", one, object_annotations.get_object_annotation, NO_BODY),
        ("Put", "PUT", one, object_annotations.put_object_annotation, STREAM),
        ("Delete", "DELETE", one, object_annotations.delete_object_annotation, NO_BODY),
    ):
        name = f"{verb}ObjectAnnotation" + ("s" if verb == "List" else "")
        yield _row(name, method, Need(f"s3:{name}", On.OBJECT), handler, sub, body)


def _locks() -> Iterator[Operation]:
    for sub, what, get, put in (
        (
            "retention",
            "Retention",
            object_lock.get_object_retention,
            object_lock.put_object_retention,
        ),
        (
            "legal-hold",
            "LegalHold",
            object_lock.get_object_legal_hold,
            object_lock.put_object_legal_hold,
        ),
    ):
        reads = Need(f"s3:GetObject{what}", On.OBJECT)
        writes = Need(f"s3:PutObject{what}", On.OBJECT, by_body=True)
        body = document(OBJECT_LOCK_LIMIT)
        yield _row(f"GetObject{what}", "GET", reads, get, sub)
        yield _row(f"PutObject{what}", "PUT", writes, put, sub, body)


OBJECT_SETTINGS: Final = (
    _row("GetObjectAcl", "GET", _object("Get", "Acl"), acls.get_object_acl, "acl"),
    _row(
        "PutObjectAcl",
        "PUT",
        _object("Put", "Acl"),
        acls.put_object_acl,
        "acl",
        document(ACL_LIMIT),
    ),
    _row(
        "GetObjectTagging",
        "GET",
        _object("Get", "Tagging"),
        tagging.get_object_tagging,
        "tagging",
    ),
    _row(
        "PutObjectTagging",
        "PUT",
        replace(_object("Put", "Tagging"), by_body=True),
        tagging.put_object_tagging,
        "tagging",
        document(TAGGING_LIMIT),
    ),
    _row(
        "DeleteObjectTagging",
        "DELETE",
        _object("Delete", "Tagging"),
        tagging.delete_object_tagging,
        "tagging",
    ),
    _row(
        "UpdateObjectEncryption",
        "PUT",
        Need("s3:UpdateObjectEncryption", On.OBJECT),
        object_encryption.update_object_encryption,
        "encryption",
        document(object_encryption.DOCUMENT_LIMIT),
    ),
    *_annotations(),
    *_locks(),
)
