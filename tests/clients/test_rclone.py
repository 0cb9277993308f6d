"""rclone: sync and check, copies, parts, links."""

from __future__ import annotations

import json
from pathlib import Path

from .material import contents, fetch, some_bytes
from .server import Program

MIB = 1024 * 1024
SMALL_PARTS = ("--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M", "--s3-copy-cutoff", "5M")


def test_sync_then_check(rclone: Program, bucket: str, tree: Path) -> None:
    rclone("sync", "tree", f"coffre:{bucket}/t")
    rclone("check", "tree", f"coffre:{bucket}/t")
    rclone("check", "--download", "tree", f"coffre:{bucket}/t")

    (tree / "a.txt").unlink()
    (tree / "empty").write_bytes(b"no more")
    assert "2 differences found" in rclone.refused("check", "tree", f"coffre:{bucket}/t")
    rclone("sync", "tree", f"coffre:{bucket}/t")
    rclone("sync", f"coffre:{bucket}/t", "back")
    assert contents(rclone.folder / "back") == contents(tree)


def test_a_bucket_and_an_object_live_and_die(rclone: Program, name: str) -> None:
    rclone("mkdir", f"coffre:{name}")
    rclone("rcat", f"coffre:{name}/dir/note", stdin=b"hello")
    rclone("copyto", f"coffre:{name}/dir/note", f"coffre:{name}/copy")
    rclone("moveto", f"coffre:{name}/copy", f"coffre:{name}/moved")
    assert rclone("cat", f"coffre:{name}/moved") == "hello"
    assert rclone("lsf", f"coffre:{name}").split() == ["dir/", "moved"]
    assert f"{name}/" in rclone("lsf", "coffre:").split()
    assert json.loads(rclone("lsjson", "--hash", f"coffre:{name}/moved"))[0]["Hashes"]["md5"]
    rclone("deletefile", f"coffre:{name}/moved")
    rclone("purge", f"coffre:{name}")
    assert f"{name}/" not in rclone("lsf", "coffre:").split()


def test_a_large_file_goes_up_in_parts(rclone: Program, bucket: str) -> None:
    body = some_bytes(12 * MIB)
    (rclone.folder / "large").write_bytes(body)
    rclone("copyto", *SMALL_PARTS, "large", f"coffre:{bucket}/large")
    rclone("copyto", *SMALL_PARTS, f"coffre:{bucket}/large", f"coffre:{bucket}/copy")
    rclone(
        "rcat", *SMALL_PARTS, "--streaming-upload-cutoff", "1M", f"coffre:{bucket}/rcat", stdin=body
    )
    for key in ("large", "copy", "rcat"):
        assert rclone.raw("cat", f"coffre:{bucket}/{key}") == body
    assert (
        rclone.raw("cat", "--offset", "5242870", "--count", "20", f"coffre:{bucket}/copy")
        == (body[5242870:5242890])
    )


def test_modification_times_survive(rclone: Program, bucket: str, tree: Path) -> None:
    rclone("copy", "tree", f"coffre:{bucket}")
    rclone("touch", "--no-create", "-t", "2020-02-02T10:00:00", f"coffre:{bucket}/a.txt")
    told = json.loads(rclone("lsjson", f"coffre:{bucket}/a.txt"))[0]
    assert told["ModTime"].startswith("2020-02-02T10:00:00")


def test_a_link_is_good_for_anybody(rclone: Program, bucket: str) -> None:
    rclone("rcat", f"coffre:{bucket}/a b", stdin=b"shared")
    assert fetch(rclone("link", "--expire", "10m", f"coffre:{bucket}/a b").strip()) == b"shared"
