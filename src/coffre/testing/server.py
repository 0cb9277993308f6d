"""An S3 service in this process, all in memory: for people's tests, and for ours.

The gateway is the real one behind the real HTTP server; catalog and vault are the memory twins.

    with MemoryServer() as server:
        client = boto3.client("s3", endpoint_url=server.endpoint, ...)
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from msgspec import Struct

from coffre.catalog.audit_records import AuditRecord, decode_records
from coffre.catalog.deposit import Deposit
from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.mutations import (
    CountDead,
    CreateStore,
    CreateTenant,
    CreateUser,
    Mutation,
    Result,
)
from coffre.iam.call import Iam
from coffre.iam.sessions import Sessions
from coffre.iam.web_tokens import NoIssuers
from coffre.ledger.recorder import Recorder
from coffre.s3.access_logs import AccessLogs
from coffre.s3.gateway import Gateway
from coffre.s3.key_service import BUILT_IN, BuiltInKeys, KeyService
from coffre.s3.keyring import Keyring
from coffre.s3.services import Event, Services
from coffre.s3.settings import Settings
from coffre.system.clock import Clock, SystemClock
from coffre.system.entropy import Entropy, SystemEntropy, new_id
from coffre.vault.blobs import FramedVault
from coffre.vault.keys import KEY_BYTES, RootKey
from coffre.vault.memory import MemoryChunkStore
from coffre.vault.records import Extent

_T = TypeVar("_T")
Dialect = Literal["aws", "ecs"]
_START_S = 10.0
_LOOKS = 1000


class Credentials(Struct, frozen=True):
    """An object user with its access key; `id` is the Owner ID of S3 answers."""

    store: str
    id: str
    label: str
    access_key: str
    secret_key: str


class MemoryEngine:
    """Catalog and vault in memory, and the services on them."""

    def __init__(
        self,
        settings: Settings | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.entropy = entropy or SystemEntropy()
        self.settings = settings or Settings()
        self.events: list[Event] = []
        self.chunks = MemoryChunkStore(self.settings.zone)
        self.catalog = MemoryCatalog(self.clock, self.entropy, self.settings.zone, self.chunks.land)
        self._root_key = RootKey(self.entropy.bytes(KEY_BYTES))
        self.used: dict[str, int] = {}
        self.audit = Recorder(self.catalog, self.clock, "memory")
        self._audited = 0
        self._records: dict[str, list[AuditRecord]] = {}
        keyring = Keyring(self._root_key)
        vault = FramedVault(
            self.chunks,
            self.clock,
            self.entropy,
            self.settings.zone,
            count_dead=self._count_dead,
        )
        self.deposit = Deposit(
            self.catalog,
            self.catalog,
            vault,
            partial(keyring.data_key, self.catalog),
            self.clock,
            self.entropy,
            self.settings.zone,
        )
        self.access_logs = AccessLogs(
            self.catalog, self.deposit, self.clock, self.entropy, self.settings.region
        )
        self.services = Services(
            reader=self.catalog,
            committer=self.catalog,
            vault=vault,
            keyring=keyring,
            keys=KeyService(
                self.catalog,
                self.catalog,
                self.entropy,
                {BUILT_IN: BuiltInKeys(self.catalog, keyring, self.entropy)},
                region=self.settings.region,
            ),
            clock=self.clock,
            entropy=self.entropy,
            settings=self.settings,
            iam=Iam(
                self.catalog,
                self.catalog,
                keyring,
                Sessions(self._root_key, self.entropy),
                self.entropy,
                NoIssuers(),
            ),
            ledger=self.events.append,
            audit=self.audit,
            access_log=self.access_logs,
            used=self.used.__setitem__,
        )

    @property
    def root_keys(self) -> RootKey:
        """What opens the stores' keys and the users' secrets."""
        return self._root_key

    async def _count_dead(self, extents: tuple[Extent, ...]) -> None:
        await self.catalog.commit(CountDead(extents))

    async def audited(self, request_id: str) -> list[AuditRecord]:
        """What a request left in the audit. A read's record follows its answer."""
        for _ in range(_LOOKS):
            await self.audit.flush()
            for batch in self.catalog.audit_batches(after=self._audited, limit=10_000):
                self._audited = batch.sequence
                for one in decode_records(batch):
                    self._records.setdefault(one.request_id, []).append(one)
            if request_id in self._records:
                return self._records[request_id]
            await asyncio.sleep(0.002)
        return []

    async def create_tenant(self, name: str, bucket_limit: int = 999) -> bytes:
        """A tenant; its id."""
        tenant_id = self._id()
        await self.catalog.commit(CreateTenant(tenant_id, name, bucket_limit))
        return tenant_id

    async def create_store(self, name: str, tenant_id: bytes, dialect: Dialect = "aws") -> bytes:
        """A store with a key of its own; its id."""
        store_id, key = self._id(), self.entropy.bytes(KEY_BYTES)
        wrapped = self._root_key.wrap(key)
        await self.catalog.commit(
            CreateStore(
                store_id,
                name,
                tenant_id,
                self._id(),
                self._root_key.id,
                wrapped,
                key_order="utf-16be" if dialect == "ecs" else "utf-8",
                dialect=dialect,
            )
        )
        return store_id

    async def create_user(self, store: str, label: str) -> Credentials:
        """A user of a store that exists, with its first access key."""
        found = self.catalog.store_named(store)
        if found is None:
            raise LookupError(f"no store {store}")
        user = Credentials(
            store,
            self.entropy.bytes(32).hex(),
            label,
            "CK" + self.entropy.bytes(9).hex().upper(),
            self.entropy.bytes(20).hex(),
        )
        secret = self.services.keyring.wrap_secret(user.secret_key)
        await self.catalog.commit(
            CreateUser(user.id, found.id, label, "object", user.access_key, secret)
        )
        return user

    def _id(self) -> bytes:
        return new_id(self.entropy, self.settings.zone, self.clock.now_ms())


def _unchanged(services: Services) -> Services:
    return services


class MemoryServer:
    """The service on a port of 127.0.0.1, served by a thread of this process.

    `user` is the first user of the store `main`. `change` may replace services: a committer that
    fails, a gate that refuses. The other arguments are `MemoryEngine`'s.
    """

    user: Credentials

    def __init__(
        self,
        settings: Settings | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        *,
        port: int = 0,
        bucket_limit: int = 999,
        change: Callable[[Services], Services] = _unchanged,
    ) -> None:
        self.engine = MemoryEngine(settings, clock, entropy)
        self._services = change(self.engine.services)
        self.port = port or _free_port()
        self._bucket_limit = bucket_limit
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="coffre-memory", daemon=True)
        self._failure: BaseException | None = None
        self._server: Server | None = None
        self._native: frozenset[str] = frozenset()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[Event]:
        """What the ledger was told, in order."""
        return self.engine.events

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run `work` where the server runs: the engine belongs to that thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def audited(self, request_id: str) -> list[AuditRecord]:
        """See `MemoryEngine.audited`."""
        return self.call(self.engine.audited(request_id))

    def commit(self, mutation: Mutation) -> Result:
        return self.call(self.engine.catalog.commit(mutation))

    def create_store(self, name: str, dialect: Dialect = "aws") -> Credentials:
        """A store of its own tenant, with its first user."""

        async def made() -> Credentials:
            tenant_id = await self.engine.create_tenant(name, self._bucket_limit)
            await self.engine.create_store(name, tenant_id, dialect)
            return await self.engine.create_user(name, "Initial S3 user")

        return self.call(made())

    def create_user(self, store: str, label: str) -> Credentials:
        return self.call(self.engine.create_user(store, label))

    def __enter__(self) -> Self:
        before = _native_threads()
        self._thread.start()
        self._await_port()
        self._native = _native_threads() - before
        self.user = self.create_store("main")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(_START_S)
        self._await_native_threads()

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        except BaseException as failure:
            self._failure = failure
            raise
        finally:
            self._loop.close()

    async def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = Server(
            Gateway(self._services),
            address="127.0.0.1",
            port=self.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            log_level=LogLevels.error,
        )
        await self._server.serve()

    def _await_native_threads(self) -> None:
        """Wait until granian's own threads have ended: they outlive its `serve`, tell nobody when
        they end, and abort the process if they still run when the interpreter goes."""
        clock = SystemClock()
        deadline = clock.monotonic() + _START_S
        while self._native & _native_threads() and clock.monotonic() < deadline:
            time.sleep(0.01)

    def _await_port(self) -> None:
        """Wait until the port answers: granian tells nobody when it listens."""
        clock = SystemClock()
        deadline = clock.monotonic() + _START_S
        while self._failure is None and clock.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except ConnectionRefusedError:
                time.sleep(0.01)
            else:
                return
        raise RuntimeError(f"the server did not start: {self._failure!r}")


def _native_threads() -> frozenset[str]:
    """Ids of all threads of this process, Python's and others'."""
    return frozenset(os.listdir("/proc/self/task"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
