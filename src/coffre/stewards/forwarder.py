"""The forwarder: records of the audit go to the targets that the operator named, in the order of
the chain.

At least once: a target's cursor is committed when it took a page, so what a crash cuts is sent
again. A target that takes nothing is asked ever later; it holds back nobody but itself, for what it
lacks stays in the trail. A new target gets what happens from then on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.trail_mutations import MoveTarget
from coffre.catalog.trail_records import WHOLE, AuditTarget
from coffre.stewards.outages import Outages, Undelivered
from coffre.stewards.shape import Round, Steward
from coffre.system.clock import Clock

log = logging.getLogger("coffre.forwarder")

ROUND_S = 1.0
PAGE = 500
_WORK_S = 2.0

Read = Callable[[AuditTarget, int], Awaitable[tuple[Sequence[Any], AuditTarget]]]
"""Records behind where a target is, some of them, and where it is with these."""
Send = Callable[[str, Sequence[Any]], Awaitable[None]]
"""Gives records to a target; raises Undelivered."""


class Forwarder(Steward):
    """Forwards to `targets`, by name."""

    name = "forwarder"

    def __init__(
        self,
        reader: Reader,
        committer: Committer,
        clock: Clock,
        read: Read,
        send: Send,
        targets: Sequence[str],
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._clock = clock
        self._read = read
        self._send = send
        self._targets = targets
        self._outages = Outages(clock)

    def hasten(self) -> None:
        """Ask targets that are down at once."""
        self._outages.end_waits()

    def trouble(self) -> dict[str, str]:
        """Why targets that are down took nothing, by name."""
        return {name: self._outages.reason(name) for name in self._outages.names}

    async def round(self) -> Round:
        """Forward for a second or two."""
        known = {one.name: one for one in self._reader.audit_targets()}
        for name in known.keys() - set(self._targets):
            await self._committer.commit(MoveTarget(name, known[name], None))
        head = self._reader.audit_head().sequence
        for name in self._targets:
            if name not in known:
                known[name] = AuditTarget(name, head, WHOLE)
                await self._committer.commit(MoveTarget(name, None, known[name]))
        deadline = self._clock.monotonic() + _WORK_S
        behind = [known[name] for name in self._targets if known[name].sequence < head]
        behind += [known[name] for name in self._targets if _is_inside(known[name], head)]
        sent = sum(await asyncio.gather(*(self._drain(one, deadline) for one in behind)))
        result = f"forwarded {sent} records" if sent else ""
        if down := self._outages.names:
            result = f"{result}; " if result else ""
            result += f"waiting for {', '.join(down)}"
        busy = sent and self._clock.monotonic() >= deadline
        left = None if down or busy else 0
        return Round(sent, left, "records", 0, result, 0.0 if busy else ROUND_S)

    async def _drain(self, target: AuditTarget, deadline: float) -> int:
        """Give a target what it lacks, in order, until it takes no more; how many records."""
        sent = 0
        while self._outages.is_over(target.name):
            records, reached = await self._read(target, PAGE)
            if not records:
                break
            try:
                await self._send(target.name, records)
            except Undelivered as error:
                backoff = self._outages.failed(target.name, str(error))
                log.warning(
                    "target %s takes no records, next try in %g s: %s", target.name, backoff, error
                )
                break
            self._outages.took(target.name)
            await self._committer.commit(MoveTarget(target.name, target, reached))
            target = reached
            sent += len(records)
            if self._clock.monotonic() >= deadline:
                break
        return sent


def _is_inside(target: AuditTarget, head: int) -> bool:
    """Whether it is in the middle of the chain's last batch."""
    return target.sequence == head and target.place != WHOLE
