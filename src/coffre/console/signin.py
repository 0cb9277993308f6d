"""Signing in: a password and, where a person wants it, a one-time code; or an issuer's word.

A name that is nobody's takes as long as a wrong password, and is answered alike.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Awaitable
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from coffre.access.caller import Caller
from coffre.catalog.interface import CommitterBusy, CommitUnknown
from coffre.catalog.mutations import Refusal
from coffre.catalog.people_records import Person
from coffre.console.api.problem import Problem
from coffre.console.codes import Codes
from coffre.console.failures import Failures
from coffre.console.kept import Kept
from coffre.console.parts import Parts
from coffre.console.refused import Away, Refused
from coffre.console.sessions import ConsoleSessions
from coffre.console.signed import Signed, Where
from coffre.iam.passwords import hash_password, is_dated, password_matches
from coffre.iam.person_secrets import recovery_digest
from coffre.ledger.management import sign_in_record

HALF_COOKIE: Final = "__Host-coffre-signin"
HALF_S: Final = 300
_TOKEN_BYTES: Final = 32
# Hashing takes 64 MiB each.
_AT_ONCE: Final = 2
_NAME_LIMIT: Final = 128
_T = TypeVar("_T")


class Half(Struct, frozen=True):
    """The password was right, and a code is still wanted: `token` goes into `HALF_COOKIE`."""

    token: str


class Whole(Struct, frozen=True):
    """Signed in: `token` goes into `sessions.COOKIE`."""

    token: str
    person: Person


class _Asked(Struct, frozen=True, array_like=True):
    """What an issuer was asked with."""

    issuer: str
    nonce: str
    verifier: str
    then: str


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Asked).decode


class SignIn:
    """The ways in."""

    def __init__(self, parts: Parts, sessions: ConsoleSessions) -> None:
        self._parts = parts
        self._sessions = sessions
        self._failures = Failures(parts.memory, parts.clock)
        self._codes = Codes(parts)
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = hash_password("nobody signs in with this one", parts.entropy)

    async def by_password(
        self, name: str, password: str, where: Where, code: str = ""
    ) -> Whole | Half:
        """Raises Problem: WrongPassword, TooManyAttempts."""
        name = canonical(name)
        return await self._recorded(name, where, self._by_password(name, password, where, code))

    async def _by_password(self, name: str, password: str, where: Where, code: str) -> Whole | Half:
        self._failures.begin(name, where.client)
        person = await self._proved(name, password)
        if self._codes.are_asked(person):
            if not code:
                self._failures.undo(name, where.client)
                return Half(self._keep_half(person))
            await self._check_code(person, code, where)
        self._failures.forgive(name, where.client)
        await self._refresh(person, password, where)
        return Whole(self._sessions.begin(person, where), person)

    async def by_code(self, half: str, code: str, where: Where) -> Whole:
        """The second step. Raises Problem: WrongPassword, TooManyAttempts, NotSignedIn (it took
        too long)."""
        kept = self._parts.memory.get("sign-in", _key(half))
        person = None if kept is None else self._parts.reader.person_by_id(kept.owner)
        name = "" if person is None else person.name
        return await self._recorded(name, where, self._by_code(half, kept, person, code, where))

    async def _by_code(
        self, half: str, kept: Kept | None, person: Person | None, code: str, where: Where
    ) -> Whole:
        if kept is None or person is None or not self._stands(person):
            raise Problem("NotSignedIn", "it took too long: give the password again")
        if kept.value != str(person.epoch).encode():
            raise Problem("NotSignedIn", "the password was changed: begin again")
        self._failures.begin(person.name, where.client)
        await self._check_code(person, code, where)
        self._failures.forgive(person.name, where.client)
        self._parts.memory.drop("sign-in", _key(half))
        return Whole(self._sessions.begin(person, where), person)

    async def prove(self, signed: Signed, password: str, token: str, code: str = "") -> None:
        """The same person gives the password again (and a code, where codes are asked for), before
        something that cannot be undone. Raises Problem."""
        await self.check(signed, password, code)
        self._sessions.prove(token)

    async def check(self, signed: Signed, password: str, code: str = "") -> None:
        """Hold what a person gives against their own password. Raises Problem."""
        checking = self._check(signed.person, password, code, signed.where)
        await self._recorded(signed.person.name, signed.where, checking)

    async def _check(self, person: Person, password: str, code: str, where: Where) -> None:
        self._failures.begin(person.name, where.client)
        await self._proved(person.name, password)
        if self._codes.are_asked(person):
            await self._check_code(person, code, where)
        self._failures.forgive(person.name, where.client)

    async def accept(self, invitation: str, password: str, where: Where) -> str:
        """Choose a password by an invitation; whose it is. Raises Problem."""
        self._failures.begin("", where.client)
        caller = Caller("person:", "console", where.client, where.user_agent, where.request_id)
        try:
            answer = await self._parts.node.ask(
                "person.accept", {"invitation": invitation, "password": password}, caller
            )
        except Refused as refused:
            if refused.code == "WeakPassword":
                self._failures.undo("", where.client)
            raise Problem(refused.code, refused.message, refused.field) from None
        except Away:
            raise Problem("Unavailable", headers={"Retry-After": "1"}) from None
        self._failures.undo("", where.client)
        name: str = answer["name"]
        return name

    async def ask_issuer(self, issuer: str, back: str, then: str = "/") -> tuple[str, str]:
        """Where the browser is sent, and the token that goes into `HALF_COOKIE`. Raises Problem."""
        state, nonce, verifier = (self._new_token() for _ in range(3))
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode()
        address = await self._parts.issuers.where(issuer, state, nonce, challenge.rstrip("="), back)
        if address is None:
            raise Problem("Unavailable", f"the issuer {issuer!r} does not answer")
        asked = _Asked(issuer, nonce, verifier, local_path(then))
        self._keep(state, b"", _pack(asked))
        return address, state

    async def by_issuer(
        self, half: str, state: str, code: str, back: str, where: Where
    ) -> tuple[Whole, str]:
        """The browser is back; and where it wanted to go. Raises Problem: WrongPassword."""
        back_now = self._by_issuer(half, state, code, back, where)
        return await self._recorded("", where, back_now)

    async def _by_issuer(
        self, half: str, state: str, code: str, back: str, where: Where
    ) -> tuple[Whole, str]:
        kept = self._parts.memory.get("sign-in", _key(state)) if half == state else None
        if kept is None or kept.owner:
            raise Problem("NotSignedIn", "it took too long, or began in another browser")
        self._parts.memory.drop("sign-in", _key(state))
        asked = _unpack(kept.value)
        vouched = await self._parts.issuers.vouch(asked.issuer, code, asked.verifier, back)
        if vouched is None or vouched.nonce != asked.nonce:
            raise Problem("WrongPassword", "the issuer does not vouch for anybody")
        person = self._vouched(vouched.issuer, vouched.subject)
        if person is None:
            raise Problem("WrongPassword", "nobody here is known to the issuer by that name")
        return Whole(self._sessions.begin(person, where), person), asked.then

    async def _recorded(self, name: str, where: Where, work: Awaitable[_T]) -> _T:
        """Who came in, and who was refused as `name`, is written down first. Raises Problem."""
        try:
            done = await work
        except Problem as refused:
            await self._tell("", name, where, refused.code)
            raise
        whole = done[0] if isinstance(done, tuple) else done
        if isinstance(whole, Whole):
            await self._tell(f"person:{whole.person.name}", whole.person.name, where)
        return done

    async def _tell(self, who: str, name: str, where: Where, error: str = "") -> None:
        audit = self._parts.audit
        if audit is None:
            return
        caller = Caller(who, "console", where.client, where.user_agent, where.request_id)
        record = sign_in_record(self._parts.clock.now_ms(), caller, name, error=error)
        try:
            await audit.keep((record,))
        except (CommitUnknown, CommitterBusy, Refusal) as failure:
            raise Problem("Unavailable", headers={"Retry-After": "1"}) from failure

    def _vouched(self, issuer: str, subject: str) -> Person | None:
        for person in self._parts.reader.people():
            secrets = person.secrets
            if secrets.issuer == issuer and secrets.subject == subject and self._stands(person):
                return person
        return None

    async def _proved(self, name: str, password: str) -> Person:
        """Whose password it is. Raises Problem (WrongPassword), as late for a name as for none."""
        person = self._parts.reader.person(name)
        known = person is not None and self._stands(person) and bool(person.password_hash)
        stored = person.password_hash if person is not None and known else self._nobodys
        async with self._turn:
            right = await asyncio.to_thread(password_matches, password, stored)
        if person is None or not known or not right:
            raise Problem("WrongPassword")
        return person

    async def _check_code(self, person: Person, code: str, where: Where) -> None:
        if self._codes.take(person, code):
            return
        digest = recovery_digest(code)
        if digest not in person.secrets.recovery:
            raise Problem("WrongPassword")
        # The catalog takes it away, so that it is good once.
        await self._parts.node.ask(
            "person.recovery.use",
            {"name": person.name, "digest": digest.hex()},
            Signed(person, "console", where).caller(),
        )

    async def _refresh(self, person: Person, password: str, where: Where) -> None:
        if is_dated(person.password_hash):
            await self._parts.node.ask(
                "person.rehash",
                {"name": person.name, "password": password},
                Signed(person, "console", where).caller(),
            )

    def _stands(self, person: Person) -> bool:
        return person.status == "active"

    def _keep_half(self, person: Person) -> str:
        token = self._new_token()
        self._keep(token, person.id, str(person.epoch).encode())
        return token

    def _keep(self, token: str, owner: bytes, value: bytes) -> None:
        ends_ms = self._parts.clock.now_ms() + HALF_S * 1000
        self._parts.memory.put("sign-in", Kept(_key(token), owner, ends_ms, value))

    def _new_token(self) -> str:
        return urlsafe_b64encode(self._parts.entropy.bytes(_TOKEN_BYTES)).decode().rstrip("=")


def canonical(name: str) -> str:
    """A person's name as it is kept, however it was typed."""
    return name.strip().lower()[:_NAME_LIMIT]


def local_path(path: str) -> str:
    """A path of this console, and of no other place."""
    return path if re.fullmatch(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*", path) else "/"


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
