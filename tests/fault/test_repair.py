"""Repair on real folders and processes: a drive goes, what it held stands elsewhere, and the counts
say so; where there is no place for it, they say that until there is.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from .client import Client
from .conftest import LONG
from .ledger import BUCKET, Ledger, check, value_of
from .load import Load
from .node import Node, wait_until
from .whole import PATIENCE_S, await_repair, below, ends_whole, repair

KILLS = 12 if LONG else 2


def fill(node: Node, ledger: Ledger, chance: random.Random, count: int = 30) -> None:
    """Small and large objects, sealed."""
    client = Client(node)
    for number in range(count):
        size = chance.choice((5_000, 60_000, 600_000, 2_500_000))
        body, key = chance.randbytes(size), f"object {number}"
        ledger.begin(key, value_of(body))
        assert client.put(BUCKET, key, body).status == 200
        ledger.acknowledge(key, value_of(body))
    client.close()
    node.command("seal", "--now")


def take(folder: Path) -> None:
    """The drive is gone for good."""
    aside = folder.parent.parent.with_name("gone")
    aside.mkdir(exist_ok=True)
    folder.rename(aside / folder.name)


def files_of(folder: Path) -> set[str]:
    return {path.name for path in (folder / "chunks").rglob("*.segment")}


@pytest.mark.parametrize("what", ["two drives", "a node", "a rack"] if LONG else ["a rack"])
def test_of_twenty_drives_some_go_under_load_and_what_they_held_stands_elsewhere(
    make_wide_node: Callable[..., Node], chance: random.Random, seed: int, what: str
) -> None:
    node = make_wide_node(seal_after="2")
    ledger = Ledger()
    fill(node, ledger, chance)
    lost = chance.sample(node.drive_folders(), 2)
    if what != "two drives":
        place = lost[0].name[: 4 if what == "a node" else 2]
        lost = [folder for folder in node.drive_folders() if folder.name.startswith(place)]
    assert any(map(files_of, lost))
    load = Load(node, ledger, seed, writers=4)
    with load.running():
        load.goes_on(40)
        for folder in lost:
            take(folder)
        wait_until(lambda: below(node)["chunks"], "the loss is counted")
        load.goes_on(40)
    node.command("seal", "--now")
    ends_whole(node)
    check(node, ledger)
    # It is as good as before: nothing needs those drives, four more may go, the catalog too.
    for folder in lost:
        node.command("drive", "remove", str(folder))
    node.command("seal", "--now")
    node.kill()
    for folder in chance.sample(node.drive_folders(), 4):
        take(folder)
    node.forget_catalog()
    node.start()
    check(node, ledger)


def test_of_sixteen_drives_one_goes_and_there_is_no_place_until_it_is_replaced(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="2").start()
    ledger = Ledger()
    fill(node, ledger, chance)
    gone = chance.choice(node.drive_folders())
    take(gone)
    wait_until(
        lambda: below(node)["chunks"] and below(node)["no_place"], "no place", patience=PATIENCE_S
    )
    code, answer = repair(node)
    assert code == 1
    assert "no place" in answer["verdict"]
    assert answer["stuck"]["drives_needed"] == 1
    assert answer["stuck"]["racks_that_may"] == [gone.name[:2]]
    assert answer["below_target"]["chunks"] > 0
    wait_until(lambda: below(node)["objects"], "objects are counted", patience=PATIENCE_S)
    # Beside it the audit's own, once it was packed.
    assert set(below(node)["objects"]) - {".system/.audit"} == {f"default/{BUCKET}"}
    check(node, ledger)
    gone.mkdir()
    node.command("drive", "replace", str(gone))
    ends_whole(node)
    assert files_of(gone)
    check(node, ledger)


def test_a_mirror_goes_and_what_was_not_sealed_is_sealed_soon(
    make_wide_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_wide_node(seal_after="600")
    ledger, client, body = Ledger(), Client(node), chance.randbytes(50_000)
    ledger.begin("small", value_of(body))
    assert client.put(BUCKET, "small", body).status == 200
    ledger.acknowledge("small", value_of(body))
    mirrors = [path for path in node.data.rglob("*.mirror") if path.stat().st_size > 50_000]
    take(mirrors[0].parents[2])
    wait_until(lambda: not any(path.exists() for path in mirrors), "sealed", patience=PATIENCE_S)
    await_repair(node)
    check(node, ledger)


def test_repair_that_is_killed_again_and_again_comes_to_its_end(
    make_wide_node: Callable[..., Node], chance: random.Random
) -> None:
    # So slow that a rebuild is never over before it is seen.
    node = make_wide_node(seal_after="2", repair_rate=str(1 << 18))
    ledger = Ledger()
    fill(node, ledger, chance)
    assert node.stop() == 0  # What striped chunks are open are closed by the next start.
    node.start()
    take(max(node.drive_folders(), key=lambda folder: len(files_of(folder))))
    for _ in range(KILLS):
        wait_until(lambda: list(node.data.rglob("*.segment.tmp")), "a rebuild is under way", 20.0)
        for pid in node.roles()["steward"]:
            node.signal(pid)
        wait_until(lambda: node.roles()["steward"], "the steward is started again")
    node.kill()
    node.start()
    ends_whole(node)
    check(node, ledger)


def test_a_drive_that_was_away_is_checked_and_what_rotted_there_is_made_anew(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(seal_after="2").start()
    ledger = Ledger()
    fill(node, ledger, chance)
    gone = chance.choice(node.drive_folders())
    aside = node.data.with_name("aside")
    gone.rename(aside)
    wait_until(lambda: below(node)["chunks"], "the loss is counted", patience=PATIENCE_S)
    victim = chance.choice(sorted((aside / "chunks").rglob("*.segment")))
    data = bytearray(victim.read_bytes())
    data[5000] ^= 1
    victim.write_bytes(data)
    aside.rename(gone)
    await_repair(node)
    assert {one["state"] for one in node.command("drive", "list")} == {"present"}
    back = gone / victim.relative_to(aside)
    assert back.read_bytes() != bytes(data)
    ends_whole(node)
    check(node, ledger)


def test_a_paused_repairer_does_nothing_also_after_a_restart(
    make_wide_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_wide_node(seal_after="2")
    ledger = Ledger()
    fill(node, ledger, chance, 8)
    node.command("steward", "pause", "repairer")
    assert node.stop() == 0, node.tail()
    take(chance.choice(node.drive_folders()))
    node.start()
    (row,) = [one for one in node.command("steward", "list") if one["name"] == "repairer"]
    assert row["state"] == "paused"
    node.command("steward", "resume", "repairer")
    await_repair(node)
    check(node, ledger)
