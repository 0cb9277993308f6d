"""What the console is made of: given to it by whoever runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from coffre.access.caller import Caller
from coffre.catalog.interface import Reader
from coffre.console.kept import Memory, Sealer
from coffre.iam.sessions import Sessions
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy

Application = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


class Node(Protocol):
    """The node's management operations."""

    async def ask(self, operation: str, arguments: dict[str, Any], caller: Caller) -> Any:
        """JSON-shaped. Raises Refused, Away."""
        ...


class Vouched(Struct, frozen=True):
    """Whom an OpenID Connect issuer vouches for, and what it was asked with."""

    issuer: str
    subject: str
    nonce: str


class Issuers(Protocol):
    """Who else may sign people in, by the names that buttons show."""

    def names(self) -> tuple[str, ...]: ...

    async def where(
        self, name: str, state: str, nonce: str, challenge: str, back: str
    ) -> str | None:
        """The address that a browser is sent to; None: no such issuer, or it does not answer."""
        ...

    async def vouch(self, name: str, code: str, verifier: str, back: str) -> Vouched | None:
        """Exchange a code for who it is about; None where that does not hold."""
        ...


class Audit(Protocol):
    """Where what people did to the console itself is written down (`ledger.recorder`)."""

    async def keep(self, records: Sequence[bytes], /) -> None:
        """Return once they are committed. Raises CommitterBusy, CommitUnknown, Refusal."""
        ...


class Limits(Struct, frozen=True, kw_only=True):
    """`rate`: requests a second of one person, token or address. `password_link_s`: how long an
    invitation holds. `web_upload`: bytes a file that a page uploads (0: any)."""

    session_s: float = 12 * 3600.0
    idle_s: float = 30 * 60.0
    recent_s: float = 10 * 60.0
    rate: int = 25
    web_upload: int = 40_000_000


class Parts(Struct, kw_only=True):
    """`gateway` is the S3 port's application, called in this process; `origin` the console's own
    ("https://host:port"), as people reach it ("": whatever the request names). Without `audit`
    nothing is written down."""

    reader: Reader
    node: Node
    memory: Memory
    sealer: Sealer
    gateway: Application
    sessions: Sessions
    issuers: Issuers
    clock: Clock
    entropy: Entropy
    region: str
    zone: str
    limits: Limits = Limits()
    facts: dict[str, Any] = {}
    audit: Audit | None = None
