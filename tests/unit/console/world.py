"""A console in this process over a region in memory, whose clock tests move; and browsers of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from coffre.access.caller import Caller
from coffre.catalog.people_mutations import CreatePerson
from coffre.console.app import console_app
from coffre.console.parts import Limits, Parts, Vouched
from coffre.console.refused import Refused
from coffre.iam.passwords import hash_password
from coffre.iam.sessions import Sessions
from coffre.s3.gateway import Gateway
from coffre.service.administration import Administration
from coffre.service.console_memory import ConsoleMemory, RootSealer
from coffre.service.invalid import Invalid
from coffre.service.node import Node
from coffre.system.clock import SystemClock
from coffre.system.entropy import new_id
from coffre.testing.server import MemoryEngine

PASSWORD = "an operator's first one"


class MovedClock(SystemClock):
    """Wall and monotonic time, `ahead` of the real ones by as many seconds as a test likes."""

    ahead = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + round(self.ahead * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class EngineNode(Node):
    """A region in memory, as administration sees it."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.reader = engine.catalog
        self.committer = engine.catalog
        self.root_keys = engine.root_keys
        self.clock = engine.clock
        self.entropy = engine.entropy
        self.zone_number = engine.settings.zone

    def status(self) -> dict[str, Any]:
        return {"engine": "memory", "region": "here", "zone": "one"}

    def drive_list(self) -> list[dict[str, Any]]:
        return []

    async def seal_now(self) -> dict[str, Any]:
        return {"sealed": 0}


class Asked:
    """The node's door; `callers` are those who came, `failure` what it fails with."""

    def __init__(self, node: Node) -> None:
        self._administration = Administration(node)
        self.callers: list[tuple[str, Caller]] = []
        self.failure: Exception | None = None

    async def ask(self, operation: str, arguments: dict[str, Any], caller: Caller) -> Any:
        self.callers.append((operation, caller))
        if self.failure is not None:
            raise self.failure
        try:
            return await self._administration.call(operation, arguments)
        except Invalid as invalid:
            raise Refused(invalid.code, invalid.message, invalid.field) from None


class OneIssuer:
    """An issuer that vouches for `subject`; `asked` is what it was asked with last."""

    def __init__(self) -> None:
        self.subject = "somebody"
        self.nonce: str | None = None
        self.asked: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        return ("house",)

    async def where(
        self, name: str, state: str, nonce: str, challenge: str, back: str
    ) -> str | None:
        self.asked = (state, nonce, challenge, back)
        return f"https://id.example/?state={state}" if name == "house" else None

    async def vouch(self, name: str, code: str, verifier: str, back: str) -> Vouched | None:
        if code != "right":
            return None
        return Vouched("https://id.example", self.subject, self.nonce or self.asked[1])


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.value["code"])

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class World:
    """The console, its parts and its people."""

    def __init__(self, **limits: Any) -> None:
        self.clock = MovedClock()
        self.engine = MemoryEngine(clock=self.clock)
        self.node = Asked(EngineNode(self.engine))
        self.issuer = OneIssuer()
        entropy, roots = self.engine.entropy, self.engine.root_keys
        self.parts = Parts(
            reader=self.engine.catalog,
            node=self.node,
            memory=ConsoleMemory(":memory:", self.clock),
            sealer=RootSealer(roots, entropy),
            gateway=Gateway(self.engine.services),
            sessions=Sessions(roots, entropy),
            issuers=self.issuer,
            clock=self.clock,
            entropy=entropy,
            region=self.engine.settings.region,
            zone="one",
            limits=Limits(**{"rate": 10_000, **limits}),
            audit=self.engine.audit,
        )
        self.app = console_app(self.parts)

    async def begin(self) -> World:
        """With the operator, and the tenant and store `one`."""
        entropy = self.engine.entropy
        operator = new_id(entropy, 1, self.clock.now_ms())
        hashed = hash_password(PASSWORD, entropy)
        await self.engine.catalog.commit(CreatePerson(operator, "operator", "operator", hashed))
        await self.operate("tenant.create", name="one")
        await self.operate("store.create", name="one", tenant="one")
        return self

    def again(self) -> None:
        """Another console process, with the memory of the one before."""
        self.app = console_app(self.parts)

    async def operate(self, operation: str, **arguments: Any) -> Any:
        """As the node's own command line."""
        return await self.node.ask(operation, arguments, Caller("cli:uid-0", "cli"))

    async def person(self, name: str, role: str = "owner", **how: Any) -> Browser:
        """Somebody of the tenant `one`, signed in."""
        made = await self.operate(
            "person.create", name=name, role=role, tenant="one", first_password=True, **how
        )
        browser = Browser(self, password=made["password"])
        said = await browser.sign_in(name, made["password"])
        assert said.status == 201, said
        return browser

    async def operator(self) -> Browser:
        browser = Browser(self, password=PASSWORD)
        said = await browser.sign_in("operator", PASSWORD)
        assert said.status == 201, said
        return browser


class Browser:
    """Keeps cookies, and sends the CSRF token that it was told last."""

    def __init__(self, world: World, client: str = "192.0.2.1", password: str = "") -> None:
        self._world = world
        self.client = client
        self.password = password
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    async def sign_in(self, name: str, password: str, **more: str) -> Said:
        return await self.send("POST", "/session", {"name": name, "password": password, **more})

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        place: str = "/api/v1",
    ) -> Said:
        """One request; bytes are sent as they are, anything else as JSON."""
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        sent = {"host": "console.example:9001", "user-agent": "tests"}
        if body is not None:
            sent["content-type"] = "application/json"
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={one}" for name, one in self.cookies.items())
        if self.csrf:
            sent["x-csrf-token"] = self.csrf
        sent |= headers or {}
        said = await self._exchange(method, place + path, raw, urlencode(query or {}), sent)
        for name, value in said.headers:
            if name == "set-cookie":
                self._take(value)
        if said.body.startswith(b"{") and "csrf_token" in said.value:
            self.csrf = said.value["csrf_token"]
        return said

    def _take(self, header: str) -> None:
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value

    async def _exchange(
        self, method: str, path: str, body: bytes, query: str, headers: Mapping[str, str]
    ) -> Said:
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (self.client, 1),
            "server": ("console.example", 9001),
        }
        told: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            told.append(message)

        await self._world.app(scope, receive, send)
        pairs = [(name.decode().lower(), value.decode()) for name, value in told[0]["headers"]]
        whole = b"".join(message.get("body", b"") for message in told[1:])
        return Said(told[0]["status"], pairs, whole)
