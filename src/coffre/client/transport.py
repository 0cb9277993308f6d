"""Requests to the management API, their answers and errors.

One connection, kept open; one request at a time. A request that met a dead connection is sent again
where that is safe: those that read, and every POST, which carries a key that the server knows it
by.
"""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import UNSET, Struct

_T = TypeVar("_T")
_PREFIX: Final = "/api/v1"
_JSON: Final = "application/json"
_SAFE_AGAIN: Final = ("GET", "HEAD", "PUT", "DELETE")
_POLL_S: Final = 0.5
_ERROR_LIMIT: Final = 1 << 20


class ApiError(Exception):
    """The API refused. `code` is stable, `field` names the argument that it is about;
    `retry_after_s`: when to come again (None: that would be no use)."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        field: str | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        about = f"{field}: " if field else ""
        super().__init__(f"{about}{detail} ({code})")


class NotReached(Exception):
    """Nobody answers there, or not as the API does."""


class _Problem(Struct):
    code: str
    detail: str
    field: str | None = None
    request_id: str = ""


class Content:
    """Bytes of an object, as they come. Read all of them, or close it."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        return self._response.read(None if size < 0 else size)

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._response.read(1 << 20):
            yield piece

    def close(self) -> None:
        self._response.close()


class Transport:
    """A connection to one console."""

    def __init__(
        self,
        origin: str,
        *,
        token: str = "",
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        timeout_s: float = 60.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        new_key: Callable[[], object] = uuid.uuid4,
    ) -> None:
        """`origin`: as the ready line's `console` says. `ca_file`: who signs its certificate, where
        the system does not know. `new_key` makes the key that a POST is known by. Raises
        ValueError, OSError (a file that cannot be read)."""
        self._now, self._sleep, self._new_key = now, sleep, new_key
        place = urlsplit(origin)
        if place.scheme not in ("https", "http") or not place.hostname:
            raise ValueError(f"{origin!r} is no https://HOST:PORT")
        self._secure = place.scheme == "https"
        self._host, self._port = place.hostname, place.port
        self._token = token or ("" if token_file is None else Path(token_file).read_text().strip())
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._timeout_s = timeout_s
        self._connection: HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the next request connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def value(
        self,
        method: str,
        path: str,
        kind: type[_T] | Any,
        fields: Mapping[str, Any] | None = None,
        *,
        if_match: str = "",
    ) -> _T:
        """One request, and its answer as `kind`. `fields` that are UNSET are left out. Raises
        ApiError, NotReached."""
        response = self._sent(method, path, _given(fields), if_match=if_match)
        body = response.read()
        try:
            found: _T = msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise NotReached(f"the answer to {method} {path} is not understood: {error}") from error
        return found

    def nothing(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        if_match: str = "",
    ) -> None:
        """One request whose answer has no body."""
        self._sent(method, path, _given(fields), if_match=if_match).read()

    def rows(
        self,
        method: str,
        path: str,
        kind: type[_T] | Any,
        fields: Mapping[str, Any] | None = None,
    ) -> Iterator[_T]:
        """Every row of a list, page after page."""
        given = _given(fields)
        while True:
            response = self._sent(method, path, given)
            page = msgspec.json.decode(response.read())
            for row in page["items"]:
                yield msgspec.convert(row, kind)
            if page["next"] is None:
                return
            given = {**given, "cursor": page["next"]}

    def upload(
        self,
        method: str,
        path: str,
        kind: type[_T] | Any,
        content: bytes | BinaryIO,
        fields: Mapping[str, Any] | None = None,
    ) -> _T:
        """Bytes as a request's body, the other arguments in its query."""
        response = self._sent(method, path, _given(fields), content=content)
        found: _T = msgspec.json.decode(response.read(), type=kind)
        return found

    def content(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Content:
        """Bytes as an answer."""
        return Content(self._sent(method, path, _given(fields)))

    def ended(self, activity_id: str, timeout_s: float) -> dict[str, Any]:
        """Poll an activity until it ends. Raises ApiError where it failed, TimeoutError."""
        deadline = self._now() + timeout_s
        while True:
            found: Any = self.value("GET", located("activities", activity_id), dict[str, Any])
            if found["error"] is not None:
                said = msgspec.convert(found["error"], _Problem)
                about = (said.code, said.detail, said.field, said.request_id)
                raise ApiError(found["error"]["status"], *about)
            if found["status"] != "running":
                ended: dict[str, Any] = found
                return ended
            if self._now() > deadline:
                raise TimeoutError(f"{found['operation']} is not over after {timeout_s} s")
            self._sleep(_POLL_S)

    def _sent(
        self,
        method: str,
        path: str,
        given: Mapping[str, Any],
        *,
        if_match: str = "",
        content: bytes | BinaryIO | None = None,
    ) -> HTTPResponse:
        headers = {"Accept": _JSON}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if if_match:
            headers["If-Match"] = if_match
        body: bytes | BinaryIO | None = content
        if content is None and method in ("POST", "PUT", "PATCH"):
            body = msgspec.json.encode(given)
            headers["Content-Type"] = _JSON
        elif given:
            path += "?" + urlencode(_words(given), doseq=True)
        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        elif method == "POST":
            headers["Idempotency-Key"] = str(self._new_key())
        again = content is None and (method in _SAFE_AGAIN or method == "POST")
        response = self._answered(method, _PREFIX + path, body, headers, again)
        if response.status >= 300:
            raise _error(response)
        return response

    def _answered(
        self,
        method: str,
        target: str,
        body: bytes | BinaryIO | None,
        headers: dict[str, str],
        again: bool,
    ) -> HTTPResponse:
        fresh = self._connection is None
        try:
            connection = self._connected()
            connection.request(method, target, body, headers)
            return connection.getresponse()
        except (OSError, HTTPException) as error:
            self.close()
            if again and not fresh:
                return self._answered(method, target, body, headers, again=False)
            raise NotReached(f"{self._host} does not answer: {error}") from error

    def _connected(self) -> HTTPConnection:
        if self._connection is None:
            if self._secure:
                self._connection = HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_s, context=self._context
                )
            else:
                self._connection = HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return self._connection


def located(*parts: object) -> str:
    """Words as a path."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def _given(fields: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (fields or {}).items() if value is not UNSET}


def _words(given: Mapping[str, Any]) -> dict[str, Any]:
    """As a query has them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in given.items()
        if value is not None
    }


def _error(response: HTTPResponse) -> ApiError | NotReached:
    body = response.read(_ERROR_LIMIT)
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.MsgspecError:
        return NotReached(f"what answers is not the management API: status {response.status}")
    wait = response.headers.get("Retry-After")
    return ApiError(
        response.status,
        problem.code,
        problem.detail,
        problem.field,
        problem.request_id,
        float(wait) if wait is not None and wait.isdigit() else None,
    )
