"""The first page of a folder in the console, from a catalog file with many keys in that folder:
the gateway, its document and the reading of that together.

50 000 keys; `COFFRE_LONG=1`: a million, whose first page must take less than 300 ms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from msgspec import Struct

from bench.listing import OWNER, ROWS_A_TRANSACTION, fresh_id, group, premises
from coffre.access.caller import Caller
from coffre.catalog.mutations import CreateBucket, ObjectFacts, PutVersion
from coffre.catalog.people_records import Person
from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import checkpoint, open_reader, open_writer
from coffre.catalog.stamp import HybridClock
from coffre.console.bucket_objects import Objects, Page
from coffre.console.data import Data
from coffre.console.names import key_bytes
from coffre.console.pages.files import PAGE
from coffre.console.parts import Parts
from coffre.console.signed import Signed, Where
from coffre.iam.sessions import Sessions
from coffre.s3.gateway import Gateway
from coffre.system.clock import SystemClock
from coffre.system.entropy import SeededEntropy, SystemEntropy
from coffre.testing.server import MemoryEngine
from coffre.vault.records import Blob

LONG = os.environ.get("COFFRE_LONG") == "1"
KEYS = 1_000_000 if LONG else 50_000
WITHIN_S = 0.3
TRIES = 9


class Nobody:
    """The node's other operations, which no listing asks for."""

    async def ask(self, operation: str, arguments: dict[str, Any], caller: Caller) -> Any:
        raise AssertionError(operation)


class Filled(Struct):
    objects: Objects


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    path = str(tmp_path_factory.mktemp("folder") / "catalog.sqlite")
    entropy = SeededEntropy(1)
    clock = HybridClock(SystemClock(), entropy, 1)
    writer = open_writer(path)
    store, bucket = fresh_id(entropy), fresh_id(entropy)
    group(writer, clock, premises(store, fresh_id(entropy), entropy))
    group(writer, clock, [CreateBucket(bucket, store, "large", OWNER, "us-east-1")])
    for start in range(0, KEYS, ROWS_A_TRANSACTION):
        numbers = range(start, min(KEYS, start + ROWS_A_TRANSACTION))
        group(writer, clock, (kept(bucket, number, entropy) for number in numbers))
        checkpoint(path)
    writer.close()
    db = open_reader(path)
    yield Filled(objects_of(SqliteReader(db)))
    db.close()


def kept(bucket: bytes, number: int, entropy: SeededEntropy) -> PutVersion:
    blob = Blob(fresh_id(entropy), 0, b"", b"")
    facts = ObjectFacts(etag="d41d8cd98f00b204e9800998ecf8427e", owner_id=OWNER)
    return PutVersion(bucket, b"folder/%09d" % number, fresh_id(entropy), blob, facts)


def objects_of(reader: SqliteReader) -> Objects:
    """The bucket's objects, as the console reads them for an operator."""
    engine = MemoryEngine()
    parts = Parts(
        reader=reader,
        node=Nobody(),
        memory=cast(Any, None),
        sealer=cast(Any, None),
        gateway=Gateway(replace(engine.services, reader=reader)),
        sessions=Sessions(engine.root_keys, SystemEntropy()),
        issuers=cast(Any, None),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        region=engine.settings.region,
        zone="zone-1",
    )
    person = Person(b"p" * 16, "operator", "operator", "", 0)
    signed = Signed(person, "console", Where("127.0.0.1", "test", "R"))
    data = Data(parts)

    def ask(method: str, key: str, query: Any, headers: Any, body: Any) -> Any:
        raw = key_bytes(key) if key else None
        return data.request(signed, "bench", method, "large", raw, query, headers, body)

    return Objects(ask)


async def timed(objects: Objects, prefix: str, following: dict[str, str]) -> tuple[Page, float]:
    """A page, and the middle of the seconds that it took."""
    taken = []
    for _ in range(TRIES):
        started = time.perf_counter()
        page = await objects.page(prefix, following, PAGE)
        taken.append(time.perf_counter() - started)
    return page, sorted(taken)[TRIES // 2]


async def test_the_first_page_of_a_large_folder_is_there_at_once(
    filled: Filled, capsys: pytest.CaptureFixture[str]
) -> None:
    page, first_s = await timed(filled.objects, "folder/", {})
    assert [one.key for one in page.entries] == [f"folder/{number:09}" for number in range(PAGE)]
    page, next_s = await timed(filled.objects, "folder/", page.following)
    assert page.entries[0].key == f"folder/{PAGE:09}"
    page, above_s = await timed(filled.objects, "", {})
    assert page.folders == ["folder/"]
    with capsys.disabled():
        told = ", ".join(f"{one * 1000:.1f}" for one in (first_s, next_s, above_s))
        print(f"\n{KEYS} keys: first page, next page, folder above: {told} ms")
    if LONG:
        assert max(first_s, next_s, above_s) < WITHIN_S
