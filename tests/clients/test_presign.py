"""`coffre presign`, and what curl does with its URLs: path style, virtual host, until the end."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from coffre.wire.presign import Asked, Credentials, presigned_url

from .material import some_bytes
from .server import Server

COFFRE = Path(sys.executable).with_name("coffre")
BUCKET = "presigned"
KEY = "a folder/smiley ☺ +1.bin"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@pytest.fixture(scope="module")
def bucket(server: Server) -> str:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    client.create_bucket(Bucket=BUCKET)
    return BUCKET


def presign(server: Server, method: str, *options: str, home: Path) -> str:
    """The URL that the node signs with the secret that it keeps."""
    environment = {**server.environment(home)}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environment[name]
    call = ["presign", method, f"s3://{BUCKET}/{KEY}", "--json", "--data", str(server.data)]
    call += ["--access-key", server.access_key, "--endpoint", server.endpoint, *options]
    done = subprocess.run(
        [COFFRE, *call], env=environment, capture_output=True, timeout=60, check=True
    )
    url: str = json.loads(done.stdout)["url"]
    return url


def curl(*arguments: str | Path, url: str) -> tuple[int, bytes]:
    """(status, body) of a request; a name under the endpoint's resolves to this machine."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    call: list[str | Path] = [
        "curl",
        "-sS",
        "--noproxy",
        "*",
        "--resolve",
        f"{host}:{port}:127.0.0.1",
    ]
    call += ["-w", "%{stderr}%{http_code}", *arguments, url]
    done = subprocess.run(call, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stderr), done.stdout


@pytest.mark.parametrize("style", [(), ("--virtual",)], ids=["path", "virtual"])
def test_curl_uploads_and_downloads_without_keys(
    server: Server, bucket: str, tmp_path: Path, style: tuple[str, ...]
) -> None:
    body = some_bytes(300_000)
    (tmp_path / "sent").write_bytes(body)
    put = presign(server, "PUT", *style, home=tmp_path)
    assert curl("-T", tmp_path / "sent", url=put) == (200, b"")
    assert curl(url=presign(server, "GET", *style, home=tmp_path)) == (200, body)
    assert curl("-I", url=presign(server, "HEAD", *style, home=tmp_path))[0] == 200
    # What was signed for one method, key or version is good for no other.
    assert curl("-T", tmp_path / "sent", url=presign(server, "GET", home=tmp_path))[0] == 403
    assert curl(url=put)[0] == 403
    assert curl(url=presign(server, "GET", home=tmp_path).replace("smiley", "other"))[0] == 403
    assert curl("-X", "DELETE", url=presign(server, "DELETE", *style, home=tmp_path))[0] == 204
    assert curl(url=presign(server, "GET", *style, home=tmp_path))[0] == 404


def test_a_version_is_named(
    server: Server, bucket: str, tmp_path: Path, boto: Callable[..., Any]
) -> None:
    client = boto()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=bucket, Key=KEY, Body=b"first")["VersionId"]
    client.put_object(Bucket=bucket, Key=KEY, Body=b"second")
    url = presign(server, "GET", "--version-id", first, home=tmp_path)
    assert curl(url=url) == (200, b"first")
    assert curl(url=url.replace(first, "null"))[0] == 403


def test_a_url_ends_at_its_expiry(server: Server, bucket: str) -> None:
    asked = Asked("GET", server.endpoint, bucket, KEY.encode(), server.region, 3600)
    credentials = Credentials(server.access_key, server.secret_key)
    now_ms = time.time_ns() // 1_000_000
    late = curl(url=presigned_url(asked, credentials, now_ms - 3_602_000))
    assert late[0] == 403
    assert b"Request has expired" in late[1]
    still = curl(url=presigned_url(asked, credentials, now_ms - 3_000_000))
    assert still[0] == 200


def test_a_url_ends_with_its_key(server: Server, bucket: str, tmp_path: Path) -> None:
    def coffre(*call: str) -> Any:
        done = subprocess.run(
            [COFFRE, *call, "--json", "--data", server.data], capture_output=True, check=True
        )
        return json.loads(done.stdout)

    made = coffre("user", "create", "--store", "default", "--label", "presigner")
    bare = Asked("PUT", server.endpoint, "of-presigner", b"key", server.region, 600)
    credentials = Credentials(made["access_key"], made["secret_key"])
    url = presigned_url(bare, credentials, time.time_ns() // 1_000_000)
    assert curl("-X", "PUT", url=url)[0] == 404  # there is no such bucket
    coffre("user", "rotate", made["access_key"])
    assert curl("-X", "PUT", url=url)[0] == 403
