"""s3cmd: as its users type it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .material import contents, fetch, some_bytes
from .server import Program, Server

MIB = 1024 * 1024


@pytest.fixture(params=["V4", "V2"])
def s3cmd(
    program: Callable[..., Program], server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> Program:
    """s3cmd, also in the signature version that old configurations ask for."""
    settings = {
        "access_key": server.access_key,
        "secret_key": server.secret_key,
        "host_base": server.address,
        "host_bucket": server.address,
        "use_https": False,
        "signature_v2": request.param == "V2",
        "max_retries": 1,
    }
    lines = ["[default]", *(f"{key} = {value}" for key, value in settings.items())]
    (tmp_path / "s3cfg").write_text("\n".join(lines))
    return program("s3cmd", f"--config={tmp_path / 's3cfg'}", "--no-progress")


def test_a_bucket_and_an_object_live_and_die(s3cmd: Program, name: str) -> None:
    (s3cmd.folder / "cat.jpg").write_bytes(b"miaow")
    s3cmd("mb", f"s3://{name}")
    s3cmd("put", "cat.jpg", f"s3://{name}/pets/", "--add-header=x-amz-meta-artist:me")
    s3cmd("cp", f"s3://{name}/pets/cat.jpg", f"s3://{name}/copy")
    s3cmd("mv", f"s3://{name}/copy", f"s3://{name}/moved")
    assert s3cmd.raw("get", f"s3://{name}/moved", "-").endswith(b"miaow")
    assert f"s3://{name}" in s3cmd("ls")
    listed = [line.split()[-1] for line in s3cmd("ls", f"s3://{name}").splitlines()]
    assert listed == [f"s3://{name}/pets/", f"s3://{name}/moved"]
    told = s3cmd("info", f"s3://{name}/pets/cat.jpg")
    assert "MD5 sum:   " in told
    assert "x-amz-meta-artist: me" in told
    s3cmd("del", f"s3://{name}/moved")
    s3cmd("rb", "--recursive", "--force", f"s3://{name}")
    assert f"s3://{name}" not in s3cmd("ls").split()


def test_sync_makes_two_folders_equal(s3cmd: Program, bucket: str, tree: Path) -> None:
    s3cmd("sync", "tree/", f"s3://{bucket}/t/")
    (tree / "a.txt").unlink()
    (tree / "empty").write_bytes(b"no more")
    s3cmd("sync", "--delete-removed", "tree/", f"s3://{bucket}/t/")
    (s3cmd.folder / "back").mkdir()
    s3cmd("sync", f"s3://{bucket}/t/", "back/")
    assert contents(s3cmd.folder / "back") == contents(tree)


def test_a_large_file_goes_up_in_parts(s3cmd: Program, bucket: str) -> None:
    body = some_bytes(12 * MIB)
    (s3cmd.folder / "large").write_bytes(body)
    s3cmd("put", "--multipart-chunk-size-mb=5", "large", f"s3://{bucket}/large")
    s3cmd("get", f"s3://{bucket}/large", "back")
    assert (s3cmd.folder / "back").read_bytes() == body
    assert "InitiateMultipartUpload" not in s3cmd("multipart", f"s3://{bucket}")


def test_a_signed_url_is_good_for_anybody(s3cmd: Program, bucket: str) -> None:
    (s3cmd.folder / "note").write_bytes(b"shared")
    s3cmd("put", "note", f"s3://{bucket}/a b")
    assert fetch(s3cmd("signurl", f"s3://{bucket}/a b", "+60").strip()) == b"shared"


def test_acls_and_what_info_tells(s3cmd: Program, bucket: str, server: Server) -> None:
    (s3cmd.folder / "k").write_bytes(b"x")
    target = f"s3://{bucket}/k"
    s3cmd("put", "k", target, "--acl-public")
    assert "*anon*: READ" in s3cmd("info", target)
    s3cmd("setacl", target, "--acl-private")
    told = s3cmd("info", target)
    assert "*anon*" not in told
    assert f"{server.owner_name}: FULL_CONTROL" in told
    s3cmd("setacl", f"s3://{bucket}", f"--acl-grant=read:{server.owner_id}")
    told = s3cmd("info", f"s3://{bucket}")
    assert "Payer:     BucketOwner" in told
    assert "Policy:    none" in told
