"""People who sign in to the console: made, changed, invited, deleted. All operations raise Invalid.

Whatever changes what a person may do or signs in with raises their epoch, which ends their
sessions. Secrets are in the answer that makes them, and nowhere else.
"""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, get_args

from msgspec.structs import replace

from coffre.catalog.people_mutations import DeletePerson, PutPerson
from coffre.catalog.people_records import (
    ROLES,
    SCOPE_ROLES,
    Invitation,
    Person,
    PersonScope,
    PersonStatus,
)
from coffre.iam.passwords import (
    WeakPassword,
    check_password,
    hash_password,
    new_password,
    password_matches,
)
from coffre.service.invalid import Invalid
from coffre.service.named import bucket_named, check_choice, store_named, tenant_named
from coffre.service.node import Node
from coffre.system.entropy import new_id

INVITED_MS: Final = 7 * 24 * 3600 * 1000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_EMAIL: Final = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,190}")
_TOKEN_BYTES: Final = 24

Answer = dict[str, Any]


def person_named(node: Node, name: str) -> Person:
    """Raises Invalid."""
    person = node.reader.person(name)
    if person is None:
        raise Invalid(
            "NoSuchPerson", f"there is no person {name!r}: `coffre person list` shows them", "name"
        )
    return person


class PersonAdministration:
    """Create, set, invite, delete and list."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "person.list": self.list_all,
            "person.show": self.show,
            "person.create": self.create,
            "person.set": self.set,
            "person.delete": self.delete,
            "person.invite": self.invite,
            "person.accept": self.accept,
            "person.password": self.password,
            "person.rehash": self.rehash,
        }

    async def list_all(self) -> list[Answer]:
        """Everybody who signs in."""
        return [self._shown(one) for one in self._node.reader.people()]

    async def show(self, name: str) -> Answer:
        """One person."""
        return self._shown(person_named(self._node, name))

    async def create(
        self,
        name: str,
        role: str = "reader",
        tenant: str | None = None,
        email: str = "",
        scopes: Sequence[Mapping[str, str]] = (),
        issuer: str = "",
        subject: str = "",
        first_password: bool = False,
    ) -> Answer:
        """A person, and what lets them choose a password: an invitation, or (`first_password`) a
        password to begin with. One whom an issuer vouches for needs neither. `scopes`: `store`,
        `bucket` and `role` of what a scoped person may see."""
        if not _NAME.fullmatch(name):
            raise Invalid(
                "InvalidName", "a name is 1 to 64 of a–z, 0–9 and ._@+-, no sign first", "name"
            )
        node = self._node
        if node.reader.person(name) is not None:
            raise Invalid("PersonAlreadyExists", f"the person {name!r} exists already", "name")
        person_id = new_id(node.entropy, node.zone_number, node.clock.now_ms())
        person = self._changed(
            Person(person_id, name, "reader", "", 0, status="invited"),
            *(role, tenant, email, scopes, issuer, subject),
        )
        if first_password:
            made = new_password(node.entropy)
            hashed = await asyncio.to_thread(hash_password, made, node.entropy)
            person = replace(person, password_hash=hashed, status="active")
            secret: Answer = {"password": made}
        elif issuer:
            person, secret = replace(person, status="active"), {}
        else:
            person, secret = self._invited(person)
        await node.committer.commit(PutPerson(person))
        return {**self._shown(person_named(node, name)), **secret}

    async def set(
        self,
        name: str,
        role: str | None = None,
        tenant: str | None = None,
        email: str | None = None,
        scopes: Sequence[Mapping[str, str]] | None = None,
        issuer: str | None = None,
        subject: str | None = None,
        status: PersonStatus | None = None,
    ) -> Answer:
        """Change what is given. A change of anything but the address ends the person's sessions."""
        before = person_named(self._node, name)
        person = self._changed(before, role, tenant, email, scopes, issuer, subject)
        if status is not None:
            check_choice("status", status, get_args(PersonStatus)[:2])
            if status == "active" and not (person.password_hash or person.secrets.issuer):
                raise Invalid("Conflict", "there is no password yet: invite the person", "status")
            person = replace(person, status=status)
        if replace(person, email="") != replace(before, email=""):
            person = replace(person, epoch=before.epoch + 1)
        await self._put(person, before)
        return await self.show(name)

    async def delete(self, name: str) -> Answer:
        """A person goes, with all sessions and tokens."""
        await self._node.committer.commit(DeletePerson(person_named(self._node, name).id))
        return {"name": name, "deleted": True}

    async def invite(self, name: str) -> Answer:
        """Let a person choose a password, once, within seven days. The old one holds until then."""
        before = person_named(self._node, name)
        person, secret = self._invited(before)
        await self._put(person, before)
        return {"name": name, **secret}

    async def accept(self, invitation: str, password: str) -> Answer:
        """Choose a password by an invitation."""
        node = self._node
        digest = sha256(invitation.encode(errors="replace")).digest()
        found = next((one for one in node.reader.people() if _invites(one, digest)), None)
        kept = None if found is None else found.secrets.invitation
        if found is None or kept is None or kept.expires_ms <= node.clock.now_ms():
            raise Invalid("NoSuchInvitation", "the invitation was used, or has ended", "invitation")
        await self._set_password(found, password)
        return {"name": found.name}

    async def password(
        self, name: str, password: str | None = None, old_password: str | None = None
    ) -> Answer:
        """Another password; where none is given one is made, and shown once. `old_password` must
        then be the one of before."""
        person = person_named(self._node, name)
        if old_password is not None:
            right = bool(person.password_hash) and await asyncio.to_thread(
                password_matches, old_password, person.password_hash
            )
            if not right:
                raise Invalid("WrongPassword", "this is not the password", "old_password")
        made = new_password(self._node.entropy) if password is None else password
        await self._set_password(person, made)
        shown = {"password": made} if password is None else {}
        return {"name": name, **shown}

    async def rehash(self, name: str, password: str) -> Answer:
        """The same password, hashed as it is done today."""
        before = person_named(self._node, name)
        if await asyncio.to_thread(password_matches, password, before.password_hash):
            hashed = await asyncio.to_thread(hash_password, password, self._node.entropy)
            await self._put(replace(before, password_hash=hashed), before)
        return {"name": name}

    async def _set_password(self, before: Person, password: str) -> None:
        try:
            check_password(password, before.name, before.email)
        except WeakPassword as weak:
            raise Invalid("WeakPassword", str(weak), "password") from weak
        hashed = await asyncio.to_thread(hash_password, password, self._node.entropy)
        person = replace(
            before,
            password_hash=hashed,
            status="active" if before.status == "invited" else before.status,
            secrets=replace(before.secrets, invitation=None),
            epoch=before.epoch + 1,
        )
        await self._put(person, before)

    async def _put(self, person: Person, before: Person) -> None:
        await self._node.committer.commit(PutPerson(person, before.revision))

    def _invited(self, person: Person) -> tuple[Person, Answer]:
        node = self._node
        token = urlsafe_b64encode(node.entropy.bytes(_TOKEN_BYTES)).decode()
        ends_ms = node.clock.now_ms() + INVITED_MS
        invitation = Invitation(sha256(token.encode()).digest(), ends_ms)
        kept = replace(person, secrets=replace(person.secrets, invitation=invitation))
        return kept, {"invitation": token, "invitation_expires_ms": ends_ms}

    def _changed(
        self,
        person: Person,
        role: str | None,
        tenant: str | None,
        email: str | None,
        scopes: Sequence[Mapping[str, str]] | None,
        issuer: str | None,
        subject: str | None,
    ) -> Person:
        """The person with what is given, which must fit together."""
        if role is not None:
            check_choice("role", role, ROLES)
            person = replace(person, role=role)
        if email is not None:
            if email and not _EMAIL.fullmatch(email):
                raise Invalid("InvalidEmail", "this is no address", "email")
            person = replace(person, email=email)
        if person.role == "operator":
            if tenant is not None:
                raise Invalid("InvalidArgument", "an operator is of no tenant", "tenant")
            person = replace(person, tenant_id=None)
        elif tenant is not None:
            person = replace(person, tenant_id=tenant_named(self._node.reader, tenant).id)
        elif person.tenant_id is None:
            raise Invalid("MissingField", "say which tenant", "tenant")
        if scopes is not None:
            person = replace(person, scopes=self._scopes(person, scopes))
        if person.role != "scoped":
            person = replace(person, scopes=())
        secrets = person.secrets
        kept_issuer = secrets.issuer if issuer is None else issuer
        kept_subject = secrets.subject if subject is None else subject
        if bool(kept_issuer) != bool(kept_subject):
            raise Invalid("MissingField", "an issuer and its subject go together", "subject")
        return replace(person, secrets=replace(secrets, issuer=kept_issuer, subject=kept_subject))

    def _scopes(
        self, person: Person, scopes: Sequence[Mapping[str, str]]
    ) -> tuple[PersonScope, ...]:
        found: dict[bytes, PersonScope] = {}
        for one in scopes:
            if set(one) != {"store", "bucket", "role"}:
                raise Invalid("InvalidArgument", "a scope is a store, a bucket, a role", "scopes")
            check_choice("scopes", one["role"], SCOPE_ROLES)
            store = store_named(self._node.reader, one["store"])
            if store.tenant_id != person.tenant_id:
                raise Invalid("NoSuchStore", f"there is no store {one['store']!r}", "scopes")
            bucket = bucket_named(self._node.reader, one["bucket"], store.name)
            role = next(role for role in SCOPE_ROLES if role == one["role"])
            found[bucket.id] = PersonScope(store.id, bucket.id, role)
        return tuple(found.values())

    def _shown(self, person: Person) -> Answer:
        reader, secrets = self._node.reader, person.secrets
        tenant = None if person.tenant_id is None else reader.tenant(person.tenant_id)
        scopes = []
        for one in person.scopes:
            bucket, store = reader.bucket_by_id(one.bucket_id), reader.store(one.store_id)
            if bucket is not None and store is not None:
                scopes.append({"store": store.name, "bucket": bucket.name, "role": one.role})
        return {
            "name": person.name,
            "role": person.role,
            "tenant": None if tenant is None else tenant.name,
            "email": person.email,
            "status": person.status,
            "scopes": scopes,
            "codes": secrets.codes is not None,
            "recovery_codes": len(secrets.recovery),
            "issuer": secrets.issuer,
            "subject": secrets.subject,
            "created_ms": person.created_ms,
        }


def _invites(person: Person, digest: bytes) -> bool:
    kept = person.secrets.invitation
    return kept is not None and kept.digest == digest
