"""Doors between processes: an answer takes its time, but what is stuck is not waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from coffre.service import door
from coffre.service.caller import Caller
from coffre.service.door import NoAnswer, ask, open_door


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return "s"


async def test_a_process_that_is_stuck_is_not_waited_for(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "SILENCE_S", 0.01)
    over = asyncio.Event()

    async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_unix_server(nothing, path)
    with pytest.raises(NoAnswer, match=r"does not answer seal\.now: its process is stuck"):
        await ask(path, "seal.now", {})
    over.set()
    server.close()


async def test_what_is_at_hand_is_not_waited_for_long_although_the_process_lives(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "AT_ONCE_S", 0.05)
    monkeypatch.setattr(door, "ALIVE_EVERY_S", 0.005)
    over = asyncio.Event()

    async def call(operation: str, arguments: dict[str, Any], caller: Caller | None) -> Any:
        await over.wait()

    server = await open_door(path, call)
    with pytest.raises(NoAnswer, match=r"log\.floor"):
        await ask(path, "log.floor", {})
    over.set()
    server.close()


async def test_an_answer_takes_as_long_as_there_are_signs_of_life(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "SILENCE_S", 60.0)
    monkeypatch.setattr(door, "ALIVE_EVERY_S", 0.001)
    signs = 0
    waited = asyncio.wait

    async def counted(*arguments: Any, **rest: Any) -> Any:
        nonlocal signs
        signs += 1
        if signs == 20:
            over.set()
        return await waited(*arguments, **rest)

    monkeypatch.setattr(asyncio, "wait", counted)
    over = asyncio.Event()

    async def call(operation: str, arguments: dict[str, Any], caller: Caller | None) -> Any:
        await over.wait()
        return {"sealed": 3}

    server = await open_door(path, call)
    assert await ask(path, "seal.now", {}) == {"sealed": 3}
    assert signs >= 20
    server.close()


async def test_what_was_begun_is_ended_although_nobody_waits_any_more(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ALIVE_EVERY_S", 0.001)
    begun, gone, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def call(operation: str, arguments: dict[str, Any], caller: Caller | None) -> Any:
        begun.set()
        await gone.wait()
        ended.set()

    server = await open_door(path, call)
    asking = asyncio.ensure_future(ask(path, "seal.now", {}))
    await begun.wait()
    asking.cancel()
    await asyncio.wait((asking,))
    gone.set()
    await ended.wait()
    server.close()
