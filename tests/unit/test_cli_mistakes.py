"""What somebody meets who is new to the command, or wrong: the help, and lines that lead on."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from coffre.cli.invocation import Invocation
from coffre.cli.main import main, root
from coffre.cli.welcome import start_line


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The complaint: one line, and nothing else."""
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    return err


def test_the_help_begins_with_serve_and_leaves_no_command_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    words = capsys.readouterr().out
    assert words.index("coffre serve") < words.index("Options:")
    shown = {line.split()[0] for line in words.splitlines() if line.startswith("  ")}
    assert set(root.commands) <= shown


def test_a_word_that_is_nearly_right_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drive", "lst"]) == 2
    assert said(capsys).endswith("Did you mean 'list'? see `coffre drive --help`\n")


@pytest.mark.parametrize(("held", "words"), [([], "`coffre init`"), (["else.txt"], "not Coffre's")])
def test_renewing_a_certificate_where_no_region_is_changes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, held: list[str], words: str
) -> None:
    for name in held:
        (tmp_path / name).touch()
    assert main(["tls", "renew", "--data", str(tmp_path)]) == 2
    assert words in said(capsys)
    assert [one.name for one in tmp_path.iterdir()] == held


@pytest.mark.parametrize("order", ["backup", "restore"])
def test_a_passphrase_is_asked_for_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    order: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe\n"))
    assert main(["key", order, str(tmp_path / "keys"), "--data", str(tmp_path)]) == 2
    assert "--passphrase-file" in said(capsys)


def test_a_passphrase_file_that_is_missing_is_named_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    order = ["key", "backup", str(tmp_path / "keys"), "--passphrase-file", "nowhere"]
    assert main([*order, "--data", str(tmp_path)]) == 2
    assert said(capsys) == "coffre: nowhere cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("data", "file", "variable", "line"),
    [
        (None, None, None, "coffre serve --data /srv/c"),
        ("/srv/c", None, None, "coffre serve --data /srv/c"),
        (None, "/etc/my c.toml", None, "coffre serve --config '/etc/my c.toml'"),
        ("/srv/c", "/etc/c.toml", None, "coffre serve --config /etc/c.toml --data /srv/c"),
        (None, None, "/etc/c.toml", "coffre serve --config /etc/c.toml"),
    ],
)
def test_a_region_is_started_by_the_configuration_that_made_it(
    monkeypatch: pytest.MonkeyPatch,
    data: str | None,
    file: str | None,
    variable: str | None,
    line: str,
) -> None:
    monkeypatch.delenv("COFFRE_CONFIG", raising=False)
    if variable:
        monkeypatch.setenv("COFFRE_CONFIG", variable)
    invocation = Invocation()
    invocation.take(data, file, json=False)
    assert start_line(invocation, "/srv/c") == line
