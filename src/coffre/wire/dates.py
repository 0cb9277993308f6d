"""The three ways S3 writes an instant, from and to milliseconds since the epoch (UTC).

HTTP headers: IMF-fixdate (RFC 9110 §5.6.7). XML: ISO 8601 with milliseconds. A listing asks once
per object, and neighbours share seconds, so the work is cached by second.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_tz
from functools import lru_cache
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The last second that both ways can write, and that clients can read: of the year 9999.
_LAST_SECOND: Final = 253_402_300_799


@lru_cache(maxsize=4096)
def _http_second(second: int) -> str:
    at = time.gmtime(min(second, _LAST_SECOND))
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04d} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT"
    )


@lru_cache(maxsize=4096)
def _iso_second(second: int) -> str:
    at = time.gmtime(min(second, _LAST_SECOND))
    return (
        f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}"
        f"T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
    )


def http_date(ms: int) -> str:
    """`Mon, 12 Oct 2009 17:50:30 GMT`; milliseconds are dropped, never rounded up."""
    return _http_second(ms // 1000)


def iso(ms: int) -> str:
    """`2009-10-12T17:50:30.123Z`."""
    second, rest = divmod(ms, 1000)
    return f"{_iso_second(second)}.{rest:03d}Z"


def iso_second(ms: int) -> str:
    """`2009-10-12T17:50:30.000Z`: LastModified in XML as on AWS, the same as in the header."""
    return f"{_iso_second(ms // 1000)}.000Z"


def _milliseconds(at: datetime) -> int:
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def parse_http_date(text: str) -> int | None:
    """Any of the three HTTP date forms, as milliseconds; None when it is no date.

    RFC 9110 has an invalid date ignored in every conditional header.
    """
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        at = datetime(*parts[:6], tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _milliseconds(at) - (parts[9] or 0) * 1000


def parse_iso(text: str) -> int | None:
    """An ISO 8601 instant (UTC when no offset is given), as milliseconds; None when it is none."""
    try:
        at = datetime.fromisoformat(text.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return _milliseconds(at)
    except (ValueError, OverflowError):
        return None
