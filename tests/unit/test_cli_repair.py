"""What `coffre repair` says: one line for each way that a recount may end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from coffre.cli import stewards
from coffre.cli.complaint import Complaint
from coffre.cli.stewards import progress_line, verdict_of

CLEAN: dict[str, Any] = {
    "asked": 3,
    "answered": 3,
    "below_target": {"chunks": 0},
    "left": {"bytes": 0, "bytes_a_second": 0.0, "seconds": None},
    "recount": {"chunks": 12, "clean": True},
    "stuck": {"no_place": 0, "drives_needed": 0, "racks_that_may": [], "other": []},
    "paused": False,
    "last_error": "",
}
NO_PLACE = {"no_place": 7, "drives_needed": 2, "racks_that_may": ["r1", "r4"], "other": []}
LOST = {"no_place": 0, "other": [{"reason": "block 3 is whole in 11 segments, 12 are needed"}]}
DIRTY = {"recount": {"chunks": 12, "clean": False}, "below_target": {"chunks": 7}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "12 chunks are held as they must be"),
        ({**DIRTY, "stuck": NO_PLACE}, "add 2 drives or more (r1, r4)"),
        ({**DIRTY, "stuck": {**NO_PLACE, "racks_that_may": []}}, "(a further rack)"),
        ({**DIRTY, "stuck": LOST}, "block 3 is whole in 11 segments"),
        ({**DIRTY}, "`coffre drive list` shows which drives are away"),
        ({**DIRTY, "paused": True}, "`coffre steward resume repairer`"),
        ({**DIRTY, "last_error": "OSError: a drive"}, "Repair waits: OSError: a drive"),
        ({"answered": 2}, "goes on by itself"),
    ],
)
def test_the_verdict_says_what_it_is_and_what_to_do(change: dict[str, Any], said: str) -> None:
    assert said in verdict_of(CLEAN | change, asked=3)


def test_progress_is_bytes_rate_and_time_left() -> None:
    left = {"bytes": 3 << 20, "bytes_a_second": float(1 << 20), "seconds": 3}
    assert progress_line({"left": left}, 12 << 20) == (
        "3.0 MiB of 12.0 MiB left, 1.0 MiB/s, 3 s left"
    )
    assert progress_line(CLEAN, 12 << 20) == "counting again"


def test_an_error_of_before_is_not_what_repair_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {**CLEAN, "answered": 2, "last_error": "OSError: a drive", "rounds": 7}
    statuses = iter([old, old, {**CLEAN, "rounds": 8}])

    class Door:
        def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
            return next(statuses)

    monkeypatch.setattr(stewards, "_LOOK_S", 0.0)
    assert stewards._until_recounted(Door(), 3, before=7)["answered"] == 3


def test_an_error_of_the_round_that_was_asked_for_ends_the_looking() -> None:
    failed = {**CLEAN, "answered": 2, "last_error": "OSError: a drive", "rounds": 8}

    class Door:
        def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
            return failed

    assert stewards._until_recounted(Door(), 3, before=7) == failed


def test_stewards_that_were_started_again_are_not_waited_for() -> None:
    class Door:
        def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
            return {**CLEAN, "asked": 0, "answered": 0, "rounds": 1}

    with pytest.raises(Complaint, match="ask again"):
        stewards._until_recounted(Door(), 3, before=7)
