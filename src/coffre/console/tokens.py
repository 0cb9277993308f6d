"""Who comes with a personal API token, and when each was used last."""

from __future__ import annotations

from typing import Final

from coffre.console.kept import Kept
from coffre.console.parts import Parts
from coffre.console.signed import Signed, Where
from coffre.iam.person_secrets import PREFIX, token_digest

_USE_EVERY_MS: Final = 60_000
_USE_KEPT_MS: Final = 400 * 24 * 3600 * 1000


class Tokens:
    """Whose a token is, and when each was used last."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def find(self, token: str, where: Where) -> Signed | None:
        """None for one that is none, has ended, or whose person may not sign in."""
        if not token.startswith(PREFIX):
            return None
        found = self._parts.reader.api_token(token_digest(token))
        now_ms = self._parts.clock.now_ms()
        if found is None or (found.expires_ms is not None and found.expires_ms <= now_ms):
            return None
        person = self._parts.reader.person_by_id(found.person_id)
        if person is None or person.status != "active":
            return None
        self._note_use(found.id, person.id, now_ms)
        return Signed(person, "api", where, scopes=frozenset(found.scopes))

    def last_used(self, person_id: bytes) -> dict[bytes, int]:
        """When each of a person's tokens was, to the minute, by id."""
        kept = self._parts.memory.owned("token-use", person_id)
        return {one.key: int.from_bytes(one.value, "big") for one in kept}

    def _note_use(self, token_id: bytes, person_id: bytes, now_ms: int) -> None:
        kept = self._parts.memory.get("token-use", token_id)
        if kept is None or now_ms - int.from_bytes(kept.value, "big") >= _USE_EVERY_MS:
            value = now_ms.to_bytes(8, "big")
            use = Kept(token_id, person_id, now_ms + _USE_KEPT_MS, value)
            self._parts.memory.put("token-use", use)
