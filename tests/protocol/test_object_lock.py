"""Object Lock: configurations, retention, legal holds, and what they keep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.lock_client import LOCKED, LockRoom, message, send

PAST_100_YEARS = 36_501


def configuration(rule: str = "", enabled: str = "Enabled") -> bytes:
    state = f"<ObjectLockEnabled>{enabled}</ObjectLockEnabled>" if enabled else ""
    return f"<ObjectLockConfiguration>{state}{rule}</ObjectLockConfiguration>".encode()


def default(mode: str = "GOVERNANCE", period: str = "<Days>1</Days>") -> str:
    kept = f"<Mode>{mode}</Mode>{period}" if mode else period
    return f"<Rule><DefaultRetention>{kept}</DefaultRetention></Rule>"


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
    assert head.headers["x-amz-object-lock-retain-until-date"] == "2199-01-01T00:00:00.123Z"


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
