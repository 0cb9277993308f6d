"""Every format of every version that ever landed has a golden file, and is read for ever.

Here are those of root keys, their backups and snapshots, which are also still written byte for
byte; chunks, groups, records and superblocks are read beside their modules' own tests. A new
version gets a file of its own; none is ever made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec import structs

from coffre.catalog import log
from coffre.system.disk import LocalDisk
from coffre.system.entropy import SeededEntropy
from coffre.vault import archive, headers, landing, superblock
from coffre.vault.archive import (
    Archive,
    archive_path,
    expanded,
    find_archive,
    read_archive,
    write_archive,
)
from coffre.vault.drives import Drive, DriveSet
from coffre.vault.headers import Origin
from coffre.vault.key_backup import open_backup, read_head, seal_backup
from coffre.vault.keys import RootKey, RootKeyFile, encode_root_keys
from coffre.vault.records import Geometry
from coffre.vault.superblock import SnapshotRef

GOLDEN = Path(__file__).parent.parent / "golden"
NEW, OLD = RootKey(bytes(range(32))), RootKey(bytes(range(32, 64)))
BACKUP_COST = 1 << 10
SNAPSHOT = SnapshotRef(b"snapshot of then", 7, 41, bytes(range(32)), 3, 0)
LENGTH = 806
ROWS = b"rows of then, " * 10_000


@pytest.mark.parametrize(
    ("name", "newest"),
    [
        ("superblock", superblock.VERSION),
        ("landing", landing.VERSION),
        ("log-record", log.VERSION),
        ("vault", headers.VERSION),
        ("snapshot", archive.VERSION),
        ("root-key", 2),
        ("key-backup", 1),
    ],
)
def test_every_version_of_every_format_has_a_golden_file(name: str, newest: int) -> None:
    found = {path.name for path in GOLDEN.iterdir()}
    for version in range(1, newest + 1):
        names = {f"{name}-{version}", f"{name}-{version}.bin"}
        assert names & found, f"{name} {version} has none"


def test_root_key_files_of_versions_1_and_2() -> None:
    assert RootKeyFile(str(GOLDEN / "root-key-1")).all() == (NEW,)
    assert RootKeyFile(str(GOLDEN / "root-key-2")).all() == (NEW, OLD)
    assert encode_root_keys((NEW, OLD)) == (GOLDEN / "root-key-2").read_bytes()


def test_a_backup_of_version_1() -> None:
    data = (GOLDEN / "key-backup-1").read_bytes()
    assert open_backup(data, "the passphrase of then") == (NEW, OLD)
    assert read_head(data).made_ms == 1_700_000_000_000
    assert data == backup()


def backup() -> bytes:
    return seal_backup(
        (NEW, OLD),
        "the passphrase of then",
        region="here",
        zone="z1",
        made_ms=1_700_000_000_000,
        entropy=SeededEntropy(1),
        n=BACKUP_COST,
    )


def drives(root: Path) -> DriveSet:
    ids = [f"drive {number}".encode().ljust(16, b".") for number in range(3)]
    return DriveSet(
        LocalDisk(),
        [Drive(one, str(root / f"d{n}"), f"n{n}", f"r{n}") for n, one in enumerate(ids)],
        reserve_bytes=0,
    )


def snapshot(root: Path, stream: Iterable[bytes]) -> Archive:
    """Write the snapshot of then under `root`, the same for ever."""
    for number in range(3):
        (root / f"d{number}").mkdir(parents=True)
    origin = Origin("here", "z1", 1, OLD.id)
    there = drives(root)
    return write_archive(there, origin, SNAPSHOT, stream, OLD, Geometry(2, 1))


@pytest.mark.parametrize("lost", [None, 0, 1, 2])
def test_a_snapshot_of_version_1_is_read_whole_or_with_a_drive_away(
    tmp_path: Path, lost: int | None
) -> None:
    shutil.copytree(GOLDEN / "snapshot-1", tmp_path, dirs_exist_ok=True)
    there = drives(tmp_path)
    ref = structs.replace(SNAPSHOT, length=LENGTH)
    found = find_archive(there, ref)
    assert found is not None
    if lost is not None:
        Path(archive_path(found.places[lost], ref.id, lost)).unlink()
        found = find_archive(there, ref)
        assert found is not None
    assert b"".join(expanded(read_archive(there, found, OLD))) == ROWS


def test_a_snapshot_of_version_1_is_still_written_byte_for_byte(tmp_path: Path) -> None:
    then = drives(GOLDEN / "snapshot-1")
    found = find_archive(then, structs.replace(SNAPSHOT, length=LENGTH))
    assert found is not None
    snapshot(tmp_path, list(read_archive(then, found, OLD)))
    assert contents(tmp_path) == contents(GOLDEN / "snapshot-1")


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.segment"))}
