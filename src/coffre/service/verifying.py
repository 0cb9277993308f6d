"""A verification beside a node that serves, in a process of its own: the committer goes on."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import Any

import msgspec
from msgspec import Struct

from coffre.config import Settings
from coffre.service.invalid import Invalid
from coffre.service.verify import Verdict

_MIB = 1024 * 1024


class Job(Struct):
    """What to verify; `drives` are as `drive.list` tells, `rate` is bytes a second at most."""

    settings: dict[str, Any]
    drives: list[dict[str, Any]]
    deep: bool
    rate: float
    parent: int


class Outcome(Struct):
    """The verdict, or why there is none."""

    verdict: Verdict | None = None
    refused: str = ""


async def verify_beside(
    settings: Settings, drives: list[dict[str, Any]], *, deep: bool, rate_mib: int
) -> Verdict:
    """Verify the data folder of a node that serves. Raises Invalid."""
    told = msgspec.to_builtins(settings)
    job = Job(told, drives, deep, float(rate_mib * _MIB), os.getpid())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "coffre.service.verify_process", stdin=PIPE, stdout=PIPE,
        stderr=DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        answer, _ = await process.communicate(msgspec.json.encode(job))
    finally:
        if process.returncode is None:
            process.kill()
    outcome = msgspec.json.decode(answer, type=Outcome) if answer else Outcome()
    if outcome.verdict is None:
        why = outcome.refused or "the verification ended without a verdict"
        raise Invalid("Unavailable", why)
    return outcome.verdict
