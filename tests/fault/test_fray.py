"""Puts, copies, deletes, completes and aborts of the same few keys by everybody at once, while the
bucket has no versioning, then has it, then has it suspended: a key or version that lists can be
read whole, before and after a restart."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .client import Client
from .conftest import LONG
from .fray import Fray
from .ledger import BUCKET
from .node import Node

CLIENTS = 32
STEPS = 20_000 if LONG else 250


def test_whatever_races_no_key_is_left_broken(make_node: Callable[..., Node], seed: int) -> None:
    node = make_node().start()
    fray = Fray(node, seed)
    for versioning in ("", "Enabled", "Suspended"):
        if versioning:
            status = f"<Status>{versioning}</Status>"
            document = f"<VersioningConfiguration>{status}</VersioningConfiguration>"
            assert (
                Client(node).send("PUT", f"/{BUCKET}?versioning", document.encode()).status == 200
            )
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in pool.map(lambda _: fray.step(), range(STEPS)):
                pass
        fray.check_all()
    assert {what for what, status, _ in fray.told if status < 300} >= {"put", "copy", "complete"}
    assert node.stop() == 0
    node.start()
    fray.check_all()
    fray.abort_all()
