"""Users of stores and their access keys, as an operator sees to them. All raise Invalid.

A secret is in the answer that makes it, and nowhere else after that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Literal

from coffre.catalog.access_mutations import (
    AddKey,
    ChangeUser,
    DeleteKey,
    DeleteUser,
    EndGrace,
    ReplaceKey,
    SetKey,
)
from coffre.catalog.mutations import CreateUser, RotateKey
from coffre.catalog.records import Bucket, Identity, Key, Secret, User, store_owner_id
from coffre.iam.credentials import new_access_key, new_owner_id, new_secret
from coffre.iam.parameters import RULES, check
from coffre.service.invalid import Invalid
from coffre.service.named import check_choice, check_label, check_whole, store_named, user_named
from coffre.service.node import Node
from coffre.service.pages import page_of
from coffre.wire.query_protocol import QueryError

GRACE_LIMIT_S: Final = 30 * 24 * 3600
_PAGE: Final = 1000
THE_STORE: Final = "@store"
"""Who is given a bucket that shall be the store's own."""

Answer = dict[str, Any]


class UserAdministration:
    """Create, show, lock, delete; rotate, reset, add, deactivate and delete keys."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "user.create": self.create,
            "user.list": self.list_all,
            "user.page": self.page,
            "user.show": self.show,
            "user.buckets": self.buckets,
            "user.set": self.set,
            "user.lock": self.lock,
            "user.unlock": self.unlock,
            "user.delete": self.delete,
            "user.rotate": self.rotate,
            "user.reset": self.reset,
            "user.key.add": self.add_key,
            "user.key.end_grace": self.end_grace,
            "user.key.set": self.set_key,
            "user.key.delete": self.delete_key,
        }

    async def create(
        self, store: str, label: str, kind: str = "object", create_buckets: bool = True
    ) -> Answer:
        """A user of a store, and its keys: the secret is shown this once."""
        check_label(label)
        check_choice("kind", kind, ("object", "iam"))
        store_id = store_named(self._node.reader, store).id
        made: Literal["object", "iam"] = "iam" if kind == "iam" else "object"
        if made == "iam":
            _check_iam_name(label)
        return await self.make(store_id, label, made, create_buckets=create_buckets)

    async def list_all(self, store: str) -> list[Answer]:
        """The users of a store, without secrets."""
        users = self._node.reader.users(store_named(self._node.reader, store).id)
        return [_row(user) for user in users]

    async def page(self, store: str, search: str = "", after: str = "", limit: int = 100) -> Answer:
        """A page of a store's users by label, each with its keys and when it was last used."""
        found = page_of(
            await self.list_all(store),
            sorts=("label",),
            searched=("label", "id"),
            search=search,
            after=after,
            limit=limit,
        )
        reader = self._node.reader
        keys = {
            row["id"]: [one.access_key for one in reader.keys(row["id"])] for row in found["items"]
        }
        used = self._node.last_used([one for of in keys.values() for one in of])
        for row in found["items"]:
            row["access_keys"] = keys[row["id"]]
            row["last_used_ms"] = max((used[k] for k in keys[row["id"]] if k in used), default=None)
        return found

    async def show(self, user: str, store: str | None = None) -> Answer:
        """A user with its keys, when each was last used, and what it owns."""
        return self._shown(user_named(self._node.reader, user, store))

    async def buckets(self, user: str, store: str | None = None) -> list[Answer]:
        """The buckets that a user reaches as their owner or by a role, by name; those that policies
        or ACLs open are not among them."""
        reader = self._node.reader
        found = user_named(reader, user, store)
        owned = {
            one.name: one for one in self._pages(partial(reader.buckets, found.store_id), found)
        }
        given = {
            one.name: one
            for one in self._pages(partial(reader.buckets_by_role, found.store_id), found)
        }
        return [
            {
                "bucket": name,
                "owner": name in owned,
                "role": reader.bucket_roles(bucket.id).get(found.id),
            }
            for name, bucket in sorted({**owned, **given}.items())
        ]

    def _pages(self, read: Callable[..., list[Bucket]], user: User) -> Iterator[Bucket]:
        after = ""
        while page := read(user.id, prefix="", after=after, limit=_PAGE):
            after = page[-1].name
            yield from page

    async def set(
        self,
        user: str,
        store: str | None = None,
        label: str | None = None,
        create_buckets: bool | None = None,
    ) -> Answer:
        """Another label, or whether the user may make buckets."""
        if label is not None:
            check_label(label)
            if user_named(self._node.reader, user, store).kind == "iam":
                _check_iam_name(label)
        return await self._change(user, store, label=label, create_buckets=create_buckets)

    async def lock(self, user: str, store: str | None = None) -> Answer:
        """From now on everything that the user asks for is refused."""
        return await self._change(user, store, locked=True)

    async def unlock(self, user: str, store: str | None = None) -> Answer:
        """Undo `lock`."""
        return await self._change(user, store, locked=False)

    async def _change(self, user: str, store: str | None, **changes: Any) -> Answer:
        found = user_named(self._node.reader, user, store)
        await self._node.committer.commit(ChangeUser(found.id, **changes))
        return self._shown(user_named(self._node.reader, found.id, None))

    async def delete(
        self, user: str, store: str | None = None, give_to: str | None = None
    ) -> Answer:
        """A user goes, with its keys. Its buckets go to another user, or to the store
        (`@store`)."""
        reader = self._node.reader
        found = user_named(reader, user, store)
        owned = self._owned(found)
        if owned and give_to is None:
            raise Invalid(
                "UserHasBuckets",
                f"the user owns {owned} buckets: say who gets them, or delete them first",
                "give_to",
            )
        heir = None if give_to is None else self._heir(found, give_to)
        await self._node.committer.commit(DeleteUser(found.id, heir))
        return {"id": found.id, "label": found.label, "deleted": True, "buckets_given": owned}

    def _heir(self, user: User, give_to: str) -> str:
        if give_to == THE_STORE:
            return store_owner_id(user.store_id)
        stores = [one.name for one in self._node.reader.stores() if one.id == user.store_id]
        heir = user_named(self._node.reader, give_to, stores[0])
        if heir.id == user.id:
            raise Invalid("InvalidArgument", "the user that goes cannot get them", "give_to")
        return heir.id

    async def rotate(
        self,
        access_key: str,
        grace_seconds: int = 0,
        end_grace: bool = False,
        store: str | None = None,
        user: str | None = None,
    ) -> Answer:
        """A new secret for an access key; the old one goes on for `grace_seconds`. `end_grace`: no
        new one, but the old one ends now. `store`, `user`: whose key it must be."""
        _check_grace(grace_seconds)
        node, identity = self._node, self._identity(access_key, store, user)
        if end_grace:
            await node.committer.commit(EndGrace(access_key))
            return self._shown(identity.user)
        _check_goes_on(identity.key)
        secret = new_secret(node.entropy)
        expires_ms = self._end_of(grace_seconds)
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

    async def end_grace(self, access_key: str, store: str, user: str) -> Answer:
        """The secret of before ends now, or a key that was replaced."""
        return await self.rotate(access_key, end_grace=True, store=store, user=user)

    async def reset(
        self,
        access_key: str,
        new_key: bool = False,
        grace_seconds: int = 0,
        store: str | None = None,
        user: str | None = None,
    ) -> Answer:
        """As `rotate`, or (`new_key`) another access key in its place."""
        if not new_key:
            return await self.rotate(access_key, grace_seconds, store=store, user=user)
        _check_grace(grace_seconds)
        node, identity = self._node, self._identity(access_key, store, user)
        _check_goes_on(identity.key)
        made, secret = new_access_key(node.entropy), new_secret(node.entropy)
        expires_ms = self._end_of(grace_seconds)
        await node.committer.commit(ReplaceKey(access_key, made, self._wrapped(secret), expires_ms))
        return {
            "access_key": made,
            "secret_key": secret,
            "id": identity.user.id,
            "label": identity.user.label,
            "old_access_key": access_key,
            "old_key_expires_ms": expires_ms,
        }

    async def add_key(self, user: str, store: str | None = None) -> Answer:
        """One more access key for a user; the secret is shown this once."""
        node = self._node
        found = user_named(node.reader, user, store)
        made, secret = new_access_key(node.entropy), new_secret(node.entropy)
        await node.committer.commit(AddKey(found.id, made, self._wrapped(secret)))
        return {"access_key": made, "secret_key": secret, "id": found.id, "label": found.label}

    async def set_key(
        self, access_key: str, active: bool, store: str | None = None, user: str | None = None
    ) -> Answer:
        """Let a key verify nothing, until it is made active again."""
        identity = self._identity(access_key, store, user)
        await self._node.committer.commit(SetKey(access_key, active))
        return self._shown(identity.user)

    async def delete_key(
        self, access_key: str, store: str | None = None, user: str | None = None
    ) -> Answer:
        """A key goes, and its id never comes again."""
        identity = self._identity(access_key, store, user)
        await self._node.committer.commit(DeleteKey(access_key))
        return self._shown(identity.user)

    async def make(
        self,
        store_id: bytes,
        label: str,
        kind: Literal["object", "iam"],
        *,
        create_buckets: bool = True,
    ) -> Answer:
        """A user with its first key."""
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
                kind=kind,
                access_key=access_key,
                secret=self._wrapped(secret),
                create_buckets=create_buckets,
            )
        )
        return {"access_key": access_key, "secret_key": secret, "id": user_id, "label": label}

    def _identity(self, access_key: str, store: str | None, user: str | None) -> Identity:
        """A key with its user, who is `user` of `store` where those are named: a key of anybody
        else's is told of as one that never was."""
        reader = self._node.reader
        identity = reader.identity(access_key)
        elsewhere = False
        if store is not None and identity is not None:
            elsewhere = identity.user.store_id != store_named(reader, store).id
        if user is not None and identity is not None and not elsewhere:
            elsewhere = identity.user.id != user_named(reader, user, store).id
        if identity is None or elsewhere:
            gone = store is None and reader.was_access_key(access_key)
            why = "is gone for good" if gone else "does not exist"
            raise Invalid("NoSuchKey", f"the access key {access_key!r} {why}", "access_key")
        return identity

    def _end_of(self, grace_seconds: int) -> int | None:
        return self._node.clock.now_ms() + grace_seconds * 1000 if grace_seconds else None

    def _wrapped(self, secret: str) -> Secret:
        root_key = self._node.root_keys.current
        return Secret(wrapped=root_key.wrap(secret.encode()), root_key_id=root_key.id)

    def _owned(self, user: User) -> int:
        """How many buckets the user owns."""
        return sum(1 for _ in self._pages(partial(self._node.reader.buckets, user.store_id), user))

    def _shown(self, user: User) -> Answer:
        reader, now_ms = self._node.reader, self._node.clock.now_ms()
        kept = reader.keys(user.id)
        used = self._node.last_used([one.access_key for one in kept])
        keys = [
            {
                "access_key": one.access_key,
                "state": _state(one, now_ms),
                "created_ms": one.created_ms,
                "last_used_ms": used.get(one.access_key),
                "ends_ms": one.secrets[0].expires_ms,
                "old_secret_ends_ms": _grace_end(one, now_ms),
            }
            for one in kept
        ]
        return {**_row(user), "buckets": self._owned(user), "keys": keys}


def _row(user: User) -> Answer:
    return {
        "id": user.id,
        "label": user.label,
        "kind": user.kind,
        "locked": user.locked,
        "create_buckets": user.create_buckets,
        "created_ms": user.created_ms,
    }


def _state(key: Key, now_ms: int) -> str:
    ends_ms = key.secrets[0].expires_ms
    if ends_ms is not None and ends_ms <= now_ms:
        return "ended"
    if not key.active:
        return "inactive"
    return "active" if ends_ms is None else "ending"


def _grace_end(key: Key, now_ms: int) -> int | None:
    """Until when the secret of before verifies; None: it does not any more."""
    ends = [one.expires_ms for one in key.secrets[1:] if (one.expires_ms or 0) > now_ms]
    return ends[0] if ends else None


def _check_grace(seconds: int) -> None:
    try:
        check_whole("grace", seconds, 0, GRACE_LIMIT_S, "seconds (30 days)")
    except Invalid as invalid:
        raise Invalid("InvalidGrace", invalid.message, "grace") from None


def _check_goes_on(key: Key) -> None:
    """A key that was replaced gets no new secret."""
    if key.secrets[0].expires_ms is not None:
        raise Invalid("KeyIsEnding", "the access key was replaced and is ending", "access_key")


def _check_iam_name(label: str) -> None:
    """Of an IAM user, whose ARN its name is in."""
    try:
        check("UserName", label, RULES["UserName"])
    except QueryError:
        raise Invalid(
            "InvalidLabel", "an IAM user's name is 1 to 64 of A–Z, a–z, 0–9 and _+=,.@-", "label"
        ) from None
