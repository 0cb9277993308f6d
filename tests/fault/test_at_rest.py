"""What lies in a data folder, in a log or beside a process tells nobody anything: no body, no
secret, no password, no key, whichever stage the data is in. Customers' keys are nowhere at all.

What is *not* hidden is said in docs/threat-model.md: names, metadata, tags, sizes and checksums.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from coffre.catalog.schema import open_reader
from coffre.vault.keys import RootKeyFile

from .client import Client
from .ledger import BUCKET
from .node import Keys, Node

PASSPHRASE = "correct horse battery staple"
PART = 5 << 20


def test_no_file_and_no_process_shows_a_body_a_secret_or_a_key_at_any_stage(
    make_node: Callable[..., Node],
    template: tuple[Path, Keys],
    chance: random.Random,
    tmp_path: Path,
) -> None:
    node = make_node(log_level="debug").start()
    plain, customer = chance.randbytes(32), chance.randbytes(32)
    client = Client(node)
    _fill(client, plain, customer)
    secrets = {
        "a body": plain,
        "a customer's key": customer,
        "the first secret": template[1].secret_key.encode(),
        "the password": template[1].password.encode(),
        **_made(node),
        "the passphrase": PASSPHRASE.encode(),
    }
    _nowhere(node, secrets)
    node.command("seal", "--now")
    _nowhere(node, secrets)

    # Overwritten, deleted, moved: what collection and rotation write anew.
    for number in range(4):
        assert client.put(BUCKET, f"object {number}", plain * 2000).status == 200
        assert client.delete(BUCKET, f"object {number}").status == 204
    phrase = tmp_path / "phrase"
    phrase.write_text(PASSPHRASE)
    node.command("key", "rotate")
    node.command("key", "backup", str(tmp_path / "backup"), "--passphrase-file", str(phrase))
    node.command("seal", "--now")
    node.ask("snapshot.now")
    for steward in ("collector", "sweeper"):
        node.command("steward", "run", steward)
    assert list(node.data.glob("drives/*/snapshots/*"))
    secrets |= _keys_at_rest(node)
    _nowhere(node, secrets)
    assert not _found_in(tmp_path / "backup", secrets)
    assert node.stop() == 0
    _nowhere(node, secrets)


def test_only_its_owner_reads_anything(make_node: Callable[..., Node]) -> None:
    node = make_node().start()
    Client(node).put(BUCKET, "object", b"body")
    node.command("seal", "--now")
    for path in node.data.rglob("*"):
        if not path.is_dir():
            inner = path.relative_to(node.data).parts
            shielded = any(
                not (node.data / Path(*inner[:depth])).stat().st_mode & 0o077
                for depth in range(1, len(inner) + 1)
            )
            assert shielded or not node.data.stat().st_mode & 0o077, path


@pytest.mark.parametrize("form", ["as it is", "hex", "base64 0", "base64 1", "base64 2"])
def test_what_is_looked_for_would_be_found(form: str, tmp_path: Path) -> None:
    secret = hashlib.sha256(form.encode()).digest()
    path = tmp_path / "file"
    path.write_bytes(b"before" + dict(_forms(secret))[form] + b"behind")
    assert _found_in(path, {"it": secret}) == ["it"]


def _fill(client: Client, plain: bytes, customer: bytes) -> None:
    """Bodies of every way that bytes take: inline, one that fills frames, striped, in parts, and
    under a customer's own key."""
    for number, size in enumerate((32, 5000, 128 << 10, 300_000, 3 << 20)):
        body = _repeated(plain, size)
        assert client.put(BUCKET, f"object {number}", body).status == 200
        assert client.get(BUCKET, f"object {number}").body == body
    target = f"/{BUCKET}/in%20parts"
    begun = client.send("POST", f"{target}?uploads=")
    (upload,) = re.findall(rb"<UploadId>(.*?)</UploadId>", begun.body)
    query = f"uploadId={upload.decode()}"
    parts = ""
    for number, size in ((1, PART), (2, 1000)):
        put = client.send("PUT", f"{target}?partNumber={number}&{query}", _repeated(plain, size))
        assert put.status == 200, put
        parts += f"<Part><PartNumber>{number}</PartNumber><ETag>{put.etag}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    assert client.send("POST", f"{target}?{query}", document).status == 200
    name = "x-amz-server-side-encryption-customer-"
    headers = {
        f"{name}algorithm": "AES256",
        f"{name}key": base64.b64encode(customer).decode(),
        f"{name}key-MD5": base64.b64encode(
            hashlib.md5(customer, usedforsecurity=False).digest()
        ).decode(),
    }
    sealed = f"/{BUCKET}/sealed"
    assert client.send("PUT", sealed, _repeated(plain, 70_000), headers).status == 200
    assert client.send("GET", sealed, headers=headers).body == _repeated(plain, 70_000)
    assert client.send("GET", sealed).status == 400


def _repeated(plain: bytes, size: int) -> bytes:
    return (plain * (size // len(plain) + 1))[:size]


def _made(node: Node) -> dict[str, bytes]:
    made = node.command("user", "create", "--store", "default", "--label", "somebody")
    rotated = node.command("user", "rotate", made["access_key"], "--grace", "1h")
    store = node.command("store", "create", "other")
    return {
        "a user's secret": made["secret_key"].encode(),
        "a rotated secret": rotated["secret_key"].encode(),
        "a store's first secret": store["secret_key"].encode(),
        **_keys_at_rest(node),
    }


def _keys_at_rest(node: Node) -> dict[str, bytes]:
    """Root keys and store keys, opened as whoever holds root.key can."""
    roots = RootKeyFile(str(node.data / "root.key"))
    found = {f"root key {root.id.hex()}": root.secret for root in roots.all()}
    rows = open_reader(str(node.data / "catalog.sqlite"))
    for key_id, root_key_id, wrapped in rows.execute(
        "SELECT id, root_key_id, wrapped FROM store_keys"
    ):
        found[f"store key {key_id.hex()}"] = roots.by_id(root_key_id).unwrap(wrapped)
    rows.close()
    return found


def _nowhere(node: Node, secrets: Mapping[str, bytes]) -> None:
    """In no file but root.key, and nothing but root keys in that; in no log, and in neither the
    command line nor the environment of a process."""
    for path in [node.log, *node.data.rglob("*"), *_processes(node)]:
        if path.is_file():
            found = _found_in(path, secrets)
            if path == node.data / "root.key":
                found = [name for name in found if not name.startswith("root key ")]
            assert not found, f"{found} in {path}"


def _processes(node: Node) -> Iterator[Path]:
    if node.running:
        for pid in (node.process.pid, *node.children()):
            yield Path(f"/proc/{pid}/environ")
            yield Path(f"/proc/{pid}/cmdline")


def _found_in(path: Path, secrets: Mapping[str, bytes]) -> list[str]:
    content = path.read_bytes()
    return [
        name
        for name, secret in secrets.items()
        if any(text in content for _, text in _forms(secret))
    ]


def _forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """As it is, and as it may be written down; for base64 the part that its place cannot change."""
    yield "as it is", secret
    yield "hex", secret.hex().encode()
    for shift in range(3):
        yield f"base64 {shift}", base64.b64encode(bytes(shift) + secret)[4:-4]
