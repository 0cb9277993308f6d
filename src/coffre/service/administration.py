"""What an operator can ask of a node: the operations behind the command line.

One class, one method an operation, JSON-shaped arguments and answers; the Unix socket, the offline
command line and (later) the management API are doors to it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from coffre import __version__
from coffre.catalog.ecs_mutations import SetStore
from coffre.catalog.mutations import CreateStore, CreateUser, Refusal, RotateKey
from coffre.catalog.records import Profile, Secret, Store
from coffre.service.credentials import new_access_key, new_owner_id, new_secret
from coffre.service.node import Node, NoStewards
from coffre.stewards.expirer import behind_s, lag_s
from coffre.system.entropy import new_id

INITIAL_USER = "Initial S3 user"
DEFAULT_TENANT = "default"
_STORE_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_LIMIT = 128
_POLICY_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PROFILES = ("full", "spec")
GRACE_LIMIT_S = 30 * 24 * 3600

# Operations that the stewards' process answers.
OF_STEWARDS = (
    "steward.pause",
    "steward.resume",
    "steward.run",
    "repair.start",
    "repair.status",
)

Dialect = Literal["aws", "ecs"]
Answer = dict[str, Any] | list[dict[str, Any]]


class Invalid(Exception):
    """An operation cannot be done as asked: which field, and why."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        self.code = code
        self.field = field
        self.message = message
        super().__init__(message)


class Administration:
    """The operations of one node, by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._operations: dict[str, Callable[..., Awaitable[Answer]]] = {
            "status": self.status,
            "store.create": self.create_store,
            "store.set": self.set_store,
            "store.list": self.list_stores,
            "user.create": self.create_user,
            "user.list": self.list_users,
            "user.rotate": self.rotate_key,
            "bucket.list": self.list_buckets,
            "drive.list": self.list_drives,
            "seal.now": self.seal_now,
            **node.operations,
            "steward.list": self.list_stewards,
            **{name: self._asking_stewards(name) for name in OF_STEWARDS},
        }

    async def call(self, operation: str, arguments: dict[str, Any]) -> Answer:
        """Run one operation. Raises Invalid for anything that the caller can mend."""
        handler = self._operations.get(operation)
        if handler is None:
            raise Invalid("UnknownOperation", f"there is no operation {operation!r}", "operation")
        try:
            return await handler(**arguments)
        except TypeError as error:
            # Only a call whose arguments do not fit the operation's own may be the caller's fault.
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise Invalid("InvalidArgument", f"{operation}: {error}", "arguments") from error
            raise
        except NoStewards:
            raise Invalid(
                "NoStewards", "no steward runs: `coffre serve` starts the node and its stewards"
            ) from None
        except Refusal as refusal:
            raise Invalid(refusal.code, refusal.message or refusal.code) from refusal

    async def status(self) -> Answer:
        """The node as it stands."""
        return {
            "version": __version__,
            **self._node.status(),
            "below_target": await self._below_target(),
            "expiry_lag_s": round(lag_s(self._node.reader, self._node.clock), 1),
            "clock_behind_s": behind_s(self._node.reader, self._node.clock),
        }

    async def _below_target(self) -> Any:
        """What the repairer counts; None while nobody does."""
        try:
            return (await self._node.ask_stewards("repair.status", {}))["below_target"]
        except NoStewards:
            return None

    async def create_store(
        self, name: str, dialect: Dialect = "aws", profile: Profile = "full"
    ) -> Answer:
        """An object store with its own data key, and its initial user's keys. `dialect` stays what
        it is; keys are listed in the dialect's order."""
        _check_choice("dialect", dialect, ("aws", "ecs"))
        _check_choice("profile", profile, PROFILES)
        if not _STORE_NAME.fullmatch(name):
            raise Invalid(
                "InvalidName",
                "a store name is 1 to 63 of a–z, 0–9 and '-', no '-' at either end",
                "name",
            )
        node = self._node
        tenant = node.reader.tenant_named(DEFAULT_TENANT)
        if tenant is None:
            raise Invalid("NoSuchTenant", f"the tenant {DEFAULT_TENANT!r} does not exist", "tenant")
        if node.reader.store_named(name) is not None:
            raise Invalid("StoreAlreadyExists", f"the store {name!r} exists already", "name")
        data_key, root_key = node.entropy.bytes(32), node.root_keys.current
        store_id = new_id(node.entropy, node.zone_number, node.clock.now_ms())
        await node.committer.commit(
            CreateStore(
                id=store_id,
                name=name,
                tenant_id=tenant.id,
                key_id=new_id(node.entropy, node.zone_number, node.clock.now_ms()),
                root_key_id=root_key.id,
                wrapped_key=root_key.wrap(data_key),
                key_order="utf-16be" if dialect == "ecs" else "utf-8",
                dialect=dialect,
                profile=profile,
            )
        )
        user = await self._new_user(store_id, INITIAL_USER, "object")
        return {"name": name, **user}

    async def set_store(
        self,
        name: str,
        profile: Profile | None = None,
        retention_policies: dict[str, int] | None = None,
    ) -> Answer:
        """Change a store's profile; give it retention policies (seconds by name, -1 for ever, 0
        to take one away)."""
        store = self._store_named(name)
        if profile is not None:
            _check_choice("profile", profile, PROFILES)
        policies = None
        if retention_policies is not None:
            for policy, seconds in retention_policies.items():
                if not _POLICY_NAME.fullmatch(policy) or not -1 <= seconds < 1 << 33:
                    raise Invalid(
                        "InvalidRetentionPolicy",
                        "a retention policy is a name of letters, digits, '-' and '_', and seconds",
                        "retention_policies",
                    )
            known = {**store.retention_policies, **retention_policies}
            policies = {policy: seconds for policy, seconds in known.items() if seconds}
        await self._node.committer.commit(SetStore(store.id, profile, policies))
        return self._store(self._store_named(name))

    async def list_stores(self) -> Answer:
        """Every store: name, tenant, dialect, profile, creation time."""
        return [self._store(store) for store in self._node.reader.stores()]

    async def create_user(self, store: str, label: str, kind: str = "object") -> Answer:
        """A user of a store, and its keys: the secret is shown this once."""
        if not label or len(label) > _LABEL_LIMIT or not label.isprintable():
            raise Invalid(
                "InvalidLabel", f"a label is 1 to {_LABEL_LIMIT} printable characters", "label"
            )
        if kind not in ("object", "iam"):
            raise Invalid("InvalidKind", "a user's kind is object or iam", "kind")
        return await self._new_user(self._store_named(store).id, label, kind)

    async def list_users(self, store: str) -> Answer:
        """The users of a store, without secrets."""
        users = self._node.reader.users(self._store_named(store).id)
        return [{"id": u.id, "label": u.label, "kind": u.kind, "locked": u.locked} for u in users]

    async def rotate_key(self, access_key: str, grace_seconds: int = 0) -> Answer:
        """A new secret for an access key; the old one goes on for `grace_seconds`."""
        if not 0 <= grace_seconds <= GRACE_LIMIT_S:
            raise Invalid("InvalidGrace", "a grace period is 0 seconds to 30 days", "grace")
        node = self._node
        identity = node.reader.identity(access_key)
        if identity is None:
            raise Invalid("NoSuchKey", f"there is no access key {access_key!r}", "access_key")
        secret = new_secret(node.entropy)
        expires_ms = node.clock.now_ms() + grace_seconds * 1000 if grace_seconds else None
        await node.committer.commit(
            RotateKey(
                access_key=access_key, secret=self._wrapped(secret), old_expires_ms=expires_ms
            )
        )
        return {
            "access_key": access_key,
            "secret_key": secret,
            "id": identity.user.id,
            "label": identity.user.label,
            "old_secret_expires_ms": expires_ms,
        }

    async def list_buckets(self, store: str | None = None) -> Answer:
        """Buckets with their exact counts, of one store or of all."""
        node = self._node
        stores = node.reader.stores() if store is None else [self._store_named(store)]
        found: list[dict[str, Any]] = []
        for each in stores:
            after = ""
            while page := node.reader.buckets(each.id, None, prefix="", after=after, limit=1000):
                after = page[-1].name
                found += [
                    {
                        "name": bucket.name,
                        "store": each.name,
                        "owner": bucket.owner_id,
                        "owner_label": bucket.owner_label,
                        "objects": bucket.objects,
                        "bytes": bucket.bytes,
                        "created_ms": bucket.created_ms,
                    }
                    for bucket in page
                ]
        return found

    async def list_drives(self) -> Answer:
        """Every drive of the zone with its labels and state."""
        return self._node.drive_list()

    async def seal_now(self) -> Answer:
        """Seal every open chunk; returns when any 4 drives and the catalog file may go."""
        return await self._node.seal_now()

    async def list_stewards(self) -> Answer:
        """Every steward as it stands; none while the node does not serve."""
        try:
            stewards: Answer = await self._node.ask_stewards("steward.list", {})
        except NoStewards:
            return []
        return stewards

    def _asking_stewards(self, operation: str) -> Callable[..., Awaitable[Answer]]:
        async def ask(**arguments: Any) -> Answer:
            answer: Answer = await self._node.ask_stewards(operation, arguments)
            return answer

        return ask

    async def _new_user(self, store_id: bytes, label: str, kind: str) -> dict[str, Any]:
        entropy = self._node.entropy
        user_id, access_key, secret = (
            new_owner_id(entropy),
            new_access_key(entropy),
            new_secret(entropy),
        )
        await self._node.committer.commit(
            CreateUser(
                id=user_id,
                store_id=store_id,
                label=label,
                kind="iam" if kind == "iam" else "object",
                access_key=access_key,
                secret=self._wrapped(secret),
            )
        )
        return {"access_key": access_key, "secret_key": secret, "id": user_id, "label": label}

    def _wrapped(self, secret: str) -> Secret:
        root_key = self._node.root_keys.current
        return Secret(wrapped=root_key.wrap(secret.encode()), root_key_id=root_key.id)

    def _store_named(self, name: str) -> Store:
        store = self._node.reader.store_named(name)
        if store is None:
            raise Invalid("NoSuchStore", f"there is no store {name!r}", "store")
        return store

    def _store(self, store: Store) -> dict[str, Any]:
        tenant = self._node.reader.tenant(store.tenant_id)
        return {
            "name": store.name,
            "tenant": tenant.name if tenant else None,
            "dialect": store.dialect,
            "profile": store.profile,
            "retention_policies": store.retention_policies,
            "created_ms": store.created_ms,
        }


def _check_choice(field: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise Invalid("InvalidArgument", f"{field} is one of {', '.join(choices)}", field)
