"""A small S3 client that can tell "it was refused" from "nobody knows": one connection a thread."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from msgspec import Struct

from .node import Node

ANSWER_S = 60.0


class Unsent(Exception):
    """No connection: the server cannot know of the request."""


class Lost(Exception):
    """The connection broke before the answer was whole: nobody knows what came of it."""


class Answer(Struct, frozen=True):
    """A whole answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error's code; empty without an error document."""
        if self.status < 300 or not self.body.startswith(b"<?xml"):
            return ""
        return ElementTree.fromstring(self.body).findtext("Code", "")

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "").strip('"')


class Listed(Struct, frozen=True):
    """An object as a listing shows it."""

    key: str
    size: int
    etag: str


class Client:
    """Speaks to whatever runs on the node's folder at the moment."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._connection: HTTPConnection | None = None
        self._start = -1

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A signed request (`target`: encoded path and query) and its answer.

        Raises Unsent, Lost.
        """
        connection = self._connected()
        signed = self.signed(method, target, body, headers)
        try:
            return _answer(_exchange(connection, method, target, body, signed))
        except (OSError, HTTPException) as error:
            self.close()
            raise Lost(f"{method} {target}: {error!r}") from error

    def signed(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """The headers of a request, signed with SigV4."""
        host = f"127.0.0.1:{self._node.port}"
        given = {"Host": host, **(headers or {})}
        request = AWSRequest(method, f"http://{host}{target}", data=body, headers=given)
        keys = self._node.keys
        credentials = Credentials(keys.access_key, keys.secret_key)
        S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
        signed: dict[str, Any] = dict(request.headers.items())
        return {**signed, "Content-Length": str(len(body))}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # What the tests ask for often

    def put(self, bucket: str, key: str, body: bytes) -> Answer:
        return self.send("PUT", target_of(bucket, key), body)

    def get(self, bucket: str, key: str) -> Answer:
        return self.send("GET", target_of(bucket, key))

    def delete(self, bucket: str, key: str) -> Answer:
        return self.send("DELETE", target_of(bucket, key))

    def make_bucket(self, bucket: str) -> None:
        answer = self.send("PUT", f"/{bucket}")
        assert answer.status == 200, answer

    def listing(self, bucket: str, page: int = 100) -> Iterator[Listed]:
        """All objects of a bucket, by ListObjectsV2 in pages."""
        token = ""
        while True:
            following = f"continuation-token={quote(token, safe='')}&" if token else ""
            answer = self.send("GET", f"/{bucket}?{following}list-type=2&max-keys={page}")
            assert answer.status == 200, answer
            root = ElementTree.fromstring(answer.body)
            space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
            for one in root.iter(f"{space}Contents"):
                yield Listed(
                    one.findtext(f"{space}Key", ""),
                    int(one.findtext(f"{space}Size", "-1")),
                    one.findtext(f"{space}ETag", "").strip('"'),
                )
            token = root.findtext(f"{space}NextContinuationToken", "")
            if root.findtext(f"{space}IsTruncated") != "true":
                return

    def _connected(self) -> HTTPConnection:
        if self._start != self._node.starts:
            self.close()
        if self._connection is None:
            connection = HTTPConnection("127.0.0.1", self._node.port, timeout=ANSWER_S)
            try:
                connection.connect()
            except OSError as error:
                raise Unsent(str(error)) from error
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection, self._start = connection, self._node.starts
        return self._connection


def target_of(bucket: str, key: str) -> str:
    return f"/{bucket}/{quote(key, safe='/')}"


def _exchange(
    connection: HTTPConnection, method: str, target: str, body: bytes, headers: Mapping[str, str]
) -> HTTPResponse:
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        connection.send(body)
    except (BrokenPipeError, ConnectionResetError):
        pass  # It may have answered before it read the body: the answer says, or its absence.
    return connection.getresponse()


def _answer(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())
