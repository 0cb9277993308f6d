"""HTTPS whose certificate changes: what cannot be had for a moment is had at the next look."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from coffre.config import Settings
from coffre.service import serving, tls
from coffre.service.tls import Pair


class Served:
    """Of `_UnderOnePair` what a change of certificates needs; there is no descriptor for `lacking`
    of them."""

    lacking = 0

    def __init__(self, app: Any, listener: Any, settings: Settings, pair: Pair) -> None:
        if Served.lacking:
            Served.lacking -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        self.pair = pair


async def test_a_certificate_that_no_descriptor_is_left_for_serves_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair, other = Pair(b"chain", b"key"), Pair(b"another chain", b"another key")
    stands = [pair]

    async def retire(self: object, before: object) -> None: ...

    monkeypatch.setattr(tls, "stamp", lambda settings: stands[0])
    monkeypatch.setattr(tls, "read_pair", lambda settings: stands[0])
    monkeypatch.setattr(serving, "_UnderOnePair", Served)
    monkeypatch.setattr(serving._Secure, "_retire", retire)
    secure: Any = serving._Secure(None, None, Settings())  # type: ignore[arg-type]
    stands[0], Served.lacking = other, 1
    secure._reload()
    assert secure._current.pair == pair
    secure._reload()
    assert secure._current.pair == other
