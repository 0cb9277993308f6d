"""Faults put into the engine on purpose (`coffre.testing.simulation.bugs`) are found in few seeds.

A simulator that finds nothing may have nothing to find, or may not look.
"""

from __future__ import annotations

import os

import pytest

from coffre.testing.simulation.bugs import BUGS
from coffre.testing.simulation.running import run_seeds

# How many seeds from 1 on are tried. Most faults show in the first three; one needs a crash at a
# certain moment, one a drive that was removed.
MOST = {"stale mirrors are trusted": 60, "superblocks go on naming removed drives": 60}
# What a short run tries; `COFFRE_LONG=1`: all.
SHORT = (
    "mirrors are not synced",
    "answered before the log",
    "folders are not synced",
    "a chunk is collected that lives",
    "where added drives stand is forgotten",
    "the follower leaves out a row",
    "a client that left takes the committer with it",
)
LONG = bool(os.environ.get("COFFRE_LONG"))


@pytest.mark.parametrize("bug", BUGS if LONG else SHORT)
def test_a_fault_on_purpose_is_found(bug: str) -> None:
    seeds = range(1, 1 + MOST.get(bug, 10))
    outcomes = run_seeds(seeds, processes=os.cpu_count() or 1, bug=bug)
    found = next((outcome for outcome in outcomes if outcome.failure), None)
    outcomes.close()
    assert found is not None, f"no seed of {seeds} finds that {bug}"
    print(f"seed {found.seed} finds that {bug}: {found.failure.splitlines()[-1]}")
