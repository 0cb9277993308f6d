"""Policies of buckets, explained: who may what, what decided, and what a change would change.

All operations raise Invalid. What is asked here is decided by the same code as requests are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

from coffre.access import actions
from coffre.access.actions import Target
from coffre.access.decision import SERVICE, Decision, Explanation, explain
from coffre.access.policy import BadPolicy, Policy, Statement, read_policy
from coffre.access.principals import ANONYMOUS, Principal
from coffre.access.public import is_public, public_statements
from coffre.catalog.mutations import DeleteBucketDocument, PutBucketDocument
from coffre.catalog.records import Bucket, Store, User
from coffre.iam.identities import of_user
from coffre.s3.control import POLICY, bucket_tags, public_access_block, resource, tags_of
from coffre.s3.facts import RequestFacts
from coffre.s3.network import check_entry
from coffre.s3.settings import Settings
from coffre.service.effective_rights import Right, actions_of, example_keys, rights
from coffre.service.invalid import Invalid
from coffre.service.named import bucket_named, user_named
from coffre.service.node import Node
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

EVERYBODY: Final = "*"
"""Whoever asks without a signature."""
_NETWORK: Final = Explanation(Decision.DENY, "network rule, or the store is locked")

Answer = dict[str, Any]


class PolicyAdministration:
    """Show, set, remove; explain, simulate, and tell the difference."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "policy.show": self.show,
            "policy.set": self.set,
            "policy.remove": self.remove,
            "policy.explain": self.explain,
            "policy.simulate": self.simulate,
            "policy.diff": self.diff,
        }

    async def show(self, bucket: str, store: str | None = None) -> Answer:
        """The bucket's policy as it was put (None: there is none), and whether it is public."""
        found = bucket_named(self._node.reader, bucket, store)
        document = self._document(found)
        public = document is not None and is_public(self._read(found, document))
        text = None if document is None else document.decode(errors="replace")
        return {"bucket": bucket, "policy": text, "public": public}

    async def set(self, bucket: str, policy: str, store: str | None = None) -> Answer:
        """Put a policy; the answer tells as `diff` what it changed. A public one is refused where
        the bucket blocks such, as it is of everybody."""
        changes = await self.diff(bucket, policy, store)
        found = bucket_named(self._node.reader, bucket, store)
        if changes["public"] and public_access_block(self._node.reader, found).block_policy:
            raise Invalid(
                "PublicPolicyBlocked",
                "the policy is public, and the bucket blocks such (BlockPublicPolicy)",
                "policy",
            )
        await self._node.committer.commit(PutBucketDocument(found.id, POLICY, policy.encode()))
        return changes

    async def remove(self, bucket: str, store: str | None = None) -> Answer:
        """The bucket has no policy any more."""
        changes = await self.diff(bucket, None, store)
        found = bucket_named(self._node.reader, bucket, store)
        await self._node.committer.commit(DeleteBucketDocument(found.id, POLICY))
        return changes

    async def explain(
        self,
        bucket: str,
        action: str,
        user: str = EVERYBODY,
        key: str | None = None,
        store: str | None = None,
        source_ip: str = "",
        secure: bool = False,
        context: Mapping[str, str] | None = None,
    ) -> Answer:
        """Whether a user (`*`: nobody who signs) may use an action on a bucket, or on a key in it,
        and what decided. `context`: more facts by condition key, as a request would bring them."""
        found = bucket_named(self._node.reader, bucket, store)
        who = self._principal(found, user)
        asking = _Asking(key, source_ip, secure, context or {})
        return self._decide(found, who, _action(action), asking)

    async def simulate(
        self,
        bucket: str,
        user: str = EVERYBODY,
        actions: Sequence[str] = (),
        key: str | None = None,
        store: str | None = None,
        source_ip: str = "",
        secure: bool = False,
        context: Mapping[str, str] | None = None,
    ) -> list[Answer]:
        """As `explain`, of several actions; of all where none is named."""
        found = bucket_named(self._node.reader, bucket, store)
        who = self._principal(found, user)
        asking = _Asking(key, source_ip, secure, context or {})
        asked = [_action(one) for one in actions] or sorted(_ALL_ACTIONS)
        return [self._decide(found, who, one, asking) for one in asked]

    async def diff(self, bucket: str, policy: str | None, store: str | None = None) -> Answer:
        """What rights a policy (None: none) would give and take, before it is put."""
        reader = self._node.reader
        found = bucket_named(reader, bucket, store)
        before, after = self._document(found), None if policy is None else policy.encode()
        old, new = (
            None if one is None else self._read(found, one, old=one is before)
            for one in (before, after)
        )
        texts = [one for one in (before, after) if one is not None]
        people = self._people(found, b"\n".join(texts).decode(errors="replace"))
        keys = example_keys(texts)
        roles = reader.bucket_roles(found.id)
        touched = actions_of(old, new)
        # In a thread: of many people it takes seconds, and the loop is the committer's.
        had, has = [
            await asyncio.to_thread(rights, found, one, people, roles, keys, touched)
            for one in (old, new)
        ]
        public = new is not None and is_public(new)
        was_public = old is not None and is_public(old)
        answer: Answer = {
            "bucket": bucket,
            "gained": _grouped(has - had),
            "lost": _grouped(had - has),
            "public": public,
            "was_public": was_public,
        }
        if public and not was_public:
            assert new is not None, "only a policy is public"
            places = ", ".join(_called(one) for one in public_statements(new))
            answer["warning"] = f"this makes the bucket public: {places}"
        return answer

    def _document(self, bucket: Bucket) -> bytes | None:
        return self._node.reader.bucket_document(bucket.id, POLICY)

    def _store_of(self, bucket: Bucket) -> Store:
        store = self._node.reader.store(bucket.store_id)
        assert store is not None, "a bucket's store is there"
        return store

    def _read(self, bucket: Bucket, document: bytes, *, old: bool = False) -> Policy:
        ecs = old or self._store_of(bucket).dialect == "ecs"
        try:
            return read_policy(document, bucket=bucket.name, ecs=ecs)
        except BadPolicy as error:
            raise Invalid("MalformedPolicy", error.message, error.field or "policy") from error

    def _principal(self, bucket: Bucket, user: str) -> Principal:
        if user == EVERYBODY:
            return ANONYMOUS
        store = self._store_of(bucket)
        found = user_named(self._node.reader, user, store.name)
        keys = [one.access_key for one in self._node.reader.keys(found.id)]
        return self._as_signer(store, found, [user] if user in keys else keys)

    def _as_signer(self, store: Store, user: User, keys: Sequence[str]) -> Principal:
        return of_user(self._node.reader, user, store, keys[0] if keys else "")

    def _people(self, bucket: Bucket, texts: str) -> dict[str, Principal]:
        """Whose rights a change may touch: nobody, any other user, and whoever is named."""
        reader, store = self._node.reader, self._store_of(bucket)
        roles = reader.bucket_roles(bucket.id)
        people = {
            "everybody": ANONYMOUS,
            "any other user": Principal("-", "", store=store.name, path="user/-", access_key="-"),
        }
        for user in reader.users(store.id):
            keys = [one.access_key for one in reader.keys(user.id)]
            names = (user.id, user.label, *keys)
            if user.id in roles or user.id == bucket.owner_id or any(one in texts for one in names):
                people[user.label] = self._as_signer(store, user, keys)
        return people

    def _decide(self, bucket: Bucket, who: Principal, action: str, asking: _Asking) -> Answer:
        reader, store = self._node.reader, self._store_of(bucket)
        target = actions.TARGETS[action]
        key = asking.key_bytes if target is Target.OBJECT else None
        if target is Target.OBJECT and key is None:
            key = b"any-key"
        about, told = SERVICE, RequestFacts(asking.head, who, None, self._node.clock.now_ms())
        if target is not Target.SERVICE:
            seen: Any = {}
            about = resource(reader, who, action, bucket, key, None, seen)
            tags = partial(tags_of, reader, bucket, key, None, seen)
            told = told.about(tags, partial(bucket_tags, reader, bucket), asking.context)
        decided = explain(who, action, about, told)
        if not self._comes_in(asking, store, bucket):
            decided = _NETWORK
        return {
            "who": who.label or (EVERYBODY if who.user_id is None else who.user_id),
            "action": action,
            "on": about.path or EVERYBODY,
            "decision": decided.decision.value,
            "by": decided.source,
            "statement": None if decided.statement is None else _called(decided.statement),
        }

    def _comes_in(self, asking: _Asking, store: Store, bucket: Bucket) -> bool:
        """Whether the network rule lets the address in; without one, only a locked store counts."""
        if not asking.head.client:
            return store.status == "active"
        settings = Settings(private_networks=self._node.private_networks)
        try:
            check_entry(self._node.reader, settings, asking.head.client, store, bucket)
        except S3Error:
            return False
        return True


class _Asking:
    """What a request would say of itself."""

    def __init__(
        self, key: str | None, source_ip: str, secure: bool, context: Mapping[str, str]
    ) -> None:
        self.key_bytes = None if key is None else key.encode()
        if source_ip:
            _check_address(source_ip)
        scheme = "https" if secure else "http"
        self.head = RequestHead("GET", b"/", b"", (), scheme=scheme, client=source_ip)
        self.context = {name.lower(): value for name, value in context.items()}
        for name in self.context:
            if not actions.is_key(name):
                raise Invalid("InvalidArgument", f"{name} is no condition key", "context")


def _check_address(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise Invalid("InvalidArgument", f"{text!r} is no address", "source_ip") from None


_ALL_ACTIONS: Final = tuple(
    name for name, target in actions.TARGETS.items() if target is not Target.SERVICE
)


def _action(text: str) -> str:
    name = actions.canonical(text if ":" in text else f"s3:{text}")
    if name is None:
        raise Invalid("InvalidAction", f"there is no action {text!r}", "action")
    return name


def _called(statement: Statement) -> str:
    # JSON can say what no text is: half of a surrogate pair.
    name = statement.sid.encode(errors="replace").decode()
    return f"{statement.place} ({name})" if name else statement.place


def _grouped(found: set[Right]) -> list[Answer]:
    """Rights by who, on what and whether only under conditions, with their actions."""
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for one in sorted(found):
        groups.setdefault((one.who, one.on, one.conditional), []).append(one.action)
    return [
        {"who": who, "on": on, "conditional": conditional, "actions": names}
        for (who, on, conditional), names in groups.items()
    ]
