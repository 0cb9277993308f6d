"""The socket door: what goes over the wire, and what each way of failing is called."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coffre.cli import client
from coffre.cli.client import opened
from coffre.cli.complaint import Complaint, Unusable
from coffre.config import Settings

Serve = Callable[[Callable[[dict[str, Any]], bytes]], list[dict[str, Any]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder too deep for a socket's own address."""
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    return deep


@pytest.fixture
def serve(folder: Path) -> Iterator[Serve]:
    """Start a node's end of the socket, answering with raw bytes; what it was asked comes back."""
    listener = socket.socket(socket.AF_UNIX)
    threads: list[threading.Thread] = []

    def start(answer: Callable[[dict[str, Any]], bytes]) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []
        descriptor = os.open(folder, os.O_PATH)
        listener.bind(f"/proc/self/fd/{descriptor}/coffre.sock")
        os.close(descriptor)
        listener.listen()

        def converse() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # Nobody came before it was closed.
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    asked.append(json.loads(line))
                    connection.sendall(answer(asked[-1]))
                    if not answer(asked[-1]).endswith(b"\n"):
                        return

        threads.append(threading.Thread(target=converse, daemon=True))
        threads[0].start()
        return asked

    yield start
    listener.close()
    for thread in threads:
        thread.join(5)


def settings(folder: Path) -> Settings:
    return Settings(data=str(folder))


def test_operations_go_over_one_connection_and_their_results_come_back(
    folder: Path, serve: Serve
) -> None:
    asked = serve(lambda request: json.dumps({"ok": True, "result": request}).encode() + b"\n")
    with opened(settings(folder)) as door:
        first = door.call("store.list", {})
        second = door.call("user.create", {"store": "main", "label": "é" * 70_000})
    caller = {"who": f"cli:uid-{os.getuid()}", "via": "cli"}
    assert first == {"operation": "store.list", "arguments": {}, "caller": caller}
    assert [request["operation"] for request in asked] == ["store.list", "user.create"]
    assert second["arguments"]["label"] == "é" * 70_000


def test_a_refusal_is_one_line_with_its_field_and_code(folder: Path, serve: Serve) -> None:
    error = {"code": "NoSuchStore", "message": "there is no store 'x'", "field": "store"}
    serve(lambda _: json.dumps({"ok": False, "error": error}).encode() + b"\n")
    with opened(settings(folder)) as door, pytest.raises(Complaint) as caught:
        door.call("user.list", {"store": "x"})
    assert caught.value.message == "store: there is no store 'x' (NoSuchStore)"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("answer", [b"", b'{"ok": tr'])
def test_a_node_that_dies_while_answering_is_named_as_such(
    folder: Path, serve: Serve, answer: bytes
) -> None:
    serve(lambda _: answer)
    with opened(settings(folder)) as door, pytest.raises(Complaint, match="went away"):
        door.call("status", {})


def test_an_answer_that_is_no_answer_is_no_traceback(folder: Path, serve: Serve) -> None:
    serve(lambda _: b"[]\n")
    with opened(settings(folder)) as door, pytest.raises(Complaint, match="not understood"):
        door.call("status", {})


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(Unusable, match="coffre init"), opened(settings(missing)):
        pass
    assert not missing.exists()


def test_signs_of_life_are_no_answer(folder: Path, serve: Serve) -> None:
    serve(lambda _: b'\n\n{"ok": true, "result": 7}\n')
    with opened(Settings(data=str(folder))) as door:
        assert door.call("seal.now", {}) == 7


def test_a_node_without_a_sign_of_life_is_not_waited_for(
    folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def silent(_: dict[str, Any]) -> bytes:
        over.wait()
        return b""

    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.01)
    serve(silent)
    with opened(Settings(data=str(folder))) as door:
        with pytest.raises(Complaint, match="no sign of life"):
            door.call("status", {})
        over.set()


def test_what_no_text_can_say_is_refused_before_it_is_sent(folder: Path, serve: Serve) -> None:
    asked = serve(lambda request: b"")
    with opened(settings(folder)) as door, pytest.raises(Unusable, match="no text in UTF-8"):
        door.call("user.create", {"label": os.fsdecode(b"\xff")})
    assert asked == []
