"""Every difference between the dialects, asked of a store of each: the rows of docs/dialects.md."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from coffre.catalog.ecs_mutations import SetStore
from coffre.s3.ecs_rules import UNSUPPORTED
from coffre.s3.operation import On
from coffre.testing.server import Dialect, MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.ecs_client import Stores, make_stores, new_bucket, texts
from tests.protocol.test_post_object import form, post, signed
from tests.protocol.wire_client import WireClient, read_answer, render

DIALECTS: tuple[Dialect, ...] = ("aws", "ecs")


@pytest.fixture(scope="module")
def stores(server: MemoryServer) -> Stores:
    return make_stores(server)


@pytest.mark.parametrize(
    ("name", "aws", "ecs"),
    [
        ("PROD_Invoices.2024", 400, 200),
        ("-begins-with-a-dash", 400, 200),
        ("a" * 64, 400, 200),
        ("B" * 255, 400, 200),
        ("B" * 256, 400, 400),
        ("ab", 400, 400),
        ("a..b", 400, 400),
        ("10.0.0.1", 400, 400),
        ("plain-name", 200, 200),
    ],
)
def test_bucket_names(stores: Stores, name: str, aws: int, ecs: int) -> None:
    assert stores.aws.send("PUT", f"/{name}").status == aws
    assert stores.ecs.send("PUT", f"/{name}").status == ecs


def test_bucket_names_are_case_sensitive(stores: Stores) -> None:
    for name in ("Case", "CASE"):
        assert stores.ecs.send("PUT", f"/{name}").status == 200
        stores.ecs.send("PUT", f"/{name}/k", name.encode())
    assert stores.ecs.send("GET", "/Case/k").body == b"Case"
    assert stores.ecs.send("GET", "/CASE/k").body == b"CASE"
    assert stores.ecs.send("GET", "/case/k").code == "NoSuchBucket"


def without_length(client: WireClient, target: str, **headers: str) -> tuple[int, bytes]:
    head = render("PUT", target, client.signed("PUT", target, b"", headers))
    with client.connect() as connection:
        connection.sendall(head)
        answer = read_answer(connection)
    return answer.status, answer.body


def test_content_length_that_is_missing_or_bad(stores: Stores) -> None:
    target = f"/{new_bucket(stores.ecs)}/k"
    streaming = {
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "Content-Encoding": "aws-chunked",
        "Content-Length": "0",
    }
    for headers in (
        {},
        {**streaming, "X-Amz-Decoded-Content-Length": "five"},
        {**streaming, "X-Amz-Decoded-Content-Length": ""},
    ):
        status, body = without_length(stores.ecs, target, **headers)
        assert status == 400
        assert b"<Message>invalid content-length</Message>" in body
    aws = f"/{new_bucket(stores.aws)}/k"
    assert without_length(stores.aws, aws)[0] == 411


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_empty_object_is_put_all_the_same(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    target = f"/{new_bucket(client)}/empty"
    assert client.send("PUT", target).status == 200
    assert client.send("GET", target).body == b""


@pytest.mark.parametrize("marker", ["zoo", "aaa", "%FF", "photos/%FF"])
def test_a_marker_that_is_not_under_the_prefix(stores: Stores, marker: str) -> None:
    query = f"?prefix=photos/&delimiter=/&marker={marker}"
    plain, files = (
        new_bucket(stores.ecs),
        new_bucket(stores.ecs, x_emc_file_system_access_enabled="true"),
    )
    aws = new_bucket(stores.aws)
    for client, bucket, status in (
        (stores.ecs, plain, 500),
        (stores.ecs, files, 400),
        (stores.aws, aws, 200),
    ):
        client.send("PUT", f"/{bucket}/photos/a", b"a")
        answer = client.send("GET", f"/{bucket}{query}")
        assert answer.status == status
        if status == 200 and marker != "aaa":
            assert texts(answer, "Contents") == []
    assert (
        stores.ecs.send("GET", f"/{plain}?prefix=photos/&delimiter=/&marker=photos/").status == 200
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_deleting_what_is_deleted_already(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    bucket = new_bucket(client)
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    client.send("PUT", f"/{bucket}?versioning", versioning)
    client.send("PUT", f"/{bucket}/k", b"x")
    assert client.send("DELETE", f"/{bucket}/k").headers["x-amz-delete-marker"] == "true"
    again = client.send("DELETE", f"/{bucket}/k")
    assert again.status == 204
    assert ("x-amz-delete-marker" in again.headers) == (dialect == "aws")
    markers = texts(client.send("GET", f"/{bucket}?versions"), "DeleteMarker")
    assert len(markers) == (2 if dialect == "aws" else 1)


@pytest.mark.parametrize(
    ("grant", "aws", "ecs"),
    [
        ("x-amz-grant-full-control", 409, 200),
        ("x-amz-grant-write-acp", 409, 200),
        ("x-amz-grant-write", 409, 409),
        ("x-amz-grant-read", 409, 409),
        ("", 409, 409),
    ],
)
def test_a_bucket_that_others_make_again(stores: Stores, grant: str, aws: int, ecs: int) -> None:
    for dialect, status in (("aws", aws), ("ecs", ecs)):
        first, second = stores.of(dialect), stores.second_of(dialect)  # type: ignore[arg-type]
        headers = {grant.replace("-", "_"): f"id={second.user.id}"} if grant else {}
        bucket = new_bucket(first, **headers)
        answer = second.send("PUT", f"/{bucket}", b"", {"x-amz-acl": "public-read"})
        assert (answer.status, answer.code) == (
            status,
            "" if status == 200 else "BucketAlreadyExists",
        )
        acl = first.send("GET", f"/{bucket}?acl")
        assert texts(acl, "ID")[0] == first.user.id
        assert ("READ" in texts(acl, "Permission")) == (status == 200 or grant.endswith("-read"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_bucket_that_its_owner_makes_again(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    bucket = new_bucket(client, x_amz_acl="public-read")
    client.send("PUT", f"/{bucket}/k", b"stays")
    assert client.send("PUT", f"/{bucket}").status == 200
    assert texts(client.send("GET", f"/{bucket}?acl"), "Permission") == ["FULL_CONTROL"]
    assert client.send("GET", f"/{bucket}/k").body == b"stays"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_etag_that_completing_an_upload_answers(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    target = f"/{new_bucket(client)}/large"
    upload = texts(client.send("POST", f"{target}?uploads"), "UploadId")[0]
    part = client.send("PUT", f"{target}?partNumber=1&uploadId={upload}", b"part")
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    answer = client.send("POST", f"{target}?uploadId={upload}", body)
    kept = client.send("HEAD", target).headers["etag"]
    assert kept.endswith('-1"')
    assert texts(answer, "ETag") == ['"00"' if dialect == "ecs" else kept]


@pytest.mark.parametrize(
    ("dialect", "order"),
    [
        ("aws", ["a", "\ue000", "\uffff", "\U0001f600"]),
        ("ecs", ["a", "\U0001f600", "\ue000", "\uffff"]),
    ],
)
def test_the_order_of_listings(stores: Stores, dialect: Dialect, order: list[str]) -> None:
    client = stores.of(dialect)
    bucket = new_bucket(client)
    for key in order:
        escaped = "".join(f"%{byte:02X}" for byte in key.encode())
        client.send("PUT", f"/{bucket}/{escaped}", b"x")
    listed, marker = [], ""
    while True:
        page = client.send("GET", f"/{bucket}?max-keys=1&encoding-type=url&marker={marker}")
        listed += texts(page, "Key")
        marker = listed[-1]
        if texts(page, "IsTruncated") == ["false"]:
            break
    assert listed == [
        "".join(c if c == "a" else "".join(f"%{b:02X}" for b in c.encode()) for c in key)
        for key in order
    ]


@pytest.mark.parametrize(("dialect", "status"), [("aws", 404), ("ecs", 412)])
def test_if_match_on_a_key_that_is_missing(stores: Stores, dialect: Dialect, status: int) -> None:
    client = stores.of(dialect)
    bucket = new_bucket(client)
    assert client.send("PUT", f"/{bucket}/k", b"x", {"If-Match": '"etag"'}).status == status


@pytest.mark.parametrize("dialect", DIALECTS)
def test_several_ranges_in_one_get(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    target = f"/{new_bucket(client)}/k"
    client.send("PUT", target, b"0123456789", {"Content-Type": "text/plain"})
    answer = client.send("GET", target, headers={"Range": "bytes=0-1, 4-5,-1,70-"})
    if dialect == "aws":
        assert (answer.status, answer.body) == (200, b"0123456789")
        return
    assert answer.status == 206
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = answer.body.split(f"\r\n--{boundary}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    heads, bodies = zip(*(part.split(b"\r\n\r\n") for part in parts[1:-1]), strict=True)
    assert bodies == (b"01", b"45", b"9")
    assert b"Content-Range: bytes 4-5/10" in heads[1]
    assert b"Content-Type: text/plain" in heads[1]
    none = client.send("GET", target, headers={"Range": "bytes=10-11,12-13"})
    assert (none.status, none.code) == (416, "InvalidRange")
    for odd in ("bytes=1-2,x", "bytes=3-2,0-1", "bytes=" + ",".join(["0-0"] * 65)):
        assert client.send("GET", target, headers={"Range": odd}).status == 200


def test_file_system_buckets(stores: Stores) -> None:
    client = stores.ecs
    bucket = new_bucket(client, x_emc_file_system_access_enabled="true")
    client.send("PUT", f"/{bucket}/folder/file", b"x")
    listed = client.send("GET", f"/{bucket}?delimiter=/")
    assert texts(listed, "CommonPrefixes") != []
    other = client.send("GET", f"/{bucket}?delimiter=l")
    assert (other.status, other.code) == (400, "InvalidArgument")
    for setting in ("lifecycle", "policy", "object-lock"):
        refused = client.send("PUT", f"/{bucket}?{setting}", b"<x/>")
        assert refused.code == "InvalidBucketState", setting
    head = client.send("HEAD", f"/{bucket}")
    assert head.headers["x-emc-file-system-access-enabled"] == "true"
    locked = {
        "x-emc-file-system-access-enabled": "true",
        "x-amz-bucket-object-lock-enabled": "true",
    }
    assert client.send("PUT", "/locked-files", b"", locked).status == 400
    assert client.send("HEAD", "/locked-files").status == 404


def test_a_bucket_of_the_aws_dialect_is_no_file_system(stores: Stores) -> None:
    bucket = new_bucket(stores.aws, x_emc_file_system_access_enabled="true")
    assert stores.aws.send("GET", f"/{bucket}?delimiter=l").status == 200
    assert "x-emc-file-system-access-enabled" not in stores.aws.send("HEAD", f"/{bucket}").headers


@pytest.mark.parametrize("limit", ["max-keys", "limit"])
def test_buckets_come_in_pages_by_marker(server: MemoryServer, limit: str) -> None:
    stores = make_stores(server)
    for client in (stores.aws, stores.ecs):
        for name in ("apple", "apricot", "banana", "cherry"):
            client.send("PUT", f"/{name}")
    page = stores.ecs.send("GET", f"/?marker=apple&{limit}=2")
    assert texts(page, "Name") == ["apricot", "banana"]
    assert texts(page, "NextMarker") == ["banana"]
    assert texts(page, "IsTruncated") == ["true"]
    whole = stores.aws.send("GET", f"/?marker=apple&{limit}=2")
    assert texts(whole, "Name") == ["apple", "apricot", "banana", "cherry"]
    assert stores.ecs.send("GET", f"/?{limit}=-1").code == "InvalidArgument"
    assert stores.ecs.send("GET", "/?marker=%FF").status == 200


@pytest.mark.parametrize("dialect", DIALECTS)
def test_signature_version_2_is_taken(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    bucket = new_bucket(client)
    client.send("PUT", f"/{bucket}/k", b"x")
    target = f"/{bucket}/k"
    assert client.raw("GET", target, b"", client.signed_v2("GET", target)).body == b"x"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_answers_tell_when_an_object_was_written(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    target = f"/{new_bucket(client)}/k"
    put = client.send("PUT", target, b"x")
    for answer in (put, client.send("HEAD", target), client.send("GET", target)):
        assert ("x-emc-mtime" in answer.headers) == (dialect == "ecs")
    if dialect == "ecs":
        assert client.send("HEAD", target).headers["x-emc-mtime"] == put.headers["x-emc-mtime"]
        assert 1_600_000_000_000 < int(put.headers["x-emc-mtime"]) < 5_000_000_000_000


def test_the_namespace_is_the_store(stores: Stores, server: MemoryServer) -> None:
    own, other = stores.ecs.user.store, stores.aws.user.store
    assert stores.ecs.send("GET", "/", headers={"x-emc-namespace": own}).status == 200
    assert stores.ecs.send("GET", "/", headers={"x-emc-namespace": other}).code == "AccessDenied"
    assert stores.aws.send("GET", "/", headers={"x-emc-namespace": "whatever"}).status == 200


def test_unknown_extensions_are_refused_by_ecs_alone(stores: Stores) -> None:
    headers = {"x-emc-multipart-copy": "true"}
    for client, status in ((stores.ecs, 501), (stores.aws, 200)):
        assert client.send("PUT", f"/{new_bucket(client)}/k", b"x", headers).status == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/?endpoint"),
        ("GET", "/?searchmetadata"),
        ("GET", "/{bucket}?searchmetadata"),
        ("DELETE", "/{bucket}?searchmetadata"),
        ("GET", "/{bucket}?query=Size%3E1"),
        ("GET", "/{bucket}?isstaleallowed"),
        ("PUT", "/{bucket}?isstaleallowed"),
        ("GET", "/{bucket}?empty-bucket-status"),
        ("PUT", "/{bucket}/k?retentionUpdate"),
    ],
)
def test_extensions_are_not_there_for_aws(stores: Stores, method: str, path: str) -> None:
    bucket = new_bucket(stores.aws)
    stores.aws.send("PUT", f"/{bucket}/k", b"stays")
    answer = stores.aws.send(method, path.format(bucket=bucket))
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert stores.aws.send("GET", f"/{bucket}/k").body == b"stays"


def test_a_range_in_a_put_is_refused_by_aws(stores: Stores) -> None:
    target = f"/{new_bucket(stores.aws)}/k"
    stores.aws.send("PUT", target, b"stays")
    answer = stores.aws.send("PUT", target, b"x", {"Range": "bytes=0-0"})
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert stores.aws.send("GET", target).body == b"stays"


def test_anybody_may_ping(stores: Stores) -> None:
    answer = stores.aws.raw("GET", "/?ping", b"", {"Host": stores.aws.host})
    assert (answer.status, texts(answer, "Status")) == (200, ["OFF"])
    assert texts(answer, "Name") == ["MAINTENANCE_MODE", "LOAD_FACTOR"]


def test_the_endpoint_names_this_node(stores: Stores) -> None:
    answer = stores.ecs.send("GET", "/?endpoint")
    assert texts(answer, "DataNodes") == [stores.ecs.host]
    assert texts(answer, "VersionInfo")[0]


def test_reading_while_a_site_is_away_is_switched(stores: Stores) -> None:
    client = stores.ecs
    bucket = new_bucket(client, x_emc_is_stale_allowed="true")
    target = f"/{bucket}?isstaleallowed"
    for wanted in ("true", "false"):
        assert client.send("PUT", target, b"", {"x-emc-is-stale-allowed": wanted}).status == 200
        assert ElementTree.fromstring(client.send("GET", target).body).text == wanted
        assert client.send("HEAD", f"/{bucket}").headers["x-emc-is-stale-allowed"] == wanted
    for headers in ({}, {"x-emc-is-stale-allowed": "perhaps"}):
        assert client.send("PUT", target, b"", headers).code == "InvalidArgument"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_profile_spec_refuses_exactly_what_the_table_lists(
    server: MemoryServer, dialect: Dialect
) -> None:
    client = make_stores(server).of(dialect)
    bucket = new_bucket(client)
    paths = {On.BUCKET: f"/{bucket}", On.OBJECT: f"/{bucket}/k"}
    asked = [
        (method, f"{paths[target]}?{sub}" if sub else paths[target])
        for method, target, sub in sorted(UNSUPPORTED)
    ]
    assert len(asked) == 16
    allowed = [
        *(("GET", f"/{bucket}"), ("HEAD", f"/{bucket}"), ("GET", f"/{bucket}?versioning")),
        *(("GET", f"/{bucket}?acl"), ("GET", f"/{bucket}?uploads"), ("GET", f"/{bucket}?versions")),
        *(("PUT", f"/{bucket}/k"), ("GET", f"/{bucket}/k"), ("GET", f"/{bucket}/k?tagging")),
        *(("GET", f"/{bucket}?encryption"), ("DELETE", f"/{bucket}/k"), ("GET", "/")),
    ]
    before = {path: client.send(method, path).status for method, path in allowed}
    store = server.engine.catalog.store_named(client.user.store)
    assert store is not None
    server.commit(SetStore(store.id, profile="spec"))
    for method, path in asked:
        if (method, path) == ("POST", f"/{bucket}"):
            fields = signed(boto(server, client.user), bucket, "by-form")
            answer = post(client, bucket, form(fields))
        else:
            answer = client.send(method, path, b"<x/>" if method != "GET" else b"")
        assert (answer.status, answer.code) == (501, "NotImplemented"), (method, path)
    assert {path: client.send(method, path).status for method, path in allowed} == before
    server.commit(SetStore(store.id, profile="full"))
    assert client.send("GET", f"/{bucket}?location").status == 200
