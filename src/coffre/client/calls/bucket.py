"""Calls of the management API: bucket. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.bucket_documents import (
    Cors,
    CorsRule,
    Encryption,
    Inventories,
    LockDefault,
    Logging,
    Notification,
    Notifications,
    ObjectOwnership,
    PublicAccess,
    RedirectAll,
    RoutingRule,
    Tag,
    Tags,
    TopicNotification,
    Versioning,
    Website,
)
from coffre.client.types.buckets import (
    Bucket,
    BucketRow,
    ClassUsage,
    Emptying,
    Granted,
    QuotaShown,
    RoleRow,
)
from coffre.client.types.fields import Checked, Deleted
from coffre.client.types.lifecycle_document import Lifecycle, LifecycleRule


class BucketCalls:
    """Operations `bucket.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, store: str | UnsetType | None = UNSET) -> Iterator[BucketRow]:
        """The buckets that you see, of one store or of all."""
        return self._transport.rows("GET", located("buckets"), BucketRow, {"store": store})

    def page(
        self,
        *,
        store: str | UnsetType | None = UNSET,
        search: str | UnsetType = UNSET,
        sort: Literal[
            "bytes", "created_ms", "name", "network", "objects", "region", "store", "type"
        ]
        | UnsetType = UNSET,
        descending: bool | UnsetType = UNSET,
    ) -> Iterator[BucketRow]:
        """The buckets that you see, searched and sorted."""
        return self._transport.rows(
            "GET",
            located("bucket-search"),
            BucketRow,
            {"store": store, "search": search, "sort": sort, "descending": descending},
        )

    def check(self, *, store: str, name: str) -> Checked:
        """Whether a bucket could be made under a name."""
        return self._transport.value(
            "GET", located("checks", "bucket"), Checked, {"store": store, "name": name}
        )

    def create(
        self,
        *,
        store: str,
        name: str,
        region: str | UnsetType | None = UNSET,
        type: Literal["archiving", "performance"] | UnsetType = UNSET,
        network: Literal["custom", "private", "public"] | UnsetType = UNSET,
        addresses: Sequence[str] | UnsetType = UNSET,
        versioning: bool | UnsetType = UNSET,
        object_lock: bool | UnsetType = UNSET,
    ) -> Bucket:
        """A new bucket of the store itself."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets"),
            Bucket,
            {
                "name": name,
                "region": region,
                "type": type,
                "network": network,
                "addresses": addresses,
                "versioning": versioning,
                "object_lock": object_lock,
            },
        )

    def show(self, *, store: str, bucket: str) -> Bucket:
        """A bucket and what it holds."""
        return self._transport.value("GET", located("stores", store, "buckets", bucket), Bucket)

    def delete(self, *, store: str, bucket: str) -> Deleted:
        """An empty bucket goes, whoever owns it."""
        return self._transport.value("DELETE", located("stores", store, "buckets", bucket), Deleted)

    def empty(self, *, store: str, bucket: str, confirm: str) -> Emptying:
        """Delete all that is in a bucket, then the bucket, in the background."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets", bucket, "empty"),
            Emptying,
            {"confirm": confirm},
        )

    def emptying(self, *, store: str, bucket: str) -> Emptying:
        """How far the emptying of a bucket is."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "emptying"), Emptying
        )

    def usage(self, *, store: str, bucket: str) -> Iterator[ClassUsage]:
        """Objects and bytes of a bucket by storage class."""
        return self._transport.rows(
            "GET", located("stores", store, "buckets", bucket, "classes"), ClassUsage
        )

    def network(
        self,
        *,
        store: str,
        bucket: str,
        network: Literal["custom", "private", "public", "store"],
        addresses: Sequence[str] | UnsetType = UNSET,
        if_match: str = "",
    ) -> Bucket:
        """From where a bucket is reached."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "network"),
            Bucket,
            {"network": network, "addresses": addresses},
            if_match=if_match,
        )

    def set(
        self,
        *,
        store: str,
        bucket: str,
        hard_bytes: int | UnsetType | None = UNSET,
        hard_objects: int | UnsetType | None = UNSET,
        warn_bytes: int | UnsetType | None = UNSET,
        warn_objects: int | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> QuotaShown:
        """A bucket's quota: the hard ones refuse writes, the others warn."""
        return self._transport.value(
            "PATCH",
            located("stores", store, "buckets", bucket, "quota"),
            QuotaShown,
            {
                "hard_bytes": hard_bytes,
                "hard_objects": hard_objects,
                "warn_bytes": warn_bytes,
                "warn_objects": warn_objects,
            },
            if_match=if_match,
        )

    def role_list(self, *, store: str, bucket: str) -> Iterator[RoleRow]:
        """Who has which role on a bucket."""
        return self._transport.rows(
            "GET", located("stores", store, "buckets", bucket, "roles"), RoleRow
        )

    def role_grant(
        self,
        *,
        store: str,
        bucket: str,
        user: str,
        role: Literal["maintainer", "reader", "write-only", "writer"],
    ) -> Granted:
        """Give an account its one role on a bucket."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "roles", user),
            Granted,
            {"role": role},
        )

    def role_revoke(self, *, store: str, bucket: str, user: str) -> Granted:
        """The account has no role on the bucket any more."""
        return self._transport.value(
            "DELETE", located("stores", store, "buckets", bucket, "roles", user), Granted
        )

    def versioning_show(self, *, store: str, bucket: str) -> Versioning:
        """The bucket's versioning."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "versioning"), Versioning
        )

    def versioning_set(
        self,
        *,
        store: str,
        bucket: str,
        status: Literal["Enabled", "Suspended"] | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> Versioning:
        """Put the bucket's versioning in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "versioning"),
            Versioning,
            {"status": status},
            if_match=if_match,
        )

    def tags_show(self, *, store: str, bucket: str) -> Tags:
        """The bucket's tags."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "tags"), Tags
        )

    def tags_set(
        self,
        *,
        store: str,
        bucket: str,
        tags: Sequence[Tag] | UnsetType = UNSET,
        if_match: str = "",
    ) -> Tags:
        """Put the bucket's tags in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "tags"),
            Tags,
            {"tags": tags},
            if_match=if_match,
        )

    def cors_show(self, *, store: str, bucket: str) -> Cors:
        """The bucket's CORS rules."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "cors"), Cors
        )

    def cors_set(
        self,
        *,
        store: str,
        bucket: str,
        rules: Sequence[CorsRule] | UnsetType = UNSET,
        if_match: str = "",
    ) -> Cors:
        """Put the bucket's CORS rules in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "cors"),
            Cors,
            {"rules": rules},
            if_match=if_match,
        )

    def encryption_show(self, *, store: str, bucket: str) -> Encryption:
        """The bucket's default encryption."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "encryption"), Encryption
        )

    def encryption_set(
        self,
        *,
        store: str,
        bucket: str,
        algorithm: Literal["AES256", "aws:kms"] | UnsetType = UNSET,
        kms_key: str | UnsetType | None = UNSET,
        bucket_key: bool | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> Encryption:
        """Put the bucket's default encryption in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "encryption"),
            Encryption,
            {"algorithm": algorithm, "kms_key": kms_key, "bucket_key": bucket_key},
            if_match=if_match,
        )

    def public_access_show(self, *, store: str, bucket: str) -> PublicAccess:
        """The bucket's block of public access."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "public-access"), PublicAccess
        )

    def public_access_set(
        self,
        *,
        store: str,
        bucket: str,
        block_public_acls: bool | UnsetType = UNSET,
        ignore_public_acls: bool | UnsetType = UNSET,
        block_public_policy: bool | UnsetType = UNSET,
        restrict_public_buckets: bool | UnsetType = UNSET,
        if_match: str = "",
    ) -> PublicAccess:
        """Put the bucket's block of public access in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "public-access"),
            PublicAccess,
            {
                "block_public_acls": block_public_acls,
                "ignore_public_acls": ignore_public_acls,
                "block_public_policy": block_public_policy,
                "restrict_public_buckets": restrict_public_buckets,
            },
            if_match=if_match,
        )

    def ownership_show(self, *, store: str, bucket: str) -> ObjectOwnership:
        """The bucket's object ownership."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "ownership"), ObjectOwnership
        )

    def ownership_set(
        self,
        *,
        store: str,
        bucket: str,
        ownership: Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]
        | UnsetType = UNSET,
        if_match: str = "",
    ) -> ObjectOwnership:
        """Put the bucket's object ownership in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "ownership"),
            ObjectOwnership,
            {"ownership": ownership},
            if_match=if_match,
        )

    def website_show(self, *, store: str, bucket: str) -> Website:
        """The bucket's website."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "website"), Website
        )

    def website_set(
        self,
        *,
        store: str,
        bucket: str,
        index: str | UnsetType | None = UNSET,
        error: str | UnsetType | None = UNSET,
        redirect_all: RedirectAll | UnsetType | None = UNSET,
        routing_rules: Sequence[RoutingRule] | UnsetType = UNSET,
        if_match: str = "",
    ) -> Website:
        """Put the bucket's website in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "website"),
            Website,
            {
                "index": index,
                "error": error,
                "redirect_all": redirect_all,
                "routing_rules": routing_rules,
            },
            if_match=if_match,
        )

    def logging_show(self, *, store: str, bucket: str) -> Logging:
        """The bucket's access log."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "logging"), Logging
        )

    def logging_set(
        self,
        *,
        store: str,
        bucket: str,
        target_bucket: str | UnsetType | None = UNSET,
        target_prefix: str | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> Logging:
        """Put the bucket's access log in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "logging"),
            Logging,
            {"target_bucket": target_bucket, "target_prefix": target_prefix},
            if_match=if_match,
        )

    def lock_show(self, *, store: str, bucket: str) -> LockDefault:
        """The bucket's Object Lock and its default."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "lock"), LockDefault
        )

    def lock_set(
        self,
        *,
        store: str,
        bucket: str,
        enabled: Literal["Enabled"] | UnsetType | None = UNSET,
        mode: Literal["COMPLIANCE", "GOVERNANCE"] | UnsetType | None = UNSET,
        days: int | UnsetType | None = UNSET,
        years: int | UnsetType | None = UNSET,
        if_match: str = "",
    ) -> LockDefault:
        """Put the bucket's Object Lock and its default in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "lock"),
            LockDefault,
            {"enabled": enabled, "mode": mode, "days": days, "years": years},
            if_match=if_match,
        )

    def notifications_show(self, *, store: str, bucket: str) -> Notifications:
        """The bucket's notifications."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "notifications"), Notifications
        )

    def notifications_set(
        self,
        *,
        store: str,
        bucket: str,
        queues: Sequence[Notification] | UnsetType = UNSET,
        topics: Sequence[TopicNotification] | UnsetType = UNSET,
        if_match: str = "",
    ) -> Notifications:
        """Put the bucket's notifications in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "notifications"),
            Notifications,
            {"queues": queues, "topics": topics},
            if_match=if_match,
        )

    def inventories_show(self, *, store: str, bucket: str) -> Inventories:
        """The bucket's inventories."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "inventories"), Inventories
        )

    def lifecycle_show(self, *, store: str, bucket: str) -> Lifecycle:
        """The bucket's lifecycle."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "lifecycle"), Lifecycle
        )

    def lifecycle_set(
        self,
        *,
        store: str,
        bucket: str,
        rules: Sequence[LifecycleRule] | UnsetType = UNSET,
        if_match: str = "",
    ) -> Lifecycle:
        """Put the bucket's lifecycle in the place of what was."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "lifecycle"),
            Lifecycle,
            {"rules": rules},
            if_match=if_match,
        )
