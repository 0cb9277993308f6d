"""Object Lock as people use it: the service's own walk-through with aws, mc, backups by restic."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .material import contents
from .server import Program, Server

BYPASS = "--bypass-governance-retention"


@pytest.fixture
def aws(program: Callable[..., Program], server: Server) -> Program:
    return program("aws", "--endpoint-url", server.endpoint, "--output", "json", "s3api")


@pytest.fixture
def mc(program: Callable[..., Program], server: Server, tmp_path: Path) -> Program:
    mc = program("mc", MC_CONFIG_DIR=str(tmp_path / "mc"))
    mc("alias", "set", "coffre", server.endpoint, server.access_key, server.secret_key)
    return mc


def date(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


class WalkThrough:
    """aws s3api on one bucket and one key."""

    def __init__(self, aws: Program, bucket: str) -> None:
        self.aws = aws
        self.bucket = ("--bucket", bucket)
        self.key = (*self.bucket, "--key", "feather.ttf")

    def __call__(self, call: str, *arguments: str) -> Any:
        answer = self.aws(call, *arguments)
        return json.loads(answer) if answer.strip() else {}

    def put(self) -> str:
        version: str = self("put-object", *self.key, "--body", "feather.ttf")["VersionId"]
        return version

    def retain(self, until: datetime) -> None:
        kept = f"Mode=GOVERNANCE,RetainUntilDate={until.isoformat()}"
        self("put-object-retention", *self.key, "--retention", kept)

    def listed(self) -> tuple[list[str], list[str]]:
        """Ids of versions and of delete markers, the newest first."""
        told = self("list-object-versions", *self.bucket)
        found = (told.get("Versions") or [], told.get("DeleteMarkers") or [])
        versions, markers = ([one["VersionId"] for one in some] for some in found)
        return versions, markers

    def delete(self, *more: str) -> Any:
        return self("delete-object", *self.key, *more)


def test_the_walk_through(aws: Program, name: str) -> None:
    walk = WalkThrough(aws, name)
    (aws.folder / "feather.ttf").write_bytes(b"a font")
    walk("create-bucket", *walk.bucket, "--object-lock-enabled-for-bucket")
    told = walk("get-object-lock-configuration", *walk.bucket)
    assert told == {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    assert walk("get-bucket-versioning", *walk.bucket)["Status"] == "Enabled"

    first = walk.put()
    for days in (1, 2):  # then a day more
        until = date(days)
        walk.retain(until)
        head = walk("head-object", *walk.key)
        assert head["ObjectLockMode"] == "GOVERNANCE"
        assert datetime.fromisoformat(head["ObjectLockRetainUntilDate"]) == until
        assert head["VersionId"] == first

    marker = walk.delete()
    assert marker["DeleteMarker"] is True
    assert walk.listed() == ([first], [marker["VersionId"]])
    walk.delete("--version-id", marker["VersionId"])
    assert walk.listed() == ([first], [])

    second = walk.put()
    assert walk.listed() == ([second, first], [])
    refusal = aws.refused("delete-object", *walk.key, "--version-id", first)
    assert "AccessDenied" in refusal
    assert "protected by object lock" in refusal
    assert walk.listed() == ([second, first], [])

    marker = walk.delete()
    walk.delete("--version-id", marker["VersionId"], BYPASS)
    assert walk.listed() == ([second, first], [])
    walk.delete("--version-id", first, BYPASS)
    assert walk.listed() == ([second], [])
    walk.delete("--version-id", second, BYPASS)
    assert walk.listed() == ([], [])
    walk("delete-bucket", *walk.bucket)


def test_a_configuration_of_the_walk_through(aws: Program, name: str) -> None:
    walk = WalkThrough(aws, name)
    (aws.folder / "feather.ttf").write_bytes(b"a font")
    walk("create-bucket", *walk.bucket, "--object-lock-enabled-for-bucket")
    lock = {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
    }
    (aws.folder / "lock.json").write_text(json.dumps(lock))
    from_file = ("--object-lock-configuration", "file://lock.json")
    walk("put-object-lock-configuration", *walk.bucket, *from_file)
    told = walk("get-object-lock-configuration", *walk.bucket)
    assert told == {"ObjectLockConfiguration": lock}
    version = walk.put()
    assert walk("get-object-retention", *walk.key)["Retention"]["Mode"] == "COMPLIANCE"
    refusal = aws.refused("delete-object", *walk.key, "--version-id", version, BYPASS)
    assert "AccessDenied" in refusal
    suspended = ("--versioning-configuration", "Status=Suspended")
    assert "InvalidBucketState" in aws.refused("put-bucket-versioning", *walk.bucket, *suspended)
    assert "locked until" in aws.refused("delete-bucket", *walk.bucket)


def test_five_years_and_no_longer(aws: Program, name: str) -> None:
    walk = WalkThrough(aws, name)
    (aws.folder / "feather.ttf").write_bytes(b"a font")
    walk("create-bucket", *walk.bucket, "--object-lock-enabled-for-bucket")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObjectRetention", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "1825"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    walk("put-bucket-policy", *walk.bucket, "--policy", document)
    walk.put()
    walk.retain(date(1824))
    kept = ("--retention", f"Mode=GOVERNANCE,RetainUntilDate={date(1827).isoformat()}")
    assert "AccessDenied" in aws.refused("put-object-retention", *walk.key, *kept)
    asked = ("--object-lock-mode", "COMPLIANCE")
    until = ("--object-lock-retain-until-date", date(1827).isoformat())
    put = ("put-object", *walk.key, "--body", "feather.ttf", *asked, *until)
    assert "AccessDenied" in aws.refused(*put)


def test_mc_retains_holds_and_lets_go(mc: Program, s3: Any, name: str) -> None:
    target = f"coffre/{name}"
    mc("mb", "--with-lock", target)
    (mc.folder / "note").write_bytes(b"note")
    mc("retention", "set", "--default", "GOVERNANCE", "30d", target)
    assert "GOVERNANCE" in mc("retention", "info", "--default", target)
    mc("cp", "note", f"{target}/note")
    assert "GOVERNANCE" in mc("retention", "info", f"{target}/note")
    mc("retention", "clear", "--default", target)
    mc("legalhold", "set", f"{target}/note")
    assert "ON" in mc("legalhold", "info", f"{target}/note").upper()
    mc.refused("rm", "--versions", "--force", "--bypass", f"{target}/note")
    mc("legalhold", "clear", f"{target}/note")
    mc.refused("rm", "--versions", "--force", f"{target}/note")
    mc("rm", "--versions", "--force", "--bypass", f"{target}/note")
    assert "Versions" not in s3.list_object_versions(Bucket=name)


def test_mc_copies_with_a_retention(mc: Program, s3: Any, name: str) -> None:
    target = f"coffre/{name}"
    mc("mb", "--with-lock", target)
    (mc.folder / "note").write_bytes(b"note")
    mc(
        *("cp", "--retention-mode", "COMPLIANCE", "--retention-duration", "1d"),
        *("--legal-hold", "off", "note", f"{target}/note"),
    )
    head = s3.head_object(Bucket=name, Key="note")
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert abs(head["ObjectLockRetainUntilDate"] - date(1)) < timedelta(minutes=5)


def test_what_restic_forgets_is_kept_by_its_bucket(
    program: Callable[..., Program], server: Server, s3: Any, name: str, tree: Path
) -> None:
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    default = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 7}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": default}
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
    restic = program(
        "restic",
        "--no-cache",
        RESTIC_REPOSITORY=f"s3:{server.endpoint}/{name}/backup",
        RESTIC_PASSWORD="a secret of the client's",
    )
    restic("init")
    restic("backup", "tree")
    before = s3.list_object_versions(Bucket=name)["Versions"]
    assert all(
        s3.head_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])["ObjectLockMode"]
        == "COMPLIANCE"
        for one in before
    )
    saved = contents(tree)
    # Somebody with the keys wipes the repository: markers hide it, and nothing is gone.
    for one in before:
        s3.delete_object(Bucket=name, Key=one["Key"])
    assert "Contents" not in s3.list_objects_v2(Bucket=name)
    for one in s3.list_object_versions(Bucket=name)["DeleteMarkers"]:
        s3.delete_object(Bucket=name, Key=one["Key"], VersionId=one["VersionId"])
    restic("restore", "latest", "--target", "back")
    assert contents(restic.folder / "back" / "tree") == saved
