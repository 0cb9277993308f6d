"""The operator of a memory server: administration beside the S3 service that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from coffre.service.administration import Administration, Invalid
from coffre.service.node import Node
from coffre.testing.server import Credentials, MemoryServer


class ServersNode(Node):
    """A memory server, as administration sees it."""

    def __init__(self, server: MemoryServer) -> None:
        engine = server.engine
        self.reader = engine.catalog
        self.committer = engine.catalog
        self.root_keys = engine.root_keys
        self.clock = engine.clock
        self.entropy = engine.entropy
        self.zone_number = engine.settings.zone
        self.region = engine.settings.region
        self.private_networks = engine.settings.private_networks
        self._used = engine.used

    def last_used(self, access_keys: Sequence[str]) -> Mapping[str, int]:
        return {key: self._used[key] for key in access_keys if key in self._used}

    def status(self) -> dict[str, Any]:
        return {}

    def drive_list(self) -> list[dict[str, Any]]:
        return []

    async def seal_now(self) -> dict[str, Any]:
        return {}


class Operator:
    """Calls operations by name."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._administration = Administration(ServersNode(server))

    def call(self, operation: str, **arguments: Any) -> Any:
        return self._server.call(self._administration.call(operation, arguments))

    def refused(self, operation: str, **arguments: Any) -> tuple[str, str | None]:
        """The code and the field with which an operation is refused."""
        with pytest.raises(Invalid) as refused:
            self.call(operation, **arguments)
        return refused.value.code, refused.value.field

    def new_store(self, name: str, **settings: Any) -> Credentials:
        """A store of the tenant `people`, and its initial user."""
        if not any(one["name"] == "people" for one in self.call("tenant.list")):
            self.call("tenant.create", name="people")
        made = self.call("store.create", name=name, tenant="people", **settings)
        return as_user(name, made)

    def new_user(self, store: str, label: str, **settings: Any) -> Credentials:
        return as_user(store, self.call("user.create", store=store, label=label, **settings))


def as_user(store: str, made: Mapping[str, Any]) -> Credentials:
    """Keys as an operation shows them, once."""
    return Credentials(store, made["id"], made["label"], made["access_key"], made["secret_key"])
