"""rclone with `--s3-versions`: what was overwritten and deleted is still there, by its time."""

from __future__ import annotations

import re
import time
from typing import Any

from .server import Program

OLD = re.compile(r"note-v\d{4}-\d\d-\d\d-\d{6}-\d{3}\.txt")


def test_old_versions_are_listed_and_read(rclone: Program, s3: Any, bucket: str) -> None:
    assert "Unversioned" in rclone("backend", "versioning", f"coffre:{bucket}")
    rclone("backend", "versioning", f"coffre:{bucket}", "Enabled")
    for text in (b"one", b"two", b"three"):
        s3.put_object(Bucket=bucket, Key="note.txt", Body=text)
        # Listings tell whole seconds, and rclone names a version after its time.
        time.sleep(1)
    remote = f"coffre:{bucket}"
    assert rclone("lsf", remote).split() == ["note.txt"]
    names = rclone("lsf", "--s3-versions", remote).split()
    old = [name for name in names if name != "note.txt"]
    assert len(old) == 2
    assert all(map(OLD.fullmatch, old))
    assert {rclone("cat", "--s3-versions", f"{remote}/{name}") for name in old} == {"one", "two"}

    rclone("deletefile", f"{remote}/note.txt")
    assert rclone("lsf", remote) == ""
    assert len(rclone("lsf", "--s3-versions", remote).split()) == 3
    rclone("copy", "--s3-versions", remote, "back")
    kept = {path.read_bytes() for path in (rclone.folder / "back").iterdir()}
    assert kept == {b"one", b"two", b"three"}
    rclone("backend", "cleanup-hidden", remote)
    assert rclone("lsf", "--s3-versions", remote) == ""
