"""mc: encryption, differences, what it finds, forms that upload, and a folder it watches."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .material import some_bytes
from .server import Program, Server

PATIENCE_S = 60.0


@pytest.fixture
def mc(program: Callable[..., Program], server: Server, tmp_path: Path) -> Program:
    mc = program("mc", MC_CONFIG_DIR=str(tmp_path / "mc"))
    mc("alias", "set", "coffre", server.endpoint, server.access_key, server.secret_key)
    return mc


def test_a_bucket_is_encrypted_by_default(mc: Program, bucket: str) -> None:
    target = f"coffre/{bucket}"
    mc("encrypt", "set", "sse-s3", target)
    assert "sse-s3" in mc("encrypt", "info", target).lower()
    mc("encrypt", "clear", target)


def test_a_key_of_ones_own_seals_an_object(mc: Program, bucket: str) -> None:
    (mc.folder / "k").write_bytes(some_bytes(6_000_000))
    key = f"coffre/{bucket}/=" + "MzJieXRlc2xvbmdzZWNyZXRrZXltdXN0YmVnaXZlbjE"
    mc("cp", "--enc-c", key, "k", f"coffre/{bucket}/k")
    assert mc.raw("cat", "--enc-c", key, f"coffre/{bucket}/k") == some_bytes(6_000_000)
    mc.refused("cat", f"coffre/{bucket}/k")


def test_two_folders_are_compared(mc: Program, bucket: str, tree: Path) -> None:
    mc("mirror", "tree", f"coffre/{bucket}/t")
    assert mc("diff", "tree", f"coffre/{bucket}/t") == ""
    (tree / "new").write_bytes(b"new")
    (tree / "a.txt").write_bytes(b"longer than it was")
    mc("rm", f"coffre/{bucket}/t/empty")
    lines = mc("diff", "--json", "tree", f"coffre/{bucket}/t").splitlines()
    told = [json.loads(line) for line in lines]
    assert {Path(one["first"] or one["second"]).name for one in told} == {"new", "a.txt", "empty"}


def test_what_is_found_is_handed_on(mc: Program, bucket: str, tree: Path) -> None:
    mc("cp", "--recursive", "tree/", f"coffre/{bucket}/")
    larger = mc("find", f"coffre/{bucket}", "--larger", "60KB", "--print", "{base}").split("\n")
    assert sorted(filter(None, larger)) == ["deeper.bin", "été à la mer.jpg"]
    assert mc("find", f"coffre/{bucket}", "--older-than", "1d") == ""
    mc("find", f"coffre/{bucket}", "--name", "a.txt", "--exec", "mc rm {}")
    assert f"coffre/{bucket}/a.txt" not in mc("find", f"coffre/{bucket}", "--name", "*.txt")


def test_a_shared_form_uploads(mc: Program, s3: Any, bucket: str) -> None:
    (mc.folder / "given").write_bytes(b"from anybody")
    told = json.loads(mc("share", "upload", "--json", f"coffre/{bucket}/in/given"))
    line = told["share"].replace("<FILE>", str(mc.folder / "given"))
    subprocess.run(shlex.split(line), check=True, capture_output=True, timeout=60)
    assert s3.get_object(Bucket=bucket, Key="in/given")["Body"].read() == b"from anybody"


def test_a_mirror_follows_a_folder(mc: Program, s3: Any, bucket: str, tree: Path) -> None:
    with subprocess.Popen(
        [*mc.command, "mirror", "--watch", "--remove", "--overwrite", "tree", f"coffre/{bucket}"],
        env=dict(mc.environment),
        cwd=mc.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as mirror:
        try:
            until(lambda: keys(s3, bucket) >= {"a.txt", "deep/er/and/deeper.bin"})
            (tree / "later").write_bytes(b"later")
            until(lambda: "later" in keys(s3, bucket))
            (tree / "a.txt").unlink()
            until(lambda: "a.txt" not in keys(s3, bucket))
        finally:
            mirror.terminate()
    assert s3.get_object(Bucket=bucket, Key="later")["Body"].read() == b"later"


def keys(s3: Any, bucket: str) -> set[str]:
    return {one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", ())}


def until(holds: Callable[[], bool]) -> None:
    """Look again and again: what another process does cannot be waited for otherwise."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.1)
