"""Bytes that no decent client sends: each is answered, none corrupts what comes after it."""

from __future__ import annotations

import base64
import hashlib
import socket
from contextlib import suppress
from typing import Any

import pytest

from coffre.s3.settings import Limits, Patience, Settings
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import Answer, WireClient, read_answer, render, until


def ask(wire: WireClient, request: bytes) -> Answer:
    with wire.connect() as connection:
        connection.sendall(request)
        return read_answer(connection)


def closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: -1",
        "Content-Length: ",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 1e3",
        "Content-Length: 99999999999999999999999",
        "X : a",
        "X: a\r\n b: folded",
        "X: \0",
    ],
)
def test_a_malformed_head_is_refused_and_the_connection_closed(
    wire: WireClient, bucket: str, lines: str
) -> None:
    request = f"PUT /{bucket}/k HTTP/1.1\r\nHost: {wire.host}\r\n{lines}\r\n\r\nabcd"
    with wire.connect() as connection:
        connection.sendall(request.encode("latin-1"))
        assert read_answer(connection).status == 400
        assert closed(connection)


def test_length_and_chunks_together_do_not_smuggle(wire: WireClient, bucket: str) -> None:
    head = wire.signed("PUT", f"/{bucket}/k", b"")
    head |= {"Content-Length": "4", "Transfer-Encoding": "chunked"}
    smuggled = b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with wire.connect() as connection:
        connection.sendall(render("PUT", f"/{bucket}/k", head) + smuggled)
        assert read_answer(connection).status == 411
        assert closed(connection)


def test_chunked_without_a_length_needs_one(wire: WireClient, bucket: str) -> None:
    headers = {"Transfer-Encoding": "chunked", "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    head = render("PUT", f"/{bucket}/k", wire.signed("PUT", f"/{bucket}/k", b"", headers))
    answer = ask(wire, head + b"5\r\nhello\r\n0\r\n\r\n")
    assert (answer.status, answer.code) == (411, "MissingContentLength")


def test_the_ecs_dialect_takes_chunked_bodies_and_repeated_buckets(server: MemoryServer) -> None:
    wire = WireClient(server.port, server.create_store("ecs-store", "ecs"))
    for _ in range(2):
        assert wire.send("PUT", "/Ecs_Bucket").status == 200
    headers = {"Transfer-Encoding": "chunked", "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    target = "/Ecs_Bucket/k"
    head = render("PUT", target, wire.signed("PUT", target, b"", headers))
    assert ask(wire, head + b"5\r\nhello\r\n0\r\n\r\n").status == 200
    assert wire.send("GET", target).body == b"hello"
    assert wire.send("GET", "/Ecs_Bucket?prefix=h").status == 200


def test_a_put_without_any_length_needs_one(wire: WireClient, bucket: str) -> None:
    answer = ask(wire, render("PUT", f"/{bucket}/k", wire.signed("PUT", f"/{bucket}/k")))
    assert (answer.status, answer.code) == (411, "MissingContentLength")


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_host_is_needed(wire: WireClient, count: int) -> None:
    hosts = f"Host: {wire.host}\r\n" * count
    answer = ask(wire, f"GET / HTTP/1.1\r\n{hosts}\r\n".encode())
    assert (answer.status, answer.code) == (400, "InvalidRequest")


@pytest.mark.parametrize("name", ["Authorization", "X-Amz-Date", "X-Amz-Content-SHA256"])
def test_security_headers_come_once(wire: WireClient, name: str) -> None:
    headers = wire.signed("GET", "/")
    head = render("GET", "/", headers)[:-2] + f"{name}: {headers[name]}\r\n\r\n".encode()
    answer = ask(wire, head)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize("path", ["%00", "a%00b", "%ff", "%zz", "%", "a%2", "%C3%28", "%ED%A0%80"])
def test_keys_that_are_no_text_are_refused(wire: WireClient, bucket: str, path: str) -> None:
    answer = ask(wire, render("GET", f"/{bucket}/{path}", {"Host": wire.host}))
    assert (answer.status, answer.code) == (400, "InvalidURI")


def test_a_key_too_long_is_refused(wire: WireClient, bucket: str) -> None:
    answer = wire.send("PUT", f"/{bucket}/{'k' * 1025}", b"x")
    assert (answer.status, answer.code) == (400, "KeyTooLongError")
    assert answer.field("MaxSizeAllowed") == "1024"


def test_an_empty_bucket_name_is_refused(wire: WireClient) -> None:
    assert wire.send("GET", "//key").code == "InvalidBucketName"


def test_a_path_is_not_walked(wire: WireClient, s3: Any, bucket: str) -> None:
    s3.create_bucket(Bucket=f"{bucket}-b")
    s3.put_object(Bucket=f"{bucket}-b", Key="k", Body=b"secret")
    for path in (f"/{bucket}/../{bucket}-b/k", f"/{bucket}/%2e%2e/{bucket}-b/k"):
        assert wire.send("GET", path).code == "NoSuchKey"


@pytest.mark.parametrize(
    "body",
    [
        b"<Delete><Object><Key>a</Key></Object>",
        b"not xml at all",
        b"<Delete/>",
        b"<Delete><Object/></Delete>",
        b"<Delete><Object><Key></Key></Object></Delete>",
        b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        b"<Delete><Unknown/></Delete>",
        b'<!DOCTYPE Delete [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        b"<Delete><Object><Key>&e;</Key></Object></Delete>",
        b'<!DOCTYPE Delete [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
        b"<Delete><Object><Key>&b;</Key></Object></Delete>",
        b"<Delete><Object><Key>&undefined;</Key></Object></Delete>",
        b"<Delete>" + b"<a>" * 200_000,
        b"\xff\xfe<\0D\0",
    ],
)
def test_malformed_documents_are_refused(wire: WireClient, bucket: str, body: bytes) -> None:
    digest = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    answer = wire.send("POST", f"/{bucket}?delete", body, digest)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_a_document_too_long_is_refused_before_it_is_read(wire: WireClient, bucket: str) -> None:
    headers = {"Content-Length": str(3 << 20), "Content-MD5": "A" * 22 + "=="}
    target = f"/{bucket}?delete"
    headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    answer = ask(wire, render("POST", target, wire.signed("POST", target, b"", headers)))
    assert (answer.status, answer.code) == (400, "MaxMessageLengthExceeded")


def test_an_object_too_large_is_refused_before_it_is_read(wire: WireClient, bucket: str) -> None:
    size = (5 << 30) + 1
    headers = {"Content-Length": str(size), "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    for target in (f"/{bucket}/k",):
        answer = ask(wire, render("PUT", target, wire.signed("PUT", target, b"", headers)))
        assert (answer.status, answer.code) == (400, "EntityTooLarge")
        assert answer.field("ProposedSize") == str(size)
        assert answer.field("MaxSizeAllowed") == str(5 << 30)


def test_a_connection_goes_on_after_an_answer_that_left_the_body_unread(
    wire: WireClient, bucket: str
) -> None:
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    wrong = {**wire.signed("PUT", "/no-such-bucket-x/k", body, {"Content-Length": str(len(body))})}
    with wire.connect() as connection:
        connection.sendall(render("PUT", "/no-such-bucket-x/k", wrong) + body)
        assert read_answer(connection).code == "NoSuchBucket"
        connection.sendall(render("GET", f"/{bucket}", wire.signed("GET", f"/{bucket}")))
        assert read_answer(connection).status == 200


def test_a_large_unread_body_ends_the_connection_at_most(wire: WireClient, bucket: str) -> None:
    size = 8 << 20
    headers = {"Content-Length": str(size), "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    head = render(
        "PUT", "/no-such-bucket-x/k", wire.signed("PUT", "/no-such-bucket-x/k", b"", headers)
    )
    with wire.connect() as connection:
        connection.sendall(head)
        assert read_answer(connection).code == "NoSuchBucket"
    assert wire.send("GET", f"/{bucket}").status == 200


def test_requests_can_follow_each_other_on_one_connection(wire: WireClient, bucket: str) -> None:
    with wire.connect() as connection:
        for number in range(5):
            body = b"x" * (number * 70_000)
            target = f"/{bucket}/k{number}"
            headers = wire.signed("PUT", target, body, {"Content-Length": str(len(body))})
            connection.sendall(render("PUT", target, headers) + body)
            assert read_answer(connection).status == 200
            connection.sendall(render("GET", target, wire.signed("GET", target)))
            assert read_answer(connection).body == body


def test_a_client_may_wait_to_be_told_to_go_on(wire: WireClient, bucket: str) -> None:
    target = f"/{bucket}/k"
    headers = {"Content-Length": "5", "Expect": "100-continue"}
    with wire.connect() as connection:
        head = render("PUT", target, wire.signed("PUT", target, b"hello", headers))
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"hello")
        assert read_answer(connection).status == 200


def test_a_client_that_is_refused_while_it_waits_must_connect_again(wire: WireClient) -> None:
    headers = {"Content-Length": "5", "Expect": "100-continue"}
    target = "/no-such-bucket-x/k"
    with wire.connect() as connection:
        connection.sendall(render("PUT", target, wire.signed("PUT", target, b"hello", headers)))
        assert read_answer(connection).code == "NoSuchBucket"
        assert closed(connection)


def test_a_client_that_leaves_leaves_nothing(
    server: MemoryServer, wire: WireClient, bucket: str
) -> None:
    target = f"/{bucket}/k"
    body = b"x" * (3 << 20)
    headers = wire.signed("PUT", target, body, {"Content-Length": str(len(body))})
    with wire.connect() as connection:
        connection.sendall(render("PUT", target, headers) + body[:-1])
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
    assert (answer.status, answer.code) == (400, "IncompleteBody")
    assert wire.send("HEAD", target).status == 404


def test_rows_of_an_abandoned_upload_are_counted_dead() -> None:
    with MemoryServer() as server:
        client = boto(server, server.user)
        client.create_bucket(Bucket="abandoned")
        put = {"Bucket": "abandoned", "Key": "k", "Body": bytes(30 << 20)}

        async def dead() -> int:
            return sum(chunk.dead for chunk in server.engine.catalog.chunks())

        client.put_object(**put)
        assert server.call(dead()) == 0
        assert refused(client.put_object, **put, ChecksumSHA256="A" * 43 + "=") == "BadDigest"
        assert server.call(dead()) >= 24 << 20


def test_a_silent_client_is_timed_out() -> None:
    patience = Patience(idle_s=0.2)
    with MemoryServer(Settings(patience=patience)) as server:
        wire = WireClient(server.port, server.user)
        wire.send("PUT", "/slow-bucket")
        headers = wire.signed("PUT", "/slow-bucket/k", b"hello", {"Content-Length": "5"})
        with wire.connect() as connection:
            connection.sendall(render("PUT", "/slow-bucket/k", headers) + b"he")
            answer = read_answer(connection)
        assert (answer.status, answer.code) == (400, "RequestTimeout")
        assert wire.send("HEAD", "/slow-bucket/k").status == 404


def test_a_client_that_drips_is_timed_out() -> None:
    patience = Patience(idle_s=30, grace_s=0.3, least_bytes_per_s=1_000_000)
    with MemoryServer(Settings(patience=patience)) as server:
        wire = WireClient(server.port, server.user)
        wire.send("PUT", "/slow-bucket")
        headers = {"Content-Length": "1000", "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
        target = "/slow-bucket/k"
        with wire.connect() as connection:
            connection.sendall(render("PUT", target, wire.signed("PUT", target, b"", headers)))
            connection.settimeout(0.1)
            for _ in range(900):
                connection.sendall(b"x")
                with suppress(TimeoutError):
                    if connection.recv(1, socket.MSG_PEEK):
                        break
            connection.settimeout(10)
            answer = read_answer(connection)
        assert (answer.status, answer.code) == (400, "RequestTimeout")


def test_a_client_that_takes_nothing_is_left() -> None:
    with MemoryServer(Settings(patience=Patience(idle_s=0.3))) as server:
        s3, wire = boto(server, server.user), WireClient(server.port, server.user)
        s3.create_bucket(Bucket="taken")
        s3.put_object(Bucket="taken", Key="k", Body=bytes(32 << 20))
        with wire.connect() as connection:
            connection.sendall(render("GET", "/taken/k", wire.signed("GET", "/taken/k")))
            connection.recv(1000)
            # The event comes once the server gave up; until then there is nothing to wait on.
            told = until(lambda: [one for one in server.events if one.operation == "GetObject"])
        assert told[0].error == "ResponseInterrupted"
        assert told[0].bytes_out < 32 << 20


def test_smaller_limits_hold() -> None:
    limits = Limits(put_bytes=10, part_bytes=10, least_part_bytes=2, object_bytes=15)
    with MemoryServer(Settings(limits=limits)) as server:
        s3 = boto(server, server.user)
        s3.create_bucket(Bucket="small")
        where = {"Bucket": "small", "Key": "k"}
        assert refused(s3.put_object, **where, Body=bytes(11)) == "EntityTooLarge"
        upload = s3.create_multipart_upload(**where)["UploadId"]
        part = {**where, "UploadId": upload}
        assert refused(s3.upload_part, **part, PartNumber=1, Body=bytes(11)) == "EntityTooLarge"
        parts = [
            {
                "PartNumber": number,
                "ETag": s3.upload_part(**part, PartNumber=number, Body=bytes(10))["ETag"],
            }
            for number in (1, 2)
        ]
        listed = {"MultipartUpload": {"Parts": parts}}
        assert refused(s3.complete_multipart_upload, **part, **listed) == "EntityTooLarge"
