"""The audit's trail on a node of processes: what was answered is found at once, and kills in the
middle of packing and merging lose no record and double none."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coffre.cli.complaint import Complaint

from .client import Client
from .conftest import LONG
from .ledger import BUCKET
from .node import COFFRE, Node, wait_until
from .whole import ends_whole

KILLS = 60 if LONG else 6
# A merge takes sixteen segments.
PACKS = 40 if LONG else 18


def every(node: Node, **conditions: Any) -> list[dict[str, Any]]:
    """All records that meet the conditions, as an export has them."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        more = {} if after is None else {"after": after}
        page = node.ask("audit.export_page", **conditions, **more)
        found += page["records"]
        after = page["next"]
        if after is None:
            return found


def pack(node: Node) -> None:
    node.ask("steward.run", name="auditor")


def test_changes_and_refusals_are_found_as_soon_as_they_are_answered(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(follower="false").start()
    client = Client(node)
    client.put(BUCKET, "one", b"body")
    assert client.get(BUCKET, "nothing").status == 404
    (written,) = node.ask("audit.search", bucket=BUCKET, operation="PutObject")["records"]
    assert (written["key"], written["status"], written["bytes_in"]) == ("one", 200, 4)
    (refused,) = node.ask("audit.search", bucket=BUCKET, outcome="error")["records"]
    assert (refused["key"], refused["error"]) == ("nothing", "NoSuchKey")
    assert client.get(BUCKET, "one").body == b"body"
    query = {"bucket": BUCKET, "key": "one", "operation": "GetObject"}
    wait_until(lambda: node.ask("audit.search", **query)["records"], "a read is found")
    pack(node)
    assert node.ask("audit.search", bucket=BUCKET, outcome="error")["records"] == [refused]
    found = node.ask("audit.search", bucket=BUCKET, limit=1)
    assert len(found["records"]) == 1
    assert found["next"]
    # No name reaches where the segments are; it is in no count and no bill.
    assert [one["name"] for one in node.ask("store.list")] == ["default"]
    hidden = node.command("store", "list", "--all")
    assert [(one["name"], one["buckets"], one["objects"] > 0) for one in hidden] == [
        (".system", 1, True),
        ("default", 1, True),
    ]
    assert {one["store"] for one in node.ask("usage.now")["rows"]} <= {"default"}
    assert client.get(".audit", "x").status in (400, 404)
    # A tenant finds what is its own.
    node.ask("tenant.create", name="other")
    node.ask("store.create", name="theirs", tenant="other")
    ours = node.ask("audit.search", tenant="default", operation="PutObject")["records"]
    assert [(one["key"], one["store"]) for one in ours] == [("one", "default")]
    theirs = every(node, tenant="other")
    assert all(one["store"] in ("theirs", "") and not one["key"] for one in theirs)
    assert every(node, store="theirs", tenant="default") == []


def test_kills_while_records_are_packed_and_merged_lose_none_and_double_none(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(follower="false").start()
    client, keys = Client(node), []
    kills = set(chance.sample(range(2, PACKS), min(KILLS, PACKS - 3)))
    for turn in range(PACKS):
        for number in range(3):
            keys.append(f"{turn}/{number}")
            assert client.put(BUCKET, keys[-1], b"x").status == 200
        packing = threading.Thread(target=_pack_whatever_comes, args=(node,))
        packing.start()
        if turn in kills:
            time.sleep(chance.uniform(0, 0.3))
            for pid in node.roles()["steward"]:
                node.signal(pid)
        packing.join()
    wait_until(lambda: _packed(node), "all is packed", every=0.2)
    wait_until(lambda: node.ask("audit.status")["segments"] < PACKS, "some are merged", every=0.2)
    put = [one["key"] for one in every(node, operation="PutObject", bucket=BUCKET)]
    assert Counter(put) == Counter(keys)
    verified = node.command("audit", "verify")
    assert (verified["verdict"], verified["problems"]) == ("whole", [])
    status = node.ask("audit.status")
    assert status["records"] >= len(keys)
    assert node.stop() == 0, node.tail()
    # A node that does not run is searched too, and one whose catalog is lost.
    put = [one["key"] for one in every_offline(node)]
    assert Counter(put) == Counter(keys)
    node.forget_catalog()
    node.start()
    assert Counter(one["key"] for one in every(node, operation="PutObject")) == Counter(keys)
    if LONG:
        ends_whole(node)
    else:
        assert node.command("verify")["ok"]


def every_offline(node: Node) -> list[dict[str, Any]]:
    page = node.command("audit", "search", "--operation", "PutObject", "--limit", "1000")
    return list(page["records"])


def _pack_whatever_comes(node: Node) -> None:
    try:
        pack(node)
    except (Complaint, AssertionError, OSError):
        pass  # The stewards were killed meanwhile: others take their place.


def _packed(node: Node) -> bool:
    _pack_whatever_comes(node)
    return bool(node.ask("audit.status")["waiting"]["records"] < 3)


def test_an_export_has_all_of_it_in_every_format(
    make_node: Callable[..., Node], tmp_path: Path
) -> None:
    node = make_node(follower="false").start()
    client = Client(node)
    for number in range(5):
        client.put(BUCKET, f"k{number}", b"x")
    for form in ("jsonl", "csv", "parquet"):
        target = tmp_path / f"audit.{form}"
        chosen = ("audit", "export", "--bucket", BUCKET, "--format", form)
        told = node.command(*chosen, "--output", str(target))
        assert told["records"] >= 5
        assert _keys_of(target, form) == [f"k{number}" for number in range(5)]
        assert not list(tmp_path.glob("*.part"))
    streamed = subprocess.run(
        [COFFRE, "audit", "export", "--data", node.data], capture_output=True, check=True
    )
    assert streamed.stdout.count(b'"PutObject"') == 5


def _keys_of(path: Path, form: str) -> list[str]:
    if form == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        return [row["key"] for row in rows if row["operation"] == "PutObject"]
    import duckdb

    reading = "read_csv" if form == "csv" else "read_parquet"
    with duckdb.connect() as db:
        found = db.execute(
            f"SELECT key FROM {reading}('{path}') WHERE operation = 'PutObject' ORDER BY at_ms, id"
        )
        return [key for (key,) in found.fetchall()]


def test_a_target_gets_every_change_once_the_node_runs(
    make_node: Callable[..., Node], tmp_path: Path
) -> None:
    lines = tmp_path / "lines.jsonl"
    node = make_node(follower="false")
    (node.data / "coffre.toml").write_text(
        f'[[audit_forward]]\nname = "lines"\nurl = "file://{lines}"\n'
    )
    node.start()
    wait_until(
        lambda: not node.ask("audit.status")["targets"][0]["batches_behind"],
        "a target begins",
    )
    client = Client(node)
    keys = [f"k{number}" for number in range(10)]
    for key in keys:
        client.put(BUCKET, key, b"x")

    def told() -> list[str]:
        whole = lines.read_text() if lines.exists() else ""
        rows = [json.loads(line) for line in whole.splitlines()]
        return [row["key"] for row in rows if row["operation"] == "PutObject"]

    wait_until(lambda: len(told()) >= len(keys), "all is forwarded")
    assert told() == keys
    node.command("audit", "forward", "lines", "--since", "1d")
    wait_until(lambda: len(told()) >= 2 * len(keys), "all is forwarded again")
    (target,) = node.command("audit", "forward")
    assert (target["name"], target["error"]) == ("lines", "")
