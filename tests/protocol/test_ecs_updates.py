"""Writing into objects: updates, overwrites and appends."""

from __future__ import annotations

import base64
import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog.records import Piece
from coffre.s3.ecs_pieces import cut, run_to_join
from coffre.testing.server import MemoryServer
from tests.protocol.ecs_client import ENABLED, new_bucket, texts
from tests.protocol.wire_client import WireClient, read_answer, render

_numbers = itertools.count()


def test_bytes_are_updated_overwritten_and_appended(ecs: WireClient) -> None:
    target = f"/{new_bucket(ecs)}/k"
    headers = {"Content-Type": "text/plain", "x-amz-meta-a": "1"}
    ecs.send("PUT", target, b"The quick brown fox jumps over the lazy dog.", headers)
    update = ecs.send("PUT", target, b"green", {"Range": "bytes=10-14"})
    assert (update.status, update.body) == (204, b"")
    assert (
        ecs.send("PUT", target, b"and cat", {"Range": "bytes=-1-"}).headers["x-emc-append-offset"]
        == "44"
    )
    over = ecs.send("PUT", target, b"brown cat", {"Range": "bytes=10-"})
    assert over.headers["x-emc-previous-object-size"] == "51"
    told = ecs.send("GET", target)
    assert told.body == b"The quick brown cat jumps over the lazy dog.and cat"
    assert told.headers["content-type"] == "text/plain"
    assert told.headers["x-amz-meta-a"] == "1"
    assert told.headers["etag"] == over.headers["etag"] != update.headers["etag"]
    assert "-" in told.headers["etag"]
    beyond = ecs.send("PUT", target, b"!!!", {"Range": "bytes=50-52"})
    assert beyond.status == 204
    assert ecs.send("GET", target, headers={"Range": "bytes=48-"}).body == b"ca!!!"


def test_writes_that_fit_nothing_are_refused(ecs: WireClient) -> None:
    target = f"/{new_bucket(ecs)}/k"
    assert ecs.send("PUT", target, b"x", {"Range": "bytes=-1-"}).code == "NoSuchKey"
    ecs.send("PUT", target, b"0123")
    for spread, code in (
        ("bytes=5-5", "InvalidRange"),
        ("bytes=0-1", "InvalidArgument"),
        ("bytes=3-2", "InvalidArgument"),
        ("bytes=-2-", "InvalidArgument"),
        ("bytes=-5", "InvalidArgument"),
        ("lines=0-0", "InvalidArgument"),
        ("bytes=0-0,1-1", "InvalidArgument"),
    ):
        assert ecs.send("PUT", target, b"x", {"Range": spread}).code == code, spread
    stale = {"Range": "bytes=0-0", "If-Match": '"stale"'}
    assert ecs.send("PUT", target, b"x", stale).code == "PreconditionFailed"
    assert ecs.send("PUT", target, b"", {"Range": "bytes=-1-"}).status == 204
    assert ecs.send("GET", target).body == b"0123"


def test_appends_keep_a_checksum_of_the_whole(ecs: WireClient) -> None:
    target = f"/{new_bucket(ecs)}/k"
    mode = {"x-amz-checksum-mode": "ENABLED"}
    ecs.send("PUT", target, b"first,")
    ecs.send("PUT", target, b"second", {"Range": "bytes=-1-"})
    appended = ecs.send("HEAD", target, headers=mode).headers["x-amz-checksum-crc64nvme"]
    ecs.send("PUT", f"{target}2", b"first,second")
    whole = ecs.send("HEAD", f"{target}2", headers=mode).headers["x-amz-checksum-crc64nvme"]
    assert appended == whole
    ecs.send("PUT", target, b"F", {"Range": "bytes=0-0"})
    assert "x-amz-checksum-crc64nvme" not in ecs.send("HEAD", target, headers=mode).headers


def test_many_appends_at_once_are_all_there_once(ecs: WireClient) -> None:
    target = f"/{new_bucket(ecs)}/log"
    ecs.send("PUT", target, b"")
    lines = [f"line {number:03}\n".encode() for number in range(96)]

    def append(line: bytes) -> int:
        answer = ecs.send("PUT", target, line, {"Range": "bytes=-1-"})
        assert answer.status == 204, answer.body
        return int(answer.headers["x-emc-append-offset"])

    with ThreadPoolExecutor(8) as threads:
        offsets = list(threads.map(append, lines))
    body = ecs.send("GET", target).body
    assert sorted(body.splitlines(keepends=True)) == lines
    assert all(body[at : at + len(line)] == line for at, line in zip(offsets, lines, strict=True))


def test_pieces_are_shared_and_let_go(ecs_server: MemoryServer, ecs: WireClient) -> None:
    bucket = new_bucket(ecs)
    catalog = ecs_server.engine.catalog
    living = sum(chunk.length - chunk.dead for chunk in catalog.chunks())
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    ecs.send("PUT", f"/{bucket}/k", b"x" * 1000)
    for number in range(40):
        ecs.send("PUT", f"/{bucket}/k", b"%03d" % number, {"Range": f"bytes={number * 20}-"})
    ecs.send("PUT", f"/{bucket}/copy", b"", {"x-amz-copy-source": f"/{bucket}/k"})
    expected = bytearray(b"x" * 1000)
    for number in range(40):
        expected[number * 20 : number * 20 + 3] = b"%03d" % number
    assert ecs.send("GET", f"/{bucket}/copy").body == bytes(expected)
    versions = texts(ecs.send("GET", f"/{bucket}?versions&prefix=k"), "VersionId")
    assert len(versions) == 41
    oldest = versions[-1]
    assert ecs.send("GET", f"/{bucket}/k?versionId={oldest}").body == b"x" * 1000
    for version in versions:
        ecs.send("DELETE", f"/{bucket}/k?versionId={version}")
    assert ecs.send("GET", f"/{bucket}/copy").body == bytes(expected)
    for version in texts(ecs.send("GET", f"/{bucket}?versions"), "VersionId"):
        ecs.send("DELETE", f"/{bucket}/copy?versionId={version}")
    assert ecs.send("DELETE", f"/{bucket}").status == 204
    assert sum(chunk.length - chunk.dead for chunk in catalog.chunks()) == living


def test_an_object_under_a_customers_key_is_written_into(ecs: WireClient) -> None:
    key = bytes(range(32))
    encoded = base64.b64encode(key).decode()
    digest = base64.b64encode(hashlib.md5(key).digest()).decode()
    headers = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": encoded,
        "x-amz-server-side-encryption-customer-key-MD5": digest,
    }
    target = f"/{new_bucket(ecs)}/k"
    ecs.send("PUT", target, b"secret words", headers)
    assert ecs.send("PUT", target, b"S", {"Range": "bytes=0-0"}).code == "InvalidRequest"
    assert ecs.send("PUT", target, b"S", {**headers, "Range": "bytes=0-0"}).status == 204
    assert ecs.send("GET", target, headers=headers).body == b"Secret words"
    assert ecs.send("GET", target).code == "InvalidRequest"


def test_a_write_into_an_object_that_is_encrypted_otherwise_by_then_is_refused(
    ecs: WireClient,
) -> None:
    target, kms = f"/{new_bucket(ecs)}/k", {"x-amz-server-side-encryption": "aws:kms"}
    assert ecs.send("PUT", target, b"before", kms).status == 200
    asked = {"Content-Length": "4", "Range": "bytes=-1-"}
    with ecs.connect() as slow:
        slow.sendall(render("PUT", target, ecs.signed("PUT", target, b"tail", asked)) + b"ta")
        # An answer to a later request: what was sent before it is being worked on.
        assert ecs.send("GET", target).body == b"before"
        assert ecs.send("PUT", target, b"after", kms).status == 200
        slow.sendall(b"il")
        answer = read_answer(slow, "PUT")
    assert answer.code == "OperationAborted"
    assert ecs.send("GET", target).body == b"after"


def test_a_write_into_an_object_whose_encryption_is_updated_meanwhile_is_refused(
    ecs: WireClient,
) -> None:
    bucket = new_bucket(ecs)
    named = "x-amz-server-side-encryption-aws-kms-key-id"
    kms = {"x-amz-server-side-encryption": "aws:kms"}
    arn = ecs.send("PUT", f"/{bucket}/other", b"x", kms).headers[named]
    target = f"/{bucket}/k"
    ecs.send("PUT", target, b"before")
    asked = {"Content-Length": "4", "Range": "bytes=-1-"}
    with ecs.connect() as slow:
        slow.sendall(render("PUT", target, ecs.signed("PUT", target, b"tail", asked)) + b"ta")
        assert ecs.send("GET", target).body == b"before"
        wanted = f"<SSE-KMS><KMSKeyArn>{arn}</KMSKeyArn></SSE-KMS>"
        body = f"<ObjectEncryption>{wanted}</ObjectEncryption>".encode()
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        done = ecs.send("PUT", f"{target}?encryption", body, {"Content-MD5": digest})
        assert done.status == 200
        slow.sendall(b"il")
        answer = read_answer(slow, "PUT")
    assert answer.code == "OperationAborted"
    assert ecs.send("GET", target).body == b"before"


@pytest.fixture(scope="module")
def written(ecs_server: MemoryServer) -> WireClient:
    """A client whose store has the bucket `written`."""
    client = WireClient(ecs_server.port, ecs_server.create_store("written", "ecs"))
    client.send("PUT", "/written")
    return client


@settings(max_examples=60, deadline=None)
@given(
    writes=st.lists(
        st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=40)), min_size=1, max_size=24
    )
)
def test_any_sequence_of_writes_leaves_what_a_file_would_hold(
    written: WireClient, writes: list[tuple[float, bytes]]
) -> None:
    written.send("PUT", "/written/file", b"begin")
    model = bytearray(b"begin")
    for place, data in writes:
        start = round(place * len(model))
        written.send("PUT", "/written/file", data, {"Range": f"bytes={start}-"})
        model[start : start + len(data)] = data
    assert written.send("GET", "/written/file").body == bytes(model)


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=40), most=st.integers(10, 200))
def test_runs_that_are_joined_are_short_and_leave_few_pieces(sizes: list[int], most: int) -> None:
    pieces = tuple(Piece(bytes((number,)), 0, size) for number, size in enumerate(sizes))
    while (run := run_to_join(pieces, most)) is not None:
        first, last = run
        size = sum(piece.size for piece in pieces[first:last])
        assert last - first > 1
        assert size <= most
        pieces = (*pieces[:first], Piece(b"joined", 0, size), *pieces[last:])
    assert sum(piece.size for piece in pieces) == sum(sizes)
    assert cut(pieces, 0, sum(sizes)) == pieces
