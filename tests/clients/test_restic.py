"""restic: a repository that is written, checked, pruned and restored from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .material import contents, some_bytes
from .server import Program, Server


def test_backups_are_made_checked_pruned_and_restored(
    program: Callable[..., Program], server: Server, bucket: str, tree: Path
) -> None:
    restic = program(
        "restic",
        "--no-cache",
        RESTIC_REPOSITORY=f"s3:{server.endpoint}/{bucket}/backup",
        RESTIC_PASSWORD="a secret of the client's",
    )
    restic("init")
    restic("backup", "tree")
    first = contents(tree)
    (tree / "a.txt").write_bytes(b"changed")
    (tree / "photos" / "a+b & c=d.bin").unlink()
    (tree / "new").write_bytes(some_bytes(3_000_000, 9))
    restic("backup", "tree")
    restic("check", "--read-data")
    snapshots = [one["short_id"] for one in json.loads(restic("snapshots", "--json"))]
    assert len(snapshots) == 2
    restic("restore", snapshots[0], "--target", "old")
    assert contents(restic.folder / "old" / "tree") == first

    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")
    restic("restore", "latest", "--target", "new")
    assert contents(restic.folder / "new" / "tree") == contents(tree)
    assert "no matching ID found" in restic.refused("restore", snapshots[0], "--target", "none")
