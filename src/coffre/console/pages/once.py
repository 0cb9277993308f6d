"""What is shown once: kept in this process's memory alone, until its person looked at it.

A form that makes a secret leads to a page of its own, so that loading that page again makes no
second one, and shows nothing any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from starlette.requests import Request

from coffre.console.console import console_of
from coffre.console.pages.shell import signed_of

_KEPT_MS: Final = 10 * 60 * 1000
_MOST: Final = 1000
_BYTES: Final = 16

_waiting: OrderedDict[str, tuple[bytes, int, Any]] = OrderedDict()


def keep_once(request: Request, value: Any) -> str:
    """A name under which the same person may fetch it, once, within ten minutes."""
    parts = console_of(request).parts
    now_ms = parts.clock.now_ms()
    while _waiting and (len(_waiting) >= _MOST or next(iter(_waiting.values()))[1] < now_ms):
        _waiting.popitem(last=False)
    name = parts.entropy.bytes(_BYTES).hex()
    _waiting[name] = (signed_of(request).person.id, now_ms + _KEPT_MS, value)
    return name


def take_once(request: Request, name: str) -> Any:
    """What was kept, which is gone with that; None where nothing is there for this person."""
    person, ends_ms, value = _waiting.get(name, (b"", 0, None))
    if person != signed_of(request).person.id:
        return None
    del _waiting[name]
    return value if ends_ms > console_of(request).parts.clock.now_ms() else None
