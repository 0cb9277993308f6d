"""Two stores of one server, of either dialect, and what is asked of both."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

from msgspec import Struct

from coffre.catalog.clock_mutations import AdjustClock
from coffre.stewards.emptier import Emptier
from coffre.system.clock import Boot, SystemClock
from coffre.testing.server import Credentials, Dialect, MemoryServer
from tests.protocol.wire_client import Answer, WireClient

ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
_numbers = itertools.count()


class Stores(Struct, frozen=True):
    """A client for each dialect; the second users are of the same stores."""

    aws: WireClient
    ecs: WireClient
    second_of_aws: WireClient
    second_of_ecs: WireClient

    def of(self, dialect: Dialect) -> WireClient:
        return self.ecs if dialect == "ecs" else self.aws

    def second_of(self, dialect: Dialect) -> WireClient:
        return self.second_of_ecs if dialect == "ecs" else self.second_of_aws


def make_stores(server: MemoryServer, region: str = "us-east-1") -> Stores:
    def client(user: Credentials) -> WireClient:
        return WireClient(server.port, user, region)

    made = {}
    for dialect in ("aws", "ecs"):
        name = f"{dialect}-dialect-{next(_numbers)}"
        first = server.create_store(name, "ecs" if dialect == "ecs" else "aws")
        made[dialect] = client(first), client(server.create_user(name, "second"))
    return Stores(made["aws"][0], made["ecs"][0], made["aws"][1], made["ecs"][1])


def new_bucket(client: WireClient, **headers: str) -> str:
    """A bucket of its own, made with headers (`_` stands for `-`)."""
    name = f"bucket-{next(_numbers)}"
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    answer = client.send("PUT", f"/{name}", b"", named)
    assert answer.status == 200, answer.body
    return name


def texts(answer: Answer, name: str) -> list[str]:
    """The texts of all elements of a name, whatever namespace they are in."""
    root = ElementTree.fromstring(answer.body)
    return [one.text or "" for one in root.iter() if one.tag.rpartition("}")[2] == name]


class MovedClock(SystemClock):
    """The time, and what a test adds to it; `jumped_ms` is by how much somebody set the wall clock
    wrong."""

    def __init__(self) -> None:
        self.ahead_ms = self.jumped_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms + self.jumped_ms

    def boot(self) -> Boot:
        real = super().boot()
        return Boot(real.id, real.elapsed_ms + self.ahead_ms)

    def put_right(self, server: MemoryServer) -> None:
        """Back to the real time, the server's release clock too, which stays ahead by itself."""
        self.ahead_ms = self.jumped_ms = 0
        server.call(server.engine.catalog.commit(AdjustClock(self.now_ms(), "a test ended")))


def let_work(server: MemoryServer) -> None:
    """Let the steward do what waits."""
    emptier = Emptier(server.engine.catalog, server.engine.catalog)
    while server.call(emptier.round()).did:
        pass
