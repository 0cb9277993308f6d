"""Data folders of every format that ever landed: this version still reads what is in them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from .client import Client
from .kept_folder import BUCKET, KEYS_FILE, SIZES, body
from .node import Keys, Node

KEPT = sorted((Path(__file__).parent.parent / "golden").glob("data-*.tar.gz"))


def test_a_folder_of_the_first_format_is_kept() -> None:
    assert "data-1.tar.gz" in {path.name for path in KEPT}


@pytest.mark.parametrize("archive", KEPT, ids=lambda path: path.name)
@pytest.mark.parametrize("with_catalog", [True, False], ids=["as it is", "catalog lost"])
def test_an_old_folder_serves_what_was_put_into_it(
    archive: Path, with_catalog: bool, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with tarfile.open(archive) as kept:
        kept.extractall(data, filter="data")
    keys = Keys(**json.loads((data / KEYS_FILE).read_text()))
    (data / KEYS_FILE).unlink()
    node = Node(data, keys)
    if not with_catalog:
        node.forget_catalog()
    client = Client(node.start())
    try:
        for key in SIZES:
            assert client.get(BUCKET, f"sealed/{key}").body == body(key)
            assert client.get(BUCKET, f"open/{key}").body == body(key)
        assert client.put(BUCKET, "new", b"written by this version").status == 200
        assert client.get(BUCKET, "new").body == b"written by this version"
    finally:
        node.kill()
