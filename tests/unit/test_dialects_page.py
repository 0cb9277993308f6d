"""The page of dialects and the tests that prove it name each other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/dialects.md").read_text()
NAMED = set(re.findall(r"`(test_\w+)`", PAGE))


def names_in(*names: str) -> set[str]:
    texts = ((ROOT / "tests/protocol" / name).read_text() for name in names)
    return {found for text in texts for found in re.findall(r"^def (test_\w+)", text, re.M)}


def test_every_test_that_the_page_names_is_there() -> None:
    files = (path.name for path in (ROOT / "tests/protocol").glob("test_ecs_*.py"))
    assert NAMED - names_in(*files) == set()


def test_every_difference_that_is_proved_is_on_the_page() -> None:
    assert names_in("test_ecs_dialect.py", "test_ecs_names.py") - NAMED == set()


def test_every_row_of_the_differences_names_a_test() -> None:
    table = PAGE.partition("## Differences")[2].partition("## Extensions")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    assert [row for row in rows if not re.search(r"`test_\w+`", row)] == []
