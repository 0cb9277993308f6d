"""Requests byte by byte: signed by botocore's signers, sent exactly as they stand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from xml.etree import ElementTree

from botocore.auth import HmacV1Auth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningKey
from msgspec import Struct

from coffre.testing.server import Credentials


class Answer(Struct, frozen=True):
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error's code; empty for an answer without an XML error."""
        return self.field("Code")

    def field(self, name: str) -> str:
        """An element of the error document."""
        if not self.body.startswith(b"<?xml"):
            return ""
        root = ElementTree.fromstring(self.body)
        return root.findtext(name, "") if root.tag == "Error" else ""


class _Signer(S3SigV4Auth):  # type: ignore[misc]
    """Signs the payload mode that the request states, where it states one."""

    def payload(self, request: AWSRequest) -> str:
        stated: str | None = request.headers.get("X-Amz-Content-SHA256")
        found: str = stated or super().payload(request)
        return found

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        mode = self.payload(request)
        super()._modify_request_before_signing(request)
        del request.headers["X-Amz-Content-SHA256"]
        request.headers["X-Amz-Content-SHA256"] = mode


class WireClient:
    """Signs and sends requests for one user."""

    def __init__(self, port: int, user: Credentials, region: str = "us-east-1") -> None:
        self.port = port
        self.user = user
        self._region = region
        self._key = SigningKey(user.access_key, user.secret_key)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def signed(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
    ) -> dict[str, str]:
        """The headers of a request signed with SigV4."""
        request = AWSRequest(
            method,
            f"http://{host or self.host}{target}",
            data=body,
            headers={"Host": host or self.host, **(headers or {})},
        )
        _Signer(self._key, "s3", self._region).add_auth(request)
        return dict(request.headers.items())

    def signed_v2(
        self, method: str, target: str, headers: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The headers of a request signed with SigV2."""
        request = AWSRequest(
            method, f"http://{self.host}{target}", headers={"Host": self.host, **(headers or {})}
        )
        HmacV1Auth(self._key).add_auth(request)
        return dict(request.headers.items())

    def presigned(
        self,
        method: str,
        target: str,
        expires: int = 600,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """The path and query of a presigned SigV4 request."""
        request = AWSRequest(method, f"http://{self.host}{target}", headers=dict(headers or {}))
        S3SigV4QueryAuth(self._key, "s3", self._region, expires).add_auth(request)
        url: str = request.url
        return url.removeprefix(f"http://{self.host}")

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
    ) -> Answer:
        """A signed request and its answer."""
        if body or method in ("PUT", "POST"):
            headers = {"Content-Length": str(len(body)), **(headers or {})}
        return self.raw(method, target, body, self.signed(method, target, body, headers, host=host))

    def raw(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str | bytes]
    ) -> Answer:
        """A request exactly as given, and its answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            return _answer(connection.getresponse())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def render(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """A request's head as bytes."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """The next answer on a connection that stays open."""
    response = HTTPResponse(connection, method=method)
    response.begin()
    return _answer(response)


def until(found: Callable[[], list[Any]]) -> list[Any]:
    """What `found` finds, once it finds something."""
    deadline = time.monotonic() + 10
    while not (told := found()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return told


def _answer(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())
