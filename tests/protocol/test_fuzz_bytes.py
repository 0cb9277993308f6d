"""Bytes that no client should send: broken heads, signatures, framings, forms, ranges and tags.

They are answered or the connection is closed; nothing fails, hangs or grows.
"""

from __future__ import annotations

import gc
import os
import random
import socket
from http.client import HTTPException
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coffre.access.policy import BadPolicy, read_policy
from coffre.testing.server import MemoryServer
from coffre.wire import acl, bucket_settings, cors, documents, restore, tags
from coffre.wire.claim import read_claim
from coffre.wire.conditions import read_conditions
from coffre.wire.errors import S3Error
from coffre.wire.forms import FormDecoder
from coffre.wire.metadata import read as read_metadata
from coffre.wire.post_policy import parse_policy
from coffre.wire.ranges import copy_range, resolve
from coffre.wire.request import RequestHead
from coffre.wire.select import parse_select
from coffre.wire.select_sql import parse_sql
from tests.protocol.wire_client import WireClient, read_answer, render

CASES = 3000 if os.environ.get("COFFRE_LONG") == "1" else 200
PARSED = 200_000 if os.environ.get("COFFRE_LONG") == "1" else 5_000
MOST_GROWTH = 8 << 20
SPLICED = st.sampled_from(
    [b"", b"\0", b"\r\n", b"\n", b" ", b":", b"%", b"%zz", b"=", b",", b"\xff", b"0", b"9" * 40]
) | st.binary(max_size=6)

settings.register_profile(
    "bytes", max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck)
)
BYTES = settings.get_profile("bytes")


@st.composite
def spliced(draw: st.DrawFn, sent: bytes) -> bytes:
    """Bytes cut and spliced a few times."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(sent)))
        end = draw(st.integers(start, min(len(sent), start + 12)))
        sent = sent[:start] + draw(SPLICED) + sent[end:]
    return sent


def expect_meaning(server: MemoryServer, wire: WireClient, sent: bytes) -> None:
    """An answer that is no failure, or an end of the connection; the client says no more."""
    with wire.connect() as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = read_answer(connection)
        except (ConnectionError, HTTPException):
            return
        assert answer.status < 500 or answer.status == 501, (sent, answer, server.events[-1])


@BYTES
@given(st.data(), st.sampled_from(["V4", "V2", "presigned", "anonymous"]))
def test_heads_and_signatures(
    server: MemoryServer, wire: WireClient, s3: Any, data: st.DataObject, signed: str
) -> None:
    s3.create_bucket(Bucket="bytes")
    s3.put_object(Bucket="bytes", Key="k", Body=b"content")
    method, target = "GET", "/bytes/k?response-content-type=a%2Fb"
    headers = {"Host": wire.host, "Range": "bytes=0-1", "If-None-Match": '"x"'}
    if signed == "V4":
        headers = wire.signed(method, target, headers=headers)
    elif signed == "V2":
        headers = wire.signed_v2(method, target, headers)
    elif signed == "presigned":
        target = wire.presigned(method, target)
    sent = data.draw(spliced(render(method, target, {**headers, "Connection": "close"})))
    expect_meaning(server, wire, sent)


CHUNKS = b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0;chunk-signature=" + b"0" * 64
PLAIN_CHUNKS = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"


@BYTES
@given(st.data(), st.booleans())
def test_chunked_bodies(
    server: MemoryServer, wire: WireClient, s3: Any, data: st.DataObject, unsigned: bool
) -> None:
    s3.create_bucket(Bucket="bytes")
    body = data.draw(spliced(PLAIN_CHUNKS if unsigned else CHUNKS + b"\r\n\r\n"))
    headers = {
        "Host": wire.host,
        "Connection": "close",
        "Content-Length": str(len(body)),
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": "5",
        "X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    }
    if unsigned:
        headers["X-Amz-Content-SHA256"] = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
        headers["X-Amz-Trailer"] = "x-amz-checksum-crc32"
    head = render("PUT", "/bytes/c", wire.signed("PUT", "/bytes/c", headers=headers))
    expect_meaning(server, wire, head + body)


@BYTES
@given(st.data())
def test_forms(server: MemoryServer, wire: WireClient, s3: Any, data: st.DataObject) -> None:
    s3.create_bucket(Bucket="bytes")
    made = s3.generate_presigned_post("bytes", "${filename}", Conditions=[["eq", "$acl", "x"]])
    fields = {**made["fields"], "acl": "x", "tagging": "<Tagging/>", "success_action_status": "201"}
    body = b"".join(
        f'--mark\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields.items()
    )
    file = b'--mark\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n'
    body = data.draw(spliced(body + file + b"--mark--\r\n"))
    headers = {
        "Host": "main.localhost",
        "Connection": "close",
        "Content-Type": "multipart/form-data; boundary=mark",
        "Content-Length": str(len(body)),
    }
    expect_meaning(server, wire, render("POST", "/bytes", headers) + body)


VALUES = [
    b"bytes=0-5",
    b'"etag", W/"other"',
    b"Thu, 01 Jan 1970 00:00:01 GMT",
    b"a=b&c=%20",
    b"AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64,
    b"AWS AK:c2lnbmF0dXJl",
    b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    b"<Delete><Quiet>true</Quiet><Object><Key>k</Key><VersionId>v</VersionId></Object></Delete>",
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>"
    b"</CompleteMultipartUpload>",
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    b'"Action":"s3:*","Resource":"arn:aws:s3:::b/*","Condition":{"StringLike":{"aws:x":"*"}}}]}',
    b"select s.a, count(*) from S3Object s where s._1 like 'x%' limit 5",
    b'--mark\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--mark--\r\n',
    b"eyJleHBpcmF0aW9uIjoiMjA5OS0wMS0wMVQwMDowMDowMFoiLCJjb25kaXRpb25zIjpbXX0=",
]


def parse_all(value: bytes) -> None:
    """Hand a value to every parser; each takes it or refuses it as its caller expects."""
    text = value.decode("utf-8", "replace")
    names = (b"range", b"if-match", b"if-modified-since", b"authorization", b"x-amz-tagging")
    head = RequestHead(
        "GET", value[:40], value, tuple((name, value) for name in (*names, b"x-amz-meta-a"))
    )
    form = FormDecoder(b"mark")
    for parse in (
        lambda: resolve(text, 100),
        lambda: copy_range(text, 100),
        lambda: tags.parse_form(text),
        lambda: tags.parse_tagging(value, 10),
        lambda: read_claim(head),
        lambda: head.query,
        lambda: read_conditions(head),
        lambda: read_metadata(head),
        lambda: acl.parse_acl(value),
        lambda: documents.parse_delete(value),
        lambda: documents.parse_complete(value),
        lambda: documents.parse_create_bucket(value),
        lambda: bucket_settings.parse_ownership(value),
        lambda: bucket_settings.parse_encryption(value),
        lambda: restore.parse_restore(value),
        lambda: cors.parse_rules(value),
        lambda: parse_select(value),
        lambda: parse_sql(text),
        lambda: parse_policy(text),
        lambda: read_policy(value, bucket="b"),
        lambda: (form.feed(value), form.finish()),
    ):
        status = 400
        try:
            parse()
        except S3Error as error:
            status = error.status
        except BadPolicy:
            pass
        assert status < 500 or status == 501


def test_parsers_do_not_grow() -> None:
    chance = random.Random(1)
    pieces = [b"", b"\0", b"\xff", b"<", b">", b"&", b"%", b"=", b'"', b"\r\n", b"a", b"9" * 30]

    def some() -> bytes:
        value = chance.choice(VALUES)
        for _ in range(chance.randint(1, 3)):
            start = chance.randint(0, len(value))
            value = value[:start] + chance.choice(pieces) + value[start + chance.randint(0, 6) :]
        return value

    for _ in range(PARSED // 10):
        parse_all(some())
    before = resident()
    for _ in range(PARSED):
        parse_all(some())
    assert resident() - before < MOST_GROWTH


def test_a_service_that_refuses_does_not_grow(server: MemoryServer, wire: WireClient) -> None:
    def ask(times: int) -> None:
        for number in range(times):
            answer = wire.send("GET", f"/none-{number}/k", headers={"Range": "bytes=-"})
            assert answer.status == 404

    ask(100)
    server.events.clear()
    before = resident()
    ask(PARSED // 10)
    server.events.clear()
    assert resident() - before < MOST_GROWTH


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
