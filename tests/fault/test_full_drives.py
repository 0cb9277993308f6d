"""A full drive refuses what needs room, in S3's words; everything else goes on.

The drives are on a file system of their own in memory, whose size is changed while it is in use.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from coffre.vault.ballast import BALLAST

from .client import Answer, Client
from .ledger import BUCKET, Ledger, check, value_of
from .node import Node, copy_of, wait_until

MIB = 1 << 20
# Above what `coffre.vault.drives` keeps free on each drive.
ROOMY = 8 << 30
_SMALL, _LARGE = 40_000, 3 * MIB


class Volume:
    """A file system in memory; a size costs nothing until it is used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, size: int) -> None:
        _mount("-o", f"remount,size={size}", self._folder)

    def leave(self, free: int) -> None:
        """Make it as small as what is used and `free` more."""
        facts = os.statvfs(self._folder)
        self.size((facts.f_blocks - facts.f_bfree) * facts.f_frsize + free)

    @property
    def free(self) -> int:
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize

    @contextmanager
    def filled_by_others(self) -> Iterator[None]:
        """A foreign file takes the last free byte."""
        self.leave(16 * MIB)
        foreign = self._folder / "foreign"
        with foreign.open("wb", buffering=0) as file:
            size = MIB
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2
        try:
            yield
        finally:
            foreign.unlink()
            self.size(ROOMY)


@contextmanager
def volume(folder: Path) -> Iterator[Volume]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={ROOMY}", "tmpfs", folder)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield Volume(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _mount(*arguments: Any) -> None:
    if os.geteuid() != 0:
        raise PermissionError(errno.EPERM, "only root mounts")
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture(params=["drives", "everything"])
def full_node(
    request: pytest.FixtureRequest, tmp_path: Path, template: Any, seed: int
) -> Iterator[tuple[Node, Volume]]:
    """A node whose drives, or whose whole data folder, are on a volume of their own."""
    where = tmp_path / "volume" if request.param == "everything" else tmp_path / "data" / "drives"
    with volume(where) as space:
        data = where / "data" if request.param == "everything" else tmp_path / "data"
        copy_of_into(template[0], data)
        node = Node(data, template[1], seal_after="600")
        node.log = tmp_path / "node.log"
        try:
            yield node, space
        finally:
            node.kill()


def copy_of_into(template: Path, data: Path) -> None:
    """A copy whose `drives` folder may be a mount already."""
    for part in template.iterdir():
        target = data / part.name
        if part.name == "drives":
            for drive in part.iterdir():
                copy_of(drive, target / drive.name)
        elif part.is_dir():
            copy_of(part, target)
        elif not part.is_socket():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(part.read_bytes())
            target.chmod(part.stat().st_mode)


def test_with_no_space_at_all_bodies_are_refused_and_the_rest_goes_on(
    full_node: tuple[Node, Volume], chance: random.Random
) -> None:
    node, space = full_node
    ledger = _some_objects(node.start(), chance)
    space.leave(0)
    client = Client(node)
    refused: list[Answer] = []
    turns = iter(range(60))
    while len(refused) < 4 and (turn := next(turns, None)) is not None:
        body = chance.randbytes(_LARGE if turn % 4 == 0 else _SMALL)
        key = f"filling/{turn}"
        ledger.begin(key, value_of(body))
        answer = client.put(BUCKET, key, body)
        if answer.status == 200:
            ledger.acknowledge(key, value_of(body))
        else:
            refused.append(answer)
    assert refused, "sixty bodies fitted where nothing was free"
    for answer in refused:
        _refused_for_space(answer)
    assert node.running, node.tail()
    check(node, ledger)
    space.size(ROOMY)
    _writes_go_on(node, ledger, chance)


def test_with_less_than_the_reserve_bodies_are_refused_and_the_rest_goes_on(
    full_node: tuple[Node, Volume], chance: random.Random
) -> None:
    node, space = full_node
    ledger = _some_objects(node.start(), chance)
    # What stands open may be filled: this start finds nothing open.
    node.kill()
    space.leave(200 * MIB)
    node.start()
    client = Client(node)
    for _ in range(2):
        for size in (_SMALL, _LARGE):
            _refused_for_space(client.put(BUCKET, "more", bytes(size)))
        # What deletes may use of the reserve is not there for the bodies that follow.
        _the_rest_goes_on(node, ledger)
    space.size(ROOMY)
    _writes_go_on(node, ledger, chance)


def test_room_on_two_drives_alone_is_no_room_for_what_must_survive_two_drives(
    make_node: Callable[..., Node], tmp_path: Path, chance: random.Random
) -> None:
    node = make_node()
    roomy = chance.sample(node.drive_folders(), 2)
    aside = tmp_path / "aside"
    with ExitStack() as stack:
        for folder in node.drive_folders():
            if folder not in roomy:
                folder.rename(aside)
                space = stack.enter_context(volume(folder))
                shutil.copytree(aside, folder, dirs_exist_ok=True)
                shutil.rmtree(aside)
                space.leave(200 * MIB)
        stack.callback(node.kill)
        client = Client(node.start())
        _refused_for_space(client.put(BUCKET, "small", bytes(_SMALL)))
        _refused_for_space(client.put(BUCKET, "large", bytes(_LARGE)))


def test_drives_without_a_free_byte_start_are_read_deleted_from_and_give_space_back(
    full_node: tuple[Node, Volume], chance: random.Random
) -> None:
    node, space = full_node
    ledger = _some_objects(node.start(), chance)
    _wait_for_ballast(node)
    with space.filled_by_others():
        _the_rest_goes_on(node, ledger)
    _wait_for_ballast(node)
    node.kill()
    with space.filled_by_others():
        node.start()
        check(node, ledger)
        _refused_for_space(Client(node).put(BUCKET, "more", bytes(_SMALL)))
        _the_rest_goes_on(node, ledger)
        before = space.free
        client = Client(node)
        for key in [key for key in ledger.known() if ledger.possible(key) != {None}]:
            ledger.begin(key, None)
            assert client.delete(BUCKET, key).status == 204, node.tail()
            ledger.acknowledge(key, None)
        wait_until(lambda: space.free > before + 3 * MIB, "space comes back", 60.0)
    _writes_go_on(node, ledger, chance)
    _wait_for_ballast(node)


def test_space_returns_after_deletion(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(drive_reserve=str(128 * MIB), seal_after="1")
    aside = node.data / "aside"
    (node.data / "drives").rename(aside)
    with volume(node.data / "drives") as space:
        shutil.copytree(aside, node.data / "drives", dirs_exist_ok=True)
        space.leave(300 * MIB)
        client = Client(node.start())
        kept = [f"full/{turn}" for turn in range(200)]
        filled = next(
            turn
            for turn, key in enumerate(kept)
            if client.put(BUCKET, key, chance.randbytes(_LARGE)).status != 200
        )
        assert filled > 10
        for key in kept[:filled]:
            assert client.delete(BUCKET, key).status == 204
        # What a worker has open is closed a while after its last use, or when it is gone.
        node.kill()
        client = Client(node.start())
        body = chance.randbytes(_LARGE)
        keys = iter(range(1000))
        taken: list[int] = []

        def as_much_again() -> bool:
            key = next(keys)
            if client.put(BUCKET, f"again/{key}", body).status == 200:
                taken.append(key)
            return len(taken) > filled // 2

        wait_until(as_much_again, "space returns", 90.0)
        assert value_of(client.get(BUCKET, f"again/{taken[0]}").body) == value_of(body)
        node.kill()


def _wait_for_ballast(node: Node) -> None:
    """What a full drive gives up is there while it is not full."""
    folders = (node.data, *node.drive_folders())
    wait_until(lambda: all((one / BALLAST).exists() for one in folders), "there is ballast")


def _some_objects(node: Node, chance: random.Random) -> Ledger:
    ledger = Ledger()
    client = Client(node)
    for turn in range(40):
        _put(client, ledger, f"before/{turn}", chance.randbytes(_LARGE if turn < 3 else _SMALL))
    return ledger


def _put(client: Client, ledger: Ledger, key: str, body: bytes) -> None:
    ledger.begin(key, value_of(body))
    answer = client.put(BUCKET, key, body)
    assert answer.status == 200, (key, answer)
    ledger.acknowledge(key, value_of(body))


def _refused_for_space(answer: Answer) -> None:
    assert answer.status in (503, 507), answer
    assert answer.code in ("InsufficientStorage", "ServiceUnavailable", "SlowDown"), answer
    assert answer.headers["content-type"] == "application/xml", answer


def _the_rest_goes_on(node: Node, ledger: Ledger) -> None:
    """Reads, listing and deletes."""
    check(node, ledger)
    client = Client(node)
    for key in [key for key in ledger.known() if ledger.possible(key) != {None}][:10]:
        ledger.begin(key, None)
        answer = client.delete(BUCKET, key)
        assert answer.status == 204, (answer, node.tail())
        ledger.acknowledge(key, None)
    check(node, ledger)


def _writes_go_on(node: Node, ledger: Ledger, chance: random.Random) -> None:
    """In the running node, without anyone's help; and a start finds all of it."""
    client = Client(node)
    wait_until(lambda: client.put(BUCKET, "probe", b"is there room").status == 200, "room is seen")
    ledger.acknowledge("probe", value_of(b"is there room"))
    for turn in range(10):
        _put(client, ledger, f"after/{turn}", chance.randbytes(_LARGE if turn < 2 else _SMALL))
    check(node, ledger)
    node.kill()
    node.start()
    check(node, ledger)
