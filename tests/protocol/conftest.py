"""A memory server for the whole run, and clients that speak to it: boto3 and bytes on the wire."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from coffre.system.clock import SystemClock
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.ecs_client import MovedClock
from tests.protocol.lock_client import LockRoom
from tests.protocol.wire_client import WireClient

_names = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[MemoryServer]:
    with MemoryServer(bucket_limit=100_000) as running:
        yield running


@pytest.fixture(scope="session")
def s3(server: MemoryServer) -> Any:
    return boto(server, server.user)


@pytest.fixture(scope="session")
def wire(server: MemoryServer) -> WireClient:
    return WireClient(server.port, server.user)


@pytest.fixture(scope="session")
def stranger(server: MemoryServer) -> Credentials:
    """Another user of the same store."""
    return server.create_user("main", "stranger")


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new, empty bucket of the first user's."""
    name = f"bucket-{next(_names)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture(scope="session")
def ecs_server(clock: MovedClock) -> Iterator[MemoryServer]:
    with MemoryServer(clock=clock) as running:
        yield running


@pytest.fixture
def ecs(ecs_server: MemoryServer, clock: MovedClock) -> WireClient:
    clock.put_right(ecs_server)
    user = ecs_server.create_store(f"extended-{next(_names)}", "ecs")
    return WireClient(ecs_server.port, user)


@pytest.fixture(scope="session")
def moved() -> Iterator[tuple[MemoryServer, MovedClock]]:
    # The catalog's time is moved, not that of the gateway, which clients sign by.
    clock = MovedClock()
    with MemoryServer(
        clock=clock, change=lambda services: replace(services, clock=SystemClock())
    ) as server:
        yield server, clock


@pytest.fixture
def room(moved: tuple[MemoryServer, MovedClock]) -> LockRoom:
    return LockRoom(*moved)


@pytest.fixture
def still(server: MemoryServer) -> LockRoom:
    """Where no time was passed: policies ask the gateway's."""
    return LockRoom(server, MovedClock())


@pytest.fixture
def plain(moved: tuple[MemoryServer, MovedClock]) -> LockRoom:
    """A bucket without Object Lock."""
    return LockRoom(*moved, locked=False)
