"""`coffre verify` finds what is wrong, says what it is, and is content with what is right."""

from __future__ import annotations

import random
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from coffre.catalog.schema import CHECKSUM_VFS, open_reader

from .client import Client, target_of
from .ledger import BUCKET
from .node import COFFRE, Keys, Node, copy_of
from .test_collection import fill

MIB = 1 << 20


def verify(node: Node, *options: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [COFFRE, "verify", "--json", "--data", node.data, *options],
        env=node.environment(0),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    return done.returncode, msgspec.json.decode(done.stdout)


def kinds(verdict: dict[str, Any]) -> set[str]:
    return {finding["kind"] for finding in verdict["findings"]}


@pytest.fixture(scope="module")
def filled(
    template: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Keys]:
    """A folder with small and large objects and one in parts, all of them sealed, stopped."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    copy_of(template[0], folder)
    node = Node(folder, template[1], seal_after="1").start()
    client, chance = Client(node), random.Random(5)
    fill(client, chance, 3, 20)
    _multipart(client, chance)
    client.close()
    node.command("seal", "--now")
    assert node.stop() == 0
    return folder, template[1]


@pytest.fixture
def stopped(filled: tuple[Path, Keys], tmp_path: Path) -> Iterator[Node]:
    """A node on a copy of that folder."""
    copy_of(filled[0], tmp_path / "data")
    node = Node(tmp_path / "data", filled[1], seal_after="1")
    yield node
    node.kill()


def _multipart(client: Client, chance: random.Random) -> None:
    target = target_of(BUCKET, "in-parts")
    upload = client.send("POST", f"{target}?uploads=").body.decode()
    upload_id = upload.split("<UploadId>")[1].split("<")[0]
    parts = ""
    for number in (1, 2):
        body = chance.randbytes(5 * MIB)
        query = f"?partNumber={number}&uploadId={upload_id}"
        etag = client.send("PUT", target + query, body).headers["etag"]
        parts += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    done = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    assert client.send("POST", f"{target}?uploadId={upload_id}", done).status == 200


def segments(node: Node) -> list[Path]:
    return sorted(node.data.glob("drives/*/chunks/*/*.segment"))


def change(node: Node, statement: str) -> None:
    """What no program does: rows changed behind the log's back."""
    open_reader(str(node.data / "catalog.sqlite")).close()  # Loads the checksum VFS.
    db = apsw.Connection(str(node.data / "catalog.sqlite"), vfs=CHECKSUM_VFS)
    db.execute(statement).fetchall()
    db.close()


def test_a_stopped_node_and_a_running_one_verify_clean(stopped: Node) -> None:
    code, verdict = verify(stopped, "--deep")
    assert (code, verdict["ok"], verdict["findings"]) == (0, True, [])
    # The audit's records may have been packed meanwhile: an object more.
    assert verdict["checked"]["objects"] in (24, 25)
    assert verdict["checked"]["blobs"] == verdict["checked"]["blobs_opened"]
    assert verdict["checked"]["blobs"] in (25, 26)
    stopped.start()
    code, verdict = verify(stopped, "--deep")
    assert (code, verdict["ok"]) == (0, True)


def test_frames_are_opened_with_the_key_service_s_keys_and_what_is_not_is_counted(
    stopped: Node,
) -> None:
    client = Client(stopped.start())
    kms = {"x-amz-server-side-encryption": "aws:kms"}
    key = random.Random(7).randbytes(32)
    name = "x-amz-server-side-encryption-customer-"
    own = {
        f"{name}algorithm": "AES256",
        f"{name}key": b64encode(key).decode(),
        f"{name}key-md5": b64encode(md5(key).digest()).decode(),
    }
    for target, headers in (("kms", kms), ("own", own)):
        assert client.send("PUT", f"/{BUCKET}/{target}", b"x" * 5000, headers).status == 200
    client.close()
    code, verdict = verify(stopped, "--deep")
    assert (code, verdict["findings"]) == (0, [])
    checked = verdict["checked"]
    assert (checked["blobs_of_customers_keys"], checked["blobs_without_their_key"]) == (1, 0)
    assert checked["blobs_opened"] == checked["blobs"] - 1
    assert "1 blobs under keys that only customers have (SSE-C)" in verdict["verdict"]


def test_what_was_sealed_at_once_verifies_before_the_log_says_so(stopped: Node) -> None:
    """Its rows say that it is mirrored until something is written; the mirrors are gone."""
    client = Client(stopped.start())
    fill(client, random.Random(6), 0, 5)
    client.close()
    stopped.command("seal", "--now")
    code, verdict = verify(stopped, "--deep")
    assert (code, verdict["findings"]) == (0, [])
    assert stopped.stop() == 0
    code, verdict = verify(stopped, "--deep")
    assert (code, verdict["findings"]) == (0, [])


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE buckets SET bytes = bytes + 1", "bucket-counters"),
        ("UPDATE chunks SET dead = dead + 1 WHERE kind = 'striped'", "chunk-counters"),
        ("UPDATE manifests SET refs = refs + 1", "references"),
        ("DELETE FROM parts WHERE number = 2", "parts"),
        ("DELETE FROM striped_blobs", "striped-list"),
        (
            "DELETE FROM manifests WHERE id = (SELECT min(id) FROM manifests)",
            "version-without-manifest",
        ),
        ("DELETE FROM chunks WHERE kind = 'striped'", "blob-without-chunk"),
    ],
)
def test_rows_that_do_not_agree_are_found(stopped: Node, statement: str, kind: str) -> None:
    change(stopped, statement)
    code, verdict = verify(stopped)
    assert code == 1
    assert kind in kinds(verdict)
    assert verdict["counts"]["damage"]


def test_a_missing_segment_a_strange_file_and_a_leftover_are_told_apart(stopped: Node) -> None:
    first, *_ = segments(stopped)
    leftover = first.with_name(f"{'0' * 32}.3.segment")
    leftover.write_bytes(first.read_bytes()[:4000])
    code, verdict = verify(stopped)
    assert (code, verdict["counts"]) == (0, {"damage": 0, "reduced": 0, "leftover": 1})
    first.unlink()
    code, verdict = verify(stopped)
    assert (code, verdict["counts"]["reduced"], verdict["counts"]["damage"]) == (1, 1, 0)
    first.with_name("lost+found").write_bytes(b"")
    code, verdict = verify(stopped)
    assert code == 1
    assert {"strange-file", "member-file", "leftover-file"} <= kinds(verdict)


def test_a_flipped_bit_is_found_by_reading_everything(stopped: Node, chance: random.Random) -> None:
    path = chance.choice(segments(stopped))
    data = bytearray(path.read_bytes())
    # Somewhere in the first block: what is behind it may be padding that nothing refers to.
    data[4096 + chance.randrange(16 * 1024)] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    assert verify(stopped)[0] == 0
    code, verdict = verify(stopped, "--deep")
    assert (code, kinds(verdict)) == (1, {"bytes"})
    assert path.name.split(".segment")[0] in verdict["findings"][0]["about"]
