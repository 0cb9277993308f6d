"""A child process that cannot be started now may be started later: its keeper must hear of it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from coffre.service.child import ChildDied, start_child
from coffre.service.start import _started
from coffre.service.supervisor import Supervisor


async def test_a_process_that_the_system_does_not_start_counts_as_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(ChildDied, match="the worker process cannot be started: No such file"):
        await start_child("worker", {}, zone={})
    assert sorted(os.listdir("/proc/self/fd")) == before, "no pipe is left open"


async def test_a_start_that_nobody_waits_for_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "pid"
    os.mkfifo(told)
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho $$ > {told}\nexec sleep 600\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    starting = asyncio.ensure_future(start_child("worker", {}, zone={}))
    pid = int(await asyncio.to_thread(told.read_text))
    starting.cancel()
    await asyncio.wait((starting,))

    def reap() -> None:
        while True:
            os.waitpid(pid, 0)

    with pytest.raises(ChildProcessError):
        await asyncio.to_thread(reap)


async def test_a_stop_cuts_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Supervisor):
        def __init__(self) -> None:
            self.cut = False

        async def start(self) -> dict[str, Any]:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cut = True
                raise
            return {}

    supervisor, stop = Slow(), asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    assert not await _started(supervisor, stop)
    assert supervisor.cut
