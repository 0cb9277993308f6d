"""A verification in a process of its own, beside a node that serves: a job on standard input, the
verdict on standard output, both JSON. It ends when whoever asked is gone."""

from __future__ import annotations

import sys

import msgspec

from coffre.config import Settings
from coffre.service.layout import StartRefused
from coffre.service.lineage import die_with_parent
from coffre.service.verify import verify_folder
from coffre.service.verifying import Job, Outcome


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
