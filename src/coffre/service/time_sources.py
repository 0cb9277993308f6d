"""Who can say what time it is, beside this machine's own word: each with a name and a reading.

Each is independent of the others: the kernel, when something keeps its clock right; a server whose
certificate proves who it is. Other zones of the region will be a third.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPSConnection
from itertools import pairwise
from typing import Final, Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from coffre import __version__
from coffre.config import Settings
from coffre.service.machine import kernel_clock

AGREE_WITHIN_MS: Final = 10_000
"""How far apart two readings may be that still say the same."""
_PATIENCE_S: Final = 5.0


class Reading(Struct, frozen=True):
    """What a source says: ms since 1970, or None and why it says nothing."""

    source: str
    now_ms: int | None
    note: str = ""


class TimeSource(Protocol):
    """One that may be asked for the time."""

    async def read(self) -> Reading:
        """Within some seconds; never raises."""
        ...


def time_sources(settings: Settings) -> list[TimeSource]:
    """Those of a node as it is configured."""
    sources: list[TimeSource] = [KernelTime()]
    if settings.clock_url:
        sources.append(HttpsTime(settings.clock_url, settings.clock_ca_file))
    return sources


def agreed_ms(readings: Sequence[Reading]) -> int | None:
    """The time that two of the readings agree on, the earlier of the two; None if no two do."""
    told = sorted(reading.now_ms for reading in readings if reading.now_ms is not None)
    for earlier, later in pairwise(told):
        if later - earlier <= AGREE_WITHIN_MS:
            return earlier
    return None


class KernelTime:
    """The kernel's clock, while it says that NTP or PTP keep it right (adjtimex(2))."""

    async def read(self) -> Reading:
        clock = kernel_clock()
        if clock is None:
            return Reading("kernel", None, "it may not be asked")
        if not clock.kept:
            return Reading("kernel", None, "nothing keeps its clock right")
        return Reading("kernel", clock.now_ms, f"kept right, to within {clock.error_s:.3f} s")


class HttpsTime:
    """The `Date` of an HTTPS server's answer, to the second, and no later than it was sent.

    `ca_file`: the one authority that may vouch for it; empty: those that the machine trusts. A
    wall clock outside the certificate's time makes it unbelieved, which is not an agreement.
    """

    def __init__(self, url: str, ca_file: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._path = parts.path or "/"
        self._ca_file = ca_file

    async def read(self) -> Reading:
        name = f"https://{self._host}"
        try:
            return Reading(name, await asyncio.to_thread(self._ask))
        except (OSError, HTTPException, ValueError) as error:
            return Reading(name, None, f"{type(error).__name__}: {error}")

    def _ask(self) -> int:
        trusted = ssl.create_default_context(cafile=self._ca_file or None)
        connection = HTTPSConnection(self._host, timeout=_PATIENCE_S, context=trusted)
        try:
            connection.request("HEAD", self._path, headers={"User-Agent": f"coffre/{__version__}"})
            date = connection.getresponse().getheader("Date")
        finally:
            connection.close()
        if date is None:
            raise ValueError("the answer has no Date")
        return round(parsedate_to_datetime(date).timestamp() * 1000)
