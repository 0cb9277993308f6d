"""Makes the data folder of the present format that tests keep for ever:
`python -m tests.fault.kept_folder tests/golden/data-1.tar.gz`."""

from __future__ import annotations

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


def body(key: str) -> bytes:
    """What was put under `key`, made again."""
    return random.Random(key).randbytes(SIZES[key])


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
