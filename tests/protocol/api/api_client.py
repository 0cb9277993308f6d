"""The management API as a program has it: requests of somebody who is signed in."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from coffre.console.api.activities import Activity
from coffre.console.api.route import Route
from coffre.console.api.table import ROUTES
from tests.browser.served import Person, Served, trusting


@dataclass(frozen=True)
class Said:
    """An answer; `value` is its JSON (None: it has none)."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def problem(self) -> tuple[int, str, str | None]:
        """Status, code and field of a refusal."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        return self.status, self.value["code"], self.value.get("field")


class Api:
    """Requests by one person, over one connection."""

    def __init__(self, node: Served, person: Person | None) -> None:
        place = urlsplit(node.origin)
        assert place.hostname is not None
        trust: ssl.SSLContext = trusting(node.facts)
        self._connection = http.client.HTTPSConnection(
            place.hostname, place.port, timeout=60, context=trust
        )
        self._headers: dict[str, str] = {}
        if person is not None:
            given = {"name": person.name, "password": person.password}
            said = self.send("POST", "/session", given)
            assert said.status == 201, said
            self._headers["Cookie"] = said.headers["set-cookie"].partition(";")[0]
            self._headers["X-CSRF-Token"] = said.value["csrf_token"]

    @property
    def headers(self) -> dict[str, str]:
        """What says who asks."""
        return dict(self._headers)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, Any] | None = None,
        **headers: str,
    ) -> Said:
        """One request; bytes are sent as they are, anything else as JSON."""
        sent = dict(self._headers)
        if isinstance(body, bytes):
            sent["Content-Type"] = "application/octet-stream"
        elif body is not None:
            body, sent["Content-Type"] = json.dumps(body), "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urlencode(query or {}, doseq=True)
        target = f"/api/v1{path}{'?' + asked if asked else ''}"
        try:
            answer = self._answer(method, target, body, sent)
        except (OSError, http.client.HTTPException):
            # A connection that was not used for a while is closed.
            self._connection.close()
            answer = self._answer(method, target, body, sent)
        told = {name.lower(): value for name, value in answer.getheaders()}
        said = Said(answer.status, told, answer.read())
        documented(method, path, said)
        return said

    def _answer(
        self, method: str, target: str, body: Any, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        self._connection.request(method, target, body, headers)
        return self._connection.getresponse()

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """What a request that is granted is answered."""
        said = self.send(method, path, body, query)
        assert said.status < 300, (method, path, said.status, said.body)
        return said.value

    def refused(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Status, code and field of a refusal."""
        return self.send(method, path, body, query).problem

    def close(self) -> None:
        self._connection.close()


def in_path(*parts: str) -> str:
    """Words as a path."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _shape(path: str) -> re.Pattern[str]:
    parts = ("[^/]+" if part[:1] == "{" else re.escape(part) for part in path.split("/"))
    return re.compile("/".join(parts))


_PATHS: Final = [(one, _shape(one.path)) for one in ROUTES]


def documented(method: str, path: str, said: Said) -> None:
    """Fail where an answer is not as its row says."""
    route = route_of(method, path)
    if route is None or said.status >= 300 or method == "HEAD":
        return
    wanted = 202 if route.long else 204 if route.answer is None else route.status
    assert said.status in (wanted, 206), (method, path, said.status)
    if said.headers.get("content-type") != "application/json":
        return
    kind: Any = Activity if route.long else route.answer
    if route.rows is not None or route.pages is not None:
        assert said.value["next"] is None or isinstance(said.value["next"], str)
        msgspec.convert(said.value["items"], list[kind])
    else:
        msgspec.convert(said.value, kind)


def route_of(method: str, path: str) -> Route | None:
    """The row of a path: a word in its path before what any word may stand for."""
    found = [one for one, shape in _PATHS if one.method == method and shape.fullmatch(path)]
    return min(found, key=lambda one: len(one.in_path), default=None)
