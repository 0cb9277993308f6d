"""Every operation of botocore's model with whatever its shapes allow, and its documents broken:
an answer that is meant, soon, and the next request is served."""

from __future__ import annotations

import itertools
import os
from typing import Any
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coffre.testing.server import MemoryServer
from tests.protocol.requests_of import Sent, requests
from tests.protocol.wire_client import Answer, WireClient

CASES = 5000 if os.environ.get("COFFRE_LONG") == "1" else 400
_names = itertools.count()
INSERTED = st.sampled_from(
    [
        *(
            b"",
            b"\0",
            b"\xff",
            b"<",
            b"</",
            b"<!--",
            b"<![CDATA[",
            b"]]>",
            b"&amp;",
            b"&#0;",
            b"&x;",
        ),
        *(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<?xml version='1.1'?>", b"<Unknown/>", b" " * 5000),
        *(b"<a>" * 200, b"9" * 400, b"\xef\xbb\xbf", b"-"),
    ]
)


@st.composite
def broken(draw: st.DrawFn, body: bytes) -> bytes:
    """The body, cut and spliced a few times."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 40)))
        body = body[:start] + draw(INSERTED) + body[end:]
    return body


def prepared(s3: Any) -> tuple[str, str]:
    """A bucket with an object `k`, and an upload of `k` with a part."""
    bucket = f"drawn-{next(_names)}"
    s3.create_bucket(Bucket=bucket)
    place = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=b"content")
    upload = s3.create_multipart_upload(**place)["UploadId"]
    s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"part")
    return bucket, upload


@settings(
    max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_whatever_a_client_can_say_is_answered(
    server: MemoryServer, wire: WireClient, s3: Any, data: st.DataObject
) -> None:
    sent = data.draw(requests(*prepared(s3)))
    expect_meaning(server, sent, wire.send(sent.method, sent.target, sent.body, sent.headers))
    if sent.body:
        body = data.draw(broken(sent.body))
        expect_meaning(server, sent, wire.send(sent.method, sent.target, body, sent.headers))


def expect_meaning(server: MemoryServer, sent: Sent, answer: Answer) -> None:
    told = (sent, answer, server.events[-1])
    assert answer.status < 500 or answer.status == 501, told
    if answer.status >= 400 and sent.method != "HEAD":
        assert answer.code, told
    elif answer.body.startswith(b"<?xml"):
        ElementTree.fromstring(answer.body)
