"""Activities: operations that take long, answered 202 with something to poll.

They are kept in the console's memory, and what they answered sealed. An operation goes on at the
node although the console process ends; its activity then says `unknown`, for nobody heard the
answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from coffre.console.api.problem import Problem, ProblemDocument
from coffre.console.kept import Kept, Memory, Sealer
from coffre.console.signed import Signed
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy

log = logging.getLogger("coffre.console")

KEPT_MS: Final = 7 * 24 * 3600 * 1000
_ID_BYTES: Final = 12


class Activity(Struct, frozen=True):
    """`result` is what the operation answered, `error` why it failed; both null until it ends.
    `unknown`: the console ended meanwhile, and did not hear how it went."""

    id: str
    operation: str
    status: Literal["running", "done", "failed", "unknown"]
    started_ms: int
    ended_ms: int | None = None
    result: Any = None
    error: ProblemDocument | None = None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Activity).decode


class Activities:
    """Those of everybody; each person sees their own."""

    def __init__(self, memory: Memory, sealer: Sealer, clock: Clock, entropy: Entropy) -> None:
        self._memory = memory
        self._sealer = sealer
        self._clock = clock
        self._entropy = entropy
        self._running: dict[str, asyncio.Task[None]] = {}

    def begin(self, signed: Signed, operation: str, work: Awaitable[Any]) -> Activity:
        """Run it; its activity now."""
        activity = Activity(
            self._entropy.bytes(_ID_BYTES).hex(), operation, "running", self._clock.now_ms()
        )
        self._keep(signed.person.id, activity)
        task = asyncio.ensure_future(self._run(signed, activity, work))
        self._running[activity.id] = task
        task.add_done_callback(lambda _: self._running.pop(activity.id, None))
        return activity

    def show(self, signed: Signed, activity_id: str) -> Activity:
        """One of this person's. Raises Problem."""
        kept = self._memory.get("activity", activity_id.encode())
        if kept is None or kept.owner != signed.person.id:
            raise Problem("NoSuchActivity", f"there is no activity {activity_id!r}", "id")
        return self._read(kept)

    def list(self, signed: Signed) -> list[Activity]:
        """This person's, the newest first."""
        found = [self._read(one) for one in self._memory.owned("activity", signed.person.id)]
        return sorted(found, key=lambda one: (-one.started_ms, one.id))

    async def _run(self, signed: Signed, activity: Activity, work: Awaitable[Any]) -> None:
        try:
            ended = replace(activity, status="done", result=await work)
        except Problem as problem:
            document = problem.document(signed.where.request_id)
            ended = replace(activity, status="failed", error=document)
        except Exception:
            log.exception("%s failed", activity.operation)
            document = Problem("InternalError").document(signed.where.request_id)
            ended = replace(activity, status="failed", error=document)
        self._keep(signed.person.id, replace(ended, ended_ms=self._clock.now_ms()))

    def _read(self, kept: Kept) -> Activity:
        value = self._sealer.open(kept.value)
        if value is None:
            return Activity(kept.key.decode(), "", "unknown", kept.expires_ms - KEPT_MS)
        activity = _unpack(value)
        if activity.status == "running" and activity.id not in self._running:
            return replace(activity, status="unknown")
        return activity

    def _keep(self, owner: bytes, activity: Activity) -> None:
        ends_ms = activity.started_ms + KEPT_MS
        value = self._sealer.seal(_pack(activity))
        self._memory.put("activity", Kept(activity.id.encode(), owner, ends_ms, value))
