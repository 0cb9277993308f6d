"""One running server for all clients, and what each test needs of it."""

from __future__ import annotations

import os
import random
import re
import socket
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from .material import some_bytes
from .server import Program, Server, find, running

LOG_TAIL = 20_000
A_MINUTE_AGO = time.time() - 60


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that all tests share: a test keeps to buckets of its own."""
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure comes with what the server logged."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, Server):
        log = (server.data.parent / "stderr").read_text(errors="replace")
        report.sections.append(("the server's log", log[-LOG_TAIL:]))
    return report


@pytest.fixture
def boto(server: Server) -> Callable[..., Any]:
    """Make a boto3 client; arguments are those of botocore's `Config`."""

    def make(endpoint: str = server.endpoint, **options: Any) -> Any:
        options.setdefault("retries", {"total_max_attempts": 1})
        return boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=server.region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            config=Config(**options),
        )

    return make


@pytest.fixture
def s3(boto: Callable[..., Any]) -> Any:
    """boto3 as it comes."""
    return boto()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A bucket name of the test's own."""
    plain = re.sub(r"[^a-z0-9]+", "-", request.node.nodeid.split("/")[-1].lower())
    return f"{plain[:50].strip('-')}-{random.randbytes(4).hex()}"


@pytest.fixture
def bucket(s3: Any, name: str) -> str:
    """A bucket of the test's own, made with boto3."""
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def program(server: Server, tmp_path: Path) -> Callable[..., Program]:
    """Find a client program and give it this server's keys; skips where it is missing."""

    def make(name: str, *arguments: str, **variables: str) -> Program:
        environment = {**server.environment(tmp_path), **variables}
        return Program((find(name), *arguments), environment, tmp_path)

    return make


@pytest.fixture
def rclone(program: Callable[..., Program], server: Server, tmp_path: Path) -> Program:
    """rclone that tries once, with this server as its remote `coffre:`."""
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": server.endpoint,
        "ACCESS_KEY_ID": server.access_key,
        "SECRET_ACCESS_KEY": server.secret_key,
        "REGION": server.region,
    }
    variables = {f"RCLONE_CONFIG_COFFRE_{name}": value for name, value in remote.items()}
    config = f"--config={tmp_path / 'rclone.conf'}"
    return program("rclone", "--retries=1", "--low-level-retries=1", config, **variables)


@pytest.fixture
def names_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve `*.localhost` in this process, as RFC 6761 wants it and a bare Debian does not."""
    plain = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        local = isinstance(host, str) and host.endswith(".localhost")
        return plain("localhost" if local else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files of many kinds: nested, empty, with names that need escaping."""
    files = {
        "a.txt": b"a",
        "empty": b"",
        "photos/été à la mer.jpg": some_bytes(70_000, 1),
        "photos/a+b & c=d.bin": some_bytes(5_000, 2),
        "photos/100% sure?.txt": b"sure",
        "deep/er/and/deeper.bin": some_bytes(1_500_000, 3),
    }
    root = tmp_path / "tree"
    for path, body in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(body)
        # Older than the upload by more than the second that listings tell: nothing looks newer.
        os.utime(root / path, (A_MINUTE_AGO, A_MINUTE_AGO))
    return root
