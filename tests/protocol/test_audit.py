"""What each request leaves in the audit: who, what, how it ended, and what decided."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from coffre.catalog.audit_records import AuditRecord, ChainHead, decode_records
from coffre.catalog.interface import CommitterBusy
from coffre.s3.services import Services
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.wire_client import WireClient


class Trail:
    """The audit of a memory server: what came into it since it was asked last."""

    def __init__(self, server: MemoryServer) -> None:
        self.server = server
        self._after = 0
        self.new()

    def new(self) -> list[AuditRecord]:
        return self.server.call(self._new())

    async def _new(self) -> list[AuditRecord]:
        await self.server.engine.audit.flush()
        batches = self.server.engine.catalog.audit_batches(after=self._after, limit=10_000)
        self._after = batches[-1].sequence if batches else self._after
        return [one for batch in batches for one in decode_records(batch)]

    def only(self) -> AuditRecord:
        (one,) = self.new()
        return one


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with MemoryServer() as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: MemoryServer) -> Any:
    return boto(server, server.user)


@pytest.fixture(scope="module")
def wire(server: MemoryServer) -> WireClient:
    return WireClient(server.port, server.user)


@pytest.fixture
def trail(server: MemoryServer) -> Trail:
    return Trail(server)


_names = iter(range(10_000))


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"audited-{next(_names)}"
    s3.create_bucket(Bucket=name)
    return name


def test_a_write_says_who_what_where_and_how_much(
    server: MemoryServer, s3: Any, bucket: str, trail: Trail
) -> None:
    trail.new()
    answer = s3.put_object(Bucket=bucket, Key="a/b", Body=b"12345")
    one = trail.only()
    assert one.operation == "PutObject"
    assert one.source == "s3"
    assert (one.store, one.bucket, one.key) == ("main", bucket, b"a/b")
    assert one.request_id == answer["ResponseMetadata"]["RequestId"]
    assert one.principal.startswith("arn:aws:iam::")
    assert one.access_key == server.user.access_key
    assert (one.status, one.error, one.bytes_in) == (200, "", 5)
    assert one.client == "127.0.0.1"
    assert one.decision == "owner"
    assert "boto" in one.user_agent.lower()
    assert len(one.tenant) == 32
    assert not one.tls


def test_a_read_says_what_was_sent(s3: Any, bucket: str, trail: Trail) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"12345")
    trail.new()
    s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    one = trail.only()
    assert (one.operation, one.status, one.bytes_out) == ("GetObject", 200, 5)
    assert one.micros > 0


def test_versions_that_changes_make_are_told(s3: Any, bucket: str, trail: Trail) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    trail.new()
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    marked = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    s3.get_object(Bucket=bucket, Key="k", VersionId=made)["Body"].read()
    s3.delete_object(Bucket=bucket, Key="k", VersionId=made)
    told = [(one.operation, one.version, one.status) for one in trail.new()]
    assert sorted(told) == sorted(
        [
            ("PutObject", made, 200),
            ("DeleteObject", marked, 204),
            ("GetObject", made, 200),
            ("DeleteObject", made, 204),
        ]
    )


@pytest.mark.parametrize(
    ("method", "path", "code", "operation"),
    [
        ("GET", "/{}/missing", "NoSuchKey", "GetObject"),
        ("HEAD", "/{}/missing", "NoSuchKey", "HeadObject"),
        ("GET", "/no-such-bucket-1/k", "NoSuchBucket", "GetObject"),
        ("PUT", "/{}?versioning", "MissingRequestBodyError", "PutBucketVersioning"),
    ],
)
def test_a_refusal_has_a_record(
    wire: WireClient,
    bucket: str,
    trail: Trail,
    method: str,
    path: str,
    code: str,
    operation: str,
) -> None:
    trail.new()
    answer = wire.send(method, path.format(bucket))
    one = trail.only()
    assert (one.operation, one.error, one.status) == (operation, code, answer.status)
    assert one.status >= 400


def test_a_bad_signature_has_a_record_in_the_keys_store(
    server: MemoryServer, bucket: str, trail: Trail
) -> None:
    trail.new()
    liar = boto(server, msgspec.structs.replace(server.user, secret_key="not it"))
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        liar.get_object(Bucket=bucket, Key="k")
    one = trail.only()
    assert (one.error, one.status, one.principal) == ("SignatureDoesNotMatch", 403, "")
    assert (one.store, one.access_key) == ("main", server.user.access_key)


def test_an_unknown_key_is_recorded_though_nobody_is_known(
    server: MemoryServer, bucket: str, trail: Trail
) -> None:
    trail.new()
    nobody = boto(server, msgspec.structs.replace(server.user, access_key="NOBODY"))
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        nobody.get_object(Bucket=bucket, Key="k")
    one = trail.only()
    assert (one.error, one.access_key, one.store) == ("InvalidAccessKeyId", "NOBODY", "")


def test_the_statement_that_decides_is_named(
    server: MemoryServer, s3: Any, bucket: str, trail: Trail
) -> None:
    other = server.create_user("main", f"other-{bucket}")
    statement = {"Principal": {"AWS": [other.label]}, "Action": "s3:GetObject"}
    allows = {**statement, "Sid": "lets", "Effect": "Allow", "Resource": f"{bucket}/*"}
    denies = {**statement, "Effect": "Deny", "Resource": f"{bucket}/secret"}
    allows["Principal"] = denies["Principal"] = {"AWS": [other.access_key]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allows, denies]})
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    client = boto(server, other)
    trail.new()
    client.get_object(Bucket=bucket, Key="k")["Body"].read()
    assert trail.only().decision == "bucket-policy:lets"
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_object(Bucket=bucket, Key="secret")
    assert trail.only().decision == "bucket-policy:Statement[1]"
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert trail.only().decision == "nothing-allows"


def test_many_deleted_keys_have_a_record_each_and_the_request_one(
    s3: Any, bucket: str, trail: Trail
) -> None:
    s3.put_object(Bucket=bucket, Key="one", Body=b"x")
    trail.new()
    keys = {"Objects": [{"Key": "one"}, {"Key": "two"}, {"Key": "kept", "ETag": "other"}]}
    s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    trail.new()
    answer = s3.delete_objects(Bucket=bucket, Delete=keys)
    told = trail.new()
    assert {one.request_id for one in told} == {answer["ResponseMetadata"]["RequestId"]}
    of_keys = [(one.key, one.status, one.error) for one in told if one.operation == "DeleteObject"]
    assert sorted(of_keys) == [
        (b"kept", 412, "PreconditionFailed"),
        (b"one", 204, ""),
        (b"two", 204, ""),
    ]
    (of_all,) = [one for one in told if one.operation == "DeleteObjects"]
    assert json.loads(of_all.detail) == {"keys": 3}


def test_a_copy_says_of_what(s3: Any, bucket: str, trail: Trail) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    trail.new()
    s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    assert json.loads(trail.only().detail) == {"source": f"{bucket}/a"}


def test_an_upload_leaves_one_record_a_request(s3: Any, bucket: str, trail: Trail) -> None:
    trail.new()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts)
    assert [one.operation for one in trail.new()] == [
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
    ]


def test_what_changes_nothing_has_one_record_too(s3: Any, bucket: str, trail: Trail) -> None:
    trail.new()
    s3.delete_object(Bucket=bucket, Key="was never there")
    assert trail.only().status == 204


def test_no_signature_is_in_any_record(wire: WireClient, bucket: str, trail: Trail) -> None:
    trail.new()
    target = wire.presigned("GET", f"/{bucket}/k")
    assert wire.raw("GET", target, b"", {"Host": wire.host}).status == 404
    one = trail.only()
    assert one.access_key == wire.user.access_key
    assert target.partition("Signature=")[2] not in repr(one)


def test_the_chain_of_all_that_is_whole(server: MemoryServer, trail: Trail) -> None:
    trail.new()
    head: ChainHead = server.engine.catalog.audit_head()
    batches = server.engine.catalog.audit_batches(after=0, limit=100_000)
    assert batches[-1].hash == head.hash
    assert sum(one.count for one in batches) == head.records


class _Shut:
    """An audit that takes nothing."""

    def __init__(self, services: Services) -> None:
        self.committer = services.audit.committer  # type: ignore[union-attr]

    def admit(self) -> None:
        pass

    def note(self, record: bytes) -> None:
        pass

    async def keep(self, records: Any) -> None:
        await asyncio.sleep(0)
        raise CommitterBusy("nothing goes")


def test_a_refusal_that_cannot_be_recorded_is_not_told() -> None:
    shut = lambda services: replace(services, audit=_Shut(services))  # noqa: E731
    with MemoryServer(change=shut) as server:
        wire = WireClient(server.port, server.user)
        answer = wire.send("GET", "/no-such-bucket-2/k")
        assert answer.status == 503
        assert b"NoSuchBucket" not in answer.body
