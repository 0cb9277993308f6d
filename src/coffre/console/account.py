"""What a person sees to of their own: password, one-time codes, recovery codes, tokens.

What changes how somebody signs in ends all of their sessions; whoever changed it goes on in a new
one.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from typing import Any, Final

from msgspec import Struct

from coffre.catalog.people_records import Person
from coffre.console.api.problem import Problem
from coffre.console.codes import Codes, new_secret, setup_address
from coffre.console.kept import Kept
from coffre.console.parts import Parts
from coffre.console.refused import Away, Refused
from coffre.console.sessions import ConsoleSessions
from coffre.console.signed import Signed
from coffre.console.signin import SignIn
from coffre.console.tokens import Tokens

_PENDING_MS: Final = 15 * 60 * 1000
ISSUER: Final = "Coffre"


class Enrolment(Struct, frozen=True):
    """What an authenticator program is given: by hand, or as a QR code of `address`."""

    secret: str
    address: str


class Renewed(Struct, frozen=True):
    """`token` names the new session; `recovery_codes` are shown this once."""

    token: str
    recovery_codes: tuple[str, ...] = ()


class Account:
    """A person's own. Methods raise Problem."""

    def __init__(self, parts: Parts, sessions: ConsoleSessions, sign_in: SignIn) -> None:
        self._parts = parts
        self._sessions = sessions
        self._sign_in = sign_in
        self._codes = Codes(parts)
        self._tokens = Tokens(parts)

    async def change_password(self, signed: Signed, old: str, new: str, code: str = "") -> Renewed:
        """Another password, by whoever knows the one of before."""
        await self._sign_in.check(signed, old, code)
        await self._ask(signed, "person.password", {"password": new})
        return Renewed(self._begin_again(signed))

    def enrol(self, signed: Signed) -> Enrolment:
        """Begin with one-time codes: nothing changes until `confirm`."""
        secret = new_secret(self._parts.entropy)
        ends_ms = self._parts.clock.now_ms() + _PENDING_MS
        kept = Kept(
            _pending(signed.person), signed.person.id, ends_ms, self._parts.sealer.seal(secret)
        )
        self._parts.memory.put("enrolment", kept)
        address = setup_address(secret, signed.person.name, ISSUER)
        return Enrolment(b32encode(secret).decode(), address)

    async def confirm(self, signed: Signed, code: str) -> Renewed:
        """The program makes the right codes: they are asked for from now on."""
        key = _pending(signed.person)
        kept = self._parts.memory.get("enrolment", key)
        secret = None if kept is None else self._parts.sealer.open(kept.value)
        if secret is None:
            raise Problem("Conflict", "begin again: it took too long", "code")
        if not self._codes.take_of(secret, signed.person, code):
            raise Problem(
                "InvalidArgument", "this is not the code: see the program's clock", "code"
            )
        answer = await self._ask(signed, "person.codes.set", {"secret": secret.hex()})
        self._parts.memory.drop("enrolment", key)
        return Renewed(self._begin_again(signed), tuple(answer["recovery_codes"]))

    async def codes_off(self, signed: Signed) -> Renewed:
        """No codes are asked for any more."""
        await self._ask(signed, "person.codes.off", {})
        return Renewed(self._begin_again(signed))

    async def renew_recovery(self, signed: Signed) -> tuple[str, ...]:
        """Ten other recovery codes."""
        answer = await self._ask(signed, "person.recovery.renew", {})
        return tuple(answer["recovery_codes"])

    async def tokens(self, signed: Signed) -> list[dict[str, Any]]:
        """The person's tokens, with when each was used last."""
        used = self._tokens.last_used(signed.person.id)
        rows = await self._ask(signed, "token.list", {}, "person")
        return [{**row, "used_ms": used.get(bytes.fromhex(row["id"]))} for row in rows]

    async def create_token(self, signed: Signed, arguments: dict[str, Any]) -> dict[str, Any]:
        """A new one: `token` in the answer is shown this once."""
        made: dict[str, Any] = await self._ask(signed, "token.create", arguments, "person")
        return {**made, "used_ms": None}

    async def delete_token(self, signed: Signed, token: str) -> None:
        """It is good for nothing any more."""
        await self._ask(signed, "token.delete", {"token": token}, "person")

    def _begin_again(self, signed: Signed) -> str:
        self._sessions.end_all(signed.person.id)
        person = self._parts.reader.person_by_id(signed.person.id)
        if person is None:
            raise Problem("NotSignedIn")
        return self._sessions.begin(person, signed.where)

    async def _ask(
        self, signed: Signed, operation: str, arguments: dict[str, Any], about: str = "name"
    ) -> Any:
        named = {about: signed.person.name, **arguments}
        if about == "person":
            named = {**arguments, about: signed.person.name}
        try:
            return await self._parts.node.ask(operation, named, signed.caller())
        except Refused as refused:
            raise Problem(refused.code, refused.message, refused.field) from None
        except Away:
            raise Problem("Unavailable", headers={"Retry-After": "1"}) from None


def _pending(person: Person) -> bytes:
    return hashlib.sha256(b"enrolment" + person.id).digest()
