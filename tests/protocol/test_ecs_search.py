"""Metadata search: what a bucket indexes, and what is found."""

from __future__ import annotations

import itertools
from urllib.parse import quote

import pytest

from coffre.testing.server import MemoryServer
from tests.protocol.ecs_client import ENABLED, let_work, new_bucket, texts
from tests.protocol.wire_client import Answer, WireClient

_numbers = itertools.count()


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
        # A marker in form, whose number no version can have.
        "query=Size%3E1&marker=lMQB_8QAz____________w",
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


def test_older_versions_are_found_by_who_may_list_them(ecs_server: MemoryServer) -> None:
    name = f"searching-{next(_numbers)}"
    owner = WireClient(ecs_server.port, ecs_server.create_store(name, "ecs"))
    guest = WireClient(ecs_server.port, ecs_server.create_user(name, "guest"))
    bucket = new_bucket(owner, x_emc_metadata_search="Size")
    policy = f"""{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": "*",
        "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::{bucket}"}}]}}"""
    assert owner.send("PUT", f"/{bucket}?policy", policy.encode()).status == 204
    target = f"/{bucket}?query={quote('Size>0')}"
    assert guest.send("GET", target).status == 200
    assert guest.send("GET", f"{target}&include-older-versions=true").code == "AccessDenied"
    assert owner.send("GET", f"{target}&include-older-versions=true").status == 200


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
    let_work(ecs_server)
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
