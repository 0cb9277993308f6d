"""The audit, as an operator sees to it: searched, exported, forwarded. All operations raise
Invalid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from coffre.catalog.trail_mutations import MoveTarget
from coffre.catalog.trail_records import WHOLE, AuditTarget
from coffre.service.invalid import Invalid
from coffre.service.named import check_whole
from coffre.service.node import Node, NoStewards

# Operations that the trail's process answers.
OF_TRAIL: Final = ("audit.search", "audit.export_page", "audit.verify")
_LATEST: Final = (1 << 63) - 1


class AuditAdministration:
    """What is asked about the audit."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {
            **{name: self._asking_trail(name) for name in OF_TRAIL},
            "audit.status": self.status,
            "audit.forward": self.forward,
        }

    async def status(self) -> dict[str, Any]:
        """How much there is, where it lies, how far each target of the forwarding is, and why one
        takes nothing."""
        answer: dict[str, Any] = await self._node.ask_trail("audit.status", {})
        try:
            trouble = await self._node.ask_stewards("forward.trouble", {})
        except NoStewards:
            trouble = {}
        for target in answer["targets"]:
            target["error"] = trouble.get(target["name"], "")
        return answer

    async def forward(self, target: str, since_ms: int) -> dict[str, Any]:
        """Have a target get everything since a moment, again if it had it: from the segment on that
        holds the moment."""
        check_whole("since_ms", since_ms, 0, _LATEST, "milliseconds since 1970")
        reader = self._node.reader
        seen = next((one for one in reader.audit_targets() if one.name == target), None)
        if seen is None:
            raise Invalid(
                "NoSuchTarget",
                f"nothing is forwarded to {target!r}: `coffre audit status` shows the targets",
                "target",
            )
        first = _first_since(self._node, since_ms)
        moved = AuditTarget(target, first - 1, WHOLE)
        await self._node.committer.commit(MoveTarget(target, seen, moved))
        return {"name": target, "from_batch": first}

    def _asking_trail(self, operation: str) -> Callable[..., Awaitable[Any]]:
        async def ask(**arguments: Any) -> Any:
            return await self._node.ask_trail(operation, arguments)

        return ask


def _first_since(node: Node, since_ms: int) -> int:
    """The first batch that may hold records since a moment."""
    trail = node.reader.audit_trail()
    for segment in trail.segments:
        if segment.last_ms >= since_ms:
            return segment.first_sequence
    for batch in trail.batches:
        if batch.last_ms >= since_ms:
            return batch.sequence
    return node.reader.audit_head().sequence + 1
