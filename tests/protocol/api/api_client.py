"""The management API as a program has it: requests of somebody who is signed in."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

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
        return Said(answer.status, told, answer.read())

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
