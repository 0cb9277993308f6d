"""What people paste works as it stands: the first start's lines, and the guide's examples."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .server import (
    REPOSITORY,
    Program,
    Server,
    coffre,
    find,
    find_sdk_for_javascript,
    first_lines,
    stop,
)

GUIDE = REPOSITORY / "docs" / "guide-programs.md"


@pytest.fixture
def first_start(tmp_path: Path) -> Iterator[list[str]]:
    """What a first start prints, while it serves."""
    process = coffre(data=tmp_path / "data", errors=tmp_path / "stderr")
    try:
        yield first_lines(process, "python3 ")
    finally:
        assert stop(process) == 0


def pasted(line: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a line as somebody's shell would; what it printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env={**environment, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_lines_of_a_first_start_work_when_pasted(
    first_start: list[str], server: Server, tmp_path: Path
) -> None:
    aws, mc, python = first_start[-3:]
    find("aws")
    find("mc")
    # A newcomer's environment: no keys in it, nor a region.
    path = {"PATH": server.environment(tmp_path)["PATH"]}
    assert pasted(aws, tmp_path, path) == "make_bucket: from-aws-cli\n"
    assert pasted(python, tmp_path, path) == "b'hello'\n"
    told = pasted(mc, tmp_path, path)
    for bucket in ("from-aws-cli/", "from-mc/", "from-python/"):
        assert bucket in told


def test_a_later_start_tells_no_secret(tmp_path: Path) -> None:
    errors = tmp_path / "stderr"
    process = coffre(data=tmp_path / "data", errors=errors)
    try:
        first = first_lines(process, "python3 ")
    finally:
        assert stop(process) == 0
    secrets = [line.split()[-1] for line in first if "ecret key  " in line or "password" in line]
    assert len(secrets) == 2
    process = coffre(data=tmp_path / "data", errors=errors)
    try:
        told = first_lines(process, "Coffre serves S3 at ")
    finally:
        assert stop(process) == 0
    said = "\n".join(told) + errors.read_text()
    assert not [secret for secret in secrets if secret in said]


class Guide:
    """The examples of the guide for programs, with a server's own endpoint and keys in them."""

    def __init__(self, server: Server) -> None:
        text = GUIDE.read_text()
        text = text.replace("http://localhost:9000", server.endpoint)
        text = text.replace("localhost:9000", server.address)
        text = text.replace("CFEXAMPLEKEY", server.access_key)
        self._text = re.sub(r'(= ?|")secret\b', lambda found: found[1] + server.secret_key, text)

    def code(self, section: str, language: str) -> str:
        """A section's blocks of one language, one after the other."""
        found = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", self._text, re.M | re.S)
        assert found, f"the guide has no section {section!r}"
        return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", found[1], re.M | re.S))

    @property
    def settings(self) -> str:
        """The variables that all examples take."""
        found = re.search(r"^```sh\n(export .*?)^```$", self._text, re.M | re.S)
        assert found, "the guide sets no variables"
        return found[1]


@pytest.fixture
def guide(server: Server) -> Guide:
    return Guide(server)


@pytest.fixture
def photos(s3: Any, tmp_path: Path) -> Iterator[str]:
    """The bucket of the guide's examples, gone afterwards, and their files."""
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "dog.jpg").write_bytes(b"wuff")
    (tmp_path / "cat.jpg").write_bytes(b"miaow")
    yield "photos"
    for item in s3.list_objects_v2(Bucket="photos").get("Contents", []):
        s3.delete_object(Bucket="photos", Key=item["Key"])
    s3.delete_bucket(Bucket="photos")


@pytest.fixture
def paste(server: Server, guide: Guide, tmp_path: Path) -> Callable[[str], str]:
    """Run shell lines after the guide's settings."""
    path = {"PATH": server.environment(tmp_path)["PATH"]}
    return lambda lines: pasted(f"{guide.settings}\n{lines}", tmp_path, path)


def keys(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket="photos")["Contents"]]


@pytest.mark.parametrize("name", ["aws", "mc"])
def test_the_guide_on_the_command_line(
    guide: Guide, paste: Callable[[str], str], s3: Any, photos: str, name: str
) -> None:
    find(name)
    paste(guide.code({"aws": "aws-cli", "mc": "mc"}[name], "sh"))
    assert keys(s3) == ["album/dog.jpg", "cat.jpg"]


@pytest.mark.parametrize(
    ("name", "settings", "stored"),
    [
        ("rclone", ".config/rclone/rclone.conf", ["album/dog.jpg"]),
        ("s3cmd", ".s3cfg", ["cat.jpg"]),
    ],
)
def test_the_guide_with_a_file_of_settings(
    guide: Guide,
    paste: Callable[[str], str],
    s3: Any,
    photos: str,
    tmp_path: Path,
    name: str,
    settings: str,
    stored: list[str],
) -> None:
    find(name)
    file = tmp_path / settings
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(guide.code(name, "ini"))
    paste(guide.code(name, "sh"))
    assert keys(s3) == stored


@pytest.mark.parametrize(
    ("section", "before", "stored"),
    [
        ("boto3", "", ["cat.jpg", "lock"]),
        (
            "s3fs and pyarrow",
            "import pyarrow as pa, boto3; table = pa.table({'n': [1, 2]})\n"
            "boto3.client('s3', endpoint_url=ENDPOINT).create_bucket(Bucket='photos')\n",
            ["table/part-0.parquet"],
        ),
    ],
)
def test_the_guide_in_python(
    guide: Guide,
    paste: Callable[[str], str],
    server: Server,
    s3: Any,
    photos: str,
    tmp_path: Path,
    section: str,
    before: str,
    stored: list[str],
) -> None:
    code = before.replace("ENDPOINT", repr(server.endpoint)) + guide.code(section, "python")
    (tmp_path / "program.py").write_text(code)
    paste("python3 program.py")
    assert keys(s3) == stored


def test_the_guide_in_javascript(
    guide: Guide, program: Callable[..., Program], s3: Any, photos: str
) -> None:
    node = program("node", "--input-type=module")
    installed = find_sdk_for_javascript()
    s3.create_bucket(Bucket=photos)
    code = guide.code("AWS SDK for JavaScript", "js").encode()
    Program(node.command, node.environment, installed)(stdin=code)
    assert keys(s3) == ["hello.txt"]
