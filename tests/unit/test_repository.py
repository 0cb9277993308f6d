"""The repository's own promises: locked, licensed, documented, and its checks can fail."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from coffre.wire.errors import CATALOGUE
from tools import documents, style, supply
from tools.error_reference import page

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_an_exact_version_and_a_hash(lock: Path) -> None:
    entries = [
        entry
        for entry in re.split(r"\n(?=\S)", lock.read_text().replace("\\\n", " "))
        if entry and not entry.startswith("#")
    ]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==[^\s]+\s+--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_lock_holds_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, wanted in {
        "runtime.txt": project["dependencies"],
        "dev.txt": [*project["dependencies"], *project["optional-dependencies"]["dev"]],
    }.items():
        text = (ROOT / "requirements" / name).read_text()
        locked = set(re.findall(r"^([a-z0-9._-]+)==", text, re.M))
        assert {re.split("[<>=]", entry)[0].lower() for entry in wanted} <= locked


def test_development_uses_the_versions_that_are_shipped() -> None:
    pinned = {}
    for name in ("runtime.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text()
        pinned[name] = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.M))
    assert pinned["runtime.txt"].items() <= pinned["dev.txt"].items()


def test_the_errors_page_has_a_row_for_every_error() -> None:
    assert re.findall(r"^\| `([\w.]+)` \|", page(), re.M) == list(CATALOGUE)


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("MIT", False),
        ("MIT OR GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", True),
        ("Apache-2.0 OR BSD-3-Clause", False),
        ("(MIT AND ISC) OR AGPL-3.0-only", False),
        ("AGPL-3.0-only", True),
        ("", True),
    ],
)
def test_a_licence_counts_as_its_expression_says(expression: str, refused: bool) -> None:
    assert supply.refused(expression) is refused


@pytest.mark.parametrize(
    ("path", "source", "said"),
    [
        ("src/coffre/wire/a.py", "open('x')", "a door of vault"),
        ("src/coffre/vault/a.py", "open('x')", None),
        ("src/coffre/catalog/a.py", "time.time()", "comes in as an argument"),
        ("src/coffre/s3/a.py", "clock.now_ms()", None),
        ("src/coffre/s3/helpers.py", "", "named for what it knows"),
        ("src/coffre/s3/a.py", "def f():\n" + "    pass\n" * 70, "71 lines"),
        ("src/coffre/s3/a.py", "def f():\n" + "    pass\n" * 69, None),
        ("src/coffre/s3/a.py", "x = 1\n" * 501, "501 lines"),
    ],
)
def test_a_breach_of_style_is_found_and_nothing_else(
    path: str, source: str, said: str | None
) -> None:
    found = list(style.python_breaches(Path(path), source))
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_paths_of_one_machine_are_found_in_any_text() -> None:
    assert list(style.text_breaches(Path("a.md"), "see " + style.MACHINE[0] + "x"))
    assert not list(style.text_breaches(Path("a.md"), "see docs/a.md"))


def test_a_link_to_nowhere_and_a_missing_heading_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# A heading, here\n")
    text = "[a](b.md) [a](b.md#a-heading-here) [a](https://example.org/x)\n```\n[a](gone.md)\n```\n"
    page = tmp_path / "a.md"
    page.write_text(text)
    assert list(documents.broken_links(page)) == []
    page.write_text("[a](gone.md) [a](b.md#gone)")
    assert len(list(documents.broken_links(page))) == 2


def test_python_in_the_guide_for_programs_is_python() -> None:
    guide = (ROOT / "docs" / "guide-programs.md").read_text()
    samples = re.findall(r"^```python\n(.*?)^```", guide, re.M | re.S)
    assert len(samples) >= 3
    for sample in samples:
        ast.parse(sample)
