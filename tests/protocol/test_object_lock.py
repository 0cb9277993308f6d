"""Object Lock: configurations, retention, legal holds, and what they keep."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coffre.system.clock import SystemClock
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.ecs_client import MovedClock
from tests.protocol.lock_client import LockRoom
from tests.protocol.wire_client import Answer

LOCKED = "Access Denied because object protected by object lock."
PAST_100_YEARS = 36_501


@pytest.fixture(scope="module")
def moved() -> Iterator[tuple[MemoryServer, MovedClock]]:
    # The catalog's time is moved, not that of the gateway, which clients sign by.
    clock = MovedClock()
    with MemoryServer(
        clock=clock, change=lambda services: replace(services, clock=SystemClock())
    ) as server:
        yield server, clock


@pytest.fixture
def room(moved: tuple[MemoryServer, MovedClock]) -> LockRoom:
    return LockRoom(*moved)


@pytest.fixture
def still(server: MemoryServer) -> LockRoom:
    """Where no time was passed: policies ask the gateway's."""
    return LockRoom(server, MovedClock())


@pytest.fixture
def plain(moved: tuple[MemoryServer, MovedClock]) -> LockRoom:
    """A bucket without Object Lock."""
    return LockRoom(*moved, locked=False)


def configuration(rule: str = "", enabled: str = "Enabled") -> bytes:
    state = f"<ObjectLockEnabled>{enabled}</ObjectLockEnabled>" if enabled else ""
    return f"<ObjectLockConfiguration>{state}{rule}</ObjectLockConfiguration>".encode()


def default(mode: str = "GOVERNANCE", period: str = "<Days>1</Days>") -> str:
    kept = f"<Mode>{mode}</Mode>{period}" if mode else period
    return f"<Rule><DefaultRetention>{kept}</DefaultRetention></Rule>"


def send(room: LockRoom, target: str, body: bytes, **headers: str) -> Answer:
    """A PUT of a document with its MD5."""
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    md5 = {"Content-MD5": base64.b64encode(digest).decode()}
    return room.wire.send("PUT", f"/{room.bucket}{target}", body, {**md5, **told})


def message(call: Any, *positional: Any, **named: Any) -> str:
    """With what words a call of boto3's is refused."""
    with pytest.raises(ClientError) as error:
        call(*positional, **named)
    told: str = error.value.response["Error"]["Message"]
    return told


# Buckets


def test_a_bucket_made_with_lock_has_versions_for_ever(room: LockRoom) -> None:
    named = {"Bucket": room.bucket}
    told = room.s3.get_object_lock_configuration(**named)["ObjectLockConfiguration"]
    assert told == {"ObjectLockEnabled": "Enabled"}
    assert room.s3.get_bucket_versioning(**named)["Status"] == "Enabled"
    suspend = {"VersioningConfiguration": {"Status": "Suspended"}}
    assert refused(room.s3.put_bucket_versioning, **named, **suspend) == "InvalidBucketState"
    enable = {"VersioningConfiguration": {"Status": "Enabled"}}
    room.s3.put_bucket_versioning(**named, **enable)


def test_a_bucket_without_lock_has_no_configuration(plain: LockRoom) -> None:
    call = plain.s3.get_object_lock_configuration
    assert refused(call, Bucket=plain.bucket) == "ObjectLockConfigurationNotFoundError"


def test_a_bucket_that_stands_gets_a_lock_once_it_has_versions(plain: LockRoom) -> None:
    call = plain.s3.put_object_lock_configuration
    asked = {
        "Bucket": plain.bucket,
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"},
    }
    assert refused(call, **asked) == "InvalidBucketState"
    before = plain.s3.put_object(Bucket=plain.bucket, Key="before", Body=b"x")
    assert "VersionId" not in before
    plain.s3.put_bucket_versioning(
        Bucket=plain.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    call(**asked)
    version = plain.locked("COMPLIANCE", days=1)
    assert refused(plain.delete, version) == "AccessDenied"
    plain.retain("null", "COMPLIANCE", plain.after(days=1), "before")
    assert refused(plain.delete, "null", "before") == "AccessDenied"


@pytest.mark.parametrize("text", ["yes", "1", ""])
def test_a_bucket_is_made_with_or_without_lock(room: LockRoom, text: str) -> None:
    headers = {"x-amz-bucket-object-lock-enabled": text}
    answer = room.wire.send("PUT", "/neither", b"", headers)
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert room.wire.send("HEAD", "/neither").status == 404


def test_a_default_is_told_as_it_was_put(room: LockRoom) -> None:
    named = {"Bucket": room.bucket}
    for period in ({"Days": 10}, {"Years": 2}):
        room.default("COMPLIANCE", **period)
        told = room.s3.get_object_lock_configuration(**named)["ObjectLockConfiguration"]
        assert told["Rule"] == {"DefaultRetention": {"Mode": "COMPLIANCE", **period}}
    assert send(room, "?object-lock", configuration()).status == 200
    told = room.s3.get_object_lock_configuration(**named)["ObjectLockConfiguration"]
    assert told == {"ObjectLockEnabled": "Enabled"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (configuration(default(), ""), "MalformedXML"),
        (configuration(default(), "Disabled"), "MalformedXML"),
        (configuration("<Rule/>"), "MalformedXML"),
        (configuration(default("GOVERNANCE", "")), "MalformedXML"),
        (configuration(default("")), "MalformedXML"),
        (configuration(default("governance")), "MalformedXML"),
        (configuration(default(period="<Days>1</Days><Years>1</Years>")), "MalformedXML"),
        (configuration(default(period="<Days>x</Days>")), "MalformedXML"),
        (configuration(default(period="<Weeks>1</Weeks>")), "MalformedXML"),
        (configuration(default() + default()), "MalformedXML"),
        (configuration(default(period="<Days>0</Days>")), "InvalidArgument"),
        (configuration(default(period="<Days>-1</Days>")), "InvalidArgument"),
        (configuration(default(period=f"<Days>{PAST_100_YEARS}</Days>")), "InvalidArgument"),
        (configuration(default(period="<Years>101</Years>")), "InvalidArgument"),
        (configuration(default(period="<DefaultEventHold/>")), "NotImplemented"),
        (b"<LegalHold/>", "MalformedXML"),
        (b"", "MissingRequestBodyError"),
    ],
)
def test_what_is_no_configuration(room: LockRoom, body: bytes, code: str) -> None:
    assert send(room, "?object-lock", body).code == code
    told = room.s3.get_object_lock_configuration(Bucket=room.bucket)["ObjectLockConfiguration"]
    assert "Rule" not in told


@pytest.mark.parametrize("target", ["?object-lock", "/k?retention", "/k?legal-hold"])
def test_documents_of_locks_declare_their_digest(room: LockRoom, target: str) -> None:
    room.put()
    answer = room.wire.send("PUT", f"/{room.bucket}{target}", configuration())
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_a_bucket_that_holds_locks_says_when_the_last_one_ends(room: LockRoom) -> None:
    until = room.after(days=3)
    version = room.put(ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
    room.locked("GOVERNANCE", days=1)
    refusal = message(room.s3.delete_bucket, Bucket=room.bucket)
    assert f"locked until {until.isoformat(timespec='milliseconds')}" in refusal
    room.s3.put_object_legal_hold(**room.named(version=version), LegalHold={"Status": "ON"})
    assert "under legal hold" in message(room.s3.delete_bucket, Bucket=room.bucket)
    assert refused(room.s3.delete_bucket, Bucket=room.bucket) == "BucketNotEmpty"


# Default retention


def test_a_default_locks_what_is_written_from_then_on(room: LockRoom) -> None:
    before = room.put()
    room.default("GOVERNANCE", Days=10)
    s3, named = room.s3, room.named()
    upload = s3.create_multipart_upload(**named)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    began = room.now()
    made = [
        room.put(),
        s3.copy_object(**named, CopySource=room.named(version=before))["VersionId"],
        s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)["VersionId"],
    ]
    for version in made:
        kept = room.retention(version)
        assert kept["Mode"] == "GOVERNANCE"
        age = kept["RetainUntilDate"] - began
        assert timedelta(days=10) - timedelta(seconds=1) <= age < timedelta(days=10, minutes=1)
        assert refused(room.delete, version) == "AccessDenied"
    room.default("COMPLIANCE", Years=1)
    assert room.retention(made[0])["Mode"] == "GOVERNANCE"
    call = s3.get_object_retention
    assert refused(call, **room.named(version=before)) == "NoSuchObjectLockConfiguration"
    room.delete(before)


def test_what_is_asked_for_comes_before_the_default(room: LockRoom) -> None:
    room.default("COMPLIANCE", Days=10)
    until = room.after(days=1)
    own = room.put(ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    assert room.retention(own) == {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    held = room.put(ObjectLockLegalHoldStatus="ON")
    assert room.retention(held)["Mode"] == "COMPLIANCE"
    assert room.s3.get_object_legal_hold(**room.named(version=held))["LegalHold"] == {
        "Status": "ON"
    }


def test_a_default_says_nothing_of_delete_markers(room: LockRoom) -> None:
    room.default("COMPLIANCE", Days=10)
    version = room.put()
    marker = room.s3.delete_object(**room.named())["VersionId"]
    room.delete(marker)
    assert room.stands(version)


# Writes that ask for a lock


def test_a_lock_is_asked_for_with_the_object(room: LockRoom) -> None:
    until = room.after(days=2)
    asked: dict[str, Any] = {
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockRetainUntilDate": until,
        "ObjectLockLegalHoldStatus": "ON",
    }
    s3, named = room.s3, room.named()
    source = room.named(version=room.put())
    upload = s3.create_multipart_upload(**named, **asked)["UploadId"]
    part = s3.upload_part(**named, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    fields = {
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-retain-until-date": until.isoformat().replace("+00:00", "Z"),
        "x-amz-object-lock-legal-hold": "ON",
    }
    conditions = [{name: text} for name, text in fields.items()]
    form = s3.generate_presigned_post(room.bucket, "k", fields, conditions)
    made = [
        room.put(**asked),
        s3.copy_object(**named, CopySource=source, **asked)["VersionId"],
        s3.complete_multipart_upload(**named, UploadId=upload, MultipartUpload=parts)["VersionId"],
        post(room, form["fields"]).headers["x-amz-version-id"],
    ]
    for version in made:
        for call in (s3.head_object, s3.get_object):
            told = call(**room.named(version=version))
            assert {name: told[name] for name in asked} == asked


def post(room: LockRoom, fields: dict[str, str]) -> Answer:
    """A browser form."""
    lines = [
        f'--line\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    lines.append('--line\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--line--\r\n')
    body = "".join(lines).encode()
    headers = {
        "Host": room.wire.host,
        "Content-Type": "multipart/form-data; boundary=line",
        "Content-Length": str(len(body)),
    }
    return room.wire.raw("POST", f"/{room.bucket}", body, headers)


def test_a_copy_does_not_inherit_a_lock(room: LockRoom) -> None:
    source = room.locked("COMPLIANCE", days=1)
    copy = room.s3.copy_object(**room.named("copy"), CopySource=room.named(version=source))
    room.delete(copy["VersionId"], "copy")


MODE, UNTIL = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"
HOLD = "x-amz-object-lock-legal-hold"
LATER = "2199-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "headers",
    [
        {MODE: "COMPLIANCE"},
        {UNTIL: LATER},
        {MODE: "compliance", UNTIL: LATER},
        {MODE: "NONE", UNTIL: LATER},
        {MODE: "COMPLIANCE", UNTIL: "tomorrow"},
        {MODE: "COMPLIANCE", UNTIL: "Thu, 01 Jan 2199 00:00:00 GMT"},
        {MODE: "COMPLIANCE", UNTIL: "2001-01-01T00:00:00Z"},
        {HOLD: "on"},
        {HOLD: "YES"},
    ],
)
def test_what_is_no_lock_writes_nothing(room: LockRoom, headers: dict[str, str]) -> None:
    digest = {
        "Content-MD5": base64.b64encode(hashlib.md5(b"x", usedforsecurity=False).digest()).decode()
    }
    answer = room.wire.send("PUT", f"/{room.bucket}/k", b"x", {**digest, **headers})
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    answer = room.wire.send("POST", f"/{room.bucket}/k?uploads", b"", headers)
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert room.wire.send("HEAD", f"/{room.bucket}/k").status == 404


@pytest.mark.parametrize("headers", [{MODE: "COMPLIANCE", UNTIL: LATER}, {HOLD: "ON"}])
def test_a_write_with_a_lock_declares_its_digest(room: LockRoom, headers: dict[str, str]) -> None:
    target = f"/{room.bucket}/k"
    answer = room.wire.send("PUT", target, b"x", headers)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    digest = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    checked = {**headers, "x-amz-checksum-sha256": digest}
    assert room.wire.send("PUT", target, b"x", checked).status == 200


@pytest.mark.parametrize("headers", [{MODE: "COMPLIANCE", UNTIL: LATER}, {HOLD: "ON"}])
def test_nothing_is_locked_in_a_bucket_without_lock(
    plain: LockRoom, headers: dict[str, str]
) -> None:
    target = f"/{plain.bucket}/k"
    plain.wire.send("PUT", f"/{plain.bucket}/source", b"x")
    copied = {**headers, "x-amz-copy-source": f"{plain.bucket}/source"}
    for answer in (
        plain.wire.send("PUT", target, b"x", headers),
        plain.wire.send("PUT", target, b"", copied),
        plain.wire.send("POST", f"{target}?uploads", b"", headers),
    ):
        assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert plain.wire.send("HEAD", target).status == 404
    for target in ("/source?retention", "/source?legal-hold"):
        assert plain.wire.send("GET", f"/{plain.bucket}{target}").code == "InvalidRequest"
    held = b"<LegalHold><Status>ON</Status></LegalHold>"
    assert send(plain, "/source?legal-hold", held).code == "InvalidRequest"
    assert send(plain, "/source?retention", b"<Retention/>").code == "InvalidRequest"


def test_event_holds_are_not_promised(room: LockRoom) -> None:
    headers = {"x-amz-object-lock-event-hold": "ON"}
    assert room.wire.send("PUT", f"/{room.bucket}/k", b"x", headers).status == 501
    room.put()
    body = b"<Retention><EventHold>ON</EventHold></Retention>"
    assert send(room, "/k?retention", body).status == 501


# Retention


def test_retention_makes_no_version_and_keeps_the_time(room: LockRoom) -> None:
    version = room.put()
    before = room.s3.list_object_versions(Bucket=room.bucket)["Versions"]
    room.pass_time(seconds=5)
    room.retain(version, "GOVERNANCE", room.after(days=1))
    room.s3.put_object_legal_hold(**room.named(version=version), LegalHold={"Status": "ON"})
    assert room.s3.list_object_versions(Bucket=room.bucket)["Versions"] == before


def test_retention_keeps_milliseconds(room: LockRoom) -> None:
    version = room.put()
    body = (
        b"<Retention><Mode>GOVERNANCE</Mode>"
        b"<RetainUntilDate>2199-01-01T00:00:00.123Z</RetainUntilDate></Retention>"
    )
    assert send(room, "/k?retention", body).status == 200
    told = room.wire.send("GET", f"/{room.bucket}/k?retention").body
    assert b"<RetainUntilDate>2199-01-01T00:00:00.123Z</RetainUntilDate>" in told
    head = room.wire.send("HEAD", f"/{room.bucket}/k?versionId={version}")
    assert head.headers[UNTIL] == "2199-01-01T00:00:00.123Z"


def test_compliance_is_lengthened_and_nothing_else(room: LockRoom) -> None:
    version = room.locked("COMPLIANCE", days=10)
    until = room.retention(version)["RetainUntilDate"]
    bypass: dict[str, Any] = {"BypassGovernanceRetention": True}
    for mode, date in (
        ("COMPLIANCE", until - timedelta(milliseconds=1)),
        ("GOVERNANCE", until),
        ("GOVERNANCE", until + timedelta(days=1)),
    ):
        for more in ({}, bypass):
            assert message(room.retain, version, mode, date, **more) == LOCKED
    for more in ({}, bypass):
        call = room.s3.put_object_retention
        assert refused(call, **room.named(version=version), Retention={}, **more) == "AccessDenied"
        assert message(room.delete, version, **more) == LOCKED
    room.retain(version, "COMPLIANCE", until)
    room.retain(version, "COMPLIANCE", until + timedelta(days=1))
    assert room.retention(version)["RetainUntilDate"] == until + timedelta(days=1)


def test_governance_is_made_less_with_header_and_permission(room: LockRoom) -> None:
    bypass: dict[str, Any] = {"BypassGovernanceRetention": True}
    version = room.locked("GOVERNANCE", days=10)
    until = room.retention(version)["RetainUntilDate"]
    room.retain(version, "GOVERNANCE", until + timedelta(days=1))
    shorter = room.after(days=5)
    for mode, date in (("GOVERNANCE", shorter), ("COMPLIANCE", until + timedelta(days=2))):
        assert message(room.retain, version, mode, date) == LOCKED
    room.retain(version, "GOVERNANCE", shorter, **bypass)
    room.s3.put_object_retention(**room.named(version=version), Retention={}, **bypass)
    call = room.s3.get_object_retention
    assert refused(call, **room.named(version=version)) == "NoSuchObjectLockConfiguration"
    assert "ObjectLockMode" not in room.s3.head_object(**room.named(version=version))
    room.retain(version, "GOVERNANCE", until)
    room.retain(version, "COMPLIANCE", room.after(days=1), **bypass)
    assert message(room.delete, version, **bypass) == LOCKED


def test_what_is_over_binds_no_more(room: LockRoom) -> None:
    version = room.locked("COMPLIANCE", days=1)
    room.pass_time(hours=23)
    assert refused(room.delete, version) == "AccessDenied"
    room.pass_time(hours=1, seconds=1)
    assert room.s3.head_object(**room.named(version=version))["ObjectLockMode"] == "COMPLIANCE"
    room.retain(version, "GOVERNANCE", room.after(hours=1))
    room.pass_time(hours=2)
    room.delete(version)
    assert not room.stands(version)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<Mode>GOVERNANCE</Mode>", "MalformedXML"),
        ("<RetainUntilDate>2199-01-01T00:00:00Z</RetainUntilDate>", "MalformedXML"),
        ("<Mode>X</Mode><RetainUntilDate>2199-01-01T00:00:00Z</RetainUntilDate>", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><RetainUntilDate>soon</RetainUntilDate>", "MalformedXML"),
        ("<Mode>GOVERNANCE</Mode><RetainUntilDate/>", "MalformedXML"),
        (
            "<Mode>GOVERNANCE</Mode><RetainUntilDate>2001-01-01T00:00:00Z</RetainUntilDate>",
            "InvalidArgument",
        ),
    ],
)
def test_what_is_no_retention(room: LockRoom, body: str, code: str) -> None:
    version = room.put()
    answer = send(room, "/k?retention", f"<Retention>{body}</Retention>".encode())
    assert (answer.status, answer.code) == (400, code)
    room.delete(version)


def test_what_is_not_there_is_neither_retained_nor_held(room: LockRoom) -> None:
    version = room.put()
    marker = room.s3.delete_object(**room.named())["VersionId"]
    later = b"<Retention/>"
    held = b"<LegalHold><Status>ON</Status></LegalHold>"
    for sub, body in (("retention", later), ("legal-hold", held)):
        for target, code in (
            (f"/none?{sub}", "NoSuchKey"),
            (f"/k?{sub}", "NoSuchKey"),
            (f"/k?{sub}&versionId={marker}", "MethodNotAllowed"),
            (f"/k?{sub}&versionId=x", "InvalidArgument"),
            (f"/k?{sub}&versionId={'0' * len(version)}", "NoSuchVersion"),
        ):
            assert send(room, target, body).code == code
            assert room.wire.send("GET", f"/{room.bucket}{target}").code == code


# Legal holds


def test_a_hold_holds_until_it_is_lifted(room: LockRoom) -> None:
    version = room.put()
    named = room.named(version=version)
    call = room.s3.get_object_legal_hold
    assert refused(call, **named) == "NoSuchObjectLockConfiguration"
    assert "ObjectLockLegalHoldStatus" not in room.s3.head_object(**named)
    room.s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    room.pass_time(days=36_500)
    for more in ({}, {"BypassGovernanceRetention": True}):
        assert message(room.delete, version, **more) == LOCKED
    room.s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    assert room.s3.head_object(**named)["ObjectLockLegalHoldStatus"] == "OFF"
    room.delete(version)


def test_a_hold_and_a_retention_know_nothing_of_each_other(room: LockRoom) -> None:
    version = room.locked("COMPLIANCE", days=1)
    named = room.named(version=version)
    room.s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    room.s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    assert refused(room.delete, version) == "AccessDenied"
    room.s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    room.pass_time(days=2)
    assert refused(room.delete, version) == "AccessDenied"


@pytest.mark.parametrize("body", ["", "<Status>MAYBE</Status>", "<Status>on</Status>", "<X/>"])
def test_what_is_no_hold(room: LockRoom, body: str) -> None:
    room.put()
    answer = send(room, "/k?legal-hold", f"<LegalHold>{body}</LegalHold>".encode())
    assert (answer.status, answer.code) == (400, "MalformedXML")


# Deletes


def test_locked_versions_are_hidden_and_covered_but_stay(room: LockRoom) -> None:
    version = room.locked("COMPLIANCE", days=1)
    newer = room.put(body=b"newer")
    marker = room.s3.delete_object(**room.named())
    assert marker["DeleteMarker"] is True
    assert refused(room.s3.get_object, **room.named()) == "NoSuchKey"
    got = room.s3.get_object(**room.named(version=version))
    assert got["Body"].read() == b"body"
    room.delete(newer)
    room.delete(marker["VersionId"])
    assert room.s3.get_object(**room.named())["Body"].read() == b"body"


def test_each_of_many_deletes_meets_its_own_lock(room: LockRoom) -> None:
    kept = room.locked("COMPLIANCE", "compliance", days=1)
    governed = room.locked("GOVERNANCE", "governance", days=1)
    free = room.put("free")
    entries = [
        {"Key": "compliance", "VersionId": kept},
        {"Key": "governance", "VersionId": governed},
        {"Key": "free", "VersionId": free},
    ]
    done = room.s3.delete_objects(Bucket=room.bucket, Delete={"Objects": entries})
    assert [one["Key"] for one in done["Deleted"]] == ["free"]
    assert {one["Key"]: one["Code"] for one in done["Errors"]} == {
        "compliance": "AccessDenied",
        "governance": "AccessDenied",
    }
    done = room.s3.delete_objects(
        Bucket=room.bucket, Delete={"Objects": entries}, BypassGovernanceRetention=True
    )
    assert {one["Key"] for one in done["Deleted"]} == {"governance", "free"}
    assert [one["Key"] for one in done["Errors"]] == ["compliance"]


# Who may


def policy(room: LockRoom, *statements: dict[str, Any]) -> None:
    resource = [f"arn:aws:s3:::{room.bucket}", f"arn:aws:s3:::{room.bucket}/*"]
    named = [{"Resource": resource, "Principal": "*", **one} for one in statements]
    document = {"Version": "2012-10-17", "Statement": named}
    room.s3.put_bucket_policy(Bucket=room.bucket, Policy=json.dumps(document))


def test_a_bypass_takes_the_permission_and_the_header(room: LockRoom) -> None:
    version = room.locked("GOVERNANCE", days=1)
    other = boto(room.server, room.server.create_user("main", "no-bypass"))
    allowed = ["s3:DeleteObjectVersion", "s3:PutObjectRetention", "s3:GetObjectVersion"]
    policy(room, {"Effect": "Allow", "Action": allowed})
    named, bypass = room.named(version=version), {"BypassGovernanceRetention": True}
    assert refused(other.delete_object, **named, **bypass) == "AccessDenied"
    assert refused(other.put_object_retention, **named, Retention={}, **bypass) == "AccessDenied"
    free = room.put("free")
    other.delete_object(**room.named("free", free), **bypass)
    policy(room, {"Effect": "Allow", "Action": [*allowed, "s3:BypassGovernanceRetention"]})
    assert refused(other.delete_object, **named) == "AccessDenied"
    other.delete_object(**named, **bypass)


def test_an_owner_is_denied_a_bypass_by_policy(room: LockRoom) -> None:
    version = room.locked("GOVERNANCE", days=1)
    policy(room, {"Effect": "Deny", "Action": "s3:BypassGovernanceRetention"})
    assert refused(room.delete, version, BypassGovernanceRetention=True) == "AccessDenied"


def test_locks_are_told_to_those_who_may_see_them(room: LockRoom) -> None:
    version = room.put(
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=room.after(days=1),
        ObjectLockLegalHoldStatus="ON",
    )
    other = boto(room.server, room.server.create_user("main", "reader"))
    reads = ["s3:GetObject", "s3:GetObjectVersion"]
    named = room.named(version=version)
    for more, told in (
        ([], set()),
        (["s3:GetObjectRetention"], {"ObjectLockMode", "ObjectLockRetainUntilDate"}),
        (["s3:GetObjectLegalHold"], {"ObjectLockLegalHoldStatus"}),
    ):
        policy(room, {"Effect": "Allow", "Action": [*reads, *more]})
        for call in (other.get_object, other.head_object):
            assert {name for name in call(**named) if name.startswith("ObjectLock")} == told
        may = "s3:GetObjectRetention" in more
        if not may:
            assert refused(other.get_object_retention, **named) == "AccessDenied"


def test_a_write_that_locks_takes_permission_to_lock(room: LockRoom) -> None:
    other = boto(room.server, room.server.create_user("main", "writer"))
    until = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": room.after(days=1)}
    held = {"ObjectLockLegalHoldStatus": "ON"}
    policy(room, {"Effect": "Allow", "Action": "s3:PutObject"})
    for asked in (until, held):
        assert refused(other.put_object, **room.named(), Body=b"x", **asked) == "AccessDenied"
        assert refused(other.create_multipart_upload, **room.named(), **asked) == "AccessDenied"
    policy(room, {"Effect": "Allow", "Action": ["s3:PutObject", "s3:PutObjectRetention"]})
    other.put_object(**room.named(), Body=b"x", **until)
    assert refused(other.put_object, **room.named(), Body=b"x", **held) == "AccessDenied"


@pytest.mark.parametrize("effect", ["Deny", "Allow"])
def test_a_policy_bounds_the_days_of_a_retention(still: LockRoom, effect: str) -> None:
    """Five years and no longer, however it is worded and whoever asks."""
    room = still
    s3, days = room.s3, "s3:object-lock-remaining-retention-days"
    actions = ["s3:PutObject", "s3:PutObjectRetention"]
    if effect == "Deny":
        over = {"NumericGreaterThan": {days: "1825"}}
        policy(room, {"Effect": "Deny", "Action": actions, "Condition": over})
    else:
        s3 = boto(room.server, room.server.create_user("main", "bounded"))
        within = {"NumericLessThanEquals": {days: "1825"}}
        policy(room, {"Effect": "Allow", "Action": actions, "Condition": within})
    version = room.put()
    named, too_long, bound = room.named(version=version), 1825.5, 1824.5
    for mode in ("GOVERNANCE", "COMPLIANCE"):
        for period, code in ((too_long, "AccessDenied"), (bound, "")):
            until = room.after(days=period)
            kept = {"Mode": mode, "RetainUntilDate": until}
            asked = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}
            if code:
                assert refused(s3.put_object_retention, **named, Retention=kept) == code
                assert refused(s3.put_object, **room.named("n"), Body=b"x", **asked) == code
            else:
                s3.put_object(**room.named("n"), Body=b"x", **asked)
    s3.put_object_retention(
        **named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": room.after(days=bound)}
    )


def test_headers_say_nothing_for_a_body(room: LockRoom) -> None:
    """A retention is what the body says; a header of that name changes no decision about it."""
    other = boto(room.server, room.server.create_user("main", "header"))
    mode = {"StringEquals": {"s3:object-lock-mode": "GOVERNANCE"}}
    policy(room, {"Effect": "Allow", "Action": "s3:PutObjectRetention", "Condition": mode})
    version = room.put()

    def spoof(request: Any, **_: Any) -> None:
        request.headers["x-amz-object-lock-mode"] = "GOVERNANCE"

    other.meta.events.register("before-sign.s3.PutObjectRetention", spoof)
    kept = {"Mode": "COMPLIANCE", "RetainUntilDate": room.after(days=1)}
    named = room.named(version=version)
    assert refused(other.put_object_retention, **named, Retention=kept) == "AccessDenied"
    assert refused(other.put_object_retention, **named, Retention={}) == "AccessDenied"
    other.put_object_retention(**named, Retention={**kept, "Mode": "GOVERNANCE"})


def test_a_policy_names_holds_and_modes(room: LockRoom) -> None:
    off = {"StringEquals": {"s3:object-lock-legal-hold": "OFF"}}
    policy(room, {"Effect": "Deny", "Action": "s3:PutObjectLegalHold", "Condition": off})
    version = room.put(ObjectLockLegalHoldStatus="ON")
    named, call = room.named(version=version), room.s3.put_object_legal_hold
    assert refused(call, **named, LegalHold={"Status": "OFF"}) == "AccessDenied"
    call(**named, LegalHold={"Status": "ON"})


# Everything beside


def test_a_locked_version_keeps_its_encryption(room: LockRoom) -> None:
    room.s3.put_object(**room.named("any"), Body=b"x", ServerSideEncryption="aws:kms")
    key = room.s3.head_object(**room.named("any"))["SSEKMSKeyId"]
    wanted = {"SSEKMS": {"KMSKeyArn": key}}
    call = room.s3.update_object_encryption
    for asked in (
        {"ObjectLockLegalHoldStatus": "ON"},
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": room.after(days=1)},
    ):
        version = room.put(**asked)
        told = message(call, **room.named(version=version), ObjectEncryption=wanted)
        assert "protected by S3 Object Lock" in told
    call(**room.named(version=room.put()), ObjectEncryption=wanted)


def test_tags_and_acls_of_a_locked_version_may_change(room: LockRoom) -> None:
    version = room.locked("COMPLIANCE", days=1)
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    room.s3.put_object_tagging(**room.named(version=version), Tagging=tags)
    room.s3.put_object_acl(**room.named(version=version), ACL="private")
    assert refused(room.delete, version) == "AccessDenied"


def test_listings_and_attributes_say_nothing_of_locks(room: LockRoom) -> None:
    version = room.locked("COMPLIANCE", days=1)
    (listed,) = room.s3.list_object_versions(Bucket=room.bucket)["Versions"]
    assert not [name for name in listed if "Lock" in name]
    told = room.s3.get_object_attributes(
        **room.named(version=version), ObjectAttributes=["ETag", "ObjectSize"]
    )
    assert not [name for name in told if "Lock" in name]
