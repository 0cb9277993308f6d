"""One timer ends the waits of all bodies that are late, and nobody else's."""

from __future__ import annotations

import asyncio

import pytest

from coffre.s3.deadlines import Deadline, Deadlines


async def wait_for_ever(deadlines: Deadlines, at: float, made: list[Deadline]) -> str:
    deadline = deadlines.start(at)
    made.append(deadline)
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        if not deadline.caught():
            raise
        return "late"
    finally:
        deadlines.end(deadline)
    return "in time"


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.01


async def test_only_what_is_late_is_ended() -> None:
    deadlines, made = Deadlines(0.04), list[Deadline]()
    late = asyncio.create_task(wait_for_ever(deadlines, soon(), made))
    patient = asyncio.create_task(wait_for_ever(deadlines, soon() + 1000, made))
    assert await late == "late"
    assert late.cancelling() == 0
    assert not patient.done()
    made[1].at = 0.0
    assert await patient == "late"


async def test_a_cancellation_by_others_is_not_taken_for_lateness() -> None:
    deadlines, made = Deadlines(0.04), list[Deadline]()
    task = asyncio.create_task(wait_for_ever(deadlines, soon() + 1000, made))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_while_late_stays_cancelled() -> None:
    deadlines, made = Deadlines(0.04), list[Deadline]()
    task = asyncio.create_task(wait_for_ever(deadlines, soon() + 1000, made))
    await asyncio.sleep(0)
    made[0].expire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_ended_in_time_is_left_alone() -> None:
    deadlines = Deadlines(0.04)
    deadlines.end(deadlines.start(soon()))
    after = deadlines.start(soon() + 0.02)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.get_running_loop().create_future()
    assert after.caught()
