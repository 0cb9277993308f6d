"""Object Lock and writes: what they ask for, and what a bucket's default gives them."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.lock_client import LockRoom, send
from tests.protocol.wire_client import Answer

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
