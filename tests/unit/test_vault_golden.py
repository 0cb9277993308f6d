"""Storage format 1, for ever: files written by the first release are read, and still written so.

`tests/golden/vault-1` is what `write` made: 2+1 over three drives, one blob in a landing chunk that
was sealed, one in a striped chunk. It is never made again; a new format gets a folder of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import json, structs

from coffre.system.disk import LocalDisk
from coffre.system.entropy import Entropy, SeededEntropy
from coffre.testing.vault import DriveZone
from coffre.vault.blobs import FramedVault
from coffre.vault.drives import DriveState
from coffre.vault.keys import RootKeyFile
from coffre.vault.records import Blob, Chunk, Extent

GOLDEN = Path(__file__).parent.parent / "golden" / "vault-1"
STORE_KEY = b"k" * 32
BODIES = [SeededEntropy(size).bytes(size) for size in (20_000, 70_000)]


async def count_nothing(extents: tuple[Extent, ...]) -> None:
    raise AssertionError(extents)


async def write(root: Path) -> tuple[list[Chunk], list[Blob]]:
    """One sealed and one striped chunk under `root`, the same for ever."""
    zone = DriveZone(LocalDisk(), str(root), racks=3, drives_per_rack=1)
    vault = FramedVault(
        zone.store,
        zone.clock,
        SeededEntropy(5),
        1,
        count_dead=count_nothing,
        inline_limit=32 * 1024,
    )
    blobs: list[Blob] = []
    for body in BODIES:
        writer = vault.writer(b"store-key-1", STORE_KEY, size_hint=len(body))
        await writer.write(body)
        staged = await writer.finish()
        extents = (await zone.land(*staged.body)) if staged.body else staged.blob.extents
        blobs.append(structs.replace(staged.blob, extents=tuple(extents)))
    await zone.seal(zone.close_landing())
    await zone.writer.drain()
    return list(zone.rows.values()), blobs


def id_of_then(entropy: Entropy, zone: int, now_ms: int) -> bytes:
    """Ids had no time in them then; the format does not look inside."""
    return zone.to_bytes(2, "big") + entropy.bytes(14)


def test_the_root_key_file_of_format_1_is_read() -> None:
    assert RootKeyFile(str(GOLDEN / "root.key")).current.id.hex() == "edbb3598801034b5"


async def read(vault: FramedVault, blob: Blob) -> bytes:
    return b"".join([piece async for piece in vault.read(blob, STORE_KEY, 0, blob.size)])


async def test_the_files_of_format_1_are_read_whole_or_with_a_drive_away() -> None:
    zone = DriveZone(LocalDisk(), str(GOLDEN), racks=3, drives_per_rack=1)
    rows = json.decode((GOLDEN / "chunks.json").read_bytes(), type=list[Chunk])
    blobs = json.decode((GOLDEN / "blobs.json").read_bytes(), type=list[Blob])
    zone.rows = {row.id: row for row in rows}
    vault = FramedVault(zone.store, zone.clock, SeededEntropy(1), 1, count_dead=count_nothing)
    for body, blob in zip(BODIES, blobs, strict=True):
        assert await read(vault, blob) == body
        for drive in zone.drives.all():
            drive.state = DriveState.MISSING
            assert await read(vault, blob) == body
            drive.state = DriveState.PRESENT
    assert zone.noticed == []


async def test_format_1_is_still_written_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("vault.blobs", "vault.striped", "testing.vault"):
        monkeypatch.setattr(f"coffre.{module}.new_id", id_of_then)
    rows, blobs = await write(tmp_path)
    # What rows say beyond the fields of then is the catalog's, not the drives'.
    then = json.decode((GOLDEN / "chunks.json").read_bytes())
    now = json.decode(json.encode(rows))
    assert [{key: row[key] for key in old} for row, old in zip(now, then, strict=True)] == then
    kept = json.decode((GOLDEN / "blobs.json").read_bytes())
    assert [blob[:5] for blob in json.decode(json.encode(blobs))] == kept
    assert contents(tmp_path) == contents(GOLDEN)


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.segment"))
    }
