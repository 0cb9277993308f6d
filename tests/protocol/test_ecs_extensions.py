"""What stores of the `ecs` dialect have beside S3: retention, search, writes into objects, buckets
that are emptied."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.catalog.ecs_mutations import SetStore
from coffre.catalog.records import Piece
from coffre.s3.ecs_pieces import cut, run_to_join
from coffre.stewards.emptier import Emptier
from coffre.system.clock import SystemClock
from coffre.testing.server import MemoryServer
from tests.protocol.ecs_client import new_bucket, texts
from tests.protocol.wire_client import Answer, WireClient

ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
_numbers = itertools.count()


class MovedClock(SystemClock):
    """The time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@pytest.fixture(scope="module")
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture(scope="module")
def ecs_server(clock: MovedClock) -> Iterator[MemoryServer]:
    with MemoryServer(clock=clock) as running:
        yield running


@pytest.fixture
def ecs(ecs_server: MemoryServer, clock: MovedClock) -> WireClient:
    clock.ahead_ms = 0
    user = ecs_server.create_store(f"extended-{next(_numbers)}", "ecs")
    return WireClient(ecs_server.port, user)


def work(server: MemoryServer) -> None:
    """Let the steward do what waits."""
    emptier = Emptier(server.engine.catalog, server.engine.catalog)
    while server.call(emptier.round()).did:
        pass


# Retention


def test_what_is_retained_is_neither_replaced_nor_deleted(
    ecs: WireClient, clock: MovedClock
) -> None:
    target = f"/{new_bucket(ecs)}/k"
    ecs.send("PUT", target, b"kept", {"x-emc-retention-period": "100"})
    for answer in (
        ecs.send("PUT", target, b"other"),
        ecs.send("DELETE", target),
        ecs.send("PUT", target, b"X", {"Range": "bytes=0-0"}),
        ecs.send("PUT", target, b"X", {"Range": "bytes=-1-"}),
        ecs.send(
            "PUT", target, b"", {"x-amz-copy-source": target, "x-amz-metadata-directive": "REPLACE"}
        ),
    ):
        assert (answer.status, answer.code) == (409, "ObjectUnderRetention")
    assert ecs.send("GET", target).body == b"kept"
    assert ecs.send("HEAD", target).headers["x-emc-retention-period"] == "100"
    clock.ahead_ms = 101_000
    assert ecs.send("DELETE", target).status == 204


def test_a_retention_period_only_grows(ecs: WireClient, clock: MovedClock) -> None:
    target = f"/{new_bucket(ecs)}/k"
    ecs.send("PUT", target, b"kept", {"x-emc-retention-period": "100"})
    update = f"{target}?retentionUpdate"

    def set_to(seconds: str) -> Answer:
        return ecs.send("PUT", update, b"", {"x-emc-retention-period": seconds})

    assert set_to("99").code == "InvalidRetentionPeriod"
    assert set_to("100").status == 200
    assert set_to("200").status == 200
    clock.ahead_ms = 150_000
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"
    assert set_to("-1").status == 200
    assert set_to("500").code == "InvalidRetentionPeriod"
    clock.ahead_ms = 800_000
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"
    assert set_to("x").code == "InvalidArgument"
    assert ecs.send("PUT", update).code == "InvalidArgument"
    assert (
        ecs.send("PUT", f"{target}2?retentionUpdate", b"", {"x-emc-retention-period": "1"}).code
        == "NoSuchKey"
    )


def test_a_bucket_retains_all_that_is_in_it(ecs: WireClient, clock: MovedClock) -> None:
    bucket = new_bucket(ecs, x_emc_retention_period="100")
    ecs.send("PUT", f"/{bucket}/k", b"kept")
    assert ecs.send("HEAD", f"/{bucket}").headers["x-emc-retention-period"] == "100"
    assert ecs.send("DELETE", f"/{bucket}/k").code == "ObjectUnderRetention"
    clock.ahead_ms = 101_000
    assert ecs.send("DELETE", f"/{bucket}/k").status == 204


def test_a_policy_of_the_store_retains_and_may_change(
    ecs_server: MemoryServer, ecs: WireClient
) -> None:
    target = f"/{new_bucket(ecs)}/k"
    headers = {"x-emc-retention-policy": "gold"}
    assert ecs.send("PUT", target, b"kept", headers).code == "InvalidArgument"
    store = ecs_server.engine.catalog.store_named(ecs.user.store)
    assert store is not None
    ecs_server.commit(SetStore(store.id, retention_policies={"gold": 100}))
    assert ecs.send("PUT", target, b"kept", headers).status == 200
    assert ecs.send("HEAD", target).headers["x-emc-retention-policy"] == "gold"
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"
    ecs_server.commit(SetStore(store.id, retention_policies={"gold": 0}))
    assert ecs.send("DELETE", target).status == 204


def test_versions_are_retained_one_by_one(ecs: WireClient) -> None:
    bucket = new_bucket(ecs)
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    kept = ecs.send("PUT", f"/{bucket}/k", b"kept", {"x-emc-retention-period": "100"})
    version = kept.headers["x-amz-version-id"]
    assert ecs.send("PUT", f"/{bucket}/k", b"new").status == 200
    assert ecs.send("DELETE", f"/{bucket}/k").headers["x-amz-delete-marker"] == "true"
    assert ecs.send("DELETE", f"/{bucket}/k?versionId={version}").code == "ObjectUnderRetention"
    assert ecs.send("GET", f"/{bucket}/k?versionId={version}").body == b"kept"


def test_an_upload_in_parts_is_retained_as_it_was_begun(ecs: WireClient) -> None:
    target = f"/{new_bucket(ecs)}/k"
    begun = ecs.send("POST", f"{target}?uploads", b"", {"x-emc-retention-period": "100"})
    upload = texts(begun, "UploadId")[0]
    etag = ecs.send("PUT", f"{target}?partNumber=1&uploadId={upload}", b"part").headers["etag"]
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    assert ecs.send("POST", f"{target}?uploadId={upload}", body).status == 200
    assert ecs.send("DELETE", target).code == "ObjectUnderRetention"


@pytest.mark.parametrize("period", ["-2", "1.5", "soon", "99999999999"])
def test_a_period_that_is_none(ecs: WireClient, period: str) -> None:
    target = f"/{new_bucket(ecs)}/k"
    headers = {"x-emc-retention-period": period}
    assert ecs.send("PUT", target, b"x", headers).code == "InvalidArgument"
    assert ecs.send("HEAD", target).status == 404


# Writing into objects


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


# Metadata search


def found(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.body
    return texts(answer, "objectName")


def searched_bucket(client: WireClient) -> str:
    bucket = new_bucket(
        client,
        x_emc_metadata_search="Size,CreateTime,ObjectName,x-amz-meta-Colour,"
        "x-amz-meta-n;integer,x-amz-meta-price;decimal,x-amz-meta-day;datetime",
    )
    for key, size, colour, number, price, day in (
        ("a", 1, "red", "7", "-1.5", "2024-01-01T00:00:00Z"),
        ("b", 20, "blue", "-3", "2", "2024-06-01T00:00:00Z"),
        ("c", 300, "red", "100", "1e3", "2025-01-01T00:00:00Z"),
        ("d", 4000, "green green", "many", "", ""),
    ):
        metadata = {
            "x-amz-meta-colour": colour,
            "x-amz-meta-n": number,
            "x-amz-meta-price": price,
            "x-amz-meta-day": day,
        }
        assert client.send("PUT", f"/{bucket}/{key}", b"x" * size, metadata).status == 200
    client.send("PUT", f"/{bucket}/bare", b"x" * 50)
    return bucket


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("Size>20", ["bare", "c", "d"]),
        ("Size >= 20 and Size <= 300", ["b", "bare", "c"]),
        ("x-amz-meta-colour==red", ["a", "c"]),
        ('x-amz-meta-COLOUR == "green green"', ["d"]),
        ("x-amz-meta-n>-4", ["b", "a", "c"]),
        ("x-amz-meta-price<2.5", ["a", "b"]),
        ("x-amz-meta-day>=2024-06-01T00:00:00Z", ["b", "c"]),
        ("ObjectName>='c'", ["c", "d"]),
        ("x-amz-meta-colour==red and Size<10", ["a"]),
        ("x-amz-meta-colour==blue or Size==50", ["b", "bare"]),
        ("(x-amz-meta-colour==red or Size==50) and Size>1", ["c", "bare"]),
        ("Size==1 or Size==20 and Size==300", ["a"]),
        ("CreateTime>2000-01-01T00:00:00Z and Size>300", ["d"]),
        ("Size>999999", []),
    ],
)
def test_objects_are_found_by_their_metadata(
    searched: tuple[WireClient, str], expression: str, names: list[str]
) -> None:
    client, bucket = searched
    answer = client.send("GET", f"/{bucket}?query={quote(expression)}")
    assert found(answer) == names
    # However small the pages are.
    paged: list[str] = []
    marker = ""
    while marker != "NO MORE PAGES":
        page = client.send(
            "GET", f"/{bucket}?query={quote(expression)}&max-keys=1&marker={quote(marker)}"
        )
        paged += found(page)
        marker = texts(page, "NextMarker")[0]
    assert paged == names


@pytest.fixture(scope="module")
def searched(ecs_server: MemoryServer) -> tuple[WireClient, str]:
    user = ecs_server.create_store(f"searched-{next(_numbers)}", "ecs")
    client = WireClient(ecs_server.port, user)
    return client, searched_bucket(client)


def test_a_search_tells_metadata_sorts_and_filters(searched: tuple[WireClient, str]) -> None:
    client, bucket = searched
    query = quote("x-amz-meta-colour==red")
    answer = client.send("GET", f"/{bucket}?query={query}&sorted=Size&attributes=ContentType")
    assert found(answer) == ["a", "c"]
    assert texts(answer, "type")[:2] == ["SYSMD", "USERMD"]
    pairs = dict(zip(texts(answer, "key"), texts(answer, "value"), strict=True))
    assert pairs["size"] == "300"
    assert pairs["x-amz-meta-n"] == "100"
    assert pairs["ContentType"] == "binary/octet-stream"
    assert found(client.send("GET", f"/{bucket}?query={quote('Size>0')}&prefix=b")) == ["b", "bare"]


@pytest.mark.parametrize(
    "query",
    [
        "query=",
        "query=Size",
        "query=Size%3E",
        "query=Size%3Emany",
        "query=Owner%3D%3Dme",
        "query=(Size%3E1",
        "query=Size%3E1)",
        "query=Size%3E1%20or",
        "query=Size%3D1",
        "query=" + "(" * 40 + "Size%3E1" + ")" * 40,
        "query=Size%3E1&sorted=x-amz-meta-other",
        "query=Size%3E1&max-keys=x",
        "query=Size%3E1&marker=!!",
    ],
)
def test_a_search_that_means_nothing(searched: tuple[WireClient, str], query: str) -> None:
    client, bucket = searched
    assert client.send("GET", f"/{bucket}?{query}").code == "InvalidArgument"


def test_the_index_follows_every_write(ecs_server: MemoryServer, ecs: WireClient) -> None:
    bucket = new_bucket(ecs, x_emc_metadata_search="Size,x-amz-meta-n;integer")
    target = f"/{bucket}?query={quote('Size>0')}"
    older = f"{target}&include-older-versions=true"
    ecs.send("PUT", f"/{bucket}/k", b"x", {"x-amz-meta-n": "1"})
    ecs.send("PUT", f"/{bucket}/k", b"xx")
    assert (found(ecs.send("GET", target)), texts(ecs.send("GET", older), "versionId")) == (
        ["k"],
        ["null"],
    )
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    ecs.send("PUT", f"/{bucket}/k", b"xxx")
    assert found(ecs.send("GET", target)) == ["k"]
    assert len(found(ecs.send("GET", older))) == 2
    ecs.send("DELETE", f"/{bucket}/k")
    assert found(ecs.send("GET", target)) == []
    assert len(found(ecs.send("GET", older))) == 2
    marker = texts(ecs.send("GET", f"/{bucket}?versions"), "VersionId")[0]
    ecs.send("DELETE", f"/{bucket}/k?versionId={marker}")
    assert found(ecs.send("GET", target)) == ["k"]
    for version in texts(ecs.send("GET", f"/{bucket}?versions"), "VersionId"):
        ecs.send("DELETE", f"/{bucket}/k?versionId={version}")
    assert found(ecs.send("GET", older)) == []
    assert ecs.send("DELETE", f"/{bucket}").status == 204


def test_what_a_bucket_indexes_is_told_and_switched_off(
    ecs_server: MemoryServer, ecs: WireClient
) -> None:
    bucket = new_bucket(ecs, x_emc_metadata_search="size,x-amz-meta-N;Integer")
    told = ecs.send("GET", f"/{bucket}?searchmetadata")
    assert texts(told, "MetadataSearchEnabled") == ["true"]
    assert texts(told, "Name")[:2] == ["Size", "x-amz-meta-n"]
    assert texts(told, "Datatype")[:2] == ["integer", "integer"]
    for number in range(300):
        ecs.send("PUT", f"/{bucket}/{number}", b"x")
    assert ecs.send("DELETE", f"/{bucket}?searchmetadata").status == 204
    assert ecs.send("GET", f"/{bucket}?query={quote('Size>0')}").code == "InvalidArgument"
    assert texts(ecs.send("GET", f"/{bucket}?searchmetadata"), "MetadataSearchEnabled") == ["false"]
    work(ecs_server)
    assert ecs_server.engine.catalog.buckets_at_work(10) == []
    system = ecs.send("GET", "/?searchmetadata")
    assert "LastModified" in texts(system, "Name")


@pytest.mark.parametrize(
    "keys",
    [
        "Weight",
        "Size;string",
        "x-amz-meta-",
        "x-amz-meta-a;number",
        "x-amz-meta-a,x-amz-meta-A",
        ",".join(f"x-amz-meta-{number}" for number in range(31)),
    ],
)
def test_what_cannot_be_indexed(ecs: WireClient, keys: str) -> None:
    answer = ecs.send("PUT", "/never-made", b"", {"x-emc-metadata-search": keys})
    assert answer.code == "InvalidArgument"
    assert ecs.send("HEAD", "/never-made").status == 404


def test_a_copy_into_a_bucket_that_indexes_its_metadata_as_another_type(ecs: WireClient) -> None:
    numbers = new_bucket(ecs, x_emc_metadata_search="x-amz-meta-n;integer")
    words = new_bucket(ecs, x_emc_metadata_search="x-amz-meta-n;string")
    plain = new_bucket(ecs)
    ecs.send("PUT", f"/{numbers}/k", b"x", {"x-amz-meta-n": "1"})
    ecs.send("PUT", f"/{numbers}/bare", b"x")
    clash = ecs.send("PUT", f"/{words}/k", b"", {"x-amz-copy-source": f"/{numbers}/k"})
    assert (clash.status, clash.code) == (500, "InternalError")
    assert ecs.send("HEAD", f"/{words}/k").status == 404
    for bucket, source in ((words, "bare"), (plain, "k"), (numbers, "k")):
        copied = ecs.send("PUT", f"/{bucket}/c", b"", {"x-amz-copy-source": f"/{numbers}/{source}"})
        assert copied.status == 200


# Buckets that are emptied


def test_a_bucket_is_emptied_and_deleted(ecs_server: MemoryServer, ecs: WireClient) -> None:
    bucket = new_bucket(ecs, x_emc_metadata_search="Size")
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    for number in range(60):
        for _ in range(3):
            ecs.send("PUT", f"/{bucket}/{number}", b"x")
    ecs.send("DELETE", f"/{bucket}/1")
    upload = texts(ecs.send("POST", f"/{bucket}/large?uploads"), "UploadId")[0]
    assert ecs.send("GET", f"/{bucket}?empty-bucket-status").code == "NoSuchResource"
    assert ecs.send("DELETE", f"/{bucket}").code == "BucketNotEmpty"
    assert ecs.send("DELETE", f"/{bucket}", headers={"x-emc-empty-bucket": "true"}).status == 202
    status = ecs.send("GET", f"/{bucket}?empty-bucket-status")
    assert texts(status, "Status") == ["PENDING"]
    assert texts(status, "ApproxObjectCount") == ["180"]
    for write in (
        ecs.send("PUT", f"/{bucket}/new", b"x"),
        ecs.send("POST", f"/{bucket}/new?uploads"),
        ecs.send("PUT", f"/{bucket}/new", b"", {"x-amz-copy-source": f"/{bucket}/2"}),
    ):
        assert (write.status, write.code) == (403, "EmptyBucketInProgress")
    work(ecs_server)
    assert ecs.send("HEAD", f"/{bucket}").status == 404
    assert ecs.send("GET", f"/{bucket}?empty-bucket-status").code == "NoSuchBucket"
    assert ecs.send("PUT", f"/{bucket}/large?partNumber=1&uploadId={upload}", b"x").status == 404


def test_what_is_retained_keeps_its_bucket(
    ecs_server: MemoryServer, ecs: WireClient, clock: MovedClock
) -> None:
    bucket = new_bucket(ecs)
    ecs.send("PUT", f"/{bucket}?versioning", ENABLED)
    for number in range(5):
        ecs.send(
            "PUT", f"/{bucket}/k", b"x", {"x-emc-retention-period": "100"} if number % 2 else {}
        )
    emptying = {"x-emc-empty-bucket": "true"}
    ecs.send("DELETE", f"/{bucket}", headers=emptying)
    work(ecs_server)
    status = ecs.send("GET", f"/{bucket}?empty-bucket-status")
    assert texts(status, "Status") == ["FAILED"]
    assert texts(status, "EntriesDeleted") == ["3"]
    assert texts(status, "FailedToDeleteDueToRetention") == ["2"]
    assert ecs.send("PUT", f"/{bucket}/new", b"x").status == 200
    clock.ahead_ms = 101_000
    ecs.send("DELETE", f"/{bucket}", headers=emptying)
    work(ecs_server)
    assert ecs.send("HEAD", f"/{bucket}").status == 404
