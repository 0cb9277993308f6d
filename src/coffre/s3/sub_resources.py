"""The sub-resources that S3 knows, ours or not: which query parameter makes another operation.

A name in here that no operation of ours answers is `NotImplemented`, never ignored: `PUT
/bucket/key?retention` must not overwrite the object. Sources: AWS API reference; Dell ECS Data
Access Guide for its extensions.
"""

from __future__ import annotations

from typing import Final

from coffre.s3.operation import On

_G, _GP, _GPD = frozenset({"GET"}), frozenset({"GET", "PUT"}), frozenset({"GET", "PUT", "DELETE"})

# Of these a bucket may have several: with an `id` in the query, one of them is meant (written
# `inventory&id`), without it the list. An object may have several annotations.
_CONFIGURATIONS: Final = ("analytics", "intelligent-tiering", "inventory", "metrics")
IDENTIFIED: Final = {**dict.fromkeys(_CONFIGURATIONS, "id"), "annotation": "annotationName"}

# (target, sub-resource) -> the methods that S3 has for it; "" is the plain resource
KNOWN: Final[dict[tuple[On, str], frozenset[str]]] = {
    (On.SERVICE, ""): _G,
    (On.BUCKET, ""): frozenset({"GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS"}),
    (On.OBJECT, ""): frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}),
    **{
        (On.BUCKET, name): _GPD
        for name in (
            *("analytics", "cors", "encryption", "intelligent-tiering", "inventory", "lifecycle"),
            *("metrics", "ownershipControls", "policy", "publicAccessBlock", "replication"),
            *("tagging", "website"),
        )
    },
    **{
        (On.BUCKET, name): _GP
        for name in (
            *("abac", "accelerate", "acl", "logging", "notification", "object-lock"),
            *("requestPayment", "versioning", "metadataInventoryTable", "metadataJournalTable"),
            "metadataAnnotationTable",
        )
    },
    **{
        (On.BUCKET, name): _G
        for name in ("location", "policyStatus", "session", "uploads", "versions", "list-type")
    },
    **{
        (On.BUCKET, name): frozenset({"GET", "POST", "DELETE"})
        for name in ("metadataConfiguration", "metadataTable")
    },
    **{(On.BUCKET, f"{name}&id"): _GPD for name in _CONFIGURATIONS},
    (On.BUCKET, "delete"): frozenset({"POST"}),
    **{(On.BUCKET, name): _GP for name in ("isstaleallowed",)},
    (On.BUCKET, "searchmetadata"): frozenset({"GET", "DELETE"}),
    (On.BUCKET, "query"): _G,
    # MinIO's: a stream of events for whoever listens.
    (On.BUCKET, "events"): _G,
    (On.BUCKET, "empty-bucket-status"): _G,
    (On.BUCKET, "enable-object-lock"): frozenset({"PUT"}),
    (On.OBJECT, "acl"): _GP,
    (On.OBJECT, "annotation"): _GPD,
    (On.OBJECT, "annotation&annotationName"): _GPD,
    (On.OBJECT, "attributes"): _G,
    (On.OBJECT, "encryption"): frozenset({"PUT"}),
    (On.OBJECT, "legal-hold"): _GP,
    (On.OBJECT, "renameObject"): frozenset({"PUT"}),
    (On.OBJECT, "restore"): frozenset({"POST"}),
    (On.OBJECT, "retention"): _GP,
    (On.OBJECT, "select"): frozenset({"POST"}),
    (On.OBJECT, "tagging"): _GPD,
    (On.OBJECT, "torrent"): _G,
    (On.OBJECT, "uploads"): frozenset({"POST"}),
    (On.OBJECT, "uploadId"): frozenset({"GET", "PUT", "POST", "DELETE"}),
    (On.OBJECT, "retentionUpdate"): frozenset({"PUT"}),
    (On.SERVICE, "endpoint"): _G,
    (On.SERVICE, "ping"): _G,
    (On.SERVICE, "searchmetadata"): _G,
}

NAMES: Final = frozenset(name for _, name in KNOWN if name and "&" not in name)
