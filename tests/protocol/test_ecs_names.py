"""Every legal bucket and key, and every host that names them, in both dialects."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest

from coffre.s3.settings import Settings
from coffre.testing.server import Dialect, MemoryServer
from tests.protocol.ecs_client import Stores, make_stores, new_bucket, texts

DIALECTS: tuple[Dialect, ...] = ("aws", "ecs")
KEYS = (
    *("plain", "/", "//", "/leading", "trailing/", "a//b", ".", "..", "../..", "a/./b", "a/../b"),
    *("./", "../", " ", " both ends ", "a b", "a+b", "a%20b", "%", "%2F", "a&b=c", "?", "#", "a;b"),
    *('"', "'", "<xml/>", "\\", "\t", "\n", "\r\n", "\x01", "\x7f", "\x85", "\u2028", "\ufffe"),
    *("é", "e\u0301", "日本語", "\U0001f600", "\ue000", "\uffff", "ß" * 512, "k" * 1024),
)


@pytest.fixture(scope="module")
def named_server() -> Iterator[MemoryServer]:
    settings = Settings(region="fr1", base_hosts=("cloud.test",))
    with MemoryServer(settings) as running:
        yield running


@pytest.fixture(scope="module")
def stores(server: MemoryServer) -> Stores:
    return make_stores(server)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_legal_key_is_kept_listed_and_deleted(stores: Stores, dialect: Dialect) -> None:
    client = stores.of(dialect)
    bucket = new_bucket(client)
    for key in KEYS:
        assert client.send("PUT", f"/{bucket}/{quote(key, safe='/')}", key.encode()).status == 200
    for key in KEYS:
        assert client.send("GET", f"/{bucket}/{quote(key, safe='')}").body == key.encode()
    order = "utf-16-be" if dialect == "ecs" else "utf-8"
    expected = sorted(KEYS, key=lambda key: key.encode(order))
    listed: list[str] = []
    marker = ""
    while True:
        query = f"encoding-type=url&max-keys=7&marker={quote(marker, safe='')}"
        page = client.send("GET", f"/{bucket}?{query}")
        listed += [unquote(key) for key in texts(page, "Key")]
        marker = listed[-1]
        if texts(page, "IsTruncated") == ["false"]:
            break
    assert listed == expected
    # Without an encoding the answer names control characters by reference, as AWS does.
    plain = client.send("GET", f"/{bucket}").body
    assert b"<Key>&#x1;</Key>" in plain
    assert b"\x01" not in plain
    versions = client.send("GET", f"/{bucket}?versions&encoding-type=url")
    assert [unquote(key) for key in texts(versions, "Key")] == expected
    for key in KEYS:
        assert client.send("DELETE", f"/{bucket}/{quote(key, safe='/')}").status == 204
    assert client.send("DELETE", f"/{bucket}").status == 204


@pytest.mark.parametrize("key", ["%00", "a%00b", "%FF", "%ED%A0%80", "k" * 1025])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_no_key(stores: Stores, dialect: Dialect, key: str) -> None:
    client = stores.of(dialect)
    answer = client.send("PUT", f"/{new_bucket(client)}/{key}", b"x")
    assert answer.code in ("InvalidURI", "KeyTooLongError")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_form_of_host_names_the_same_object(
    named_server: MemoryServer, dialect: Dialect
) -> None:
    client = make_stores(named_server, "fr1").of(dialect)
    store, bucket = client.user.store, new_bucket(client)
    client.send("PUT", f"/{bucket}/a%20key/", b"found")
    for base in ("cloud.test", "s3.cloud.test", "s3.fr1.cloud.test", "s3.dualstack.fr1.cloud.test"):
        for host, path in (
            (base, f"/{bucket}/a%20key/"),
            (f"{store}.{base}", f"/{bucket}/a%20key/"),
            (f"{bucket}.{store}.{base}", "/a%20key/"),
            (f"{bucket}.{base}", "/a%20key/"),
            (f"{bucket}.{base}:443", "/a%20key/"),
            (f"{bucket.upper()}.{base}.", "/a%20key/"),
        ):
            answer = client.send("GET", path, host=host)
            assert (answer.status, answer.body) == (200, b"found"), host
    for host in ("127.0.0.1", "[::1]", "elsewhere.test"):
        assert client.send("GET", f"/{bucket}/a%20key/", host=host).body == b"found"


def test_names_of_capitals_are_reached_by_their_path(named_server: MemoryServer) -> None:
    client = make_stores(named_server, "fr1").ecs
    client.send("PUT", "/UPPER_Case")
    client.send("PUT", "/UPPER_Case/k", b"found")
    assert client.send("GET", "/UPPER_Case/k", host="s3.fr1.cloud.test").body == b"found"
    assert client.send("GET", "/k", host="UPPER_Case.s3.fr1.cloud.test").code == "NoSuchBucket"
