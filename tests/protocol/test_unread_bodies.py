"""A request that is refused before its body was read spoils neither its answer nor what follows."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread

import pytest

from tests.protocol.wire_client import WireClient, read_answer, render

KIB = 1024
# Shorter than what is read, as long as it, and far longer than what sockets hold.
SIZES = (1, 40 * KIB, 255 * KIB, 3 * KIB * KIB, 24 * KIB * KIB)


def _send(connection: socket.socket, body: bytes) -> Thread:
    """Send beside whoever reads the answer, as a client that is late to look does."""

    def work() -> None:
        with suppress(OSError):
            connection.sendall(body)

    sending = Thread(target=work)
    sending.start()
    return sending


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", ["/no-such-bucket-at-all/k", "/{bucket}/k"])
def test_who_is_refused_early_gets_the_answer_and_a_connection_that_goes_on_or_says_not(
    wire: WireClient, bucket: str, target: str, size: int
) -> None:
    body = bytes(size)
    # Signed, and the bucket is missing; or nobody signed it at all.
    path = target.format(bucket=bucket)
    head = {"Host": wire.host} if "{" in target else wire.signed("PUT", path, body)
    with wire.connect() as connection:
        connection.sendall(render("PUT", path, {**head, "Content-Length": str(size)}))
        sending = _send(connection, body)
        sending.join()
        answer = read_answer(connection)
        assert answer.status in (403, 404)
        if answer.headers.get("connection") == "close":
            assert size > 256 * KIB
            assert connection.recv(1) == b""
            return
        connection.sendall(render("GET", "/", wire.signed("GET", "/")))
        assert read_answer(connection).status == 200


def test_a_body_whose_end_is_not_known_is_read_or_the_connection_closed(wire: WireClient) -> None:
    head = {"Host": wire.host, "Transfer-Encoding": "chunked"}
    with wire.connect() as connection:
        connection.sendall(render("PUT", "/no-such-bucket-at-all/k", head))
        connection.sendall(b"5\r\nhello\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert read_answer(connection).status == 403
        connection.sendall(render("GET", "/", wire.signed("GET", "/")))
        assert read_answer(connection).status == 200


def test_a_delete_with_a_body_that_nobody_asked_for_is_one_request(
    wire: WireClient, bucket: str
) -> None:
    target, body = f"/{bucket}/k", bytes(100_000)
    head = wire.signed("DELETE", target, body)
    with wire.connect() as connection:
        connection.sendall(render("DELETE", target, {**head, "Content-Length": str(len(body))}))
        connection.sendall(body)
        assert read_answer(connection).status == 204
        connection.sendall(render("GET", "/", wire.signed("GET", "/")))
        assert read_answer(connection).status == 200
