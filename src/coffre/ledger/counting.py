"""Requests and traffic of one process, counted by bucket and sent each second.

What was not sent when the process is killed is lost: a second of it at most. An answer that was
lost on the way is not sent again, so nothing is counted twice.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from coffre.catalog.interface import Committer, CommitterBusy, CommitUnknown, Reader
from coffre.catalog.mutations import Refusal
from coffre.catalog.usage_mutations import CountRequests, Requests
from coffre.catalog.usage_records import NO_FLOW, Flow

EVERY_S: Final = 1.0
# More buckets than this make several mutations of a second.
_AT_ONCE: Final = 500
_OURS: Final = 500
_FORBIDDEN: Final = 403
_AT: Final = {"read": 2, "write": 3, "list": 4, "delete": 5}
_log = logging.getLogger("coffre.metering")


class RequestCounter:
    """Counts what a process answers until it is sent."""

    def __init__(self, reader: Reader, committer: Committer) -> None:
        self._reader = reader
        self._committer = committer
        self._counted: dict[tuple[str, str], list[int]] = {}
        self._sending = asyncio.Lock()

    def note(
        self, store: str, bucket: str, kind: str, status: int, bytes_in: int, bytes_out: int
    ) -> None:
        """One finished request of a class (`read`, `write`, `list`, `delete`). Whoever has no right
        (403) costs the bucket's owner nothing, nor does what fails by our fault (5xx)."""
        at = _AT.get(kind)
        if at is None or not store or status == _FORBIDDEN or status >= _OURS:
            return
        counts = self._counted.get((store, bucket))
        if counts is None:
            counts = self._counted[store, bucket] = list(NO_FLOW)
        counts[at] += 1
        counts[6] += bytes_in
        counts[7] += bytes_out

    async def run(self) -> None:
        """Send each second, until cancelled; what is on its way then goes on, and `send` waits for
        it."""
        while True:
            await asyncio.sleep(EVERY_S)
            await asyncio.shield(self.send())

    async def send(self) -> None:
        """Send what is counted; it stays counted while the committer has no room."""
        async with self._sending:
            await self._send()

    async def _send(self) -> None:
        counted, self._counted = self._counted, {}
        names = list(counted)
        for at in range(0, len(names), _AT_ONCE):
            some = names[at : at + _AT_ONCE]
            try:
                await self._commit(some, counted)
            except CommitterBusy:
                self._keep(names[at:], counted)
                return
            except (CommitUnknown, Refusal) as error:
                _log.warning("requests of %d buckets may not be counted: %s", len(some), error)

    async def _commit(
        self, names: list[tuple[str, str]], counted: dict[tuple[str, str], list[int]]
    ) -> None:
        found: list[Requests] = []
        for name in names:
            store = self._reader.store_named(name[0])
            if store is not None:
                bucket = self._reader.bucket(store.id, name[1]) if name[1] else None
                bucket_id = b"" if bucket is None else bucket.id
                found.append(Requests(store.id, bucket_id, Flow(*counted[name])))
        if found:
            await self._committer.commit(CountRequests(tuple(found)))

    def _keep(
        self, names: list[tuple[str, str]], counted: dict[tuple[str, str], list[int]]
    ) -> None:
        for name in names:
            since = self._counted.get(name)
            now = counted[name]
            self._counted[name] = now if since is None else list(map(int.__add__, now, since))
