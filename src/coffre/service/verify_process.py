"""A verification in a process of its own, beside a node that serves: a job on standard input, the
verdict on standard output, both JSON. It ends when whoever asked is gone."""

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
from coffre.service.layout import StartRefused
from coffre.service.lineage import die_with_parent
from coffre.service.verify import Verdict, verify_folder

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
        stderr=DEVNULL, process_group=0,
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


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    die_with_parent(job.parent)
    settings = msgspec.convert(job.settings, Settings, strict=False)
    try:
        verdict = verify_folder(
            settings, job.drives, deep=job.deep, online=True, rate=job.rate, progress=_unseen
        )
        outcome = Outcome(verdict)
    except StartRefused as refused:
        outcome = Outcome(refused=str(refused))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


def _unseen(what: str, done: int, whole: int) -> None:
    """Nobody looks on."""


if __name__ == "__main__":
    main()
