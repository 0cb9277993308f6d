"""SSE-KMS: objects under named keys of a store's key service."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog.records import Store
from coffre.s3.key_service import KeyService
from coffre.testing.server import Credentials, MemoryServer
from coffre.wire.errors import S3Error
from coffre.wire.kms import named_key, read_encryption
from coffre.wire.request import RequestHead
from tests.protocol.boto_client import MIB, boto, pattern, refused
from tests.protocol.wire_client import WireClient

KMS = {"ServerSideEncryption": "aws:kms"}


class Keys:
    """The key service of the store `main`, as its operator has it."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        store = server.engine.catalog.store_named("main")
        assert store is not None
        self.store: Store = store
        self.service: KeyService = server.engine.services.keys
        self._made = 0

    def create(self, alias: str) -> str:
        """A new key's ARN."""
        key = self._server.call(self.service.create(self.store, f"alias/{alias}"))
        return self.service.arn(self.store, key.id)

    def rotate(self, name: str) -> None:
        self._server.call(self.service.rotate(self.store, name))

    def enable(self, name: str, enabled: bool) -> None:
        self._server.call(self.service.enable(self.store, name, enabled=enabled))


@pytest.fixture(scope="session")
def keys(server: MemoryServer) -> Keys:
    return Keys(server)


@pytest.fixture
def key(keys: Keys, bucket: str) -> str:
    """A new key, its alias the bucket's name."""
    return keys.create(bucket)


def body(answer: Any) -> bytes:
    found: bytes = answer["Body"].read()
    return found


def told(answer: Any) -> tuple[str, str | None]:
    return answer["ServerSideEncryption"], answer.get("SSEKMSKeyId")


def test_an_object_under_a_key_reads_as_any_other(s3: Any, bucket: str, key: str) -> None:
    about = {"Bucket": bucket, "Key": "key"}
    put = s3.put_object(**about, Body=b"secret", **KMS, SSEKMSKeyId=key, BucketKeyEnabled=True)
    assert (told(put), put["BucketKeyEnabled"]) == (("aws:kms", key), True)
    got = s3.get_object(**about)
    assert (body(got), told(got), got["BucketKeyEnabled"]) == (b"secret", ("aws:kms", key), True)
    head = s3.head_object(**about)
    assert (told(head), head["ETag"]) == (("aws:kms", key), put["ETag"])
    assert body(s3.get_object(**about, Range="bytes=1-3")) == b"ecr"
    assert s3.get_object_attributes(**about, ObjectAttributes=["ObjectSize"])["ObjectSize"] == 6


@pytest.mark.parametrize("form", ["id", "alias", "arn", "alias arn"])
def test_a_key_goes_by_all_of_its_names(s3: Any, bucket: str, key: str, form: str) -> None:
    prefix, _, key_id = key.rpartition("key/")
    name = {
        "id": key_id,
        "alias": f"alias/{bucket}",
        "arn": key,
        "alias arn": f"{prefix}alias/{bucket}",
    }[form]
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"x", **KMS, SSEKMSKeyId=name)
    assert put["SSEKMSKeyId"] == key


def test_without_a_name_the_stores_own_key_is_meant(s3: Any, bucket: str, keys: Keys) -> None:
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"x", **KMS)
    again = s3.put_object(Bucket=bucket, Key="b", Body=b"x", **KMS)
    assert put["SSEKMSKeyId"] == again["SSEKMSKeyId"]
    own = keys.service.find(keys.store, "alias/aws/s3")
    assert put["SSEKMSKeyId"] == keys.service.arn(keys.store, own.id)


def test_the_etag_says_nothing_of_the_content(s3: Any, bucket: str) -> None:
    tags = {s3.put_object(Bucket=bucket, Key=name, Body=b"x", **KMS)["ETag"] for name in "ab"}
    assert len(tags) == 2


def test_what_is_kept_is_not_readable_with_the_stores_key(
    s3: Any, server: MemoryServer, bucket: str, keys: Keys, key: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"secret", **KMS, SSEKMSKeyId=key)
    catalog = server.engine.catalog
    row = catalog.bucket(keys.store.id, bucket)
    assert row is not None
    version = catalog.current(row, b"key")
    assert version is not None
    assert version.encryption is not None
    kept = version.encryption.kms
    assert kept is not None
    assert json.loads(kept.context) == {"aws:s3:arn": f"arn:aws:s3:::{bucket}/key"}
    assert server.call(keys.service.open(keys.store, kept)) not in kept.sealed


def test_a_context_binds_and_is_told_to_whoever_put(s3: Any, bucket: str, key: str) -> None:
    context = b64encode(json.dumps({"team": "blue"}).encode()).decode()
    put = s3.put_object(
        Bucket=bucket, Key="key", Body=b"x", **KMS, SSEKMSKeyId=key, SSEKMSEncryptionContext=context
    )
    assert put["SSEKMSEncryptionContext"] == context
    got = s3.get_object(Bucket=bucket, Key="key")
    assert (body(got), "SSEKMSEncryptionContext" in got) == (b"x", False)


def test_rotation_leaves_the_old_readable(s3: Any, bucket: str, keys: Keys, key: str) -> None:
    about = {"Bucket": bucket, **KMS, "SSEKMSKeyId": key}
    s3.put_object(**about, Key="old", Body=b"old")
    keys.rotate(key)
    s3.put_object(**about, Key="new", Body=b"new")
    for name in ("old", "new"):
        got = s3.get_object(Bucket=bucket, Key=name)
        assert (body(got), got["SSEKMSKeyId"]) == (name.encode(), key)
    assert len(keys.service.find(keys.store, key).versions) == 2


def test_a_disabled_key_locks_what_is_under_it(s3: Any, bucket: str, keys: Keys, key: str) -> None:
    about = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**about, Body=b"x", **KMS, SSEKMSKeyId=key)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="mp", **KMS, SSEKMSKeyId=key)["UploadId"]
    keys.enable(key, False)
    source = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/key"}
    part = {"Bucket": bucket, "Key": "mp", "UploadId": upload, "PartNumber": 1, "Body": b"x"}
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (s3.get_object, about),
        (s3.put_object, {**about, "Body": b"y", **KMS, "SSEKMSKeyId": key}),
        (s3.copy_object, source),
        (s3.upload_part, part),
    ]
    for call, arguments in calls:
        assert refused(call, **arguments) == "KMS.DisabledException"
    assert s3.head_object(**about)["ContentLength"] == 1
    keys.enable(key, True)
    assert body(s3.get_object(**about)) == b"x"


def test_an_upload_in_parts_is_under_the_key_that_it_began_with(
    s3: Any, bucket: str, key: str
) -> None:
    about = {"Bucket": bucket, "Key": "key"}
    made = s3.create_multipart_upload(**about, **KMS, SSEKMSKeyId=key, BucketKeyEnabled=True)
    assert told(made) == ("aws:kms", key)
    named = {**about, "UploadId": made["UploadId"]}
    s3.put_object(Bucket=bucket, Key="plain", Body=pattern(5 * MIB))
    first = s3.upload_part_copy(**named, PartNumber=1, CopySource=f"{bucket}/plain")
    last = s3.upload_part(**named, PartNumber=2, Body=b"end")
    assert told(first) == told(last) == ("aws:kms", key)
    parts = [
        {"PartNumber": 1, "ETag": first["CopyPartResult"]["ETag"]},
        {"PartNumber": 2, "ETag": last["ETag"]},
    ]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert (told(done), done["BucketKeyEnabled"]) == (("aws:kms", key), True)
    again = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert told(again) == ("aws:kms", key)
    assert body(s3.get_object(**about)) == pattern(5 * MIB) + b"end"
    assert body(s3.get_object(**about, PartNumber=2)) == b"end"


@pytest.mark.parametrize("onto", ["kms", "plain", "customer"])
@pytest.mark.parametrize("size", [3, 3 * MIB])
def test_a_copy_is_encrypted_as_it_is_asked_for(
    s3: Any, bucket: str, keys: Keys, key: str, onto: str, size: int
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=pattern(size), **KMS, SSEKMSKeyId=key)
    other = keys.create(f"{bucket}/other")
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    asked: dict[str, Any] = {"kms": {**KMS, "SSEKMSKeyId": other}, "customer": customer}.get(
        onto, {}
    )
    about = {"Bucket": bucket, "Key": "copy"}
    copied = s3.copy_object(**about, CopySource=f"{bucket}/key", **asked)
    expected = {"kms": ("aws:kms", other), "plain": ("AES256", None)}
    if onto in expected:
        assert told(copied) == expected[onto]
    got = s3.get_object(**about, **(customer if onto == "customer" else {}))
    assert body(got) == pattern(size)


def test_a_bucket_says_what_new_objects_are_under(
    s3: Any, bucket: str, keys: Keys, key: str
) -> None:
    rule: dict[str, Any] = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    configuration = {"Rules": [rule]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=configuration)
    found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    assert found == configuration
    put = s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    assert (told(put), put["BucketKeyEnabled"]) == (("aws:kms", key), True)
    plain = s3.put_object(Bucket=bucket, Key="plain", Body=b"x", ServerSideEncryption="AES256")
    assert told(plain) == ("AES256", None)
    own = s3.put_object(Bucket=bucket, Key="own", Body=b"x", **KMS)
    assert own["SSEKMSKeyId"] != key
    upload = s3.create_multipart_upload(Bucket=bucket, Key="mp")
    assert told(upload) == ("aws:kms", key)
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/plain")
    assert told(copied) == ("aws:kms", key)
    del rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=configuration)
    assert s3.put_object(Bucket=bucket, Key="a", Body=b"x")["SSEKMSKeyId"] == own["SSEKMSKeyId"]
    keys.enable(key, False)
    assert refused(s3.get_object, Bucket=bucket, Key="key") == "KMS.DisabledException"
    keys.enable(key, True)


def test_versions_keep_the_keys_that_they_were_put_under(
    s3: Any, bucket: str, keys: Keys, key: str
) -> None:
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    about = {"Bucket": bucket, "Key": "key"}
    first = s3.put_object(**about, Body=b"1", **KMS, SSEKMSKeyId=key)["VersionId"]
    s3.put_object(**about, Body=b"2")
    assert told(s3.head_object(**about)) == ("AES256", None)
    old = s3.get_object(**about, VersionId=first)
    assert (body(old), told(old)) == (b"1", ("aws:kms", key))


def test_keys_need_signature_version_4(
    s3: Any, server: MemoryServer, wire: WireClient, bucket: str, key: str
) -> None:
    older = boto(server, server.user, signature_version="s3")
    about = {"Bucket": bucket, "Key": "key"}
    asked = {**about, "Body": b"x", **KMS, "SSEKMSKeyId": key}
    assert refused(older.put_object, **asked) == "InvalidArgument"
    s3.put_object(**asked)
    assert refused(older.get_object, **about) == "InvalidArgument"
    target = wire.presigned("GET", f"/{bucket}/key")
    assert wire.raw("GET", target, b"", {"Host": wire.host}).body == b"x"
    s3.put_object_acl(**about, ACL="public-read")
    unsigned = wire.raw("GET", f"/{bucket}/key", b"", {"Host": f"main.localhost:{server.port}"})
    assert (unsigned.status, unsigned.code) == (400, "InvalidArgument")


_SSE = "x-amz-server-side-encryption"
_ID = f"{_SSE}-aws-kms-key-id"
_CONTEXT = f"{_SSE}-context"
BAD: list[tuple[dict[str, str], int, str]] = [
    ({_SSE: "aws:nothing"}, 400, "InvalidArgument"),
    ({_SSE: "aws:fsx"}, 400, "InvalidArgument"),
    ({_SSE: "aws:kms:dsse"}, 501, "NotImplemented"),
    ({_ID: "x"}, 400, "InvalidArgument"),
    ({_SSE: "AES256", _ID: "x"}, 400, "InvalidArgument"),
    ({_SSE: "AES256", _CONTEXT: "e30="}, 400, "InvalidArgument"),
    ({_SSE: "aws:kms", _CONTEXT: "no base64"}, 400, "InvalidArgument"),
    ({_SSE: "aws:kms", _CONTEXT: "W10="}, 400, "InvalidArgument"),
    ({_SSE: "aws:kms", _CONTEXT: "eyJhIjogMX0="}, 400, "InvalidArgument"),
    ({_SSE: "aws:kms", f"{_SSE}-bucket-key-enabled": "perhaps"}, 400, "InvalidArgument"),
    ({_SSE: "aws:kms", _ID: "nothing"}, 400, "KMS.NotFoundException"),
    ({_SSE: "aws:kms", _ID: "alias/nothing"}, 400, "KMS.NotFoundException"),
    ({_SSE: "aws:kms", _ID: "arn:aws:kms:mars:main:key/x"}, 400, "KMS.NotFoundException"),
    ({_SSE: "aws:kms", _ID: "arn:aws:kms:us-east-1:other:key/x"}, 400, "KMS.NotFoundException"),
    ({_SSE: "aws:kms", _ID: "arn:nonsense"}, 400, "KMS.NotFoundException"),
    (
        {
            _SSE: "aws:kms",
            f"{_SSE}-customer-algorithm": "AES256",
            f"{_SSE}-customer-key": b64encode(b"k" * 32).decode(),
            f"{_SSE}-customer-key-md5": "x",
        },
        400,
        "InvalidArgument",
    ),
]


@pytest.mark.parametrize(("headers", "status", "code"), BAD)
@pytest.mark.parametrize("call", ["put", "uploads", "copy"])
def test_what_cannot_be_encrypted_so_is_refused_and_not_kept(
    wire: WireClient, bucket: str, headers: dict[str, str], status: int, code: str, call: str
) -> None:
    wire.send("PUT", f"/{bucket}/source", b"x")
    more = {"x-amz-copy-source": f"{bucket}/source"} if call == "copy" else {}
    method, query = ("POST", "?uploads") if call == "uploads" else ("PUT", "")
    answer = wire.send(method, f"/{bucket}/key{query}", b"", {**headers, **more})
    assert (answer.status, answer.code) == (status, code)
    assert wire.send("GET", f"/{bucket}/key").code == "NoSuchKey"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("value", ["AES256", "aws:kms"])
def test_a_read_names_no_encryption(wire: WireClient, bucket: str, method: str, value: str) -> None:
    wire.send("PUT", f"/{bucket}/key", b"x", {_SSE: value})
    assert wire.send(method, f"/{bucket}/key", headers={_SSE: value}).status == 400
    assert wire.send(method, f"/{bucket}/key").status == 200


@pytest.mark.parametrize(
    ("algorithm", "key", "code"),
    [
        ("aws:kms:dsse", "", "NotImplemented"),
        ("aws:other", "", "MalformedXML"),
        ("AES256", "key", "InvalidArgument"),
        ("aws:kms", "x" * 3000, "MalformedXML"),
    ],
)
def test_a_default_that_cannot_be_is_refused(
    wire: WireClient, bucket: str, algorithm: str, key: str, code: str
) -> None:
    text = (
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
        f"<SSEAlgorithm>{algorithm}</SSEAlgorithm><KMSMasterKeyID>{key}</KMSMasterKeyID>"
        "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
    )
    assert wire.send("PUT", f"/{bucket}?encryption", text.encode()).code == code


def test_a_default_key_that_is_not_there_refuses_writes(s3: Any, bucket: str) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/gone"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    code = refused(s3.put_object, Bucket=bucket, Key="key", Body=b"x")
    assert code == "KMS.NotFoundException"


def test_keys_are_a_stores_own(server: MemoryServer, key: str) -> None:
    other = server.create_store("other-keys")
    client = boto(server, other)
    client.create_bucket(Bucket="theirs")
    about = {"Bucket": "theirs", "Key": "key", "Body": b"x", **KMS}
    assert refused(client.put_object, **about, SSEKMSKeyId=key) == "KMS.NotFoundException"
    assert client.put_object(**about)["SSEKMSKeyId"].startswith("arn:aws:kms:us-east-1:other-keys:")


def test_a_form_may_ask_for_a_key(server: MemoryServer, s3: Any, bucket: str, key: str) -> None:
    import http.client

    fields = {_SSE: "aws:kms", _ID: key}
    post = boto(server, server.user, signature_version="s3v4").generate_presigned_post(
        bucket, "key", Fields=fields, Conditions=[{name: text} for name, text in fields.items()]
    )
    boundary = "b"
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in post["fields"].items()
    ]
    lines.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n'
        f"--{boundary}--\r\n"
    )
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    connection.request("POST", f"/{bucket}", "".join(lines), kind)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (204, b"")
    connection.close()
    assert told(s3.head_object(Bucket=bucket, Key="key")) == ("aws:kms", key)


@given(
    st.dictionaries(
        st.sampled_from([_SSE, _ID, _CONTEXT, f"{_SSE}-bucket-key-enabled"]),
        st.sampled_from(["aws:kms", "AES256", "true", "e30="]) | st.text(max_size=12),
    )
)
def test_any_headers_are_read_or_refused(headers: dict[str, str]) -> None:
    pairs = tuple((name.encode(), text.encode()) for name, text in headers.items())
    with suppress(S3Error):
        asked = read_encryption(RequestHead("PUT", b"/", b"", pairs))
        if asked.context is not None and asked.sent_context is not None:
            assert json.loads(b64decode(asked.sent_context)) == asked.context


@given(st.text(max_size=40))
def test_any_name_of_a_key_is_read_or_refused(name: str) -> None:
    with suppress(S3Error):
        assert not named_key(name, "us-east-1", "main").startswith("arn:")


def test_a_stranger_to_the_bucket_gains_nothing_by_a_key(
    server: MemoryServer, stranger: Credentials, s3: Any, bucket: str, key: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", **KMS, SSEKMSKeyId=key)
    assert refused(boto(server, stranger).get_object, Bucket=bucket, Key="key") == "AccessDenied"
