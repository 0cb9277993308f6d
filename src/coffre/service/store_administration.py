"""Tenants and object stores, as an operator sees to them. All operations raise Invalid."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec.structs import replace

from coffre.access.networks import read_rule
from coffre.catalog.access_mutations import ChangeStore, ChangeTenant, DeleteStore
from coffre.catalog.ecs_mutations import SetStore
from coffre.catalog.mutations import CreateStore, CreateTenant, Reaped
from coffre.catalog.records import Profile, Quota, Store, StoreLimits, StoreSettings, Tenant
from coffre.s3.control import OWNERSHIP, PUBLIC_ACCESS_BLOCK
from coffre.service.invalid import Invalid
from coffre.service.named import (
    LABEL_LIMIT,
    PUBLIC_NETWORK,
    check_choice,
    check_whole,
    network_rule,
    store_named,
    tenant_named,
)
from coffre.service.node import Node
from coffre.service.quota_administration import exceeded
from coffre.service.user_administration import UserAdministration
from coffre.system.entropy import new_id
from coffre.wire.bucket_settings import (
    Ownership,
    PublicAccessBlock,
    parse_ownership,
    render_ownership,
    render_public_access_block,
)

INITIAL_USER: Final = "Initial S3 user"
DEFAULT_TENANT: Final = "default"
PROFILES: Final = ("full", "spec")
BUCKET_LIMIT: Final = 999
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_POLICY_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST: Final = (1 << 63) - 1
_LIMITS: Final = StoreLimits.__struct_fields__
_QUOTAS: Final = ("hard_bytes", "hard_objects", "warn_bytes", "warn_objects")
_ALL_BLOCKED: Final = render_public_access_block(PublicAccessBlock(True, True, True, True))

Dialect = Literal["aws", "ecs"]
Answer = dict[str, Any]


class StoreAdministration:
    """Create, set, lock, delete and list."""

    def __init__(self, node: Node, users: UserAdministration) -> None:
        self._node = node
        self._users = users

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "tenant.create": self.create_tenant,
            "tenant.set": self.set_tenant,
            "tenant.list": self.list_tenants,
            "store.create": self.create,
            "store.check": self.check,
            "store.show": self.show,
            "store.set": self.set,
            "store.limit": self.limit,
            "store.lock": self.lock,
            "store.unlock": self.unlock,
            "store.delete": self.delete,
            "store.list": self.list_all,
        }

    async def create_tenant(self, name: str, bucket_limit: int = BUCKET_LIMIT) -> Answer:
        """Who stores belong to; `bucket_limit` counts the buckets of all of them."""
        node = self._node
        _check_name(name, "tenant")
        _check_limit(bucket_limit)
        if node.reader.tenant_named(name) is not None:
            raise Invalid("TenantAlreadyExists", f"the tenant {name!r} exists already", "name")
        tenant_id = new_id(node.entropy, node.zone_number, node.clock.now_ms())
        await node.committer.commit(CreateTenant(tenant_id, name, bucket_limit))
        return self._tenant(tenant_named(node.reader, name))

    async def set_tenant(self, name: str, bucket_limit: int) -> Answer:
        """Change how many buckets a tenant may have. Those that it has stay."""
        _check_limit(bucket_limit)
        tenant = tenant_named(self._node.reader, name)
        await self._node.committer.commit(ChangeTenant(tenant.id, bucket_limit))
        return self._tenant(tenant_named(self._node.reader, name))

    async def list_tenants(self) -> list[Answer]:
        """Every tenant with its stores."""
        return [self._tenant(one) for one in self._node.reader.tenants()]

    async def check(self, name: str) -> Answer:
        """Whether a store could be made under a name now; `problem` says why not."""
        valid = _NAME.fullmatch(name) is not None
        problem = "" if valid else _name_rule("store")
        if valid and self._node.reader.store_named(name) is not None:
            problem = "there is a store of this name"
        return {"name": name, "valid": valid, "available": not problem, "problem": problem}

    async def show(self, name: str) -> Answer:
        """A store as it is set, and what it holds."""
        return self._shown(store_named(self._node.reader, name))

    async def create(
        self,
        name: str,
        tenant: str = DEFAULT_TENANT,
        label: str = "",
        dialect: Dialect = "aws",
        profile: Profile = "full",
        **settings: Any,
    ) -> Answer:
        """An object store with its own data key, and its initial user's keys. `dialect` stays what
        it is; keys are listed in the dialect's order. `settings` as in `set`."""
        check_choice("dialect", dialect, ("aws", "ecs"))
        check_choice("profile", profile, PROFILES)
        _check_name(name, "store")
        _check_store_label(label)
        node = self._node
        owner = tenant_named(node.reader, tenant)
        kept = _changed(StoreSettings(), **settings)
        if node.reader.store_named(name) is not None:
            raise Invalid("StoreAlreadyExists", f"the store {name!r} exists already", "name")
        data_key, root_key = node.entropy.bytes(32), node.root_keys.current
        store_id = new_id(node.entropy, node.zone_number, node.clock.now_ms())
        await node.committer.commit(
            CreateStore(
                id=store_id,
                name=name,
                tenant_id=owner.id,
                key_id=new_id(node.entropy, node.zone_number, node.clock.now_ms()),
                root_key_id=root_key.id,
                wrapped_key=root_key.wrap(data_key),
                key_order="utf-16be" if dialect == "ecs" else "utf-8",
                dialect=dialect,
                profile=profile,
                label=label,
                settings=kept,
            )
        )
        user = await self._users.make(store_id, INITIAL_USER, "object")
        return {"name": name, **user}

    async def set(
        self,
        name: str,
        profile: Profile | None = None,
        retention_policies: dict[str, int] | None = None,
        label: str | None = None,
        **settings: Any,
    ) -> Answer:
        """Change a store. Retention policies are seconds by name, -1 for ever, 0 to take one away.

        `settings`: `hard_bytes`, `hard_objects`, `warn_bytes`, `warn_objects` (0: none), `network`
        with `addresses`, `ownership` and `block_public` of new buckets."""
        store = store_named(self._node.reader, name)
        if profile is not None:
            check_choice("profile", profile, PROFILES)
        if label is not None:
            _check_store_label(label)
        policies = _policies(store, retention_policies)
        kept = _changed(store.settings, **settings) if settings else None
        if profile is not None or policies is not None:
            await self._node.committer.commit(SetStore(store.id, profile, policies))
        if label is not None or kept is not None:
            await self._node.committer.commit(ChangeStore(store.id, label, settings=kept))
        answer = self._shown(store_named(self._node.reader, name))
        if settings.get("network") == "public":
            answer["warning"] = PUBLIC_NETWORK
        return answer

    async def limit(self, name: str, profile: Profile | None = None, **numbers: Any) -> Answer:
        """Of what `set` changes, what is the operator's alone: quota, caps, profile."""
        for one in numbers:
            if one not in _QUOTAS and one not in _LIMITS:
                raise Invalid("InvalidArgument", f"a store has no {one!r}", one)
        return await self.set(name, profile=profile, **numbers)

    async def lock(self, name: str) -> Answer:
        """Refuse every request about the store, whoever asks, until it is unlocked."""
        return await self._set_status(name, "locked")

    async def unlock(self, name: str) -> Answer:
        """Undo `lock`."""
        return await self._set_status(name, "active")

    async def _set_status(self, name: str, status: Literal["active", "locked"]) -> Answer:
        store = store_named(self._node.reader, name)
        await self._node.committer.commit(ChangeStore(store.id, status=status))
        return self._shown(store_named(self._node.reader, name))

    async def delete(self, name: str) -> Answer:
        """A store without buckets goes, with its users and its keys."""
        node = self._node
        store = store_named(node.reader, name)
        buckets, objects, _ = node.reader.store_usage(store.id)
        if buckets:
            raise Invalid(
                "StoreNotEmpty",
                f"the store has {buckets} buckets with {objects} objects: delete them first",
                "name",
            )
        while True:
            done = await node.committer.commit(DeleteStore(store.id))
            assert isinstance(done, Reaped), "the committer answers a step with what it removed"
            if not done.more:
                return {"name": name, "deleted": True}

    async def list_all(self, hidden: bool = False) -> list[Answer]:
        """Every store as it is set, and what it holds; `hidden`: the zone's own too, which no other
        operation finds."""
        return [self._shown(store) for store in self._node.reader.stores(hidden=hidden)]

    def warnings(self) -> list[Answer]:
        """What stores hold beyond what they should."""
        return [one for store in self._node.reader.stores() for one in self._warnings(store)]

    def _warnings(self, store: Store) -> list[Answer]:
        quota = store.settings.quota
        if quota == Quota():
            return []
        _, objects, size = self._node.reader.store_usage(store.id)
        size += self._node.reader.open_bytes(store.id)
        return exceeded({"store": store.name}, quota, objects, size)

    def _tenant(self, tenant: Tenant) -> Answer:
        stores = [one.name for one in self._node.reader.stores() if one.tenant_id == tenant.id]
        return {
            "name": tenant.name,
            "bucket_limit": tenant.bucket_limit,
            "buckets": tenant.buckets,
            "stores": stores,
        }

    def _shown(self, store: Store) -> Answer:
        reader = self._node.reader
        tenant = reader.tenant(store.tenant_id)
        buckets, objects, size = reader.store_usage(store.id)
        kept = store.settings
        rule = read_rule(kept.network)
        ownership = kept.defaults.get(OWNERSHIP)
        return {
            "name": store.name,
            "tenant": tenant.name if tenant else None,
            "label": store.label,
            "status": store.status,
            "dialect": store.dialect,
            "profile": store.profile,
            "buckets": buckets,
            "objects": objects,
            "bytes": size,
            "quota": {
                name: limit for name in _QUOTAS if (limit := getattr(kept.quota, name)) is not None
            },
            "limits": {name: getattr(kept.limits, name) for name in _LIMITS},
            "network": rule.kind,
            "addresses": [str(one) for one in rule.networks],
            "ownership": None if ownership is None else str(parse_ownership(ownership)),
            "block_public": PUBLIC_ACCESS_BLOCK in kept.defaults,
            "retention_policies": store.retention_policies,
            "created_ms": store.created_ms,
        }


def _changed(
    kept: StoreSettings,
    network: str | None = None,
    addresses: Sequence[str] = (),
    ownership: str | None = None,
    block_public: bool | None = None,
    **numbers: int,
) -> StoreSettings:
    """The settings with what is given changed."""
    limits = _limits(kept.limits, numbers)
    quota = {name: limit for name, limit in numbers.items() if name not in _LIMITS}
    for name, limit in quota.items():
        if name not in _QUOTAS:
            raise Invalid("InvalidArgument", f"a store has no {name!r}", name)
        check_whole(name, limit, 0, _MOST, "(0: none)")
    bounds = {name: limit or None for name, limit in quota.items()}
    defaults = dict(kept.defaults)
    if ownership is not None:
        check_choice("ownership", ownership, tuple(Ownership))
        defaults[OWNERSHIP] = render_ownership(Ownership(ownership))
    if block_public is not None:
        defaults.pop(PUBLIC_ACCESS_BLOCK, None)
        if block_public:
            defaults[PUBLIC_ACCESS_BLOCK] = _ALL_BLOCKED
    rule = kept.network
    if network is not None:
        rule = network_rule(network, addresses)
    elif addresses:
        raise Invalid("InvalidNetwork", "addresses go with a custom network", "addresses")
    return StoreSettings(replace(kept.quota, **bounds), rule, defaults, limits)


def _limits(kept: StoreLimits, numbers: dict[str, int]) -> StoreLimits:
    given = {name: numbers[name] for name in _LIMITS if name in numbers}
    for name, limit in given.items():
        check_whole(name, limit, 1 if name == "rate" else 0, _MOST, "(0: none)")
    return replace(kept, **given)


def _policies(store: Store, given: dict[str, int] | None) -> dict[str, int] | None:
    if given is None:
        return None
    for policy, seconds in given.items():
        if not _POLICY_NAME.fullmatch(policy) or not -1 <= seconds < 1 << 33:
            raise Invalid(
                "InvalidRetentionPolicy",
                "a retention policy is a name of letters, digits, '-' and '_', and seconds",
                "retention_policies",
            )
    known = {**store.retention_policies, **given}
    return {policy: seconds for policy, seconds in known.items() if seconds}


def _check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid("InvalidName", _name_rule(what), "name")


def _name_rule(what: str) -> str:
    return f"a {what} name is 1 to 63 of a–z, 0–9 and '-', no '-' at either end"


def _check_store_label(label: str) -> None:
    if len(label) > LABEL_LIMIT or (label and not label.isprintable()):
        raise Invalid(
            "InvalidLabel", f"a label is at most {LABEL_LIMIT} printable characters", "label"
        )


def _check_limit(limit: int) -> None:
    check_whole("bucket_limit", limit, 1, 1_000_000, "buckets")
