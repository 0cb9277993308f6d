"""Whatever a signed client sends, it gets an answer that is meant, and the next one is served."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.s3.operation import On, Operation
from coffre.s3.operations import TABLE
from coffre.s3.sub_resources import NAMES
from coffre.testing.server import MemoryServer
from tests.protocol.wire_client import Answer, WireClient

PARAMETERS = [
    *("prefix", "delimiter", "marker", "max-keys", "limit", "start-after", "continuation-token"),
    *("encoding-type", "fetch-owner", "max-buckets", "bucket-region", "max-uploads", "key-marker"),
    *("upload-id-marker", "max-parts", "part-number-marker", "partNumber", "versionId"),
    *("response-content-type", "response-expires", "x-id"),
]
HEADERS = [
    *("x-amz-copy-source", "x-amz-copy-source-range", "x-amz-metadata-directive", "range"),
    *("x-amz-tagging", "x-amz-storage-class", "x-amz-acl", "x-amz-checksum-crc32", "if-match"),
    *("if-none-match", "if-modified-since", "x-amz-object-attributes", "x-amz-max-parts"),
    *("x-amz-part-number-marker", "x-amz-mp-object-size", "x-amz-checksum-mode", "content-md5"),
    *("x-amz-meta-a", "content-type", "expires", "x-amz-checksum-algorithm", "x-amz-trailer"),
    *("x-amz-server-side-encryption", "x-amz-expected-bucket-owner", "x-amz-checksum-type"),
    *("x-amz-grant-read", "x-amz-grant-write-acp", "x-amz-object-ownership"),
    *("origin", "access-control-request-method", "access-control-request-headers"),
    *(f"x-amz-server-side-encryption-customer-{part}" for part in ("algorithm", "key", "key-md5")),
    "x-amz-copy-source-server-side-encryption-customer-key",
]
DOCUMENTS = [
    b"<Delete><Object><Key>k</Key></Object></Delete>",
    b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    b"<AccessControlPolicy><Owner><ID>a</ID></Owner><AccessControlList/></AccessControlPolicy>",
    b"<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
    b"</OwnershipControls>",
]
VALUES = st.one_of(
    st.sampled_from([b"", b"0", b"1", b"-1", b"null", b"\xff", b"\0", b"%00", b"/fuzzed/k", b"2"]),
    st.binary(max_size=12),
)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


PATHS = {On.SERVICE: "/", On.BUCKET: "/fuzzed", On.OBJECT: "/fuzzed/k"}


@settings(max_examples=250, deadline=None)
@given(
    row=st.sampled_from(TABLE),
    query=st.lists(st.tuples(st.sampled_from(PARAMETERS), VALUES), max_size=3),
    headers=st.dictionaries(st.sampled_from(HEADERS), PRINTABLE, max_size=2),
    body=st.sampled_from([b"", b"x", b"<a/>", *DOCUMENTS]),
)
def test_nothing_makes_an_operation_fail(
    server: MemoryServer,
    wire: WireClient,
    s3: Any,
    row: Operation,
    query: list[tuple[str, bytes]],
    headers: dict[str, str],
    body: bytes,
) -> None:
    s3.create_bucket(Bucket="fuzzed")
    s3.put_object(Bucket="fuzzed", Key="k", Body=b"x")
    pieces = [f"{name}={quote_from_bytes(value, safe='-_.~')}" for name, value in query]
    if row.selector.sub_resource:
        value = "2" if row.selector.sub_resource == "list-type" else ""
        pieces.append(f"{row.selector.sub_resource}={value}")
    if row.selector.copy:
        headers = {"x-amz-copy-source": "/fuzzed/k", **headers}
    target = PATHS[row.target] + ("?" + "&".join(pieces) if pieces else "")
    expect_meaning(server, wire.send(row.method, target, body, headers))


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]),
    path=st.binary(max_size=8),
    query=st.lists(st.tuples(st.sampled_from(sorted(NAMES)), VALUES), max_size=2),
)
def test_no_path_makes_the_service_fail(
    server: MemoryServer,
    wire: WireClient,
    method: str,
    path: bytes,
    query: list[tuple[str, bytes]],
) -> None:
    pieces = [f"{name}={quote_from_bytes(value, safe='-_.~')}" for name, value in query]
    target = "/" + quote_from_bytes(path, safe="/-_.~") + "?" + "&".join(pieces)
    expect_meaning(server, wire.send(method, target))


def expect_meaning(server: MemoryServer, answer: Answer) -> None:
    assert answer.status != 500, server.events[-1]
    assert 200 <= answer.status < 600
    assert answer.headers["x-amz-request-id"]
