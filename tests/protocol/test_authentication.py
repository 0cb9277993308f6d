"""Who may come in: signatures of every kind, stores and their hosts, secrets in grace."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.error import HTTPError

import pytest
import urllib3

from coffre.catalog.mutations import RotateKey
from coffre.s3.settings import Settings
from coffre.system.clock import ManualClock, SystemClock
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient


def upload(url: str, body: bytes, headers: dict[str, str] | None = None) -> None:
    """PUT to a presigned URL; without the Content-Type that urllib would add (V2 signs it)."""
    found = urllib3.request("PUT", url, body=body, headers=headers or {})
    assert found.status == 200, found.data


def test_an_unknown_access_key_is_named_in_the_answer(server: MemoryServer) -> None:
    nobody = Credentials("main", "", "", "CKUNKNOWN", "x" * 40)
    answer = WireClient(server.port, nobody).send("GET", "/")
    assert (answer.status, answer.code) == (403, "InvalidAccessKeyId")
    assert answer.field("AWSAccessKeyId") == "CKUNKNOWN"


def test_a_wrong_secret_does_not_match(server: MemoryServer) -> None:
    user = server.user
    wrong = Credentials("main", user.id, user.label, user.access_key, "wrong")
    answer = WireClient(server.port, wrong).send("GET", "/")
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_a_tampered_query_does_not_match(wire: WireClient, bucket: str) -> None:
    headers = wire.signed("GET", f"/{bucket}?prefix=a")
    assert wire.raw("GET", f"/{bucket}?prefix=b", b"", headers).code == "SignatureDoesNotMatch"


def test_an_unsigned_amz_header_is_refused(wire: WireClient, bucket: str) -> None:
    headers = {**wire.signed("GET", f"/{bucket}"), "x-amz-meta-late": "1"}
    answer = wire.raw("GET", f"/{bucket}", b"", headers)
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_a_body_other_than_the_signed_one_is_refused(
    wire: WireClient, s3: Any, bucket: str
) -> None:
    headers = wire.signed("PUT", f"/{bucket}/key", b"right", {"Content-Length": "5"})
    answer = wire.raw("PUT", f"/{bucket}/key", b"wrong", headers)
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert refused(s3.head_object, Bucket=bucket, Key="key") == "404"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_both_signature_versions_work_in_header_and_url(
    server: MemoryServer, bucket: str, version: str
) -> None:
    client = boto(server, server.user, signature_version=version)
    client.create_bucket(Bucket=bucket)
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    client.put_object(Bucket=bucket, Key="a b+c", Body=b"text")
    assert client.get_object(Bucket=bucket, Key="a b+c")["Body"].read() == b"text"
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b+c"})
    assert urllib.request.urlopen(url).read() == b"text"
    put = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "up"})
    upload(put, b"by url")
    assert client.get_object(Bucket=bucket, Key="up")["Body"].read() == b"by url"
    head = client.generate_presigned_url("head_object", Params={"Bucket": bucket, "Key": "up"})
    assert urllib.request.urlopen(urllib.request.Request(head, method="HEAD")).status == 200


def test_a_presigned_url_carries_headers_that_count(server: MemoryServer, bucket: str) -> None:
    client = boto(server, server.user, signature_version="s3v4")
    url = client.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "k", "Metadata": {"colour": "blue"}}
    )
    upload(url, b"x", {"x-amz-meta-colour": "blue"})
    assert client.head_object(Bucket=bucket, Key="k")["Metadata"] == {"colour": "blue"}


def test_a_presigned_copy_source_in_the_query_copies(
    wire: WireClient, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"source")
    target = wire.presigned("PUT", f"/{bucket}/to?x-amz-copy-source={bucket}%2Ffrom")
    answer = wire.raw("PUT", target, b"", {"Host": wire.host, "Content-Length": "0"})
    assert answer.status == 200, answer.body
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"source"


def test_the_checksum_of_nothing_in_a_url_is_not_held_against_the_body(
    wire: WireClient, bucket: str
) -> None:
    query = "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"
    target = wire.presigned("PUT", f"/{bucket}/k?{query}")
    answer = wire.raw("PUT", target, b"body", {"Host": wire.host, "Content-Length": "4"})
    assert answer.status == 200
    assert wire.send("GET", f"/{bucket}/k").body == b"body"


def test_strangers_are_refused_everywhere(server: MemoryServer, bucket: str) -> None:
    for path in ("/", f"/{bucket}", f"/{bucket}/key"):
        with pytest.raises(HTTPError) as error:
            urllib.request.urlopen(server.endpoint + path)
        assert error.value.code == 403
        assert b"<Code>AccessDenied</Code>" in error.value.read()


def test_strangers_reach_what_is_public_by_its_buckets_name(
    server: MemoryServer, wire: WireClient, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="public-read")
    plain = {"Host": wire.host}
    assert wire.raw("GET", f"/{bucket}/key", b"", plain).body == b"x"
    answer = wire.raw("GET", f"/{bucket}/key?response-content-type=a/b", b"", plain)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    missing = wire.raw("GET", "/no-store-has-it/key", b"", plain)
    assert (missing.status, missing.code) == (403, "AccessDenied")

    # Two stores have one of that name: nobody's is taken for the other's.
    other = server.create_store("twin-store")
    boto(server, other).create_bucket(Bucket=bucket)
    assert wire.raw("GET", f"/{bucket}/key", b"", plain).status == 403
    named = {**plain, "x-emc-namespace": "main"}
    assert wire.raw("GET", f"/{bucket}/key", b"", named).body == b"x"
    host = {"Host": f"main.localhost:{wire.port}"}
    assert wire.raw("GET", f"/{bucket}/key", b"", host).body == b"x"


def test_the_default_stores_buckets_are_meant_first() -> None:
    with MemoryServer(settings=Settings(default_store="main")) as server:
        mine, other = boto(server, server.user), boto(server, server.create_store("other"))
        for one, text in ((mine, b"mine"), (other, b"other")):
            one.create_bucket(Bucket="twin")
            one.put_object(Bucket="twin", Key="key", Body=text, ACL="public-read")
        client = WireClient(server.port, server.user)
        plain = {"Host": client.host}
        assert client.raw("GET", "/twin/key", b"", plain).body == b"mine"
        missing = client.raw("GET", "/none/key", b"", plain)
        assert (missing.status, missing.code) == (404, "NoSuchBucket")
        assert client.raw("PUT", "/none", b"", plain).code == "AccessDenied"


def test_strangers_write_where_a_bucket_lets_everybody(
    wire: WireClient, s3: Any, bucket: str
) -> None:
    plain = {"Host": wire.host, "Content-Length": "1"}
    assert wire.raw("PUT", f"/{bucket}/key", b"x", plain).status == 403
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert wire.raw("PUT", f"/{bucket}/key", b"x", plain).status == 200
    # It is the bucket owner's, who can read it.
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"


def test_strangers_are_refused_on_a_stores_host(wire: WireClient, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    answer = wire.raw("GET", f"/{bucket}/key", b"", {"Host": f"main.localhost:{wire.port}"})
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_hosts_name_stores_and_buckets(wire: WireClient, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="d/key", Body=b"here")
    for host, target in (
        ("localhost", f"/{bucket}/d/key"),
        ("main.localhost", f"/{bucket}/d/key"),
        (f"{bucket}.main.localhost", "/d/key"),
        (f"{bucket}.localhost", "/d/key"),
    ):
        answer = wire.send("GET", target, host=f"{host}:{wire.port}")
        assert (answer.status, answer.body) == (200, b"here"), host


def test_a_virtual_host_is_signed_in_v2_too(
    server: MemoryServer, wire: WireClient, bucket: str
) -> None:
    answer = wire.send("PUT", "/k", b"v", host=f"{bucket}.localhost:{wire.port}")
    assert answer.status == 200
    headers = wire.signed_v2("GET", f"/{bucket}/k")
    headers["Host"] = f"{bucket}.localhost:{wire.port}"
    assert wire.raw("GET", "/k", b"", headers).body == b"v"


def test_a_key_is_useless_on_another_stores_host(server: MemoryServer, wire: WireClient) -> None:
    server.create_store("elsewhere")
    answer = wire.send("GET", "/", host=f"elsewhere.localhost:{wire.port}")
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert wire.send("GET", "/", host=f"main.localhost:{wire.port}").status == 200


def test_stores_do_not_see_each_others_buckets(server: MemoryServer, s3: Any, bucket: str) -> None:
    other = boto(server, server.create_store("other-store"))
    other.create_bucket(Bucket=bucket)
    other.put_object(Bucket=bucket, Key="mine", Body=b"x")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert [one["Name"] for one in other.list_buckets()["Buckets"]] == [bucket]


def test_another_users_bucket_is_denied_and_a_missing_one_is_missing(
    server: MemoryServer, stranger: Credentials, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    other = boto(server, stranger)
    assert refused(other.get_object, Bucket=bucket, Key="key") == "AccessDenied"
    assert refused(other.put_object, Bucket=bucket, Key="key", Body=b"y") == "AccessDenied"
    assert refused(other.list_objects_v2, Bucket=bucket) == "AccessDenied"
    assert refused(other.delete_bucket, Bucket=bucket) == "AccessDenied"
    assert refused(other.head_bucket, Bucket=bucket) == "403"
    assert refused(other.list_objects_v2, Bucket="no-such-bucket-here") == "NoSuchBucket"
    assert bucket not in [one["Name"] for one in other.list_buckets()["Buckets"]]
    other.create_bucket(Bucket="strangers-own")
    copy = {"Bucket": bucket, "Key": "key"}
    denied = refused(other.copy_object, Bucket="strangers-own", Key="k", CopySource=copy)
    assert denied == "AccessDenied"
    assert refused(other.create_bucket, Bucket=bucket) == "BucketAlreadyExists"


def test_the_region_of_the_scope_is_checked_and_told(server: MemoryServer, bucket: str) -> None:
    answer = WireClient(server.port, server.user, "eu-west-3").send("GET", f"/{bucket}")
    assert (answer.status, answer.code) == (400, "AuthorizationHeaderMalformed")
    assert answer.field("Region") == "us-east-1"


def test_a_configured_region_and_the_default_one_are_both_taken() -> None:
    with MemoryServer(Settings(region="fr1")) as server:
        for region in ("fr1", "us-east-1"):
            assert WireClient(server.port, server.user, region).send("GET", "/").status == 200
        client = boto(server, server.user)
        client.create_bucket(Bucket="abc", CreateBucketConfiguration={"LocationConstraint": "fr1"})
        headers = client.head_bucket(Bucket="abc")["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-amz-bucket-region"] == "fr1"
        assert client.get_bucket_location(Bucket="abc")["LocationConstraint"] == "fr1"
        assert refused(client.create_bucket, Bucket="abc") == "BucketAlreadyOwnedByYou"
        wrong = {"LocationConstraint": "eu-west-1"}
        code = refused(client.create_bucket, Bucket="def", CreateBucketConfiguration=wrong)
        assert code == "IllegalLocationConstraintException"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_date_that_is_too_far_off_is_skewed(hours: int) -> None:
    clock = ManualClock(SystemClock().now_ms() + hours * 3_600_000)
    with MemoryServer(clock=clock) as server:
        answer = WireClient(server.port, server.user).send("GET", "/")
        assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")


def test_a_presigned_url_ends() -> None:
    clock = ManualClock(SystemClock().now_ms())
    with MemoryServer(clock=clock) as server:
        wire = WireClient(server.port, server.user)
        url = wire.presigned("GET", "/", 600)
        assert wire.raw("GET", url, b"", {"Host": wire.host}).status == 200
        clock.advance(605)
        answer = wire.raw("GET", url, b"", {"Host": wire.host})
        assert (answer.status, answer.code) == (403, "AccessDenied")
        assert answer.field("Message") == "Request has expired"


@pytest.mark.parametrize("expires", [-1, 604_801])
def test_a_presigned_url_has_a_bounded_life(wire: WireClient, expires: int) -> None:
    answer = wire.raw("GET", wire.presigned("GET", "/", expires), b"", {"Host": wire.host})
    assert (answer.status, answer.code) == (400, "AuthorizationQueryParametersError")


def test_a_rotated_secret_verifies_until_its_grace_ends() -> None:
    with MemoryServer() as server:
        user, keyring = server.user, server.engine.services.keyring
        new = Credentials("main", user.id, user.label, user.access_key, "another-secret")
        old_client, new_client = WireClient(server.port, user), WireClient(server.port, new)
        assert new_client.send("GET", "/").code == "SignatureDoesNotMatch"
        now = server.engine.clock.now_ms()
        secret = keyring.wrap_secret(new.secret_key)
        server.commit(RotateKey(user.access_key, secret, now + 3_600_000))
        assert (old_client.send("GET", "/").status, new_client.send("GET", "/").status) == (
            200,
            200,
        )
        server.commit(RotateKey(user.access_key, keyring.wrap_secret("third"), now - 1))
        assert old_client.send("GET", "/").code == "SignatureDoesNotMatch"
        assert new_client.send("GET", "/").code == "SignatureDoesNotMatch"
