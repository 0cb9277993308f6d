from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.target import Target, host_forms, resolve

BASES = ("localhost", "s3.example.org", "example.org")
STORES = {"acme", "globex"}


def target(host: str, path: bytes = b"/") -> Target:
    head = RequestHead("GET", path, b"", ((b"host", host.encode("latin-1")),))
    return resolve(head, BASES, STORES.__contains__)


def named(host: str, path: bytes = b"/") -> tuple[str | None, str | None, bytes | None]:
    found = target(host, path)
    return found.store, found.bucket, found.key


@pytest.mark.parametrize(
    ("host", "store", "bucket"),
    [
        ("localhost", None, None),
        ("localhost:9020", None, None),
        ("LocalHost.:9020", None, None),
        ("acme.localhost", "acme", None),
        ("ACME.S3.Example.Org:443", "acme", None),
        ("photos.acme.localhost", "acme", "photos"),
        ("my.photos.acme.localhost", "acme", "my.photos"),
        ("photos.localhost", None, "photos"),
        ("photos.unknown.localhost", None, "photos.unknown"),
        ("s3.example.org", None, None),
        ("photos.example.org", None, "photos"),
        ("127.0.0.1:9020", None, None),
        ("[::1]:9020", None, None),
        ("[::1]", None, None),
        ("elsewhere.test", None, None),
        ("notlocalhost", None, None),
        ("\xff\xfe", None, None),
    ],
)
def test_the_host_names_store_and_bucket(host: str, store: str | None, bucket: str | None) -> None:
    found = target(host)
    assert (found.store, found.bucket, found.virtual) == (store, bucket, bucket is not None)


def test_the_host_is_kept_bare() -> None:
    assert target("Photos.LOCALHOST.:80").host == "photos.localhost"
    assert target("[::1]:80").host == "[::1]"


@pytest.mark.parametrize(
    ("path", "bucket", "key"),
    [
        (b"/", None, None),
        (b"/b", "b", None),
        (b"/b/", "b", None),
        (b"/b/k", "b", b"k"),
        (b"/b//k", "b", b"/k"),
        (b"/b/../k/./", "b", b"../k/./"),
        (b"/b/a%2Fb%2f", "b", b"a/b/"),
        (b"/b/a+b%2B%20", "b", b"a+b+ "),
        (b"/b/%2541", "b", b"%41"),
        (b"/b/\xc3\xa9%C3%A9", "b", "éé".encode()),
        (b"/b/%01%0A", "b", b"\x01\n"),
        (b"/b%2Fk", "b/k", None),
        (b"/%C3%A9", "é", None),
    ],
)
def test_the_path_is_decoded_once_and_kept_as_it_is(
    path: bytes, bucket: str | None, key: bytes | None
) -> None:
    assert named("localhost", path) == (None, bucket, key)


def test_a_virtual_host_leaves_the_whole_path_to_the_key() -> None:
    assert named("photos.acme.localhost", b"/b/k") == ("acme", "photos", b"b/k")
    assert named("photos.localhost", b"//k") == (None, "photos", b"/k")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"/b/%", "InvalidURI"),
        (b"/b/%4", "InvalidURI"),
        (b"/b/%zz", "InvalidURI"),
        (b"/b/%FF", "InvalidURI"),
        (b"/b/\xff", "InvalidURI"),
        (b"/b/a%00b", "InvalidURI"),
        (b"/%00", "InvalidURI"),
        (b"/%FF/k", "InvalidURI"),
        (b"", "InvalidURI"),
        (b"*", "InvalidURI"),
        (b"b/k", "InvalidURI"),
        (b"//k", "InvalidBucketName"),
        (b"/b/" + b"k" * 1025, "KeyTooLongError"),
    ],
)
def test_a_bad_path_is_refused(path: bytes, code: str) -> None:
    with pytest.raises(S3Error, match=code):
        target("localhost", path)


def test_an_absolute_target_counts_by_its_path_when_its_host_agrees() -> None:
    assert named("localhost:80", b"http://LOCALHOST:80/b/k") == (None, "b", b"k")
    assert named("localhost", b"https://localhost") == (None, None, None)
    for other in (b"http://acme.localhost/b/k", b"http://a@localhost/b"):
        with pytest.raises(S3Error, match="disagree"):
            target("localhost", other)


@pytest.mark.parametrize("hosts", [(), (b"",), (b" ",), (b"localhost", b"localhost")])
def test_a_request_has_exactly_one_host(hosts: tuple[bytes, ...]) -> None:
    head = RequestHead("GET", b"/", b"", tuple((b"host", host) for host in hosts))
    with pytest.raises(S3Error, match="InvalidRequest"):
        resolve(head, BASES, STORES.__contains__)


@given(st.binary(), st.binary())
def test_no_bytes_raise_anything_but_s3_errors(host: bytes, path: bytes) -> None:
    for prefix in (b"", b"/", b"/b/", b"http://localhost/"):
        head = RequestHead("GET", prefix + path, b"", ((b"host", host),))
        try:
            resolve(head, BASES, STORES.__contains__)
        except S3Error:
            continue


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200))
def test_any_key_comes_back_from_its_quoted_path(key: str) -> None:
    path = b"/b/" + quote_from_bytes(key.encode()).encode()
    assert named("localhost", path) == (None, "b", key.encode())


def test_the_forms_that_clients_make_of_a_base_are_bases_too() -> None:
    assert host_forms(("example.org",), "FR1") == (
        "example.org",
        "s3.example.org",
        "s3.fr1.example.org",
        "s3.dualstack.fr1.example.org",
    )
    assert host_forms(("a", "s3.a"), "r").count("s3.a") == 1


@pytest.mark.parametrize(
    ("host", "store", "bucket"),
    [
        ("s3.fr1.localhost:9020", None, None),
        ("s3.dualstack.fr1.localhost", None, None),
        ("acme.s3.fr1.localhost", "acme", None),
        ("photos.acme.s3.fr1.localhost", "acme", "photos"),
        ("photos.s3.fr1.localhost", None, "photos"),
        ("my.photos.s3.dualstack.fr1.localhost", None, "my.photos"),
        ("photos.s3.localhost", None, "photos"),
        ("photos.s3.us-east-1.localhost", None, "photos.s3.us-east-1"),
    ],
)
def test_a_region_may_stand_in_the_host(host: str, store: str | None, bucket: str | None) -> None:
    head = RequestHead("GET", b"/", b"", ((b"host", host.encode()),))
    found = resolve(head, host_forms(("localhost",), "fr1"), STORES.__contains__)
    assert (found.store, found.bucket) == (store, bucket)
