"""What people sign in with beside a password: one-time codes, recovery codes, API tokens. All
operations raise Invalid."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from coffre.catalog.people_mutations import DeleteToken, PutPerson, PutToken
from coffre.catalog.people_records import ApiToken, Person, SealedCode
from coffre.iam.person_secrets import (
    SCOPES,
    new_recovery_codes,
    new_token,
    recovery_digest,
    token_digest,
)
from coffre.service.invalid import Invalid
from coffre.service.named import check_whole
from coffre.service.node import Node
from coffre.service.person_administration import person_named
from coffre.system.entropy import new_id

_MOST_DAYS: Final = 3650
_DAY_MS: Final = 24 * 3600 * 1000
_TOKEN_NAME: Final = re.compile(r"[\w .,:@/+-]{1,64}")

Answer = dict[str, Any]


class SignInAdministration:
    """Codes and tokens of people."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            "person.codes.set": self.set_codes,
            "person.codes.off": self.codes_off,
            "person.recovery.renew": self.renew_recovery,
            "person.recovery.use": self.use_recovery,
            "token.create": self.create_token,
            "token.list": self.list_tokens,
            "token.delete": self.delete_token,
        }

    async def set_codes(self, name: str, secret: str) -> Answer:
        """From now on a one-time code is asked for, made by `secret` (hexadecimal). Recovery codes
        are shown this once."""
        person, root = person_named(self._node, name), self._node.root_keys.current
        sealed = SealedCode(root.wrap(bytes.fromhex(secret)), root.id)
        secrets = replace(person.secrets, codes=sealed)
        changed = replace(person, secrets=secrets, epoch=person.epoch + 1)
        return {"name": name, "recovery_codes": await self._with_recovery(changed, person)}

    async def codes_off(self, name: str) -> Answer:
        """No code is asked for any more."""
        person = person_named(self._node, name)
        secrets = replace(person.secrets, codes=None, recovery=())
        changed = replace(person, secrets=secrets, epoch=person.epoch + 1)
        await self._node.committer.commit(PutPerson(changed, person.revision))
        return {"name": name, "codes": False}

    async def renew_recovery(self, name: str) -> Answer:
        """Ten other recovery codes, shown this once; those of before are good for nothing."""
        person = person_named(self._node, name)
        if person.secrets.codes is None:
            raise Invalid("Conflict", "no one-time codes are asked for", "name")
        return {"name": name, "recovery_codes": await self._with_recovery(person, person)}

    async def use_recovery(self, name: str, digest: str) -> Answer:
        """A recovery code was given: it is good for nothing from now on."""
        person = person_named(self._node, name)
        used = bytes.fromhex(digest)
        if used not in person.secrets.recovery:
            raise Invalid("WrongPassword", "there is no such code", "code")
        left = tuple(one for one in person.secrets.recovery if one != used)
        changed = replace(person, secrets=replace(person.secrets, recovery=left))
        await self._node.committer.commit(PutPerson(changed, person.revision))
        return {"name": name, "recovery_codes": len(left)}

    async def create_token(
        self, person: str, name: str, scopes: Sequence[str], days: int = 90
    ) -> Answer:
        """A personal API token, shown this once. `days` 0: it does not end."""
        node = self._node
        if not _TOKEN_NAME.fullmatch(name):
            raise Invalid("InvalidName", "1 to 64 letters, digits, blanks and .,:@/+-", "name")
        check_whole("days", days, 0, _MOST_DAYS, "days (0: without end)")
        unknown = [one for one in scopes if one not in SCOPES]
        if unknown or not scopes:
            raise Invalid("InvalidArgument", f"scopes are {', '.join(SCOPES)}", "scopes")
        owner, now_ms = person_named(node, person), node.clock.now_ms()
        token = new_token(node.entropy)
        kept = ApiToken(
            new_id(node.entropy, node.zone_number, now_ms),
            owner.id,
            name,
            token_digest(token),
            tuple(sorted(set(scopes))),
            now_ms,
            now_ms + days * _DAY_MS if days else None,
        )
        await node.committer.commit(PutToken(kept))
        return {"token": token, **_shown(kept)}

    async def list_tokens(self, person: str) -> list[Answer]:
        """A person's tokens, without what opens anything."""
        owner = person_named(self._node, person)
        return [_shown(one) for one in self._node.reader.api_tokens(owner.id)]

    async def delete_token(self, person: str, token: str) -> Answer:
        """A token is good for nothing any more; it is named by id or by name."""
        owner = person_named(self._node, person)
        for one in self._node.reader.api_tokens(owner.id):
            if token in (one.id.hex(), one.name):
                await self._node.committer.commit(DeleteToken(one.id))
                return {"id": one.id.hex(), "name": one.name, "deleted": True}
        raise Invalid("NoSuchToken", f"there is no token {token!r}", "token")

    async def _with_recovery(self, changed: Person, before: Person) -> list[str]:
        codes = new_recovery_codes(self._node.entropy)
        digests = tuple(map(recovery_digest, codes))
        kept = replace(changed, secrets=replace(changed.secrets, recovery=digests))
        await self._node.committer.commit(PutPerson(kept, before.revision))
        return codes


def _shown(token: ApiToken) -> Answer:
    return {
        "id": token.id.hex(),
        "name": token.name,
        "scopes": list(token.scopes),
        "created_ms": token.created_ms,
        "expires_ms": token.expires_ms,
    }
