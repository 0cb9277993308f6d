"""A store of the `ecs` dialect on real processes: what was written into survives, is found again by
a rebuilt catalog, and goes with its bucket."""

from __future__ import annotations

import random
from collections.abc import Callable
from urllib.parse import quote

from coffre.testing.server import Credentials
from tests.protocol.ecs_client import texts
from tests.protocol.wire_client import WireClient

from .node import Node, wait_until


def ecs_client(node: Node, made: dict[str, str]) -> WireClient:
    user = Credentials("files", made["id"], made["label"], made["access_key"], made["secret_key"])
    return WireClient(node.port, user)


def test_an_object_in_pieces_survives_kills_and_a_lost_catalog(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(inline_limit="65536").start()
    made = node.command("store", "create", "files", "--dialect", "ecs")
    client = ecs_client(node, made)
    assert client.send("PUT", "/Kept", b"", {"x-emc-metadata-search": "Size"}).status == 200
    model = bytearray(chance.randbytes(300_000))
    assert client.send("PUT", "/Kept/file", bytes(model)).status == 200
    for size in (10, 200_000, 3, 70_000, *[100] * 24):
        start, data = chance.randrange(len(model) + 1), chance.randbytes(size)
        answer = client.send("PUT", "/Kept/file", data, {"Range": f"bytes={start}-"})
        assert answer.status == 204, answer.body
        model[start : start + size] = data
        at = client.send("PUT", "/Kept/file", data, {"Range": "bytes=-1-"})
        assert at.headers["x-emc-append-offset"] == str(len(model))
        model += data
    node.kill()
    for path in node.data.glob("catalog.sqlite*"):
        path.unlink()
    client = ecs_client(node.start(), made)
    assert client.send("GET", "/Kept/file").body == bytes(model)
    found = client.send("GET", f"/Kept?query={quote(f'Size=={len(model)}')}")
    assert texts(found, "objectName") == ["file"]
    assert client.send("DELETE", "/Kept", headers={"x-emc-empty-bucket": "true"}).status == 202
    wait_until(lambda: client.send("HEAD", "/Kept").status == 404, "the bucket is emptied")
    node.stop()
