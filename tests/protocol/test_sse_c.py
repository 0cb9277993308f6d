"""SSE-C: objects under a key that only their customer has, and that stays nowhere."""

from __future__ import annotations

import hashlib
import logging
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from coffre.catalog.interface import Committer
from coffre.catalog.mutations import PutVersion
from coffre.s3.gateway import Gateway
from coffre.s3.services import Services
from coffre.s3.settings import Settings
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import MIB, boto, pattern, refused
from tests.protocol.wire_client import Answer, WireClient

KEY, OTHER = b"customer key, thirty-two bytes!!", b"another key, of thirty-two bytes"
OWN = "x-amz-server-side-encryption-customer-"
SOURCE = "x-amz-copy-source-server-side-encryption-customer-"


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def brought(key: bytes = KEY, prefix: str = OWN) -> dict[str, str]:
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": b64(key),
        f"{prefix}key-md5": b64(hashlib.md5(key).digest()),
    }


def sse(key: bytes = KEY) -> dict[str, Any]:
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def source(key: bytes = KEY) -> dict[str, Any]:
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


def tells_of_the_key(headers: Mapping[str, str], key: bytes = KEY) -> bool:
    return (
        headers[f"{OWN}algorithm"] == "AES256"
        and headers[f"{OWN}key-md5"] == b64(hashlib.md5(key).digest())
        and "x-amz-server-side-encryption" not in headers
        and f"{OWN}key" not in headers
    )


@pytest.mark.parametrize("size", [0, 1, 300_000, 3 * MIB])
def test_an_object_comes_back_with_its_key(wire: WireClient, bucket: str, size: int) -> None:
    body = pattern(size)
    put = wire.send("PUT", f"/{bucket}/k", body, brought())
    assert put.status == 200
    assert tells_of_the_key(put.headers)
    got = wire.send("GET", f"/{bucket}/k", headers=brought())
    assert (got.status, got.body) == (200, body)
    assert tells_of_the_key(got.headers)
    looked = wire.send("HEAD", f"/{bucket}/k", headers=brought())
    assert looked.headers["content-length"] == str(size)
    assert tells_of_the_key(looked.headers)
    part = wire.send("GET", f"/{bucket}/k", headers=brought() | {"Range": "bytes=0-4"})
    assert part.body == body[:5] or (size, part.status) == (0, 416)


def test_the_etag_says_nothing_of_the_content(wire: WireClient, s3: Any, bucket: str) -> None:
    etags = {
        s3.put_object(Bucket=bucket, Key=key, Body=b"same", **sse())["ETag"] for key in ("a", "b")
    }
    assert len(etags) == 2
    assert f'"{hashlib.md5(b"same").hexdigest()}"' not in etags
    for etag in etags:
        assert len(bytes.fromhex(etag.strip('"'))) == 16
    told = s3.head_object(Bucket=bucket, Key="a", **sse())["ETag"]
    assert told == s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"]
    assert wire.send("GET", f"/{bucket}/a", headers=brought() | {"If-Match": told}).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_without_the_key_or_with_another_it_is_not_given(
    wire: WireClient, s3: Any, bucket: str, method: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **sse())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"plain")
    for key, headers, status, code in (
        ("k", {}, 400, "InvalidRequest"),
        ("k", brought(OTHER), 403, "AccessDenied"),
        ("plain", brought(), 400, "InvalidRequest"),
        ("k", {**brought(OTHER), "If-None-Match": "*"}, 403, "AccessDenied"),
    ):
        answer = wire.send(method, f"/{bucket}/{key}", headers=headers)
        assert answer.status == status
        assert b"secret" not in answer.body
        if method == "GET":
            assert answer.code == code


def test_attributes_need_the_key_too(wire: WireClient, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **sse())
    asked = {"x-amz-object-attributes": "ETag,ObjectSize"}
    target = f"/{bucket}/k?attributes"
    assert wire.send("GET", target, headers=asked).code == "InvalidRequest"
    assert wire.send("GET", target, headers=asked | brought(OTHER)).code == "AccessDenied"
    assert wire.send("GET", target, headers=asked | brought()).status == 200


def test_what_needs_no_content_needs_no_key(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **sse())
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == 1
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({f"{OWN}algorithm": "AES128"}, "InvalidEncryptionAlgorithmError"),
        ({f"{OWN}algorithm": None}, "InvalidArgument"),
        ({f"{OWN}key": None}, "InvalidArgument"),
        ({f"{OWN}key": b64(KEY[:-1])}, "InvalidArgument"),
        ({f"{OWN}key-md5": None}, "InvalidArgument"),
        ({f"{OWN}key-md5": b64(bytes(16))}, "InvalidArgument"),
        ({"x-amz-server-side-encryption": "AES256"}, "InvalidArgument"),
    ],
)
@pytest.mark.parametrize(("method", "query"), [("PUT", ""), ("GET", ""), ("POST", "?uploads")])
def test_a_bad_key_is_refused_everywhere(
    wire: WireClient,
    s3: Any,
    bucket: str,
    method: str,
    query: str,
    changes: dict[str, str | None],
    code: str,
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept", **sse())
    sent = {name: text for name, text in (brought() | changes).items() if text is not None}
    answer = wire.send(method, f"/{bucket}/k{query}", b"", sent)
    assert (answer.status, answer.code) == (400, code)
    assert s3.get_object(Bucket=bucket, Key="k", **sse())["Body"].read() == b"kept"


def upload(s3: Any, bucket: str, key: bytes, parts: list[bytes]) -> str:
    where = {"Bucket": bucket, "Key": "multi"}
    made = s3.create_multipart_upload(**where, **sse(key))
    assert made["SSECustomerAlgorithm"] == "AES256"
    assert "ServerSideEncryption" not in made
    listed = []
    for number, body in enumerate(parts, 1):
        told = s3.upload_part(
            **where, UploadId=made["UploadId"], PartNumber=number, Body=body, **sse(key)
        )
        assert told["ETag"] != f'"{hashlib.md5(body).hexdigest()}"'
        listed.append({"PartNumber": number, "ETag": told["ETag"]})
    done = s3.complete_multipart_upload(
        **where, UploadId=made["UploadId"], MultipartUpload={"Parts": listed}
    )
    etag: str = done["ETag"]
    return etag


def test_an_upload_in_parts_has_one_key(wire: WireClient, s3: Any, bucket: str) -> None:
    parts = [pattern(5 * MIB), pattern(1000)]
    etag = upload(s3, bucket, KEY, parts)
    assert etag.endswith('-2"')
    got = s3.get_object(Bucket=bucket, Key="multi", **sse())
    assert got["Body"].read() == b"".join(parts)
    assert got["SSECustomerAlgorithm"] == "AES256"
    second = s3.get_object(Bucket=bucket, Key="multi", PartNumber=2, **sse())
    assert second["Body"].read() == parts[1]
    assert wire.send("GET", f"/{bucket}/multi").code == "InvalidRequest"
    assert wire.send("GET", f"/{bucket}/multi", headers=brought(OTHER)).code == "AccessDenied"


def test_every_part_comes_with_its_uploads_key(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    with_key = s3.create_multipart_upload(**where, **sse())["UploadId"]
    without = s3.create_multipart_upload(**where)["UploadId"]
    put = {**where, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **put, UploadId=with_key) == "InvalidRequest"
    assert refused(s3.upload_part, **put, UploadId=with_key, **sse(OTHER)) == "InvalidRequest"
    assert refused(s3.upload_part, **put, UploadId=without, **sse()) == "InvalidRequest"
    etag = s3.upload_part(**put, UploadId=with_key, **sse())["ETag"]
    end = {
        **where,
        "UploadId": with_key,
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]},
    }
    assert refused(s3.complete_multipart_upload, **end, **sse(OTHER)) == "InvalidRequest"
    first = s3.complete_multipart_upload(**end, **sse())
    again = s3.complete_multipart_upload(**end)
    assert first["ETag"] == again["ETag"]
    assert "ServerSideEncryption" not in again


@pytest.mark.parametrize(
    ("before", "after"), [(KEY, None), (None, KEY), (KEY, OTHER), (KEY, KEY)], ids=repr
)
@pytest.mark.parametrize("multipart", [False, True])
def test_a_copy_is_encrypted_as_the_request_wants(
    s3: Any, bucket: str, before: bytes | None, after: bytes | None, multipart: bool
) -> None:
    body = pattern(5 * MIB + 10) if multipart else pattern(100_000)
    if multipart and before is not None:
        upload(s3, bucket, before, [body[: 5 * MIB], body[5 * MIB :]])
    else:
        own = sse(before) if before else {}
        s3.put_object(Bucket=bucket, Key="multi", Body=body, Metadata={"a": "1"}, **own)
    asked = {**(source(before) if before else {}), **(sse(after) if after else {})}
    for target in ("copy", "multi"):
        done = s3.copy_object(
            Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": "multi"}, **asked
        )
        assert (done.get("ServerSideEncryption") == "AES256") is (after is None)
        assert (done.get("SSECustomerAlgorithm") == "AES256") is (after is not None)
        found = s3.get_object(Bucket=bucket, Key=target, **(sse(after) if after else {}))
        assert found["Body"].read() == body
        assert found["ETag"] == done["CopyObjectResult"]["ETag"]
        is_md5 = found["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        assert is_md5 is (after is None)


def test_a_copy_needs_its_sources_key(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **sse())
    s3.put_object(Bucket=bucket, Key="plain", Body=b"plain")
    made = s3.create_multipart_upload(Bucket=bucket, Key="copy")["UploadId"]
    part = {"Bucket": bucket, "Key": "copy", "UploadId": made, "PartNumber": 1}
    copy = {"Bucket": bucket, "Key": "copy"}
    secret, plain = ({"CopySource": {"Bucket": bucket, "Key": key}} for key in ("k", "plain"))
    for call, where in ((s3.copy_object, copy), (s3.upload_part_copy, part)):
        assert refused(call, **where, **secret) == "InvalidRequest"
        assert refused(call, **where, **secret, **source(OTHER)) == "AccessDenied"
        assert refused(call, **where, **plain, **source()) == "InvalidRequest"


def test_parts_are_copied_between_keys(s3: Any, bucket: str) -> None:
    body = pattern(6 * MIB)
    s3.put_object(Bucket=bucket, Key="k", Body=body, **sse())
    for key in (OTHER, None):
        own = sse(key) if key else {}
        where = {"Bucket": bucket, "Key": "copy"}
        made = s3.create_multipart_upload(**where, **own)["UploadId"]
        told = s3.upload_part_copy(
            **where,
            UploadId=made,
            PartNumber=1,
            CopySource={"Bucket": bucket, "Key": "k"},
            CopySourceRange="bytes=100-6000000",
            **source(),
            **own,
        )
        listed = {"Parts": [{"PartNumber": 1, "ETag": told["CopyPartResult"]["ETag"]}]}
        s3.complete_multipart_upload(**where, UploadId=made, MultipartUpload=listed)
        found = s3.get_object(**where, **own)["Body"].read()
        assert found == body[100:6_000_001]


def test_versions_have_each_their_key(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    kept = [
        (s3.put_object(Bucket=bucket, Key="k", Body=key, **sse(key))["VersionId"], key)
        for key in (KEY, OTHER)
    ]
    for version, key in kept:
        found = s3.get_object(Bucket=bucket, Key="k", VersionId=version, **sse(key))
        assert found["Body"].read() == key


def test_a_presigned_url_takes_the_key_as_headers(wire: WireClient, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **sse())
    target = wire.presigned("GET", f"/{bucket}/k", headers=brought())
    headers = {"Host": wire.host, **brought()}
    assert wire.raw("GET", target, b"", headers).body == b"x"


def asgi_put(
    server: MemoryServer, bucket: str, client: str, scheme: str, settings: Settings
) -> int:
    """The status of a PUT that comes from another machine."""
    wire = WireClient(server.port, server.user)
    target = f"/{bucket}/k"
    headers = wire.signed("PUT", target, b"x", {"Content-Length": "1", **brought()})
    told: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "PUT",
        "raw_path": target.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
        "scheme": scheme,
        "client": (client, 50_000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: Any) -> None:
        told.append(message)

    gateway = Gateway(replace(server.engine.services, settings=settings))
    server.call(gateway(scope, receive, send))
    status: int = told[0]["status"]
    return status


@pytest.mark.parametrize(
    ("client", "scheme", "allowed", "status"),
    [
        ("192.0.2.7", "http", False, 400),
        ("192.0.2.7", "https", False, 200),
        ("192.0.2.7", "http", True, 200),
        ("127.9.9.9", "http", False, 200),
        ("::1", "http", False, 200),
        ("::ffff:127.0.0.1", "http", False, 200),
        ("::ffff:192.0.2.7", "http", False, 400),
        ("2001:db8::1", "http", False, 400),
        ("", "http", False, 400),
    ],
)
def test_a_key_comes_only_where_nobody_can_read_it(
    server: MemoryServer, bucket: str, client: str, scheme: str, allowed: bool, status: int
) -> None:
    settings = Settings(sse_c_over_http=allowed)
    assert asgi_put(server, bucket, client, scheme, settings) == status


class _Broken:
    """A committer that fails in a way that nobody foresaw, and says what it was given."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer

    async def commit(self, mutation: Any, body: Any = ()) -> Any:
        if isinstance(mutation, PutVersion) and mutation.key == b"fails":
            raise RuntimeError(repr(mutation))
        return await self._committer.commit(mutation, body)

    async def commit_all(self, mutations: Any) -> Any:
        return await self._committer.commit_all(mutations)


def _broken(services: Services) -> Services:
    return replace(services, committer=_Broken(services.committer), audit=None)


def test_a_key_stays_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "coffre")
    answers: list[Answer] = []
    with MemoryServer(change=_broken) as server:
        wire, s3 = WireClient(server.port, server.user), boto(server, server.user)
        s3.create_bucket(Bucket="quiet")
        upload(s3, "quiet", KEY, [b"first"])
        ask = wire.send
        copy = brought(prefix=SOURCE) | {"x-amz-copy-source": "/quiet/multi"}
        answers += [
            ask("PUT", "/quiet/k", b"x", brought()),
            ask("GET", "/quiet/k", headers=brought()),
            ask("GET", "/quiet/multi", headers=brought(OTHER)),
            ask("PUT", "/quiet/copy", b"", copy | brought(OTHER)),
            ask("PUT", "/quiet/fails", b"x", brought()),
            ask("PUT", "/quiet/k", b"x", brought() | {f"{OWN}key-md5": "wrong"}),
        ]
        spoilt = wire.signed("PUT", "/quiet/k", b"x", {"Content-Length": "1", **brought()})
        answers.append(wire.raw("PUT", "/quiet/k", b"x", spoilt | {"x-amz-meta-a": "late"}))
        answers.append(wire.raw("PUT", "/quiet/k2", b"x", spoilt))
        v2 = wire.signed_v2("GET", "/quiet/k", brought())
        answers.append(wire.raw("GET", "/quiet/k2", b"", v2))
        in_query = wire.presigned("GET", f"/quiet/k?{OWN}key={b64(KEY).replace('=', '%3D')}")
        answers.append(wire.raw("GET", in_query + "0", b"", {"Host": wire.host}))
        rows = server.call(_rows(server))
        events = repr(server.events)
    codes = [answer.code for answer in answers]
    assert codes[4] == "InternalError"
    assert codes.count("SignatureDoesNotMatch") == 3
    ours = [record for record in caplog.records if record.name.startswith("coffre")]
    logged = "\n".join(record.getMessage() for record in ours)
    assert "failed" in logged
    told = repr([(answer.headers, answer.body) for answer in answers])
    for key in (KEY, OTHER):
        for shown in (b64(key), key.hex(), key.hex(" "), b64(key).encode().hex(" "), repr(key)):
            assert shown not in logged + told + events
        assert key not in rows
        assert b64(key).encode() not in rows


async def _rows(server: MemoryServer) -> bytes:
    """Every byte that the catalog would have in its file."""
    found: bytes = server.engine.catalog._db.serialize("main")
    return found
