"""What an operator can ask of all this: the figures, and the record of availability."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from coffre.config import Settings
from coffre.service.invalid import Invalid
from coffre.service.layout import DataFolder
from coffre.service.observing.availability import Availability, Probe, month_of
from coffre.service.observing.gathering import Gatherer, plain
from coffre.service.observing.health import CommitHealth
from coffre.system.clock import Clock

if TYPE_CHECKING:
    from coffre.service.engine import DrivesNode


class ObservingOperations:
    """Operations of the node's door: `metrics.snapshot`, `sla.show`, `sla.probed`."""

    def __init__(self, folder: DataFolder, clock: Clock, settings: Settings) -> None:
        self._folder = folder
        self._clock = clock
        self._gatherer = Gatherer(folder.metrics, clock.monotonic, settings.metrics_named)

    @property
    def operations(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        return {
            "metrics.snapshot": self.snapshot,
            "sla.show": self.sla,
            "sla.probed": self.probed,
        }

    async def snapshot(self) -> dict[str, Any]:
        """Every metric with its series now (`gathering.plain`)."""
        families = await asyncio.to_thread(self._gatherer.gather)
        return {
            "at_ms": self._clock.now_ms(),
            "monotonic": self._clock.monotonic(),
            "metrics": plain(families),
        }

    async def sla(self, store: str | None = None, month: str | None = None) -> dict[str, Any]:
        """Availability of a month (UTC; this one by default), of all stores or of one."""
        now_ms = self._clock.now_ms()
        shown: dict[str, Any] = await self._with(
            lambda record: record.month(month or month_of(now_ms), now_ms)
        )
        if store is None:
            return shown
        # A store that had no request all month was as available as the node.
        of_store: dict[str, Any] = next(
            (one for one in shown["stores"] if one["store"] == store), {}
        )
        return {**shown, "requests": 0, "failed": 0, **of_store, "store": store, "stores": []}

    async def probed(
        self, at_ms: int, origin: str, store: str, micros: int, failed: str = ""
    ) -> dict[str, Any]:
        """Write down an outside probe (`coffre probe`)."""
        if not origin:
            raise Invalid("InvalidArgument", "a probe says where it came from", "origin")
        probe = Probe(at_ms, origin, store, micros, failed[:200])
        await self._with(lambda record: record.add_probe(probe))
        return {"recorded": 1}

    async def _with(self, work: Callable[[Availability], Any]) -> Any:
        def call() -> Any:
            record = Availability(self._folder.availability)
            try:
                return work(record)
            finally:
                record.close()

        try:
            return await asyncio.to_thread(call)
        except ValueError as error:
            raise Invalid("InvalidArgument", "a month is written 2026-11", "month") from error
        except (OSError, apsw.Error) as error:
            raise Invalid("Unavailable", f"availability is not known: {error}") from error


def observing_operations(
    node: DrivesNode, settings: Settings
) -> dict[str, Callable[..., Awaitable[Any]]]:
    """All that a node's door answers about how it does."""
    folder = DataFolder(Path(settings.data))
    return {
        **ObservingOperations(folder, node.clock, settings).operations,
        **CommitHealth(node, folder, settings.landing_copies).operations,
    }
