"""A server with an archivist, whose time a test moves, and a bucket of the test's own."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from coffre.catalog.audit import Finding, audit
from coffre.catalog.event_mutations import EventPlace
from coffre.s3.keyring import Keyring
from coffre.stewards.archivist import Archivist
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.ecs_client import MovedClock
from tests.protocol.wire_client import WireClient

DAY_MS = 24 * 3600 * 1000
_names = itertools.count()


async def _unhurried(size: int) -> None:
    """A pace that lets everything pass."""


def archivist_of(server: MemoryServer, clock: MovedClock) -> Archivist:
    engine = server.engine
    keyring: Keyring = engine.services.keyring
    return Archivist(
        engine.catalog,
        engine.catalog,
        engine.services.vault,
        engine.chunks,
        engine.services.vault,
        partial(keyring.data_key, engine.catalog),
        _unhurried,
        clock,
        owners=frozenset({"memory"}),
        renew=lambda: None,
        inline_limit=1 << 20,
    )


class Archive:
    """`work` lets the archivist do all that is due."""

    def __init__(self, server: MemoryServer, clock: MovedClock) -> None:
        self.server = server
        self.clock = clock
        self.s3 = boto(server, server.user)
        self.wire = WireClient(server.port, server.user)
        self.bucket = f"archive-{next(_names)}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.archivist = archivist_of(server, clock)

    def put(
        self, key: str = "key", body: bytes = b"cold", kind: str = "GLACIER", **more: Any
    ) -> Any:
        about = {"Bucket": self.bucket, "Key": key, "Body": body, "StorageClass": kind}
        return self.s3.put_object(**about, **more)

    def get(self, key: str = "key", **more: Any) -> bytes:
        read: bytes = self.s3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()
        return read

    def head(self, key: str = "key", **more: Any) -> Any:
        return self.s3.head_object(Bucket=self.bucket, Key=key, **more)

    def restore(self, key: str = "key", days: int = 2, tier: str = "", **more: Any) -> int:
        """Ask for a copy; the answer's status."""
        asked: dict[str, Any] = {"Days": days}
        if tier:
            asked["GlacierJobParameters"] = {"Tier": tier}
        about = {"Bucket": self.bucket, "Key": key, "RestoreRequest": asked}
        done = self.s3.restore_object(**about, **more)
        status: int = done["ResponseMetadata"]["HTTPStatusCode"]
        return status

    def work(self, *, hasten: bool = False) -> None:
        if hasten:
            self.archivist.hasten()
        while self.server.call(self.archivist.round()).did:
            pass

    def pass_s(self, seconds: float) -> None:
        self.clock.ahead_ms += round(seconds * 1000)
        self.work()

    def pass_days(self, days: float) -> None:
        self.pass_s(days * 24 * 3600)

    def classes(self) -> dict[str, tuple[int, int]]:
        """Objects and bytes of the bucket by class."""
        catalog = self.server.engine.catalog
        store = catalog.store_named("main")
        assert store is not None
        found = catalog.bucket(store.id, self.bucket)
        assert found is not None
        return catalog.bucket_classes(found.id)

    def events(self) -> list[str]:
        """Names of the events of the bucket that wait to be delivered."""
        catalog = self.server.engine.catalog
        found = catalog.only_bucket_named(self.bucket)
        assert found is not None
        waiting = catalog.events(after=EventPlace(b"", 0, 0), limit=1000)
        return [event.name for place, event in waiting if place.bucket_id == found.id]

    def unsound(self) -> list[Finding]:
        """What the audit of the catalog finds wrong."""

        async def look() -> list[Finding]:
            return audit(self.server.engine.catalog._db).findings

        return self.server.call(look())
