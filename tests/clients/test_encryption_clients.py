"""Clients that encrypt before they send: what they wrote comes back untouched, whole and in parts.

`java/Encryption.java` does the steps of the Amazon S3 Encryption Client; rclone's are here.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .material import contents, some_bytes
from .server import CLIENTS, PROGRAM_S, Program, Server, find

MIB = 1024 * 1024
SOURCE = Path(__file__).with_name("java") / "Encryption.java"
STEPS = re.findall(r'step\("([^"]+)"', SOURCE.read_text())


@pytest.fixture(scope="module")
def errors(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What went wrong in each step; empty: nothing did."""
    java = find("java")
    if not (CLIENTS / "java" / "pom.xml").exists():
        pytest.skip("the Amazon S3 Encryption Client is not installed")
    environment = {
        **server.environment(tmp_path_factory.mktemp("java")),
        "ENDPOINT": server.endpoint,
        "REGION": server.region,
        "AWS_REGION": server.region,
        "BUCKET": f"java-{random.randbytes(4).hex()}",
    }
    done = subprocess.run(
        [java, "-XX:TieredStopAtLevel=1", "-cp", f"{CLIENTS / 'java'}/*", SOURCE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split("\t", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("step", STEPS)
def test_the_amazon_s3_encryption_client(server: Server, errors: dict[str, str], step: str) -> None:
    assert errors[step] == ""


@pytest.fixture
def crypt(rclone: Program, bucket: str) -> Program:
    """rclone with a remote `secret:` that encrypts names and contents into the bucket."""
    secret = {
        "RCLONE_CONFIG_SECRET_TYPE": "crypt",
        "RCLONE_CONFIG_SECRET_REMOTE": f"coffre:{bucket}/sealed",
        "RCLONE_CONFIG_SECRET_PASSWORD": rclone("obscure", "correct horse").strip(),
    }
    return replace(rclone, environment={**rclone.environment, **secret})


def test_rclone_crypt_syncs_a_folder(crypt: Program, s3: Any, bucket: str, tree: Path) -> None:
    crypt("sync", "tree", "secret:")
    crypt("cryptcheck", "tree", "secret:")
    crypt("sync", "secret:", "back")
    assert contents(crypt.folder / "back") == contents(tree)
    for one in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        assert re.fullmatch(r"sealed/[a-z0-9/]+", one["Key"])
        stored = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
        assert stored.startswith(b"RCLONE\0\0")


def test_rclone_crypt_sends_parts_and_reads_ranges(crypt: Program) -> None:
    body = some_bytes(12 * MIB)
    (crypt.folder / "large").write_bytes(body)
    crypt("copyto", "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "large", "secret:large")
    assert crypt.raw("cat", "secret:large") == body
    at = 7 * MIB + 3
    assert (
        crypt.raw("cat", "--offset", str(at), "--count", "70000", "secret:large")
        == (body[at : at + 70000])
    )
    assert json.loads(crypt("lsjson", "secret:large"))[0]["Size"] == len(body)
