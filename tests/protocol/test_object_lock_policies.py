"""Object Lock and policies: who may lock, see a lock, get round it; and what goes on beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.protocol.boto_client import boto, refused
from tests.protocol.lock_client import LockRoom, message

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
