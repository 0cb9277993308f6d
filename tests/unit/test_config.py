"""Where settings come from, which source wins, and what a wrong one is told."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.config import KEYS, ConfigError, DriveFolder, Settings, load, variable
from coffre.vault.records import GEOMETRIES, Geometry

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def written(folder: Path, text: str, name: str = "node.toml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def refusal(flags: dict[str, object], environ: dict[str, str], file: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(flags, environ, file)
    words = str(caught.value)
    assert "\n" not in words
    return words


def test_defaults_stand_alone_and_the_data_folder_comes_out_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load({}, {})
    assert settings.data == str(tmp_path / "data")
    assert settings.port == 9000
    assert settings.socket_path == str(tmp_path / "data" / "coffre.sock")


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = written(tmp_path, 'port = 1001\nregion = "from-file"\nseal_after = 5\n')
    environ = {"COFFRE_PORT": "1002", "COFFRE_REGION": "from-env"}
    settings = load({"port": 1003}, environ, file)
    assert (settings.port, settings.region, settings.seal_after) == (1003, "from-env", 5.0)
    assert settings.landing_copies == 3


def test_the_file_in_the_data_folder_is_read_without_being_named(tmp_path: Path) -> None:
    written(tmp_path, "port = 1001", "coffre.toml")
    assert load({"data": str(tmp_path)}, {}).port == 1001
    assert load({}, {"COFFRE_DATA": str(tmp_path)}).port == 1001


def test_a_file_named_by_variable_or_flag_replaces_the_one_in_the_data_folder(
    tmp_path: Path,
) -> None:
    written(tmp_path, "port = 1001", "coffre.toml")
    other = written(tmp_path, "port = 1002")
    environ = {"COFFRE_CONFIG": other, "COFFRE_DATA": str(tmp_path)}
    assert load({}, environ).port == 1002
    third = written(tmp_path, "port = 1003", "third.toml")
    assert load({}, environ, third).port == 1003


def test_a_relative_data_folder_in_a_file_is_meant_from_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'data = "store"')
    assert load({}, {}, file).data == str(tmp_path / "store")


def test_a_file_inside_the_data_folder_cannot_move_it(tmp_path: Path) -> None:
    written(tmp_path, 'data = "elsewhere"', "coffre.toml")
    assert "cannot move it" in refusal({"data": str(tmp_path)}, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 9000", "unknown key 'prot' (did you mean 'port'?)"),
        ('port = "9000"', "port: expected `int`, got `str`"),
        ("port = 70000", "port: expected `int` <= 65535"),
        ('geometry = "9+9"', "geometry: invalid enum value '9+9'"),
        ("bases = []", "bases: expected `array` of length >= 1"),
        ('drives = [{path = "relative", node = "n", rack = "r"}]', "drives[0].path: expected"),
        ('drives = [{path = "/d", node = "n", rak = "r"}]', "drives[0]:"),
        ("port = ", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    words = refusal({}, {}, file)
    assert words.startswith(f"{file}: ")
    assert said in words


@pytest.mark.parametrize(
    "text",
    [
        'kms_url = "https://me:s3cr3t@vault.example"',
        '[[notify]]\nname = "ci"\nkind = "webhook"\nurl = "https://me:s3cr3t@ci.example/"',
    ],
)
def test_a_password_in_a_url_of_http_is_refused_without_being_told(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "with-password.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="url: ") as refused:
        load({}, {}, str(file))
    assert "s3cr3t" not in str(refused.value)


def test_a_file_that_is_not_there_says_so() -> None:
    assert refusal({}, {}, "/nowhere/coffre.toml").startswith("/nowhere/coffre.toml: cannot be")


def test_a_wrong_variable_is_named() -> None:
    assert refusal({}, {"COFFRE_PORT": "many"}).startswith("COFFRE_PORT: port: ")


def test_a_wrong_flag_is_named() -> None:
    assert refusal({"port": -1}, {}).startswith("command line: port: ")


def test_variables_carry_every_plain_type() -> None:
    environ = {
        "COFFRE_ALLOW_V2": "false",
        "COFFRE_SEAL_AFTER": "0.5",
        "COFFRE_BASES": "s3.example.org, localhost",
        "COFFRE_GEOMETRY": "4+2",
    }
    settings = load({}, environ)
    assert not settings.allow_v2
    assert settings.seal_after == 0.5
    assert settings.bases == ("s3.example.org", "localhost")
    assert settings.coding == Geometry(4, 2)


def test_a_mistyped_variable_is_ignored_aloud(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load({}, {"COFFRE_PROT": "1", "COFFRE_REQUIRE_ALL": "1", "PATH": "/bin"})
    assert [record.getMessage() for record in caplog.records] == [
        "COFFRE_PROT is no setting and is ignored (did you mean 'COFFRE_PORT'?)"
    ]


def test_drives_of_a_file_keep_their_labels(tmp_path: Path) -> None:
    file = written(tmp_path, '[[drives]]\npath = "/mnt/a"\nnode = "n1"\nrack = "r1"\n')
    assert load({}, {}, file).drives == (DriveFolder("/mnt/a", "n1", "r1"),)


def test_every_geometry_of_the_vault_can_be_chosen() -> None:
    assert get_args(get_type_hints(Settings)["geometry"]) == tuple(str(g) for g in GEOMETRIES)


def test_workers_default_to_the_cores_that_may_be_used() -> None:
    assert Settings().worker_count == len(os.sched_getaffinity(0))
    assert Settings(workers=3).worker_count == 3


@given(st.sampled_from(["port", "workers", "bucket_limit"]), st.integers(1, 200))
def test_a_variable_and_a_file_mean_the_same_number(key: str, number: int) -> None:
    name = variable(key)
    assert name is not None
    assert getattr(load({}, {name: str(number)}), key) == getattr(load({key: number}, {}), key)


def shown(value: object) -> str:
    """A default as the page writes it: TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_the_page_documents_every_key_with_its_default_and_variable_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^|]*)` \| (.*?) \| .+ \|$", PAGE.read_text(), re.M)
    documented = {key: (default, name.strip("`")) for key, default, name in rows}
    expected = {
        key: (shown(getattr(Settings(), key)), variable(key) or "file only") for key in KEYS
    }
    assert documented == expected
