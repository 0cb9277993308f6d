"""Data folders of every format that ever landed: this version still reads what is in them."""

from __future__ import annotations

import json
import re
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from coffre.catalog.migrations import SCHEMA_VERSION
from coffre.catalog.schema import open_any, schema_version
from coffre.testing.catalog import dump

from .client import Client
from .kept_folder import BUCKET, KEYS_FILE, RICH, RICH_SINCE, SETTINGS, SIZES, VERSIONS, body
from .node import Keys, Node, wait_until

KEPT = sorted((Path(__file__).parent.parent / "golden").glob("data-*.tar.gz"))


def test_a_folder_of_every_format_that_landed_is_kept() -> None:
    assert {"data-1.tar.gz", "data-4.tar.gz", "data-6.tar.gz"} <= {path.name for path in KEPT}


@pytest.mark.parametrize("archive", KEPT, ids=lambda path: path.name)
@pytest.mark.parametrize("with_catalog", [True, False], ids=["as it is", "catalog lost"])
def test_an_old_folder_serves_what_was_put_into_it(
    archive: Path, with_catalog: bool, tmp_path: Path
) -> None:
    node = unpacked(archive, tmp_path / "data")
    if not with_catalog:
        node.forget_catalog()
    client = Client(node.start())
    try:
        for key in SIZES:
            assert client.get(BUCKET, f"sealed/{key}").body == body(key)
            assert client.get(BUCKET, f"open/{key}").body == body(key)
        assert client.put(BUCKET, "new", b"written by this version").status == 200
        assert client.get(BUCKET, "new").body == b"written by this version"
        if format_of(archive) >= RICH_SINCE:
            look_at_rich(client)
    finally:
        node.kill()


def format_of(archive: Path) -> int:
    return int(archive.name.removeprefix("data-").removesuffix(".tar.gz"))


def look_at_rich(client: Client) -> None:
    """The bucket with settings is as `kept_folder.put_rich` left it."""
    for name in SETTINGS:
        assert client.send("GET", f"/{RICH}?{name}").status == 200, name
    listed = client.send("GET", f"/{RICH}?versions").body.decode()
    ids = re.findall(
        r"<Version>.*?<Key>public/versions</Key><VersionId>(.*?)</VersionId>", listed, re.DOTALL
    )
    found = [client.send("GET", f"/{RICH}/public/versions?versionId={one}").body for one in ids]
    assert found == list(reversed(VERSIONS))
    assert b"<Key>a</Key>" in client.send("GET", f"/{RICH}/public/versions?tagging").body
    assert client.get(RICH, "kms").body == b"sealed by a key"
    assert client.get(RICH, "deleted").status == 404


def unpacked(archive: Path, data: Path) -> Node:
    """The node of a kept folder, as it was left."""
    with tarfile.open(archive) as kept:
        kept.extractall(data, filter="data")
    keys = Keys(**json.loads((data / KEYS_FILE).read_text()))
    (data / KEYS_FILE).unlink()
    return Node(data, keys)


def version_of(node: Node) -> int:
    db = open_any(str(node.data / "catalog.sqlite"))
    try:
        return schema_version(db)
    finally:
        db.close()


def rows(node: Node) -> dict[str, Any]:
    db = open_any(str(node.data / "catalog.sqlite"))
    try:
        return dict(dump(db))
    finally:
        db.close()


@pytest.mark.parametrize("archive", KEPT, ids=lambda path: path.name)
def test_its_log_is_replayed_across_every_migration_since(archive: Path, tmp_path: Path) -> None:
    node = unpacked(archive, tmp_path / "data")
    assert version_of(node) < SCHEMA_VERSION
    client = Client(node.start())
    assert client.put(BUCKET, "new", b"written by this version").status == 200
    assert node.stop() == 0
    upgraded = rows(node)
    assert version_of(node) == SCHEMA_VERSION
    node.forget_catalog()
    assert node.command("rebuild", "--from", "log")["complete"]
    assert rows(node) == upgraded


@pytest.mark.parametrize("archive", KEPT, ids=lambda path: path.name)
def test_killed_while_it_is_upgraded_it_is_whole_all_the_same(
    archive: Path, tmp_path: Path
) -> None:
    node = unpacked(archive, tmp_path / "data")
    wal = node.data / "catalog.sqlite-wal"
    for tries in range(4):
        wal.unlink(missing_ok=True)  # What only it held is replayed.
        node.launch()
        wait_until(wal.exists, "the catalog is opened")
        time.sleep(0.01 * tries**2)
        node.kill()
    client = Client(node.start())
    try:
        for key in SIZES:
            assert client.get(BUCKET, f"sealed/{key}").body == body(key)
            assert client.get(BUCKET, f"open/{key}").body == body(key)
    finally:
        node.kill()
    assert version_of(node) == SCHEMA_VERSION
