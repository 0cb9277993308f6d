"""UpdateObjectEncryption: an object that stands is put under a key of the key service."""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog.annotation_mutations import SetEncryption
from coffre.catalog.audit import audit
from coffre.catalog.mutations import Refusal
from coffre.catalog.records import Encryption, KmsEncryption, Version
from coffre.testing.server import Credentials, MemoryServer
from coffre.vault.keys import WrongKey, unwrap_key
from coffre.wire.errors import S3Error
from coffre.wire.kms import parse_object_encryption
from tests.protocol.boto_client import MIB, boto, pattern, refused
from tests.protocol.wire_client import WireClient

KMS = {"ServerSideEncryption": "aws:kms"}
SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}


class Store:
    """The store `main`, as its operator has it."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self.catalog: Any = server.engine.catalog
        self._store: Any = self.catalog.store_named("main")
        self._keys = server.engine.services.keys

    def key(self, alias: str) -> str:
        """A new key's ARN."""
        key = self._server.call(self._keys.create(self._store, f"alias/{alias}"))
        return self._keys.arn(self._store, key.id)

    def enable(self, arn: str, enabled: bool) -> None:
        self._server.call(self._keys.enable(self._store, arn, enabled=enabled))

    def version(self, bucket: str, key: bytes = b"key") -> Version:
        row = self.catalog.bucket(self._store.id, bucket)
        found: Version = self.catalog.current(row, key)
        return found

    def opens(self, version: Version) -> bool:
        """Whether the store's own key opens the object's blobs."""
        manifest = version.manifest
        assert manifest is not None
        blobs = [manifest.blob] if manifest.blob is not None else []
        blobs += [part.blob for part in self.catalog.manifest_parts(manifest.id, 0, 10_000)]
        keyring = self._server.engine.services.keyring
        opened = set()
        for blob in blobs:
            try:
                unwrap_key(keyring.data_key(self.catalog, blob.key_id), blob.wrapped_key)
                opened.add(True)
            except WrongKey:
                opened.add(False)
        assert len(opened) == 1
        return opened.pop()

    def sound(self) -> None:
        assert audit(self.catalog._db).findings == []


@pytest.fixture
def store(server: MemoryServer) -> Store:
    return Store(server)


@pytest.fixture
def key(store: Store, bucket: str) -> str:
    return store.key(bucket)


@pytest.fixture
def at(bucket: str) -> dict[str, str]:
    return {"Bucket": bucket, "Key": "key"}


def update(s3: Any, at: dict[str, str], arn: str, *, bucket_key: bool | None = None) -> Any:
    wanted: dict[str, Any] = {"KMSKeyArn": arn}
    if bucket_key is not None:
        wanted["BucketKeyEnabled"] = bucket_key
    return s3.update_object_encryption(**at, ObjectEncryption={"SSEKMS": wanted})


def kept(answer: Any) -> dict[str, Any]:
    """What must stay as it was."""
    names = ("ETag", "LastModified", "ContentLength", "Metadata", "ContentType", "ChecksumCRC32")
    return {name: answer.get(name) for name in names}


def head(s3: Any, at: dict[str, str]) -> Any:
    return s3.head_object(**at, ChecksumMode="ENABLED")


def body(s3: Any, at: dict[str, str], **also: Any) -> bytes:
    found: bytes = s3.get_object(**at, **also)["Body"].read()
    return found


def multipart(s3: Any, at: dict[str, str], parts: int = 3) -> bytes:
    upload = s3.create_multipart_upload(**at)["UploadId"]
    listed, whole = [], b""
    for number in range(1, parts + 1):
        some = pattern(5 * MIB if number < parts else 1000 + number)
        done = s3.upload_part(**at, UploadId=upload, PartNumber=number, Body=some)
        listed.append({"PartNumber": number, "ETag": done["ETag"]})
        whole += some
    s3.complete_multipart_upload(**at, UploadId=upload, MultipartUpload={"Parts": listed})
    return whole


@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
def test_an_object_of_the_stores_key_is_put_under_another(
    s3: Any, store: Store, bucket: str, at: dict[str, str], key: str, size: int
) -> None:
    content = pattern(size)
    s3.put_object(**at, Body=content, Metadata={"a": "b"}, ContentType="text/x")
    before, manifest = head(s3, at), store.version(bucket).manifest
    assert store.opens(store.version(bucket))
    update(s3, at, key)
    after = head(s3, at)
    assert kept(after) == kept(before)
    assert (after["ServerSideEncryption"], after["SSEKMSKeyId"]) == ("aws:kms", key)
    assert "BucketKeyEnabled" not in after
    assert body(s3, at) == content
    version = store.version(bucket)
    assert not store.opens(version)
    assert manifest is not None
    assert version.manifest is not None
    assert version.manifest.id == manifest.id, "no byte was moved"
    store.sound()
    store.enable(key, enabled=False)
    assert refused(s3.get_object, **at) == "KMS.DisabledException"


def test_an_object_in_parts_keeps_them(
    s3: Any, store: Store, bucket: str, at: dict[str, str], key: str
) -> None:
    whole = multipart(s3, at)
    before = head(s3, at)
    update(s3, at, key)
    assert kept(head(s3, at)) == kept(before)
    assert body(s3, at) == whole
    second = s3.get_object(**at, PartNumber=2)
    assert second["Body"].read() == whole[5 * MIB : 10 * MIB]
    assert second["PartsCount"] == 3
    assert not store.opens(store.version(bucket))
    store.sound()


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_copy_that_shares_its_bytes_stays_as_it_is(
    s3: Any, store: Store, bucket: str, at: dict[str, str], key: str, in_parts: bool
) -> None:
    whole = pattern(2 * MIB)
    if in_parts:
        whole = multipart(s3, at)
    else:
        s3.put_object(**at, Body=whole)
    there = {**at, "Key": "copy"}
    s3.copy_object(**there, CopySource=at)
    before = head(s3, at)
    update(s3, at, key)
    assert kept(head(s3, at)) == kept(before)
    assert body(s3, at) == body(s3, there) == whole
    assert body(s3, at, Range="bytes=1-9") == whole[1:10]
    if in_parts:
        second = s3.get_object(**at, PartNumber=2)
        assert second["Body"].read() == whole[5 * MIB : 10 * MIB]
        assert second["PartsCount"] == 3
    assert head(s3, there)["ServerSideEncryption"] == "AES256"
    assert store.opens(store.version(bucket, b"copy"))
    assert not store.opens(store.version(bucket))
    store.sound()
    s3.delete_object(**there)
    assert body(s3, at) == whole
    store.sound()


def test_another_key_takes_over(
    s3: Any, store: Store, bucket: str, at: dict[str, str], key: str
) -> None:
    s3.put_object(**at, Body=b"secret", **KMS, SSEKMSEncryptionContext="eyJhIjogImIifQ==")
    before = head(s3, at)
    update(s3, at, key, bucket_key=True)
    after = head(s3, at)
    assert kept(after) == kept(before)
    assert (after["SSEKMSKeyId"], after["BucketKeyEnabled"]) == (key, True)
    assert body(s3, at) == b"secret"
    other = store.key(f"{bucket}-other")
    update(s3, at, other)
    store.enable(key, enabled=False)
    assert body(s3, at) == b"secret"
    assert "BucketKeyEnabled" not in head(s3, at)
    store.sound()


def test_a_version_is_meant_where_one_is_named(
    s3: Any, bucket: str, at: dict[str, str], key: str
) -> None:
    on = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=on)
    old = s3.put_object(**at, Body=b"old")["VersionId"]
    s3.put_object(**at, Body=b"new")
    update(s3, {**at, "VersionId": old}, key)
    assert head(s3, {**at, "VersionId": old})["ServerSideEncryption"] == "aws:kms"
    assert head(s3, at)["ServerSideEncryption"] == "AES256"
    marker = s3.delete_object(**at)["VersionId"]
    wanted = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": key}}}
    call = s3.update_object_encryption
    assert refused(call, **at, **wanted) == "NoSuchKey"
    assert refused(call, **at, VersionId=marker, **wanted) == "MethodNotAllowed"


@pytest.mark.parametrize("copied", [False, True])
def test_annotations_follow_their_object(
    s3: Any, store: Store, at: dict[str, str], key: str, copied: bool
) -> None:
    s3.put_object(**at, Body=b"x")
    for name in ("a", "b"):
        s3.put_object_annotation(**at, AnnotationName=name, AnnotationPayload=name.encode())
    there = {**at, "Key": "copy"}
    if copied:
        s3.copy_object(**there, CopySource=at)
    before = s3.list_object_annotations(**at)["Annotations"]
    update(s3, at, key)
    assert s3.list_object_annotations(**at)["Annotations"] == before
    for place in (at, there) if copied else (at,):
        for name in ("a", "b"):
            got = s3.get_object_annotation(**place, AnnotationName=name)
            assert got["AnnotationPayload"].read() == name.encode()
    s3.put_object_annotation(**at, AnnotationName="c", AnnotationPayload=b"c")
    store.sound()
    store.enable(key, enabled=False)
    call = s3.get_object_annotation
    assert refused(call, **at, AnnotationName="a") == "KMS.DisabledException"
    if copied:
        call(**there, AnnotationName="a")


def test_a_customers_key_stays(s3: Any, at: dict[str, str], key: str) -> None:
    s3.put_object(**at, Body=b"x", **SSE_C)
    wanted = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": key}}}
    assert refused(s3.update_object_encryption, **at, **wanted) == "InvalidRequest"
    assert body(s3, at, **SSE_C) == b"x"


def test_the_key_must_be_there_and_enabled(
    s3: Any, store: Store, at: dict[str, str], key: str
) -> None:
    s3.put_object(**at, Body=b"x")
    prefix, _, _ = key.rpartition("/")
    codes = {f"{prefix}/none": "KMS.NotFoundException", key: "KMS.DisabledException"}
    codes[key.replace(":main:", ":other:")] = "AccessDenied"
    store.enable(key, enabled=False)
    for arn, code in codes.items():
        wanted = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": arn}}}
        assert refused(s3.update_object_encryption, **at, **wanted) == code
    assert head(s3, at)["ServerSideEncryption"] == "AES256"


def document(inner: str) -> bytes:
    return f"<ObjectEncryption>{inner}</ObjectEncryption>".encode()


ARN = "<KMSKeyArn>arn:aws:kms:us-east-1:main:key/a</KMSKeyArn>"
BAD = [
    (b"", 400, "MissingRequestBodyError"),
    (b"<Other/>", 400, "MalformedXML"),
    (document(""), 400, "MalformedXML"),
    (document("<SSE-S3/>"), 400, "InvalidRequest"),
    (document("<SSE-C/>"), 400, "InvalidRequest"),
    (document("<SSE-KMS/>"), 400, "InvalidRequest"),
    (document("<SSE-KMS><KMSKeyArn>alias/a</KMSKeyArn></SSE-KMS>"), 400, "InvalidRequest"),
    (document(f"<SSE-KMS>{ARN.replace('key/', 'alias/')}</SSE-KMS>"), 400, "InvalidRequest"),
    (
        document(f"<SSE-KMS>{ARN}<BucketKeyEnabled>si</BucketKeyEnabled></SSE-KMS>"),
        400,
        "InvalidRequest",
    ),
    (document(f"<SSE-KMS>{ARN}<Other/></SSE-KMS>"), 400, "MalformedXML"),
    (document(f"<SSE-KMS>{ARN}</SSE-KMS><SSE-S3/>"), 400, "MalformedXML"),
    (b"<!DOCTYPE a>" + document("<SSE-S3/>"), 400, "MalformedXML"),
    (b" " * (17 << 10), 400, "MaxMessageLengthExceeded"),
]


@pytest.mark.parametrize(("sent", "status", "code"), BAD)
def test_a_bad_document_changes_nothing(
    wire: WireClient, s3: Any, at: dict[str, str], sent: bytes, status: int, code: str
) -> None:
    s3.put_object(**at, Body=b"x")
    path = f"/{at['Bucket']}/key?encryption"
    answer = wire.send("PUT", path, sent, {"x-amz-sdk-checksum-algorithm": "CRC32", **crc(sent)})
    assert (answer.status, answer.code) == (status, code)
    assert head(s3, at)["ServerSideEncryption"] == "AES256"


def crc(sent: bytes) -> dict[str, str]:
    return {"x-amz-checksum-crc32": b64encode(zlib.crc32(sent).to_bytes(4, "big")).decode()}


def test_a_body_without_a_digest_is_refused(wire: WireClient, s3: Any, at: dict[str, str]) -> None:
    s3.put_object(**at, Body=b"x")
    answer = wire.send("PUT", f"/{at['Bucket']}/key?encryption", document("<SSE-S3/>"))
    assert (answer.status, answer.code) == (400, "InvalidRequest")


@given(st.text("ObjectEncryptionSSE-KMS<>/Arnkey:", max_size=60))
def test_any_document_is_read_or_refused(text: str) -> None:
    code = ""
    try:
        parse_object_encryption(document(text))
    except S3Error as error:
        code = error.code
    assert code in ("", "MalformedXML", "InvalidRequest")


def test_the_right_is_its_own(
    s3: Any, server: MemoryServer, stranger: Credentials, at: dict[str, str], key: str
) -> None:
    s3.put_object(**at, Body=b"x")
    other = boto(server, stranger)
    wanted = {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": key}}}
    assert refused(other.update_object_encryption, **at, **wanted) == "AccessDenied"
    s3.put_bucket_policy(
        Bucket=at["Bucket"],
        Policy='{"Statement": {"Effect": "Allow", "Principal": "*", "Action": '
        f'"s3:UpdateObjectEncryption", "Resource": "arn:aws:s3:::{at["Bucket"]}/*"}}}}',
    )
    other.update_object_encryption(**at, **wanted)


def test_what_changed_meanwhile_is_not_wrapped(
    s3: Any, server: MemoryServer, store: Store, bucket: str, at: dict[str, str]
) -> None:
    s3.put_object(**at, Body=b"x")
    version = store.version(bucket)
    about = (version.bucket_id, b"key", version.version_id)
    after = Encryption(b"", b"", KmsEncryption("k", b"s", "c"))
    for mutation in (
        SetEncryption(*about, version.order + 1, None, after),
        SetEncryption(*about, version.order, after, after),
        SetEncryption(*about, version.order, None, after),
    ):
        with pytest.raises(Refusal, match="OperationAborted"):
            server.commit(mutation)
    assert body(s3, at) == b"x"
