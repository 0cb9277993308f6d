"""A real `coffre serve` with its console, and the people that tests sign in as."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config

from coffre.service.door import ask
from coffre.service.layout import DataFolder
from tests.clients.server import ENGINE, PATH, coffre, first_lines, stop

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Person:
    """Somebody who signs in."""

    name: str
    password: str


class Served:
    """What the ready line says, and the management API as its operator uses it."""

    def __init__(self, facts: Facts, data: Path) -> None:
        self.facts = facts
        self.data = data
        self.origin = str(facts["console"])
        self.endpoint = str(facts["endpoint"])
        self.operator = Person(str(facts["operator"]), str(facts["password"]))
        self._headers = {"Content-Type": "application/json"}

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    def s3(self, access_key: str = "", secret_key: str = "") -> Any:
        """boto3 for the first store's user, or for somebody else's keys."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.facts["region"],
            aws_access_key_id=access_key or self.facts["access_key"],
            aws_secret_access_key=secret_key or self.facts["secret_key"],
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def programs(self, home: Path) -> dict[str, str]:
        """Variables for a client program, with the first store's keys."""
        return {
            "PATH": PATH,
            "HOME": str(home),
            "AWS_ACCESS_KEY_ID": str(self.facts["access_key"]),
            "AWS_SECRET_ACCESS_KEY": str(self.facts["secret_key"]),
            "AWS_DEFAULT_REGION": str(self.facts["region"]),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def sign_in(self) -> None:
        """A session of the operator, for `ask`."""
        given = {"name": self.operator.name, "password": self.operator.password}
        answer, body = self._send("POST", "/session", given)
        self._headers["Cookie"] = answer["set-cookie"].partition(";")[0]
        self._headers["X-CSRF-Token"] = body["csrf_token"]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer of a management operation. Raises AssertionError with what was refused."""
        return self._send(method, path, body)[1]

    def operate(self, operation: str, **arguments: Any) -> Any:
        """A management operation by the node's own door, as its command line asks."""
        asked = ask(str(DataFolder(self.data).socket), operation, arguments)
        # Playwright keeps a loop of its own in the thread of the tests.
        with ThreadPoolExecutor(1) as other:
            return other.submit(asyncio.run, asked).result()

    def refusal(self, method: str, path: str, size: int) -> int:
        """The status that the operator gets for a body of a size, of which nothing is sent."""
        host = self.origin.partition("//")[2]
        asking = HTTPSConnection(host, context=trusting(self.facts), timeout=30)
        asking.putrequest(method, path)
        for name, value in {**self._headers, "Content-Length": str(size)}.items():
            asking.putheader(name, value)
        asking.endheaders()
        status = asking.getresponse().status
        asking.close()
        return status

    def _send(self, method: str, path: str, body: object) -> tuple[Message, Any]:
        asked = urllib.request.Request(
            f"{self.origin}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=self._headers,
        )
        try:
            with urllib.request.urlopen(asked, context=trusting(self.facts), timeout=60) as answer:
                text = answer.read()
        except HTTPError as refused:
            raise AssertionError(f"{method} {path}: {refused.read().decode()}") from None
        return answer.headers, json.loads(text) if text else None


def trusting(facts: Facts) -> ssl.SSLContext:
    """Trust in the node's own authority alone."""
    return ssl.create_default_context(cafile=str(facts["ca"]))


@contextmanager
def served(folder: Path, settings: str = "") -> Iterator[Served]:
    """A node on an empty data folder, stopped cleanly at the end; its log is `folder/stderr`."""
    errors = folder / "stderr"
    arguments: list[str | Path] = ["--json", "--engine", ENGINE]
    if settings:
        (folder / "coffre.toml").write_text(settings)
        arguments += ["--config", folder / "coffre.toml"]
    process = coffre(*arguments, data=folder / "data", errors=errors)
    try:
        try:
            facts = json.loads(first_lines(process, "{")[-1])
        except pytest.fail.Exception as failure:
            raise pytest.fail.Exception(f"{failure}\n{errors.read_text()}") from None
        served = Served(facts, folder / "data")
        served.sign_in()
        yield served
    finally:
        code = stop(process)
    assert code == 0, f"the server ended with {code}:\n{errors.read_text()}"
