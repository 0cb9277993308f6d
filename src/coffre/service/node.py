"""What administration asks of a node, whichever engine is under it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from coffre.access.networks import PRIVATE_NETWORKS, Network, read_networks
from coffre.catalog.interface import Reader, RecordingCommitter
from coffre.service.invalid import Invalid
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy
from coffre.vault.keys import RootKeys


class NoStewards(Exception):
    """No process of this node runs stewards now."""


class Node(ABC):
    """A zone's engine as opened in this process."""

    reader: Reader
    committer: RecordingCommitter
    root_keys: RootKeys
    clock: Clock
    entropy: Entropy
    zone_number: int
    region: str = ""
    zone_name: str = ""
    # Whether management operations leave a record.
    audited: bool = True
    private_networks: tuple[Network, ...] = read_networks(PRIVATE_NETWORKS)
    # How who reads the audit's trail is asked (None: nobody does).
    trail: Callable[[str, dict[str, Any]], Awaitable[Any]] | None = None
    # What this engine can do beside what `administration` says, by name.
    operations: Mapping[str, Callable[..., Awaitable[Any]]] = {}

    @abstractmethod
    def status(self) -> dict[str, Any]:
        """JSON-shaped facts: engine, region, zone, and how data and drives are."""

    @abstractmethod
    def drive_list(self) -> list[dict[str, Any]]:
        """Every drive: `path` (absolute), `node`, `rack`, `state`, and more."""

    @abstractmethod
    async def seal_now(self) -> dict[str, Any]:
        """Seal every open chunk, the log's too; what was sealed."""

    async def examine(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """What the doctor says of it, given its `status`: `ok` and `checks`. Raises Invalid."""
        raise Invalid("Unavailable", "there is no data folder to look at")

    def last_used(self, access_keys: Sequence[str]) -> Mapping[str, int]:
        """When each access key was last used (ms since 1970), of those that were."""
        return {}

    async def ask_trail(self, operation: str, arguments: dict[str, Any]) -> Any:
        """An operation on the audit's trail (`audit_desk`). Raises Invalid."""
        if self.trail is None:
            raise Invalid("Unavailable", "the audit of this node cannot be searched")
        return await self.trail(operation, arguments)

    async def ask_stewards(self, operation: str, arguments: dict[str, Any]) -> Any:
        """An operation of the stewards' own door. Raises NoStewards, Invalid as they do."""
        raise NoStewards
