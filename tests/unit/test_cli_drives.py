"""How far drives are that are being emptied, in words."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from coffre.cli import client
from coffre.cli.client import SocketDoor
from coffre.cli.drives import progress_line, show_size
from coffre.cli.main import main


def row(left: int, rate: int | None, chunks: int = 3) -> dict[str, Any]:
    return {"left_bytes": left, "left_chunks": chunks, "bytes_per_second": rate}


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (300 << 20, "300 MiB"),
        (5 << 40, "5.0 TiB"),
        (9000 << 40, "9000 TiB"),
    ],
)
def test_sizes_are_short(size: int, shown: str) -> None:
    assert show_size(size) == shown


def test_bytes_left_rate_and_time_left_are_shown() -> None:
    line = progress_line([row(600 << 20, 5 << 20), row(400 << 20, 5 << 20)], 2000 << 20)
    assert line == "1000 MiB of 2.0 GiB left in 6 chunks, 10.0 MiB/s, 1 min left"


def test_without_a_rate_nothing_is_foretold() -> None:
    assert progress_line([row(10, None)], 10) == "10 B of 10 B left in 3 chunks"


def test_hours_are_hours() -> None:
    assert progress_line([row(72 << 30, 1 << 20)], 72 << 30).endswith("20.5 h left")


class Door:
    """A node that was told meanwhile to stop emptying."""

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        return [{"id": "d", "intent": "", **row(10, None)}]


def test_to_wait_for_what_was_stopped_meanwhile_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def opened(_: object) -> Iterator[SocketDoor]:
        with socket.socket() as connection:
            yield SocketDoor(connection)

    monkeypatch.setattr(client, "opened", opened)
    monkeypatch.setattr(SocketDoor, "call", Door.call)
    assert main(["drive", "drain", "d", "--wait"]) == 1
    assert "stopped" in capsys.readouterr().err
