"""A child process that cannot be started now may be started later: its keeper must hear of it."""

from __future__ import annotations

import os
import sys

import pytest

from coffre.service.child import ChildDied, start_child


async def test_a_process_that_the_system_does_not_start_counts_as_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(ChildDied, match="the worker process cannot be started: No such file"):
        await start_child("worker", {}, zone={})
    assert sorted(os.listdir("/proc/self/fd")) == before, "no pipe is left open"
