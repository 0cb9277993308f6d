"""Buckets, the roles on them and their network rules, as an operator sees to them.

A bucket that is made here belongs to its store: nobody's key reaches it without a role, a policy or
an ACL. All operations raise Invalid.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from coffre.access.networks import PUBLIC, read_rule
from coffre.access.roles import Role
from coffre.catalog.access_mutations import SetRole
from coffre.catalog.archive_rows import RESTORED, STANDARD
from coffre.catalog.mutations import (
    CreateBucket,
    DeleteBucket,
    DeleteBucketDocument,
    PutBucketDocument,
    SetVersioning,
)
from coffre.catalog.records import Bucket, Store, Trait, store_owner_id
from coffre.s3.control import OWNERSHIP
from coffre.s3.network import NETWORK
from coffre.service.invalid import Invalid
from coffre.service.named import (
    PUBLIC_NETWORK,
    bucket_named,
    check_choice,
    network_rule,
    store_named,
    user_named,
)
from coffre.service.node import Node
from coffre.service.pages import page_of
from coffre.service.quota_administration import quota_of, shown_quota
from coffre.system.entropy import new_id
from coffre.wire.bucket_settings import Ownership, render_ownership
from coffre.wire.names import is_bucket_name

Answer = dict[str, Any]
_PAGE: Final = 1000
NAME_RULES: Final = {
    "aws": "a bucket name is 3 to 63 of a–z, 0–9, '.' and '-', begins and ends with a letter or"
    " digit, and is no IP address",
    "ecs": "a bucket name is 3 to 255 of letters, digits, '.', '_' and '-', neither begins nor ends"
    " with '.', and is no IP address",
}
_ENFORCED: Final = render_ownership(Ownership.BUCKET_OWNER_ENFORCED)


class BucketAdministration:
    """List, create and delete buckets; who has which role; from where each is reached."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "bucket.list": self.list_all,
            "bucket.page": self.page,
            "bucket.show": self.show,
            "bucket.check": self.check,
            "bucket.create": self.create,
            "bucket.delete": self.delete,
            "bucket.usage": self.usage,
            "bucket.network": self.network,
            "bucket.role.grant": self.grant,
            "bucket.role.revoke": self.revoke,
            "bucket.role.list": self.roles,
        }

    async def list_all(self, store: str | None = None) -> list[Answer]:
        """Buckets with their exact counts, of one store or of all."""
        reader = self._node.reader
        stores = reader.stores() if store is None else [store_named(reader, store)]
        found: list[Answer] = []
        for each in stores:
            after = ""
            while page := reader.buckets(each.id, None, prefix="", after=after, limit=_PAGE):
                after = page[-1].name
                found += [self._row(each, bucket) for bucket in page]
        return found

    async def page(
        self,
        stores: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        **how: Any,
    ) -> Answer:
        """A page of buckets, of some stores or of all; `names`: those alone, as `STORE/BUCKET`.
        `how`: `search` in names and stores, `sort`, `descending`, `after`, `limit`."""
        known = set(how) - {"search", "sort", "descending", "after", "limit"}
        if known:
            raise Invalid("InvalidArgument", f"there is no {min(known)}", min(known))
        rows: list[Answer] = []
        for each in [one.name for one in self._node.reader.stores()] if stores is None else stores:
            rows += await self.list_all(each)
        if names is not None:
            rows = [row for row in rows if f"{row['store']}/{row['name']}" in names]
        sorts = ("name", "store", "objects", "bytes", "created_ms", "region", "type", "network")
        return page_of(rows, sorts=sorts, searched=("name", "store"), **how)

    async def show(self, name: str, store: str | None = None) -> Answer:
        """A bucket as it is set, and what it holds."""
        return self._shown(bucket_named(self._node.reader, name, store))

    async def check(self, name: str, store: str) -> Answer:
        """Whether a bucket could be made under a name now; `problem` says why not."""
        reader = self._node.reader
        holder = store_named(reader, store)
        valid = is_bucket_name(name, holder.dialect)
        problem = "" if valid else NAME_RULES[holder.dialect]
        if valid and reader.bucket(holder.id, name) is not None:
            problem = "the store has a bucket of this name"
        return {"name": name, "valid": valid, "available": not problem, "problem": problem}

    async def create(
        self,
        name: str,
        store: str,
        network: str = "private",
        addresses: Sequence[str] = (),
        type: str = "performance",
        object_lock: bool = False,
        versioning: bool = False,
    ) -> Answer:
        """A bucket of the store itself, reached from the operator's networks unless said
        otherwise; `archiving`: objects of which nothing else is said are archived; `object_lock`:
        with Object Lock and so with versioning, for ever."""
        node = self._node
        check_choice("type", type, ("performance", "archiving"))
        holder = store_named(node.reader, store)
        if not is_bucket_name(name, holder.dialect):
            raise Invalid("InvalidBucketName", NAME_RULES[holder.dialect], "name")
        traits = Trait.ECS if holder.dialect == "ecs" else Trait(0)
        traits |= Trait.ARCHIVING if type == "archiving" else Trait(0)
        traits |= Trait.OBJECT_LOCK if object_lock else Trait(0)
        documents = {
            OWNERSHIP: _ENFORCED,
            **holder.settings.defaults,
            NETWORK: network_rule(network, addresses),
        }
        bucket_id = new_id(node.entropy, node.zone_number, node.clock.now_ms())
        owner = store_owner_id(holder.id)
        await node.committer.commit(
            CreateBucket(bucket_id, holder.id, name, owner, node.region, documents, int(traits))
        )
        if versioning and not object_lock:
            await node.committer.commit(SetVersioning(bucket_id, "enabled"))
        return self._shown(bucket_named(node.reader, name, store))

    async def delete(self, name: str, store: str | None = None) -> Answer:
        """An empty bucket goes, whoever owns it."""
        bucket = bucket_named(self._node.reader, name, store)
        await self._node.committer.commit(DeleteBucket(bucket.id))
        return {"name": name, "deleted": True}

    async def usage(self, name: str, store: str | None = None) -> list[Answer]:
        """Objects and bytes of a bucket by storage class, exact; RESTORED: copies of archived
        objects that can be read for a while, beside these."""
        bucket = bucket_named(self._node.reader, name, store)
        classes = self._node.reader.bucket_classes(bucket.id)
        others = [one for kind, one in classes.items() if kind != RESTORED]
        standard = [
            total - sum(one[at] for one in others)
            for at, total in enumerate((bucket.objects, bucket.bytes))
        ]
        rows = {STANDARD: standard, **classes}
        return [
            {"class": kind, "objects": objects, "bytes": size}
            for kind, (objects, size) in rows.items()
        ]

    async def network(
        self,
        name: str,
        store: str | None = None,
        network: str | None = None,
        addresses: Sequence[str] = (),
    ) -> Answer:
        """From where the bucket is reached: `private`, `public`, `custom` with addresses, or
        `store`: as its store says. Without `network`: what holds."""
        bucket = bucket_named(self._node.reader, name, store)
        if network == "store":
            await self._node.committer.commit(DeleteBucketDocument(bucket.id, NETWORK))
        elif network is not None:
            document = network_rule(network, addresses)
            await self._node.committer.commit(PutBucketDocument(bucket.id, NETWORK, document))
        return self._shown(bucket)

    async def grant(self, bucket: str, user: str, role: str, store: str | None = None) -> Answer:
        """A user's one role on a bucket, in the place of one that it had."""
        check_choice("role", role, tuple(Role))
        return await self._set_role(bucket, user, role, store)

    async def revoke(self, bucket: str, user: str, store: str | None = None) -> Answer:
        """The user has no role on the bucket any more."""
        return await self._set_role(bucket, user, None, store)

    async def _set_role(
        self, bucket: str, user: str, role: str | None, store: str | None
    ) -> Answer:
        reader = self._node.reader
        found = bucket_named(reader, bucket, store)
        named = user_named(reader, user, self._store_of(found).name)
        await self._node.committer.commit(SetRole(found.id, named.id, role))
        return {"bucket": bucket, "user": named.label, "id": named.id, "role": role}

    async def roles(self, bucket: str, store: str | None = None) -> list[Answer]:
        """Who has which role on the bucket."""
        reader = self._node.reader
        rows: list[Answer] = []
        for user_id, role in reader.bucket_roles(bucket_named(reader, bucket, store).id).items():
            user = reader.user(user_id)
            rows.append({"user": user.label if user else "", "id": user_id, "role": role})
        return sorted(rows, key=lambda row: (row["user"], row["id"]))

    def _store_of(self, bucket: Bucket) -> Store:
        store = self._node.reader.store(bucket.store_id)
        assert store is not None, "a bucket's store is there"
        return store

    def _row(self, store: Store, bucket: Bucket) -> Answer:
        """One of a list; `network` is what holds, the bucket's or (`inherited`) its store's."""
        document = self._node.reader.bucket_document(bucket.id, NETWORK)
        rule = read_rule(store.settings.network if document is None else document)
        owner = bucket.owner_label
        if bucket.owner_id == store_owner_id(store.id):
            owner = f"the store {store.name}"
        return {
            "name": bucket.name,
            "store": store.name,
            "owner": bucket.owner_id,
            "owner_label": owner,
            "type": "archiving" if bucket.traits & Trait.ARCHIVING else "performance",
            "object_lock": bool(bucket.traits & Trait.OBJECT_LOCK),
            "versioning": bucket.versioning,
            "network": rule.kind,
            "addresses": [str(one) for one in rule.networks],
            "inherited": document is None,
            "region": bucket.region,
            "objects": bucket.objects,
            "bytes": bucket.bytes,
            "quota": shown_quota(quota_of(self._node.reader, bucket)),
            "emptying": bool(bucket.traits & Trait.EMPTYING),
            "created_ms": bucket.created_ms,
        }

    def _shown(self, bucket: Bucket) -> Answer:
        store = self._store_of(bucket)
        answer = {**self._row(store, bucket), "dialect": store.dialect}
        if answer["network"] == PUBLIC.kind:
            answer["warning"] = PUBLIC_NETWORK
        return answer
