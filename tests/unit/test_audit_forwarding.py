"""Forwarding against real receivers: syslog over TCP, TLS and UDP, an HTTP server, a file. In
order, at least once, and a target that is down holds back nobody."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog.audit_records import AuditRecord
from coffre.catalog.mutations import Refusal
from coffre.catalog.trail_mutations import MoveTarget
from coffre.catalog.trail_records import WHOLE, AuditTarget
from coffre.config import ForwardTarget
from coffre.ledger.placed import Placed
from coffre.ledger.shown import csv_lines, shown, syslog_message
from coffre.service.forwarding import Targets, behind, signature
from coffre.service.layout import DataFolder
from coffre.service.tls import LocalAuthority
from coffre.stewards.forwarder import Forwarder
from coffre.stewards.outages import Undelivered
from coffre.system.clock import SystemClock
from coffre.testing.audit import MemoryTrail

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def some(count: int) -> list[AuditRecord]:
    return [
        AuditRecord(1_700_000_000_000 + at, operation="PutObject", bucket="b", key=b"k%d" % at)
        for at in range(count)
    ]


def rows(count: int) -> list[Placed]:
    return [Placed(1, at, record) for at, record in enumerate(some(count))]


class Listener:
    """Takes connections one after the other, and all that comes until each ends."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.port = self._listening.getsockname()[1]
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            whole = b""
            while piece := connection.recv(4096):
                whole += piece
            self.received.append(whole)
            if isinstance(connection, ssl.SSLSocket):
                connection.unwrap()
            connection.close()

    def close(self) -> None:
        # What waits in accept wakes by this alone.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


def messages(octets: bytes) -> list[str]:
    """What octet counting (RFC 6587) frames."""
    found = []
    while octets:
        length, _, rest = octets.partition(b" ")
        found.append(rest[: int(length)].decode())
        octets = rest[int(length) :]
    return found


@contextmanager
def web(statuses: list[int]) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An HTTP server that answers with these statuses, the last one again and again."""
    taken: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((dict(self.headers), body))
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/audit", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HEAD = re.compile(
    r"<(?P<priority>\d+)>1 (?P<at>\S+) (?P<host>\S+) coffre - (?P<kind>\S+) - (?P<text>\{.*\})",
    re.S,
)


def test_a_syslog_server_gets_rfc_5424_over_tcp_in_order() -> None:
    listener = Listener()
    targets = Targets([ForwardTarget("siem", f"tcp://127.0.0.1:{listener.port}")])
    run(targets.send("siem", rows(20)))
    listener.close()
    found = [HEAD.fullmatch(one) for one in messages(listener.received[0])]
    assert all(found)
    told = [json.loads(one["text"]) for one in found if one]
    assert told == [shown(row) for row in rows(20)]
    assert found[1] is not None
    assert found[1]["at"] == "2023-11-14T22:13:20.001Z"
    assert (found[1]["priority"], found[1]["kind"]) == ("110", "PutObject")


def test_a_syslog_server_gets_them_over_tls_whose_certificate_is_looked_at(
    tmp_path: Path,
) -> None:
    folder = DataFolder(tmp_path)
    LocalAuthority(folder).keep(("localhost", "127.0.0.1"), SystemClock().now_ms())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder.tls / "server.pem")
    listener = Listener(context)
    url = f"tls://localhost:{listener.port}"
    known = Targets([ForwardTarget("siem", url, ca_file=str(folder.tls / "ca.pem"))])
    run(known.send("siem", rows(3)))
    assert len(messages(listener.received[0])) == 3
    listener.close()


def test_a_tls_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    LocalAuthority(folder).keep(("localhost",), SystemClock().now_ms())
    listening = socket.create_server(("127.0.0.1", 0))
    target = ForwardTarget("siem", f"tls://localhost:{listening.getsockname()[1]}")

    def hang_up() -> None:
        listening.accept()[0].close()

    threading.Thread(target=hang_up, daemon=True).start()
    with pytest.raises(Undelivered):
        run(Targets([target]).send("siem", rows(1)))
    listening.close()


def test_a_syslog_server_gets_a_datagram_each() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        port = listening.getsockname()[1]
        run(Targets([ForwardTarget("siem", f"udp://127.0.0.1:{port}")]).send("siem", rows(3)))
        found = [HEAD.fullmatch(listening.recv(65536).decode()) for _ in range(3)]
    assert [json.loads(one["text"])["key"] for one in found if one] == ["k0", "k1", "k2"]


def test_a_webhook_gets_lines_of_json_that_it_can_tell_to_be_ours(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    with web([204]) as (url, taken):
        target = ForwardTarget("hook", url, secret_file=str(secret))
        run(Targets([target]).send("hook", rows(3)))
    ((headers, body),) = taken
    assert [json.loads(line) for line in body.splitlines()] == [shown(row) for row in rows(3)]
    assert headers["X-Coffre-Signature"] == signature(b"hush", headers["X-Coffre-Timestamp"], body)
    assert headers["X-Coffre-Signature"] != signature(b"other", headers["X-Coffre-Timestamp"], body)


def test_a_file_gets_lines_and_no_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    targets = Targets([ForwardTarget("lines", f"file://{path}")])
    run(targets.send("lines", rows(2)))
    with path.open("ab") as file:
        file.write(b'{"id":"1-')
    run(targets.send("lines", rows(2)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["key"] for line in lines] == ["k0", "k1", "k0", "k1"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "http://127.0.0.1:1/", "file:///no/where/x"])
def test_what_is_not_there_took_nothing(url: str) -> None:
    with pytest.raises(Undelivered):
        run(Targets([ForwardTarget("x", url)]).send("x", rows(1)))


@given(st.builds(AuditRecord, at_ms=st.integers(0, 2**40), operation=st.text(max_size=40)))
def test_whatever_a_record_holds_its_syslog_head_is_in_form(record: AuditRecord) -> None:
    found = HEAD.fullmatch(syslog_message(Placed(1, 0, record), "host").decode())
    assert found is not None
    assert len(found["kind"]) <= 32
    assert json.loads(found["text"])["operation"] == record.operation


def test_a_spreadsheet_takes_no_text_for_a_formula() -> None:
    row = Placed(1, 0, AuditRecord(1, user_agent='=HYPERLINK("x")', key=b"+1", detail='a"b'))
    text = csv_lines([shown(row)], heading=False)
    assert "'=HYPERLINK" in text
    assert "'+1" in text


# The steward


class Sink:
    """Takes pages, or does not."""

    def __init__(self) -> None:
        self.got: dict[str, list[str]] = {}
        self.down: set[str] = set()

    async def send(self, name: str, page: Any) -> None:
        if name in self.down:
            raise Undelivered("down")
        self.got.setdefault(name, []).extend(row.record.key.decode() for row in page)


def forwarder(trail: MemoryTrail, sink: Sink, *names: str) -> Forwarder:
    read = partial(behind, trail.trail)
    return Forwarder(trail.catalog, trail.catalog, trail.clock, read, sink.send, names)


def keys(first: int, last: int) -> list[AuditRecord]:
    return [AuditRecord(1000 + at, key=b"k%d" % at) for at in range(first, last)]


def test_a_target_gets_what_happens_from_its_beginning_on_in_order_wherever_it_lies() -> None:
    async def check() -> None:
        trail, sink = MemoryTrail(), Sink()
        await trail.write(keys(0, 3))
        steward = forwarder(trail, sink, "a")
        await steward.round()
        assert sink.got == {}
        await trail.write(keys(3, 6))
        await trail.pack()
        await trail.write(keys(6, 9))
        assert (await steward.round()).did == 6
        assert sink.got == {"a": [f"k{at}" for at in range(3, 9)]}
        assert (await steward.round()).did == 0
        # A new process goes on where this one was.
        await trail.write(keys(9, 10))
        await forwarder(trail, sink, "a").round()
        assert sink.got["a"][-1] == "k9"
        assert len(sink.got["a"]) == 7
        trail.trail.close()

    run(check())


def test_a_target_that_is_down_holds_back_nobody_and_loses_nothing() -> None:
    async def check() -> None:
        trail, sink = MemoryTrail(), Sink()
        steward = forwarder(trail, sink, "a", "b")
        await steward.round()
        sink.down.add("a")
        await trail.write(keys(0, 3))
        await steward.round()
        assert sink.got == {"b": ["k0", "k1", "k2"]}
        assert steward.trouble() == {"a": "down"}
        # It is not asked again before its time, and then gets everything.
        sink.down.clear()
        assert (await steward.round()).did == 0
        trail.clock.advance(1.1)
        await trail.write(keys(3, 4))
        await trail.pack()
        await steward.round()
        assert sink.got["a"] == ["k0", "k1", "k2", "k3"]
        assert steward.trouble() == {}
        trail.trail.close()

    run(check())


def test_a_target_that_is_configured_no_more_is_forgotten() -> None:
    async def check() -> None:
        trail, sink = MemoryTrail(), Sink()
        await forwarder(trail, sink, "a").round()
        assert [one.name for one in trail.catalog.audit_targets()] == ["a"]
        await forwarder(trail, sink).round()
        assert trail.catalog.audit_targets() == []
        trail.trail.close()

    run(check())


def test_a_cursor_that_was_moved_meanwhile_is_not_overwritten() -> None:
    async def check() -> None:
        trail = MemoryTrail()
        seen = AuditTarget("a", 3, WHOLE)
        await trail.catalog.commit(MoveTarget("a", None, seen))
        back = AuditTarget("a", 1)
        await trail.catalog.commit(MoveTarget("a", seen, back))
        with pytest.raises(Refusal):
            await trail.catalog.commit(MoveTarget("a", seen, AuditTarget("a", 4)))
        assert trail.catalog.audit_targets() == [back]
        trail.trail.close()

    run(check())
