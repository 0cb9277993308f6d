"""Seeds of the simulator: a whole node on drives that fail in every way that the promise covers.

The commit chooses the seeds, so that each is tried on others: 200, and thousands in a long run
(`COFFRE_LONG=1`). `COFFRE_SIM_SEEDS=100..200` (or `7`) chooses; `make sim SEED=7` plays one again
and tells every step.
"""

from __future__ import annotations

import os
import subprocess
from itertools import islice
from pathlib import Path
from threading import Thread

from coffre.testing.simulation.running import as_they_come, run_seeds

SHORT, LONG = 200, 2500
PROCESSES = os.cpu_count() or 1


def chosen_seeds() -> list[int]:
    chosen = os.environ.get("COFFRE_SIM_SEEDS", "")
    if chosen:
        start, _, end = chosen.partition("..")
        return list(range(int(start), int(end or start) + 1))
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, cwd=Path(__file__).parent, check=False
    )
    first = int(found.stdout[:8] or b"0", 16) * 1000
    return list(range(first, first + (LONG if os.environ.get("COFFRE_LONG") else SHORT)))


def test_nothing_acknowledged_is_lost_and_nothing_deleted_comes_back() -> None:
    seeds = chosen_seeds()
    print(f"seeds {seeds[0]}..{seeds[-1]}")
    outcomes = list(run_seeds(seeds, processes=PROCESSES))
    failed = [outcome.report() for outcome in outcomes if outcome.failure]
    assert not failed, "\n\n".join(failed[:3])
    assert len(outcomes) == len(seeds), "a process of the simulator ended before its time"


def test_a_seed_decides_everything() -> None:
    seeds = chosen_seeds()[:2]
    first, second = ([one.digest for one in run_seeds(seeds)] for _ in range(2))
    assert first == second


def test_a_process_that_has_much_to_tell_does_not_wait_for_another() -> None:
    """A pipe holds some hundred outcomes; thousands of seeds must not run one half after the
    other."""
    silent, talking = os.pipe(), os.pipe()
    lines = as_they_come([os.fdopen(silent[0], "rb"), os.fdopen(talking[0], "rb")])

    def talk() -> None:
        with os.fdopen(talking[1], "wb") as output:
            output.write((b"x" * 99 + b"\n") * 2000)

    talker = Thread(target=talk)
    talker.start()
    assert len(list(islice(lines, 2000))) == 2000
    talker.join()
    os.close(silent[1])
    assert list(lines) == []
