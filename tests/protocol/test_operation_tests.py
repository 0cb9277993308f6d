"""What `docs/compatibility.md` says an answer rests on is there, and about the operation."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from botocore import xform_name

from tools.compatibility import REFUSED, names, state
from tools.operation_tests import RESTS_ON

HERE = Path(__file__).parent
# Called by names that are put together, or by their sub-resource.
BY_PARTS = {
    *("test_bucket_settings", "test_configurations", "test_inventory", "test_lifecycle"),
    "test_notifications",
}


def test_every_answer_rests_on_a_test() -> None:
    assert {name for name in names() if state(name)[0] != REFUSED} - RESTS_ON.keys() == set()
    assert RESTS_ON.keys() <= set(names())


@pytest.mark.parametrize("operation", sorted(RESTS_ON))
def test_the_test_is_there_and_about_it(operation: str) -> None:
    file, _, test = RESTS_ON[operation].partition("::")
    text = (HERE / f"{file}.py").read_text()
    found = {one.name for one in ast.walk(ast.parse(text)) if isinstance(one, ast.FunctionDef)}
    assert test in found
    assert file in BY_PARTS or xform_name(operation) in text
