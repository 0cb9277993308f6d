"""Sessions of people: kept here, named by a cookie, ended when they grow old or rest too long.

A cookie holds 256 random bits; what is kept is their SHA-256. A session is over, too, when the
person's epoch is another: the password, the role or the status changed.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from coffre.catalog.people_records import Person
from coffre.console.kept import Kept
from coffre.console.parts import Parts
from coffre.console.signed import Signed, Where

COOKIE: Final = "__Host-coffre"
_BYTES: Final = 32
# How exact "last seen" is: a session is not written at every request.
_SEEN_EVERY_MS: Final = 60_000


class _Session(Struct, frozen=True, array_like=True):
    person_id: bytes
    epoch: int
    began_ms: int
    seen_ms: int
    proved_ms: int
    client: str
    user_agent: str


class SessionFacts(Struct, frozen=True):
    """A session as its person sees it. `id` ends it; it opens nothing."""

    id: str
    began_ms: int
    seen_ms: int
    ends_ms: int
    client: str
    user_agent: str
    current: bool


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Session).decode


class ConsoleSessions:
    """Of all people."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def begin(self, person: Person, where: Where) -> str:
        """A new session; the cookie's value."""
        now_ms = self._parts.clock.now_ms()
        token = urlsafe_b64encode(self._parts.entropy.bytes(_BYTES)).decode().rstrip("=")
        session = _Session(
            *(person.id, person.epoch, now_ms, now_ms, now_ms, where.client),
            where.user_agent[:200],
        )
        self._keep(_key(token), session)
        return token

    def find(self, token: str, where: Where) -> Signed | None:
        """Whose session it is; None where it is over."""
        key = _key(token)
        kept = self._parts.memory.get("session", key)
        if kept is None:
            return None
        session = _unpack(kept.value)
        person = self._parts.reader.person_by_id(session.person_id)
        if person is None or person.status != "active" or person.epoch != session.epoch:
            self._parts.memory.drop("session", key)
            return None
        now_ms = self._parts.clock.now_ms()
        if now_ms - session.seen_ms >= _SEEN_EVERY_MS:
            self._keep(key, replace(session, seen_ms=now_ms))
        return Signed(
            person,
            "console",
            where,
            session=_public(key),
            recent=now_ms - session.proved_ms < self._parts.limits.recent_s * 1000,
            csrf=hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest(),
        )

    def prove(self, token: str) -> None:
        """The password was given again."""
        key = _key(token)
        kept = self._parts.memory.get("session", key)
        if kept is not None:
            now_ms = self._parts.clock.now_ms()
            self._keep(key, replace(_unpack(kept.value), proved_ms=now_ms))

    def end(self, token: str) -> None:
        self._parts.memory.drop("session", _key(token))

    def end_all(self, person_id: bytes) -> int:
        """Every one of a person's; how many those were."""
        return self._parts.memory.drop_owned("session", person_id)

    def end_one(self, signed: Signed, public_id: str) -> bool:
        """One of the person's own, by its public id; whether there was one."""
        for kept in self._parts.memory.owned("session", signed.person.id):
            if _public(kept.key) == public_id:
                self._parts.memory.drop("session", kept.key)
                return True
        return False

    def list(self, signed: Signed) -> list[SessionFacts]:
        """The person's own, the one seen last first."""
        found = []
        for kept in self._parts.memory.owned("session", signed.person.id):
            one = _unpack(kept.value)
            if one.epoch == signed.person.epoch:
                name = _public(kept.key)
                ends_ms = kept.expires_ms
                facts = (name, one.began_ms, one.seen_ms, ends_ms, one.client, one.user_agent)
                found.append(SessionFacts(*facts, current=name == signed.session))
        return sorted(found, key=lambda one: (-one.seen_ms, one.id))

    def _keep(self, key: bytes, session: _Session) -> None:
        limits = self._parts.limits
        ends_ms = min(
            session.began_ms + round(limits.session_s * 1000),
            session.seen_ms + round(limits.idle_s * 1000),
        )
        self._parts.memory.put("session", Kept(key, session.person_id, ends_ms, _pack(session)))


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _public(key: bytes) -> str:
    return hashlib.sha256(b"session" + key).hexdigest()[:16]
