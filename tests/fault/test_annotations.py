"""Annotations and objects put under other keys, on a whole node: kept, counted, freed, rebuilt."""

from __future__ import annotations

import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from .client import Client, target_of
from .ledger import BUCKET
from .node import Keys, Node, copy_of
from .test_verify import verify

MANY = 100
KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def at(key: str, query: str = "") -> str:
    return target_of(BUCKET, key) + query


def annotate(client: Client, key: str, name: str, text: bytes) -> None:
    done = client.send("PUT", at(key, f"?annotation=&annotationName={name}"), text)
    assert done.status == 200, done.body


def text_of(client: Client, key: str, name: str) -> bytes:
    return client.send("GET", at(key, f"?annotation=&annotationName={name}")).body


def protect(client: Client, key: str, arn: str) -> None:
    body = f"<ObjectEncryption><SSE-KMS><KMSKeyArn>{arn}</KMSKeyArn></SSE-KMS></ObjectEncryption>"
    sent = body.encode()
    digest = b64encode(zlib.crc32(sent).to_bytes(4, "big")).decode()
    headers = {"x-amz-checksum-crc32": digest}
    done = client.send("PUT", at(key, "?encryption="), sent, headers)
    assert done.status == 200, done.body


def wrong(node: Node) -> list[Any]:
    """What `verify --deep` finds, but for mirrors of what was sealed when the node stopped."""
    findings = verify(node, "--deep")[1]["findings"]
    return [one for one in findings if one["severity"] != "leftover"]


def test_annotations_and_changed_keys_survive_a_rebuild_and_verify_clean(
    template: tuple[Path, Keys], tmp_path: Path
) -> None:
    copy_of(template[0], tmp_path / "data")
    node = Node(tmp_path / "data", template[1]).start()
    client = Client(node)
    large = bytes(3 << 20)
    for key in ("kept", "gone"):
        assert client.send("PUT", at(key), large).status == 200
        for number in range(MANY if key == "gone" else 3):
            annotate(client, key, f"n{number}", b"text of %s" % key.encode())
    copied = {"x-amz-copy-source": f"/{BUCKET}/kept"}
    assert client.send("PUT", at("copy"), b"", copied).status == 200
    sealed = {"x-amz-server-side-encryption": "aws:kms"}
    arn = client.send("PUT", at("secret"), b"x", sealed).headers[KEY]
    protect(client, "kept", arn)
    assert client.send("DELETE", at("gone")).status == 204
    client.close()
    assert node.stop() == 0
    assert wrong(node) == []
    node.forget_catalog()
    node.start()
    client = Client(node)
    for key in ("kept", "copy"):
        assert client.send("GET", at(key)).body == large
        assert text_of(client, key, "n1") == b"text of kept"
    assert client.send("HEAD", at("kept")).headers[KEY] == arn
    assert KEY not in client.send("HEAD", at("copy")).headers
    client.close()
    assert node.stop() == 0
    assert wrong(node) == []
