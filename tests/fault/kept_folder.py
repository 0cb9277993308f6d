"""Makes the data folder of the present format that tests keep for ever:
`python -m tests.fault.kept_folder tests/golden/data-1.tar.gz`."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sys
import tarfile
import tempfile
from pathlib import Path

from .client import Client
from .node import Keys, Node

BUCKET = "kept"
# One that lies in the log's chunk, one in stripes (over the smallest inline limit), one of nothing.
SIZES = {"inline": 1000, "striped": 70_000, "empty": 0}
KEYS_FILE = "keys.json"

# What the folders from format 4 on hold beside: a bucket with settings, and a key with versions.
RICH = "rich"
RICH_SINCE = 4
VERSIONS = (b"first", b"second", b"third")
TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
SETTINGS: dict[str, bytes] = {
    "versioning": b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "tagging": TAGGING,
    "lifecycle": b"<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status>"
    b"<Filter><Prefix>logs/</Prefix></Filter>"
    b"<NoncurrentVersionExpiration><NoncurrentDays>3650</NoncurrentDays>"
    b"</NoncurrentVersionExpiration></Rule></LifecycleConfiguration>",
    "policy": b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    b'"Action":"s3:GetObject","Resource":"arn:aws:s3:::rich/public/*"}]}',
}


def body(key: str) -> bytes:
    """What was put under `key`, made again."""
    return random.Random(key).randbytes(SIZES[key])


def put_rich(client: Client) -> None:
    """A bucket with settings, and in it a key with versions, tags and a KMS key of its own."""
    client.make_bucket(RICH)
    for name, document in SETTINGS.items():
        answer = client.send("PUT", f"/{RICH}?{name}", document, {"Content-MD5": md5_of(document)})
        assert answer.status in (200, 204), answer
    for text in VERSIONS:
        assert client.put(RICH, "public/versions", text).status == 200
    assert client.send("PUT", f"/{RICH}/public/versions?tagging", TAGGING).status == 200
    kms = {"x-amz-server-side-encryption": "aws:kms"}
    assert client.send("PUT", f"/{RICH}/kms", b"sealed by a key", kms).status == 200
    assert client.send("DELETE", f"/{RICH}/deleted").status == 204


def md5_of(document: bytes) -> str:
    return base64.b64encode(hashlib.md5(document).digest()).decode()


def make(archive: Path) -> None:
    """Put some objects, seal them, put them again beside the sealed ones, and crash."""
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder) / "data", inline_limit="65536").start()
        client = Client(node)
        client.make_bucket(BUCKET)
        for key in SIZES:
            client.put(BUCKET, f"sealed/{key}", body(key))
        node.command("seal", "--now")
        for key in SIZES:
            client.put(BUCKET, f"open/{key}", body(key))
        put_rich(client)
        node.kill()
        keys = node.keys
        (node.data / KEYS_FILE).write_text(
            json.dumps({name: getattr(keys, name) for name in Keys.__struct_fields__})
        )
        with tarfile.open(archive, "w:gz") as kept:
            for path in sorted(node.data.rglob("*")):
                if path.is_file() or path.is_dir():
                    kept.add(path, path.relative_to(node.data), recursive=False)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
