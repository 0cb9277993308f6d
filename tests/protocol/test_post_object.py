"""POST Object: what a browser's form may do is what its signer said, and nothing else."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from botocore.auth import HmacV1PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningKey

from coffre.s3.settings import Limits, Settings
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, pattern, refused
from tests.protocol.wire_client import Answer, WireClient, read_answer, render

MARK = "form-mark"
ANY_FIELD = ("content-type", "x-amz-meta-a", "success_action_status", "tagging", "acl")
FREE = [["starts-with", f"${name}", ""] for name in ANY_FIELD]


@pytest.fixture(scope="module")
def s3(server: MemoryServer) -> Any:
    """boto3 signs forms with V2 where nobody tells it otherwise."""
    return boto(server, server.user, signature_version="s3v4")


def form(fields: Mapping[str, str], content: bytes | None = b"x", filename: str = "f.txt") -> bytes:
    parts = [
        f'--{MARK}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields.items()
    ]
    if content is not None:
        disposition = f'form-data; name="file"; filename="{filename}"'
        parts.append(
            f"--{MARK}\r\nContent-Disposition: {disposition}\r\n"
            "Content-Type: text/plain\r\n\r\n".encode()
            + content
            + b"\r\n"
        )
    return b"".join((*parts, f"--{MARK}--\r\n".encode()))


def post(wire: WireClient, bucket: str, body: bytes, host: str = "", path: str = "") -> Answer:
    headers = {
        "Host": host or wire.host,
        "Content-Type": f"multipart/form-data; boundary={MARK}",
        "Content-Length": str(len(body)),
    }
    return wire.raw("POST", path or f"/{bucket}", body, headers)


def signed(
    s3: Any, bucket: str, key: str, fields: Mapping[str, str] | None = None, **more: Any
) -> dict[str, str]:
    """The fields of a form that boto3 signed (SigV4), any of which may be set."""
    fields = dict(fields or {})
    conditions = [[("starts-with"), f"${name}", ""] for name in fields]
    made = s3.generate_presigned_post(
        bucket, key, Fields=fields, Conditions=[*conditions, *more.pop("conditions", [])], **more
    )
    found: dict[str, str] = made["fields"]
    return found


def signed_v2(user: Credentials, bucket: str, key: str) -> dict[str, str]:
    policy = {
        "expiration": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": [{"bucket": bucket}, {"key": key}],
    }
    request = AWSRequest("POST", "http://localhost/")
    request.context["s3-presign-post-fields"] = {"key": key}
    request.context["s3-presign-post-policy"] = policy
    HmacV1PostAuth(SigningKey(user.access_key, user.secret_key)).add_auth(request)
    found: dict[str, str] = request.context["s3-presign-post-fields"]
    return found


def test_a_form_makes_the_object_that_it_describes(wire: WireClient, s3: Any, bucket: str) -> None:
    fields = signed(
        s3,
        bucket,
        "u/${filename}",
        {
            "Content-Type": "image/png",
            "x-amz-meta-A": "a value",
            "Cache-Control": "no-store",
            "acl": "private",
            "x-amz-checksum-algorithm": "SHA256",
            "tagging": "<Tagging><TagSet><Tag><Key>k</Key><Value>a b</Value></Tag></TagSet>"
            "</Tagging>",
        },
    )
    body = pattern(300_000)
    answer = post(wire, bucket, form(fields, body, "C:\\dir\\me.png"))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["location"] == f"http://{wire.host}/{bucket}/u/me.png"
    assert answer.headers["x-amz-server-side-encryption"] == "AES256"
    found = s3.get_object(Bucket=bucket, Key="u/me.png", ChecksumMode="ENABLED")
    assert found["Body"].read() == body
    assert found["ETag"] == answer.headers["etag"]
    assert (found["ContentType"], found["CacheControl"]) == ("image/png", "no-store")
    assert (found["Metadata"], found["TagCount"]) == ({"a": "a value"}, 1)
    assert "ChecksumSHA256" in found


def test_a_type_that_no_field_names_is_the_default(wire: WireClient, s3: Any, bucket: str) -> None:
    assert post(wire, bucket, form(signed(s3, bucket, "k"))).status == 204
    assert s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


def test_version_2_signs_forms_too(
    wire: WireClient, s3: Any, bucket: str, server: MemoryServer
) -> None:
    fields = signed_v2(server.user, bucket, "k")
    assert post(wire, bucket, form(fields)).status == 204
    fields["signature"] = fields["signature"].swapcase()
    answer = post(wire, bucket, form(fields))
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_a_form_reaches_its_bucket_by_host(server: MemoryServer, s3: Any, bucket: str) -> None:
    wire = WireClient(server.port, server.user)
    host = f"{bucket}.main.localhost"
    answer = post(wire, bucket, form(signed(s3, bucket, "k")), host, "/")
    assert answer.status == 204
    assert answer.headers["location"] == f"http://{host}/k"


@pytest.mark.parametrize(
    ("asked", "status"), [("200", 200), ("201", 201), ("204", 204), ("418", 204), ("", 204)]
)
def test_the_form_chooses_its_status(
    wire: WireClient, s3: Any, bucket: str, asked: str, status: int
) -> None:
    fields = signed(s3, bucket, "a&b", {"success_action_status": asked})
    answer = post(wire, bucket, form(fields))
    assert answer.status == status
    if status == 201:
        root = ElementTree.fromstring(answer.body)
        assert root.tag == "PostResponse"
        assert [(child.tag, child.text) for child in root] == [
            ("Location", f"http://{wire.host}/{bucket}/a%26b"),
            ("Bucket", bucket),
            ("Key", "a&b"),
            ("ETag", answer.headers["etag"]),
        ]


@pytest.mark.parametrize("name", ["success_action_redirect", "redirect"])
def test_the_form_sends_its_browser_on(wire: WireClient, s3: Any, bucket: str, name: str) -> None:
    fields = signed(s3, bucket, "é &", {name: "https://app.example/done?a=1#top"})
    answer = post(wire, bucket, form(fields))
    assert answer.status == 303
    url = urlsplit(answer.headers["location"])
    assert (url.netloc, url.path, url.fragment) == ("app.example", "/done", "top")
    assert parse_qs(url.query) == {
        "a": ["1"],
        "bucket": [bucket],
        "key": ["é &"],
        "etag": [answer.headers["etag"]],
    }


@pytest.mark.parametrize("url", ["done.html", "javascript:alert(1)", "http://", "http://a\r\nX: y"])
def test_what_is_no_url_redirects_nobody(wire: WireClient, s3: Any, bucket: str, url: str) -> None:
    fields = signed(s3, bucket, "k", {"success_action_redirect": url})
    answer = post(wire, bucket, form(fields))
    assert answer.status in (204, 400)
    assert "x" not in answer.headers


def test_the_policy_bounds_the_size(wire: WireClient, s3: Any, bucket: str) -> None:
    fields = signed(s3, bucket, "k", conditions=[["content-length-range", 5, 10]])
    answer = post(wire, bucket, form(fields, b"1234"))
    assert (answer.status, answer.code) == (400, "EntityTooSmall")
    assert (answer.field("ProposedSize"), answer.field("MinSizeAllowed")) == ("4", "5")
    answer = post(wire, bucket, form(fields, bytes(11)))
    assert (answer.status, answer.code) == (400, "EntityTooLarge")
    assert answer.field("MaxSizeAllowed") == "10"
    assert wire.send("HEAD", f"/{bucket}/k").status == 404
    assert post(wire, bucket, form(fields, b"12345")).status == 204


def test_a_field_that_the_policy_does_not_know_is_refused(
    wire: WireClient, s3: Any, bucket: str
) -> None:
    fields = signed(s3, bucket, "k")
    answer = post(wire, bucket, form({"x-amz-meta-b": "1", **fields}))
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"Invalid according to Policy: Extra input fields: x-amz-meta-b" in answer.body
    assert post(wire, bucket, form({"x-ignore-b": "1", **fields})).status == 204


def test_a_changed_field_is_refused(wire: WireClient, s3: Any, bucket: str) -> None:
    fields = {**signed(s3, bucket, "k"), "key": "other"}
    answer = post(wire, bucket, form(fields))
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"Policy Condition failed: [&quot;eq&quot;, &quot;$key&quot;" in answer.body


def test_a_form_for_another_bucket_is_refused(wire: WireClient, s3: Any, bucket: str) -> None:
    answer = post(wire, bucket, form(signed(s3, "another-one", "k")))
    assert (answer.status, answer.code) == (403, "AccessDenied")


def test_a_policy_that_ended_is_refused(wire: WireClient, s3: Any, bucket: str) -> None:
    answer = post(wire, bucket, form(signed(s3, bucket, "k", ExpiresIn=-10)))
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"Policy expired." in answer.body


def test_a_policy_that_was_changed_is_not_signed(wire: WireClient, s3: Any, bucket: str) -> None:
    fields = signed(s3, bucket, "k")
    fields["policy"] = b64encode(
        json.dumps({"expiration": "x", "conditions": []}).encode()
    ).decode()
    answer = post(wire, bucket, form(fields))
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("name", ["x-amz-credential", "x-amz-date", "x-amz-signature", "policy"])
def test_a_signature_must_be_whole(wire: WireClient, s3: Any, bucket: str, name: str) -> None:
    fields = signed(s3, bucket, "k")
    del fields[name]
    answer = post(wire, bucket, form(fields))
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert answer.field("ArgumentName") == name


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"x-amz-algorithm": "AWS4-HMAC-MD5"}, 400, "InvalidArgument"),
        (
            {"x-amz-credential": "AK/20200101/us-east-1/s3"},
            400,
            "AuthorizationQueryParametersError",
        ),
        ({"x-amz-date": "today"}, 400, "AuthorizationQueryParametersError"),
        ({"x-amz-signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"signature": "x"}, 400, "InvalidArgument"),
    ],
)
def test_a_bad_signature_is_refused(
    wire: WireClient, s3: Any, bucket: str, changes: dict[str, str], status: int, code: str
) -> None:
    answer = post(wire, bucket, form({**signed(s3, bucket, "k"), **changes}))
    assert (answer.status, answer.code) == (status, code)


def test_an_unknown_key_is_refused(wire: WireClient, s3: Any, bucket: str) -> None:
    fields = signed(s3, bucket, "k")
    _, rest = fields["x-amz-credential"].split("/", 1)
    answer = post(wire, bucket, form({**fields, "x-amz-credential": f"CKNOBODY/{rest}"}))
    assert (answer.status, answer.code) == (403, "InvalidAccessKeyId")


def test_nobody_posts_without_a_policy_but_where_everybody_may_write(
    wire: WireClient, s3: Any, bucket: str
) -> None:
    answer = post(wire, bucket, form({"key": "k"}))
    assert (answer.status, answer.code) == (403, "AccessDenied")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert post(wire, bucket, form({"key": "k"}, b"by nobody")).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"by nobody"


def test_another_user_may_not_sign_for_this_bucket(
    server: MemoryServer, wire: WireClient, bucket: str, stranger: Credentials
) -> None:
    signer = boto(server, stranger, signature_version="s3v4")
    answer = post(wire, bucket, form(signed(signer, bucket, "k")))
    assert (answer.status, answer.code) == (403, "AccessDenied")


@pytest.mark.parametrize("fields", [{}, {"key": ""}])
def test_a_form_needs_a_key(wire: WireClient, bucket: str, fields: dict[str, str]) -> None:
    answer = post(wire, bucket, form(fields))
    assert (answer.status, answer.code) == (400, "UserKeyMustBeSpecified")


def test_a_form_needs_a_file(wire: WireClient, s3: Any, bucket: str) -> None:
    answer = post(wire, bucket, form(signed(s3, bucket, "k"), None))
    assert (answer.status, answer.code) == (400, "IncorrectNumberOfFilesInPostRequest")


def test_a_form_is_cut_off(wire: WireClient, s3: Any, bucket: str) -> None:
    body = form(signed(s3, bucket, "k"), pattern(100_000))
    assert post(wire, bucket, body[:-40]).code == "MalformedPOSTRequest"
    assert wire.send("HEAD", f"/{bucket}/k").status == 404


def test_a_post_that_is_no_form_is_refused(wire: WireClient, bucket: str) -> None:
    answer = wire.raw("POST", f"/{bucket}", b"a=b", {"Host": wire.host, "Content-Length": "3"})
    assert (answer.status, answer.code) == (412, "PreconditionFailed")
    assert "multipart/form-data" in answer.field("Condition")


def test_a_form_needs_a_length(wire: WireClient, bucket: str) -> None:
    headers = {"Host": wire.host, "Content-Type": f"multipart/form-data; boundary={MARK}"}
    headers["Transfer-Encoding"] = "chunked"
    with wire.connect() as connection:
        connection.sendall(render("POST", f"/{bucket}", headers) + b"0\r\n\r\n")
        assert read_answer(connection).code == "MissingContentLength"


def test_a_signed_header_beside_a_form_is_one_too_many(wire: WireClient, bucket: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={MARK}"}
    answer = wire.send("POST", f"/{bucket}", form({"key": "k"}), headers)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"x-amz-storage-class": "OUTPOSTS"}, "InvalidStorageClass"),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
        ({"x-amz-meta-a": "line\nbreak"}, "InvalidArgument"),
        ({"tagging": "<Tagging/>"}, "MalformedXML"),
        ({"tagging": "<Tagging><TagSet><Tag><Key/></Tag></TagSet></Tagging>"}, "MalformedXML"),
        ({"acl": "mine"}, "InvalidArgument"),
    ],
)
def test_fields_are_checked_as_headers_are(
    wire: WireClient, s3: Any, bucket: str, fields: dict[str, str], code: str
) -> None:
    answer = post(wire, bucket, form(signed(s3, bucket, "k", fields)))
    assert (answer.status, answer.code) == (400, code)
    assert wire.send("HEAD", f"/{bucket}/k").status == 404


def test_a_form_may_bring_a_key_of_its_own(wire: WireClient, s3: Any, bucket: str) -> None:
    key = bytes(range(32))
    own = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": b64encode(key).decode(),
        "x-amz-server-side-encryption-customer-key-MD5": b64encode(md5(key).digest()).decode(),
    }
    answer = post(wire, bucket, form(signed(s3, bucket, "k", own)))
    assert (answer.status, answer.body) == (204, b"")
    assert "x-amz-server-side-encryption" not in answer.headers
    assert refused(s3.get_object, Bucket=bucket, Key="k") == "InvalidRequest"
    found = s3.get_object(Bucket=bucket, Key="k", SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    assert found["Body"].read() == b"x"


def test_a_large_file_is_streamed_and_the_limit_of_one_put_holds() -> None:
    with MemoryServer(Settings(limits=Limits(put_bytes=20 << 20))) as server:
        s3 = boto(server, server.user, signature_version="s3v4")
        wire = WireClient(server.port, server.user)
        s3.create_bucket(Bucket="large")
        fields = signed(s3, "large", "k")
        body = pattern(15 << 20)
        assert post(wire, "large", form(fields, body)).status == 204
        assert s3.get_object(Bucket="large", Key="k")["Body"].read() == body
        assert post(wire, "large", form(fields, bytes(21 << 20))).code == "EntityTooLarge"


def test_the_ledger_knows_who_posted_what(
    server: MemoryServer, wire: WireClient, s3: Any, bucket: str
) -> None:
    post(wire, bucket, form(signed(s3, bucket, "told")))
    event = next(one for one in reversed(server.events) if one.operation == "PostObject")
    assert (event.access_key, event.user_id) == (server.user.access_key, server.user.id)
    assert (event.bucket, event.key, event.store) == (bucket, b"told", "main")
