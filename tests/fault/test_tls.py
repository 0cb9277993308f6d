"""HTTPS as clients meet it: its versions, its certificate, and another one under load; and who a
client is behind proxies."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import pytest

from .client import Client
from .ledger import BUCKET
from .node import COFFRE, Node, wait_until

# An address of this machine that is no loopback address of the usual kind is not to be counted on:
# what listens everywhere stands for it.
EVERYWHERE = "0.0.0.0"


def https_port(node: Node) -> int:
    return int(node.facts["https"].rsplit(":", 1)[1])


def trusting(node: Node) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=node.facts["ca"])


def greet(port: int, context: ssl.SSLContext) -> tuple[str | None, bytes | None]:
    """(version, certificate) of a handshake."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as bare,
        context.wrap_socket(bare, server_hostname="localhost") as secure,
    ):
        return secure.version(), secure.getpeercert(binary_form=True)


def put_policy(node: Node, statement: dict[str, object]) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
    answer = Client(node).send("PUT", f"/{BUCKET}?policy", policy)
    assert answer.status in (200, 204), answer


def reads(address: str) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
        "Condition": {"IpAddress": {"aws:SourceIp": address}},
    }


class Load:
    """Clients that ask over HTTPS, one request after the other, and note all that goes wrong: half
    of them on connections that they keep, half on new ones."""

    def __init__(self, node: Node, clients: int = 6) -> None:
        self.answers: Counter[str] = Counter()
        self._node = node
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int) -> None:
        """Wait until so many more requests were answered."""
        enough = self.answers.total() + count
        wait_until(lambda: self.answers.total() >= enough, "the load goes on", patience=120)

    def _ask(self, kept: bool) -> None:
        context, port = trusting(self._node), https_port(self._node)
        path = f"/{BUCKET}/small"
        headers = Client(self._node).signed("GET", path, headers={"Host": f"localhost:{port}"})
        connection: HTTPSConnection | None = None
        while not self._over.is_set():
            if connection is None:
                connection = HTTPSConnection("localhost", port, context=context, timeout=60)
            try:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                self.answers[str(answer.status)] += 1
                if answer.will_close or not kept:
                    connection.close()
                    connection = None
            except (OSError, HTTPException) as error:
                self.answers[repr(error)] += 1
                connection = None


def test_only_tls_1_3_is_spoken_and_the_certificate_changes_under_load_without_a_failure(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(header_timeout="3").start()
    assert Client(node).put(BUCKET, "small", b"content").status == 200
    assert greet(https_port(node), trusting(node))[0] == "TLSv1.3"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.load_verify_locations(node.facts["ca"])
    with pytest.raises(ssl.SSLError, match="alert"):
        greet(https_port(node), old)
    with Load(node) as load:
        load.more(100)
        _, before = greet(https_port(node), trusting(node))
        for _ in range(2):
            # Under SO_REUSEPORT each worker has connections of its own: ask until all have changed.
            renewed = node.command("tls", "renew")["sha256"]
            wait_until(partial(serves_only, node, renewed), "the new certificate serves", 60)
            load.more(200)
        retired(node)
        load.more(200)
    assert greet(https_port(node), trusting(node))[1] != before
    assert set(load.answers) == {"200"}, load.answers
    # A certificate that cannot serve leaves the one before it in place.
    (node.data / "tls" / "server.pem").write_text("no certificate")
    wait_until(lambda: "certificate of before goes on" in node.tail(), "the log says so")
    assert greet(https_port(node), trusting(node))[0] == "TLSv1.3"
    assert node.stop() == 0, node.tail()


def serves_only(node: Node, sha256: str) -> bool:
    seen = [greet(https_port(node), trusting(node))[1] or b"" for _ in range(16)]
    return {hashlib.sha256(one).hexdigest() for one in seen} == {sha256}


def retired(node: Node) -> None:
    """Wait until no worker holds the servers of before: each had one thread of its own."""
    workers = node.roles()["worker"]

    def keys_in_memory() -> int:
        names = []
        for pid in workers:
            for entry in os.scandir(f"/proc/{pid}/fd"):
                try:
                    names.append(os.readlink(entry.path))
                except OSError:
                    continue
        return sum("coffre-tls" in name for name in names)

    wait_until(lambda: keys_in_memory() == 2 * len(workers), "old servers end", 60)


def test_elsewhere_than_on_loopback_there_is_only_https(make_node: Callable[..., Node]) -> None:
    node = make_node(host=EVERYWHERE).start()
    assert node.facts["endpoint"] == node.facts["https"]
    assert node.facts["endpoint"].startswith("https://")
    plain = HTTPConnection("127.0.0.1", node.port, timeout=30)
    plain.request("GET", "/")
    with pytest.raises((HTTPException, OSError)):
        plain.getresponse()
    secure = HTTPSConnection("localhost", node.port, context=trusting(node), timeout=30)
    secure.request("GET", "/")
    assert secure.getresponse().status == 403
    names = node.command("tls", "show")["names"]
    assert "default.localhost" in names
    assert EVERYWHERE not in names
    # A store that is made now, and the buckets in it, have names of their own after a renewal.
    node.ask("store.create", name="other")
    assert "*.other.localhost" in node.command("tls", "renew")["names"]


def test_policies_see_the_scheme_and_the_client_that_a_trusted_proxy_names(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(trusted_proxies="127.0.0.1").start()
    assert Client(node).put(BUCKET, "small", b"content").status == 200
    put_policy(node, reads("203.0.113.0/24"))

    def status(client: str) -> int:
        connection = HTTPConnection("127.0.0.1", node.port, timeout=60)
        connection.putrequest("GET", f"/{BUCKET}/small", skip_host=True)
        connection.putheader("Host", f"default.localhost:{node.port}")
        connection.putheader("X-Forwarded-For", client)
        connection.endheaders()
        return connection.getresponse().status

    assert status("203.0.113.9") == 200
    assert status("198.51.100.9") == 403
    assert status("203.0.113.9, 198.51.100.9") == 403
    assert status("rubbish") == 400
    only_secure = {**reads("127.0.0.1"), "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    put_policy(node, only_secure)
    assert status("203.0.113.9") == 403
    bare = socket.create_connection(("127.0.0.1", https_port(node)))
    secure = HTTPSConnection("default.localhost", https_port(node), timeout=60)
    secure.sock = trusting(node).wrap_socket(bare, server_hostname="default.localhost")
    secure.request("GET", f"/{BUCKET}/small")
    assert secure.getresponse().status == 200


def test_the_proxy_protocol_names_the_client_of_http_and_of_https(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(trusted_proxies="127.0.0.1", proxy_header="PROXY").start()
    greeting = b"PROXY TCP4 203.0.113.9 127.0.0.1 4660 443\r\n"
    through = _Through(node, greeting)
    assert through.ask("PUT", f"/{BUCKET}/small", b"x" * 3_000_000, signed=True) == (200, 0)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [reads("203.0.113.0/24")]})
    assert through.ask("PUT", f"/{BUCKET}?policy", policy.encode(), signed=True)[0] in (200, 204)
    for secure in (False, True):
        assert through.ask("GET", f"/{BUCKET}/small", secure=secure) == (200, 3_000_000)
        other = _Through(node, greeting.replace(b"203.0.113.9", b"198.51.100.9"))
        assert other.ask("GET", f"/{BUCKET}/small", secure=secure)[0] == 403
    with pytest.raises((OSError, HTTPException)):
        _Through(node, b"").ask("GET", "/")
    with pytest.raises((OSError, HTTPException)):
        _Through(node, b"PROXY TCP4 rubbish\r\n").ask("GET", "/")
    assert node.stop() == 0, node.tail()


class _Through:
    """A client behind a TCP proxy that greets with `greeting`."""

    def __init__(self, node: Node, greeting: bytes) -> None:
        self._node = node
        self._greeting = greeting

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        secure: bool = False,
        signed: bool = False,
    ) -> tuple[int, int]:
        """(status, bytes of the answer)."""
        node = self._node
        port = https_port(node) if secure else node.port
        host = "default.localhost"
        connection = HTTPConnection(host, port, timeout=60)
        connection.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sock.sendall(self._greeting)
        if secure:
            connection.sock = trusting(node).wrap_socket(connection.sock, server_hostname=host)
        headers = {"Host": f"{host}:{port}"}
        if signed:
            headers = Client(node).signed(method, path, body, headers)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        try:
            return answer.status, len(answer.read())
        finally:
            connection.close()


def test_the_memory_engine_has_no_authority_to_offer(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, COFFRE, "serve", "--engine", "memory", "--host", EVERYWHERE],
        cwd=tmp_path,
        env={**os.environ, "COFFRE_PORT": "0"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"tls_certificate" in done.stderr
