"""One tenant's rate while another floods, as counts of what each was served; and caps."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from hashlib import md5
from http.client import HTTPConnection

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .node import Node

BUCKET = "shared"
FLOOD, FEW = 768, 48
ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


class Tenant:
    """A store with a bucket, and its initial user's keys."""

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self._port = node.port
        made = node.ask("store.create", name=name)
        self._credentials = Credentials(made["access_key"], made["secret_key"])
        assert self.status("PUT", f"/{BUCKET}") == 200

    def head(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The bytes of a signed request."""
        host = f"{self.name}.localhost:{self._port}"
        headers = {"Host": host, "Content-MD5": b64encode(md5(body).digest()).decode()}
        request = AWSRequest(method, f"http://{host}{path}", data=body, headers=headers)
        S3SigV4Auth(self._credentials, "s3", "us-east-1").add_auth(request)
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def status(self, method: str, path: str, body: bytes = b"") -> int:
        return self.answer(method, path, body)[0]

    def answer(self, method: str, path: str, body: bytes = b"") -> tuple[int, str | None]:
        """(status, Retry-After)."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.connect()
        connection.sock.sendall(self.head(method, path, body))
        response = connection.response_class(connection.sock, method=method)
        response.begin()
        response.read()
        connection.close()
        return response.status, response.getheader("retry-after")


async def asks(port: int, request: bytes, served: Counter[str], name: str, limit: int) -> None:
    """A client that asks the same again as soon as it is answered, until the one that matters has
    had enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while served["few"] < limit:
        if name != "few" and not served["few"]:
            served[name] = 0  # what they had before the few were there does not count
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        served[name] += 1
    writer.close()


def compete(
    node: Node, requests: dict[str, bytes], counts: dict[str, int], limit: int
) -> Counter[str]:
    """What each was served until the few had `limit` answers."""

    async def all_of_them() -> Counter[str]:
        served: Counter[str] = Counter()
        await asyncio.gather(
            *(
                asks(node.port, requests[name], served, name, limit)
                for name, count in counts.items()
                for _ in range(count)
            )
        )
        return served

    return asyncio.run(all_of_them())


def test_who_floods_with_reads_or_writes_leaves_another_its_share(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(workers="1").start()
    many, few = Tenant(node, "many"), Tenant(node, "few")
    # Requests that are much work for the server and little for whoever sends them, for else it is
    # he who is flooded: a listing of delete markers, and small objects.
    keys = "".join(f"<Object><Key>{number}</Key></Object>" for number in range(20))
    deletes = f"<Delete><Quiet>true</Quiet>{keys}</Delete>".encode()
    for tenant in (many, few):
        assert tenant.status("PUT", "/versions") == 200
        assert tenant.status("PUT", "/versions?versioning=", ENABLED) == 200
        for _ in range(10):
            assert tenant.status("POST", "/versions?delete=", deletes) == 200
    counts = {"many": FLOOD, "few": FEW}
    for method, path, body in (
        ("GET", "/versions?max-keys=200&versions=", b""),
        ("PUT", f"/{BUCKET}/key", bytes(4096)),
    ):
        requests = {one.name: one.head(method, path, body) for one in (many, few)}
        served = compete(node, requests, counts, 300)
        print(method, dict(served))
        # By connections alone the flood would have had sixteen times as much.
        assert served["many"] < 8 * served["few"], (method, served)


def test_caps_answer_slow_down_with_the_time_to_wait_and_hold_no_other_store_back(
    make_node: Callable[..., Node],
) -> None:
    node = make_node().start()
    capped, free = Tenant(node, "capped"), Tenant(node, "free")
    node.command("store", "set", "capped", "--cap-requests", "2")
    answers = [capped.answer("GET", f"/{BUCKET}") for _ in range(30)]
    assert (200, None) in answers
    refused = [after for status, after in answers if status == 503]
    assert refused, "thirty requests at once are more than two a second"
    assert all(after is not None and int(after) >= 1 for after in refused)
    assert [free.status("GET", f"/{BUCKET}") for _ in range(30)] == [200] * 30
    node.command("store", "set", "capped", "--cap-requests", "0")
    assert [capped.status("GET", f"/{BUCKET}") for _ in range(30)] == [200] * 30
    node.command("store", "set", "capped", "--cap-bandwidth", "1MiB")
    assert capped.status("PUT", f"/{BUCKET}/large", bytes(8 << 20)) == 200
    status, after = capped.answer("GET", f"/{BUCKET}")
    assert (status, after is not None and int(after) > 1) == (503, True)
