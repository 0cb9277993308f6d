"""CORS: the configuration, what a browser may send, and which page may see the answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import Answer, WireClient

SHOP = "https://shop.example"
RULE = {
    "ID": "shop",
    "AllowedOrigins": ["https://*.example"],
    "AllowedMethods": ["GET", "PUT"],
    "AllowedHeaders": ["x-amz-*", "content-type"],
    "ExposeHeaders": ["ETag"],
    "MaxAgeSeconds": 600,
}
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@pytest.fixture
def shared(s3: Any, bucket: str) -> str:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [RULE]})
    return bucket


def preflight(
    wire: WireClient,
    target: str,
    origin: str | None = SHOP,
    method: str | None = "PUT",
    headers: str = "",
    host: str = "",
) -> Answer:
    asked = {
        "Host": host or wire.host,
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers or None,
    }
    sent = {name: text for name, text in asked.items() if text is not None}
    return wire.raw("OPTIONS", target, b"", sent)


def test_a_configuration_is_kept_replaced_and_removed(s3: Any, bucket: str) -> None:
    assert refused(s3.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"
    for rules in ([RULE], [{"AllowedOrigins": ["*"], "AllowedMethods": ["HEAD"]}, RULE]):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
        assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    for _ in range(2):
        answer = s3.delete_bucket_cors(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"


def test_a_bucket_made_anew_has_no_old_configuration(s3: Any, shared: str) -> None:
    s3.delete_bucket(Bucket=shared)
    s3.create_bucket(Bucket=shared)
    assert refused(s3.get_bucket_cors, Bucket=shared) == "NoSuchCORSConfiguration"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"AllowedMethods": ["PATCH"]}, "InvalidRequest"),
        ({"AllowedOrigins": ["*.*"]}, "InvalidRequest"),
        ({"ExposeHeaders": ["*"]}, "InvalidRequest"),
        ({"AllowedOrigins": []}, "MalformedXML"),
        ({"ID": "x" * 256}, "MalformedXML"),
    ],
)
def test_a_bad_rule_changes_nothing(
    s3: Any, shared: str, changes: dict[str, Any], code: str
) -> None:
    configuration = {"CORSRules": [{**RULE, **changes}]}
    assert refused(s3.put_bucket_cors, Bucket=shared, CORSConfiguration=configuration) == code
    assert s3.get_bucket_cors(Bucket=shared)["CORSRules"] == [RULE]


def test_a_configuration_must_carry_its_digest(wire: WireClient, bucket: str) -> None:
    answer = wire.send("PUT", f"/{bucket}?cors", b"<CORSConfiguration/>")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert "Content-MD5" in answer.field("Message")


def test_others_may_neither_see_nor_change_it(
    server: MemoryServer, shared: str, stranger: Credentials
) -> None:
    other = boto(server, stranger)
    configuration = {"CORSRules": [RULE]}
    assert refused(other.get_bucket_cors, Bucket=shared) == "AccessDenied"
    assert refused(other.delete_bucket_cors, Bucket=shared) == "AccessDenied"
    code = refused(other.put_bucket_cors, Bucket=shared, CORSConfiguration=configuration)
    assert code == "AccessDenied"


@pytest.mark.parametrize("path", ["", "/", "/key", "/key?partNumber=1&uploadId=x", "/key?acl"])
def test_a_browser_is_told_that_it_may(wire: WireClient, shared: str, path: str) -> None:
    answer = preflight(wire, f"/{shared}{path}", headers="X-Amz-Date, Content-Type")
    assert (answer.status, answer.body) == (200, b"")
    expected = {
        "access-control-allow-origin": SHOP,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "x-amz-date, content-type",
        "access-control-expose-headers": "ETag",
        "access-control-max-age": "600",
        "vary": VARY,
    }
    assert expected.items() <= answer.headers.items()


@pytest.mark.parametrize("host", ["{}.main.localhost", "main.localhost"])
def test_a_host_that_names_the_store_says_which_bucket(
    wire: WireClient, shared: str, host: str
) -> None:
    path = "/key" if host.startswith("{") else f"/{shared}/key"
    assert preflight(wire, path, host=host.format(shared)).status == 200


def test_a_host_that_names_another_store_does_not(
    server: MemoryServer, wire: WireClient, shared: str
) -> None:
    server.create_store("other-pages")
    answer = preflight(wire, f"/{shared}/key", host="other-pages.localhost")
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert answer.field("Message") == "CORSResponse: Bucket not found"


def test_of_two_buckets_with_one_name_neither_answers_for_the_other(
    server: MemoryServer, wire: WireClient, s3: Any
) -> None:
    s3.create_bucket(Bucket="twice")
    s3.put_bucket_cors(Bucket="twice", CORSConfiguration={"CORSRules": [RULE]})
    assert preflight(wire, "/twice/k").status == 200
    other = server.create_store("twice-store")
    boto(server, other).create_bucket(Bucket="twice")
    answer = preflight(wire, "/twice/k")
    assert (answer.status, answer.field("Message")) == (403, "CORSResponse: Bucket not found")
    presigned = wire.presigned("PUT", "/twice/k")
    assert preflight(wire, presigned).status == 200
    presigned = WireClient(server.port, other).presigned("PUT", "/twice/k")
    assert preflight(wire, presigned).field("Message").endswith("not enabled for this bucket.")
    assert preflight(wire, "/twice/k", host="main.localhost").status == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"origin": "https://evil.test"}, "This CORS request is not allowed."),
        ({"method": "DELETE"}, "This CORS request is not allowed."),
        ({"headers": "authorization"}, "This CORS request is not allowed."),
    ],
)
def test_a_browser_is_told_that_it_may_not(
    wire: WireClient, shared: str, changes: dict[str, str], words: str
) -> None:
    answer = preflight(wire, f"/{shared}/key", **changes)
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert answer.field("Message").startswith(f"CORSResponse: {words}")
    assert answer.field("Method") == changes.get("method", "PUT")
    assert answer.field("ResourceType") == "OBJECT"
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == VARY


def test_a_bucket_without_rules_and_no_bucket_are_told_apart(wire: WireClient, bucket: str) -> None:
    answer = preflight(wire, f"/{bucket}")
    assert (answer.status, answer.code) == (403, "AccessForbidden")
    assert answer.field("Message") == "CORSResponse: CORS is not enabled for this bucket."
    assert answer.field("ResourceType") == "BUCKET"
    answer = preflight(wire, "/no-such-bucket-x/k")
    assert (answer.status, answer.field("Message")) == (403, "CORSResponse: Bucket not found")


@pytest.mark.parametrize(
    ("origin", "method"), [(None, "PUT"), ("", "PUT"), (SHOP, None), (SHOP, "TRACE")]
)
def test_a_preflight_that_asks_nothing_is_a_bad_request(
    wire: WireClient, shared: str, origin: str | None, method: str | None
) -> None:
    answer = preflight(wire, f"/{shared}/key", origin, method)
    assert (answer.status, answer.code) == (400, "BadRequest")


def test_the_service_has_no_preflight(wire: WireClient) -> None:
    assert preflight(wire, "/").status == 405


def test_a_page_may_see_answers_and_errors(wire: WireClient, s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="key", Body=bytes(600_000))
    asks = {"Origin": SHOP}
    for target, status in (("key", 200), ("missing", 404), ("key?versionId=x", 400)):
        answer = wire.send("GET", f"/{shared}/{target}", headers=asks)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert answer.headers["access-control-expose-headers"] == "ETag"
        assert answer.headers["vary"] == VARY
    answer = wire.send("PUT", f"/{shared}/key", b"new", asks)
    assert answer.headers["access-control-allow-origin"] == SHOP


def test_a_page_sees_why_its_signature_was_refused(wire: WireClient, shared: str) -> None:
    wrong = urlsplit(wire.presigned("GET", f"/{shared}/key"))
    target = f"{wrong.path}?{wrong.query}0"
    answer = wire.raw("GET", target, b"", {"Host": wire.host, "Origin": SHOP})
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert answer.headers["access-control-allow-origin"] == SHOP
    answer = wire.raw("GET", f"/{shared}/key", b"", {"Host": wire.host, "Origin": SHOP})
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert answer.headers["access-control-allow-origin"] == SHOP


@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {"Origin": "https://evil.test"}), ("HEAD", {"Origin": SHOP})]
)
def test_another_page_may_not_see_the_answer(
    wire: WireClient, shared: str, method: str, headers: dict[str, str]
) -> None:
    answer = wire.send(method, f"/{shared}", headers=headers)
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == VARY


def test_without_an_origin_or_rules_nothing_is_said(wire: WireClient, shared: str, s3: Any) -> None:
    assert "vary" not in wire.send("GET", f"/{shared}").headers
    s3.delete_bucket_cors(Bucket=shared)
    assert "vary" not in wire.send("GET", f"/{shared}", headers={"Origin": SHOP}).headers
    assert "vary" not in wire.send("GET", "/", headers={"Origin": SHOP}).headers
