"""Writes `docs/storage-format.md` from the docstrings of the modules that own each format:
`python -m tools.storage_format`."""

from __future__ import annotations

import importlib
import inspect

HEAD = """\
# Storage format

What lies in a data folder and on its drives, byte by byte. Each section is written in the module
that reads and writes the format, and gathered here; golden files of every format ever landed are
kept in `tests/golden` and read by a test. A reader of version N reads all earlier ones; a newer one
is refused, never guessed at.

## The data folder

| path | what |
|------|------|
| `coffre.format` | the number of the folder's format, written last when a region is made: 1 |
| `root.key` | the root keys (mode 0600): every other key is derived from one or wrapped by one |
| `catalog.sqlite` (`-wal`, `-shm`) | the catalog: rows, with a checksum on every page |
| `drives/rXnYdZ/superblock` | what the zone is and where its log stands, on every drive |
| `drives/rXnYdZ/chunks/XX/<chunk>.mirror` | an open landing chunk: the log and small bodies |
| `drives/rXnYdZ/chunks/XX/<chunk>.<index>.segment` | a segment of a sealed or striped chunk |
| `drives/rXnYdZ/snapshots/<id>.<index>.segment` | a segment of a snapshot of the catalog |
| `drives/rXnYdZ/follower/catalog.sqlite` | on one drive: the follower's copy of the catalog |
| `drives/rXnYdZ/follower/differs` | says that this copy is not to be used |
| `catalog.sqlite.set-aside` | the catalog that a rebuild took the place of |
| `catalog.sqlite.new`, `snapshot.tmp` | a rebuild, a snapshot under way; they count for nothing |
| `*.tmp` | a file on its way to its name; left over by a crash, it counts for nothing |
| `{coffre,committer,steward,follower}.sock` | sockets of a running node (mode 0600) |
| `drives/rXnYdZ/probe` | what the monitor writes and reads back to see that a drive works |
| `ballast`, `drives/rXnYdZ/ballast` | zeros, given up where not a byte is free; mean nothing else |
| `drives.json` | drives that were added (path, node, rack) and removed since the configuration |
| `drives.board` | how each drive is, for the processes of a running node and for this run |
| `generation` | shared memory of a running node: rises when a right may have changed |
| `readers` | shared memory of a running node: when each process's oldest open request began |
| `metrics` | shared memory of a running node: what each process counts |
| `availability.db` (`-wal`, `-shm`) | minute by minute, how this node served; nowhere else |
| `console.db` (`-wal`, `-shm`) | sessions of people, failures to sign in, activities; may be lost |
| `local.db` (`-wal`, `-shm`) | pauses and progress of stewards, findings; may be lost |
| `notices.sock` | where workers tell stewards of what they could not read (mode 0600) |
| `key-backup.json` | when the root keys were last backed up, and which |
| `making` | stands while a region is being made |
| `{node,committer,steward,follower}.lock` | held while a node runs |

`XX` is the last two hex digits of the chunk's id. Ids have 16 bytes, big-endian: the number of
the zone that made them (2), ms since 1970 (6), then 8 random ones.
"""

SECTIONS = (
    ("Superblock", "coffre.vault.superblock"),
    ("Chunk header", "coffre.vault.headers"),
    ("Landing chunk and group", "coffre.vault.landing"),
    ("Record of the log", "coffre.catalog.log"),
    ("Segment, block and row", "coffre.vault.blocks"),
    ("Frame", "coffre.vault.frames"),
    ("Compressed blob", "coffre.vault.compression"),
    ("Keys", "coffre.vault.keys"),
    ("Record and batch of the audit", "coffre.catalog.audit_records"),
    ("Envelope", "coffre.vault.envelopes"),
    ("Addresses", "coffre.vault.records"),
    ("Catalog", "coffre.catalog.schema"),
    ("Snapshot", "coffre.vault.archive"),
)


def page() -> str:
    """The page, a section for each format."""
    parts = [HEAD]
    for title, name in SECTIONS:
        words = inspect.getdoc(importlib.import_module(name)) or ""
        parts.append(f"\n## {title}\n\n`{name}`. {words}\n")
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
