"""Ways around a signature that other services had: each is tried here as it was done there."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from zlib import crc32

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.wire_client import Answer, WireClient

UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
BODY = b"what is sent"


@pytest.fixture
def secret(s3: Any, bucket: str) -> str:
    """The path of an object that nobody else may read."""
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret", ContentType="text/plain")
    return f"/{bucket}/secret"


def keys(s3: Any, bucket: str) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def trailing() -> bytes:
    """A body in chunks without signatures, with its checksum behind it."""
    told = b64encode(crc32(BODY).to_bytes(4, "big")).decode()
    return b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(BODY), BODY, told.encode())


def trailing_headers() -> dict[str, str]:
    return {
        "X-Amz-Content-SHA256": UNSIGNED,
        "Content-Encoding": "aws-chunked",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
        "X-Amz-Decoded-Content-Length": str(len(BODY)),
        "Content-Length": str(len(trailing())),
    }


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-amz-copy-source", "{secret}"),
        ("x-amz-copy-source-range", "bytes=0-1"),
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'),
        ("x-amz-tagging", "a=b"),
        ("x-amz-meta-a", "b"),
        ("x-amz-website-redirect-location", "https://evil.example.org/"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-security-token", "x"),
    ],
)
def test_a_header_that_was_not_signed_turns_a_presigned_put_into_nothing_else(
    wire: WireClient, s3: Any, bucket: str, secret: str, header: str, value: str
) -> None:
    url = wire.presigned("PUT", f"/{bucket}/k")
    headers = {"Host": wire.host, "Content-Length": "1", header: value.format(secret=secret)}
    answer = wire.raw("PUT", url, b"x", headers)
    assert answer.status in (400, 403)
    assert keys(s3, bucket) == ["secret"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
def test_a_url_presigned_for_one_method_is_none_for_another(
    wire: WireClient, s3: Any, bucket: str, secret: str, method: str
) -> None:
    url = wire.presigned("PUT", secret)
    assert wire.raw(method, url, b"", {"Host": wire.host, "Content-Length": "0"}).status in (
        403,
        405,
    )
    assert keys(s3, bucket) == ["secret"]


@pytest.mark.parametrize(
    "override",
    [
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-HTTP-Method": "DELETE"},
        {"X-Method-Override": "DELETE"},
    ],
)
def test_no_header_makes_another_method_of_a_request(
    wire: WireClient, s3: Any, bucket: str, secret: str, override: dict[str, str]
) -> None:
    url = wire.presigned("GET", secret)
    assert wire.raw("GET", url, b"", {"Host": wire.host, **override}).body == b"secret"
    assert keys(s3, bucket) == ["secret"]


def test_parameters_behind_a_presigned_url_count_as_changes(
    wire: WireClient, secret: str, bucket: str
) -> None:
    url = wire.presigned("GET", secret)
    for more in (
        *("&acl", "&tagging", "&versionId=null", "&response-content-type=text/html"),
        *("&X-Amz-Expires=604800", "&X-Amz-Signature=0", "&uploads", "&partNumber=1"),
        *("&x-amz-copy-source=a/b", "&X-Amz-SignedHeaders=host"),
    ):
        assert wire.raw("GET", url + more, b"", {"Host": wire.host}).status in (400, 403, 405), more
    expires = url.replace("X-Amz-Expires=600", "X-Amz-Expires=604800")
    assert wire.raw("GET", expires, b"", {"Host": wire.host}).status == 403


@pytest.mark.parametrize("credential", ["of nobody", "of the owner, without a signature", "none"])
def test_a_body_with_an_unsigned_trailer_still_needs_a_signed_head(
    wire: WireClient, s3: Any, bucket: str, credential: str
) -> None:
    """The payload mode that signs no byte of the body was once taken for one that signs nothing."""
    target, headers = f"/{bucket}/k", trailing_headers()
    signed = wire.signed("PUT", target, b"", headers)
    good = wire.raw("PUT", target, trailing(), signed)
    assert good.status == 200
    s3.delete_object(Bucket=bucket, Key="k")
    if credential == "none":
        del signed["Authorization"]
    elif credential == "of nobody":
        signed["Authorization"] = signed["Authorization"].replace(wire.user.access_key, "CKNOBODY")
    else:
        head, _, signature = signed["Authorization"].rpartition("=")
        signed["Authorization"] = f"{head}={'0' * len(signature)}"
    assert wire.raw("PUT", target, trailing(), signed).status == 403
    # The same by way of the query.
    query = target + f"?X-Amz-Credential={wire.user.access_key}&X-Amz-Content-Sha256={UNSIGNED}"
    bare = {"Host": wire.host, **trailing_headers()}
    assert wire.raw("PUT", query, trailing(), bare).status in (400, 403)
    assert keys(s3, bucket) == []


def test_a_trailer_that_was_promised_must_come_and_be_true(
    wire: WireClient, s3: Any, bucket: str
) -> None:
    target = f"/{bucket}/k"
    told = trailing()
    without = told.partition(b"x-amz-checksum")[0] + b"\r\n"
    wrong = told.replace(b"crc32:", b"crc32:AAAA")[: len(told)]
    another = told.replace(b"x-amz-checksum-crc32", b"x-amz-meta-injected1")
    for body in (without, wrong, another):
        headers = {**trailing_headers(), "Content-Length": str(len(body))}
        assert wire.raw("PUT", target, body, wire.signed("PUT", target, b"", headers)).status == 400
    assert keys(s3, bucket) == []


def test_signed_chunks_are_verified_each(wire: WireClient, s3: Any, bucket: str) -> None:
    target = f"/{bucket}/k"
    zeros = b"0" * 64
    body = b"%x;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n\r\n" % (
        *(len(BODY), zeros),
        *(BODY, zeros),
    )
    headers = {
        "X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": str(len(BODY)),
        "Content-Length": str(len(body)),
    }
    answer = wire.raw("PUT", target, body, wire.signed("PUT", target, b"", headers))
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert keys(s3, bucket) == []


def test_two_ways_of_signing_at_once_are_none(wire: WireClient, secret: str) -> None:
    url = wire.presigned("GET", secret)
    headers = wire.signed("GET", secret)
    assert wire.raw("GET", url, b"", headers).status == 400


def test_the_host_that_was_signed_for_is_the_one_that_is_asked(
    wire: WireClient, server: MemoryServer, secret: str, bucket: str
) -> None:
    headers = wire.signed("GET", secret)
    for host in (f"main.localhost:{wire.port}", "evil.example.org", f"{bucket}.localhost"):
        answer = wire.raw("GET", secret, b"", {**headers, "Host": host})
        assert answer.status == 403
    forwarded = {**headers, "Host": "evil.example.org", "X-Forwarded-Host": wire.host}
    assert wire.raw("GET", secret, b"", forwarded).status == 403


def test_an_old_header_is_not_sent_again(wire: WireClient, secret: str) -> None:
    """A request that was overheard is good for a quarter of an hour, whatever its date is named."""
    headers = wire.signed("GET", secret)
    stamp = headers["X-Amz-Date"]
    for name in ("X-Amz-Date", "Date"):
        changed = {**headers, name: f"2020{stamp[4:]}"}
        if name == "Date":
            del changed["X-Amz-Date"]
        assert wire.raw("GET", secret, b"", changed).status in (400, 403)


def test_another_services_signature_opens_no_object(wire: WireClient, secret: str) -> None:
    headers = wire.signed("GET", secret)
    for service in ("sts", "iam", "s3express", ""):
        scope = headers["Authorization"].replace("/s3/", f"/{service}/")
        answer = wire.raw("GET", secret, b"", {**headers, "Authorization": scope})
        assert answer.status in (400, 403)


def test_secrets_are_told_to_nobody(
    wire: WireClient, server: MemoryServer, stranger: Credentials, secret: str
) -> None:
    """Neither answers nor what is written down of requests hold keys or signatures."""
    answers: list[Answer] = []
    url = wire.presigned("GET", secret)
    answers.append(wire.raw("GET", f"{url}x", b"", {"Host": wire.host}))
    headers = wire.signed("GET", secret)
    bad = headers["Authorization"][:-4] + "0000"
    answers.append(wire.raw("GET", secret, b"", {**headers, "Authorization": bad}))
    assert [one.status for one in answers] == [403, 403]
    for one in answers:
        assert wire.user.secret_key.encode() not in one.body
        assert stranger.secret_key.encode() not in one.body
    assert wire.user.secret_key not in repr(server.events[-10:])
    assert headers["Authorization"].rpartition("=")[2] not in repr(server.events[-10:])
