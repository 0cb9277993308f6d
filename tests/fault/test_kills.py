"""Nothing acknowledged is lost and nothing is half there, whatever process is killed and when."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable

from .conftest import LONG
from .ledger import Ledger, check
from .load import Load
from .node import COFFRE, Node, alive, wait_until
from .whole import ends_whole

KILLS = 240 if LONG else 14
SEALS = 40 if LONG else 4
ROLES = (
    "supervisor",
    "supervisor",
    "committer",
    "committer as it starts",
    "worker",
    "steward",
    "all children",
)
CATALOGS = ("kept", "kept", "kept", "deleted", "garbage", "older", "its log lost")


def test_acknowledged_objects_outlive_kills_of_any_process_at_any_moment(
    make_node: Callable[..., Node], chance: random.Random, seed: int
) -> None:
    node = make_node(seal_after="1.5").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    began, kills = time.monotonic(), Counter[str]()
    while kills.total() < KILLS:
        role = chance.choice(ROLES)
        kills[role] += 1
        print(f"{time.monotonic() - began:6.1f} s: kill {kills.total()}: {role}")
        if role == "supervisor":
            _kill_everything(node, load, chance)
        else:
            _kill_children(node, load, chance, role)
        check(node, ledger)
    assert node.stop() == 0, node.tail()
    node.start()
    check(node, ledger)
    ends_whole(node)
    print(f"{kills}, {ledger.acknowledged} acknowledged, {ledger.in_doubt_ever} in doubt")
    print(f"answers that said 'not now': {load.refusals}")


def test_kills_during_a_seal_lose_nothing(
    make_node: Callable[..., Node], chance: random.Random, seed: int
) -> None:
    node = make_node(seal_after="600").start()
    ledger = Ledger()
    load = Load(node, ledger, seed)
    for turn in range(SEALS):
        with load.running():
            load.goes_on(60)
        wait_until(lambda: all(node.roles().values()), "everything runs")
        sealing = subprocess.Popen(
            [COFFRE, "seal", "--now", "--data", node.data, "--json"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda s=sealing: _is_sealing(node) or s.poll() is not None, "it seals")  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.1))
        if turn % 2:
            node.kill()
            node.start()
        else:
            for pid in node.roles()[chance.choice(("committer", "steward"))]:
                node.signal(pid)
        sealing.wait()
        check(node, ledger)
    node.command("seal", "--now")
    ends_whole(node)
    check(node, ledger)


def _is_sealing(node: Node) -> bool:
    return any(node.data.glob("drives/*/chunks/*/*.segment.tmp"))


def _kill_everything(node: Node, load: Load, chance: random.Random) -> None:
    older = {p.name: p.read_bytes() for p in node.data.glob("catalog.sqlite*")}
    with load.running():
        load.moment(1.5, chance)
        children = node.children()
        node.kill()
    wait_until(lambda: not alive(children), "children end with their supervisor", 5)
    _damage(node, chance.choice(CATALOGS), chance, older)
    if chance.random() < 0.3:  # Recovery itself is cut.
        node.launch()
        time.sleep(chance.uniform(0.2, 1.5))
        node.kill()
    node.start()


def _damage(node: Node, how: str, chance: random.Random, older: dict[str, bytes]) -> None:
    """What may happen to the catalog while nothing runs: the log must bring it back."""
    print(f"    the catalog: {how}")
    catalog = node.data / "catalog.sqlite"
    if how == "deleted":
        node.forget_catalog()
    elif how == "garbage":
        catalog.write_bytes(chance.randbytes(catalog.stat().st_size))
    elif how == "its log lost":
        catalog.with_name("catalog.sqlite-wal").unlink(missing_ok=True)
        catalog.with_name("catalog.sqlite-shm").unlink(missing_ok=True)
    elif how == "older":
        node.forget_catalog()
        for name, content in older.items():
            if not name.endswith(("-shm", ".set-aside")):
                (node.data / name).write_bytes(content)


def _kill_children(node: Node, load: Load, chance: random.Random, role: str) -> None:
    with load.running():
        load.moment(1.5, chance)
        if role == "all children":
            victims = node.children()
        else:
            kind = role.split(maxsplit=1)[0]
            wait_until(lambda: node.roles()[kind], f"a {kind} runs")
            victims = [chance.choice(node.roles()[kind])]
        before = node.children()
        for victim in victims:
            node.signal(victim)
        if role == "committer as it starts":
            node.kill_next(before, chance.uniform(0, 0.5))
        load.goes_on()
    assert node.running, node.tail()
