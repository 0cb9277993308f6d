"""What the console remembers between requests, beside the catalog: sessions, failures to sign in,
answers to repeated requests, activities. All of it may be lost: people sign in again."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

Kind = Literal[
    "session", "failures", "answer", "activity", "used-code", "sign-in", "enrolment", "token-use"
]


class Kept(Struct, frozen=True):
    """One thing: `value` is packed by whoever keeps it; at `expires_ms` it is gone."""

    key: bytes
    owner: bytes
    expires_ms: int
    value: bytes


class Memory(Protocol):
    """Each call is one short transaction; what has expired is never answered."""

    def put(self, kind: Kind, kept: Kept) -> None:
        """Keep, in the place of what has the same key."""
        ...

    def add(self, kind: Kind, kept: Kept) -> bool:
        """Keep, unless something has the key already; whether it was kept."""
        ...

    def get(self, kind: Kind, key: bytes) -> Kept | None: ...

    def owned(self, kind: Kind, owner: bytes) -> list[Kept]:
        """Whatever is somebody's, by key."""
        ...

    def drop(self, kind: Kind, key: bytes) -> None: ...

    def drop_owned(self, kind: Kind, owner: bytes, *, but: bytes = b"") -> int:
        """Forget whatever is somebody's, but one; how many that were."""
        ...


class Sealer(Protocol):
    """Closes what must not lie on a disk in clear, and opens it again."""

    def seal(self, value: bytes) -> bytes: ...

    def open(self, sealed: bytes) -> bytes | None:
        """None where it was sealed by another key, or is damaged."""
        ...

    def unwrap(self, wrapped: bytes, root_key_id: bytes) -> bytes | None:
        """What the catalog keeps wrapped by a root key; None where that key is gone."""
        ...
