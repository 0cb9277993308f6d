"""Space comes back while a node serves, and nothing that is open or acknowledged loses a byte."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from threading import Event, Thread

from coffre.catalog.schema import open_reader

from .client import Client, target_of
from .conftest import LONG
from .ledger import BUCKET
from .node import Node, wait_until
from .whole import ends_whole

MIB = 1 << 20
PATIENCE_S = 60.0
LARGE = 80 if LONG else 32
SMALL = 4000 if LONG else 300
KILLS = 20 if LONG else 4
# What is condemned goes this long after it was seen, unless a request is open.
KEPT_AT_MOST_MS = 4000


def held(node: Node) -> int:
    """Bytes of all chunk files on the drives."""
    total = 0
    for path in node.data.glob("drives/*/chunks/*/*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def files_of(node: Node, chunk: str) -> int:
    return sum(1 for _ in node.data.glob(f"drives/*/chunks/*/{chunk}.*"))


def fill(client: Client, chance: random.Random, large: int, small: int) -> dict[str, bytes]:
    """Objects in rows and objects in groups of the log."""
    bodies = {f"large-{n}": chance.randbytes(2 * MIB + n) for n in range(large)}
    bodies |= {f"small-{n}": chance.randbytes(chance.randrange(1, 20_000)) for n in range(small)}
    for key, body in bodies.items():
        assert client.put(BUCKET, key, body).status == 200
    return bodies


def delete_most(client: Client, bodies: dict[str, bytes], chance: random.Random) -> None:
    """Seven of ten go, the largest with them or replaced."""
    for key in chance.sample(sorted(bodies), len(bodies) * 7 // 10):
        if chance.random() < 0.3:
            bodies[key] = chance.randbytes(100)
            assert client.put(BUCKET, key, bodies[key]).status == 200
        else:
            del bodies[key]
            assert client.delete(BUCKET, key).status == 204


def close_striped(node: Node) -> None:
    """Kill the workers: those that take their places close the chunks that they left open."""
    before = node.roles()["worker"]
    for pid in before:
        node.signal(pid)
    wait_until(lambda: len(set(node.roles()["worker"]) - set(before)) == len(before), "workers")
    rows = open_reader(str(node.data / "catalog.sqlite"))
    open_chunks = "SELECT count(*) FROM chunks WHERE state = 'open' AND owner LIKE 'worker%'"
    wait_until(lambda: not rows.execute(open_chunks).get, "striped chunks are closed")
    rows.close()


def _chunks(node: Node) -> dict[str, int]:
    counted: dict[str, int] = node.ask("status")["chunks"]
    return counted


def slow_get(node: Node, client: Client, key: str) -> tuple[HTTPConnection, HTTPResponse]:
    """A GET of which little was read yet."""
    connection = HTTPConnection("127.0.0.1", node.port, timeout=PATIENCE_S)
    target = target_of(BUCKET, key)
    connection.request("GET", target, headers=client.signed("GET", target))
    return connection, connection.getresponse()


def check_all(node: Node, bodies: dict[str, bytes]) -> None:
    client = Client(node)
    for key, body in bodies.items():
        assert client.get(BUCKET, key).body == body, key
    client.close()


def test_space_comes_back_under_load_and_open_downloads_are_whole(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="1", collect_at="0.2").start()
    client = Client(node)
    bodies = fill(client, chance, LARGE, SMALL)
    long = chance.randbytes(48 * MIB)
    assert client.put(BUCKET, "long", long).status == 200
    close_striped(node)
    client = Client(node)
    connection, response = slow_get(node, client, "long")
    got = response.read(MIB)
    node.ask("snapshot.now")
    full = held(node)
    assert client.delete(BUCKET, "long").status == 204
    delete_most(client, bodies, chance)
    stop = Event()
    loading = Thread(target=_load, args=(node, stop))
    loading.start()
    try:
        wait_until(lambda: _chunks(node)["condemned"], "a chunk is condemned", PATIENCE_S)
        until_it_came_by(node)
        assert _chunks(node)["condemned"]
        while piece := response.read(MIB):
            got += piece
        assert got == long
        connection.close()
        # Sealed landing chunks wait for snapshots, so that their log is covered too.
        left = sum(map(len, bodies.values()))
        goal = full // 2
        assert left < goal
        wait_until(lambda: held(node) < goal, f"{full} bytes shrink below {goal}", PATIENCE_S)
        wait_until(lambda: not _chunks(node)["condemned"], "condemned chunks go", PATIENCE_S)
    finally:
        stop.set()
        loading.join()
    check_all(node, bodies)
    verdict = node.command("verify", "--deep")
    assert verdict["counts"]["damage"] == 0
    assert verdict["checked"]["blobs_opened"] >= len(bodies)
    assert node.stop() == 0
    assert node.command("verify", "--deep")["ok"]


def until_it_came_by(node: Node) -> None:
    """The collector came by so long after now that only an open request keeps what is condemned."""

    def last_round_ms() -> int:
        rounds = {one["name"]: one["last_round_ms"] for one in node.ask("steward.list")}
        return int(rounds["collector"] or 0)

    seen = last_round_ms()
    wanted = seen + KEPT_AT_MOST_MS
    wait_until(lambda: last_round_ms() > wanted, "the collector comes by", PATIENCE_S)


def test_landing_chunks_go_once_snapshots_cover_their_log(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="1", collect_at="0.2").start()
    client = Client(node)
    bodies = fill(client, chance, 0, SMALL)
    wait_until(lambda: _chunks(node)["sealed"], "chunks are sealed")
    old = {path.name.split(".")[0] for path in node.data.glob("drives/*/chunks/*/*.0.segment")}
    delete_most(client, bodies, chance)
    node.command("seal", "--now")

    def covered() -> bool:
        node.ask("snapshot.now")
        node.ask("steward.run", name="collector")
        return all(files_of(node, chunk) == 0 for chunk in old)

    wait_until(covered, "the chunks of before are gone", PATIENCE_S)
    check_all(node, bodies)
    assert node.stop() == 0
    assert node.command("verify", "--deep")["ok"]


def test_kills_during_collection_lose_nothing(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="1", collect_at="0.1").start()
    client = Client(node)
    bodies = fill(client, chance, LARGE, SMALL // 4)
    node.stop()
    node.start()
    client = Client(node)
    full = held(node)
    delete_most(client, bodies, chance)
    for turn in range(KILLS):
        time.sleep(chance.uniform(0.05, 1.5))
        if turn % 2:
            for pid in node.roles()["steward"]:
                node.signal(pid)
        else:
            node.kill()
            node.start()
    wait_until(lambda: held(node) < full * 2 // 3, f"{full} bytes shrink", PATIENCE_S)
    check_all(node, bodies)
    ends_whole(node)
    assert node.stop() == 0
    assert node.command("verify", "--deep")["ok"]


def _load(node: Node, stop: Event) -> None:
    """Overwrites of a few small keys, as long as it is wanted."""
    client = Client(node)
    number = 0
    while not stop.wait(0.01):
        number += 1
        assert client.put(BUCKET, f"load-{number % 5}", b"x" * 4096).status == 200
    client.close()
