"""Archived objects as people restore them: boto3, aws s3api; mc lists what moves to the archive."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .server import Program, Server, needs_drives
from .test_boto3 import refusal

PATIENCE_S = 60.0
TEXT = b"all of this is the same over and over. " * 100_000
FASTEST = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}


@pytest.fixture
def aws(program: Callable[..., Program], server: Server) -> Program:
    return program("aws", "--endpoint-url", server.endpoint)


def await_copy(tell: Callable[[], str | None]) -> str:
    """Look as programs do, until `x-amz-restore` says that the copy is there."""
    give_up = time.monotonic() + PATIENCE_S
    while 'ongoing-request="false"' not in (told := tell() or ""):
        assert time.monotonic() < give_up, f"it is not restored: {told}"
        time.sleep(0.2)
    return told


def test_boto3_restores_reads_and_keeps_an_archived_object(s3: Any, bucket: str) -> None:
    needs_drives("has no stewards")
    about = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**about, Body=TEXT, StorageClass="DEEP_ARCHIVE")
    s3.put_object(Bucket=bucket, Key="glacier", Body=TEXT, StorageClass="GLACIER")
    assert refusal(s3.get_object, **about) == (403, "InvalidObjectState")
    # What is deepest cannot be expedited, and Standard takes minutes here: so another one.
    assert refusal(s3.restore_object, **about, RestoreRequest=FASTEST)[1] == "InvalidArgument"
    assert s3.restore_object(**about, RestoreRequest={"Days": 1})
    assert s3.head_object(**about)["Restore"] == 'ongoing-request="true"'
    again = refusal(s3.restore_object, **about, RestoreRequest={"Days": 1})
    assert again == (409, "RestoreAlreadyInProgress")

    about["Key"] = "glacier"
    done = s3.restore_object(**about, RestoreRequest=FASTEST)
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 202
    told = await_copy(lambda: s3.head_object(**about).get("Restore"))
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0) + timedelta(days=2)
    assert f'expiry-date="{midnight:%a, %d %b %Y} 00:00:00 GMT"' in told
    assert s3.get_object(**about)["Body"].read() == TEXT
    done = s3.restore_object(**about, RestoreRequest={"Days": 5})
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 200
    source = {"Bucket": bucket, "Key": "glacier"}
    s3.copy_object(**about, CopySource=source, StorageClass="STANDARD")
    assert "StorageClass" not in s3.head_object(**about)


def test_aws_restores_and_lists(aws: Program, bucket: str) -> None:
    needs_drives("has no stewards")

    def api(call: str, *more: str | Path) -> Any:
        answer = aws("s3api", call, "--bucket", bucket, *more, "--output", "json")
        return json.loads(answer) if answer.strip() else {}

    (aws.folder / "body").write_bytes(TEXT)
    aws("s3", "cp", "body", f"s3://{bucket}/key", "--storage-class", "GLACIER")
    assert "InvalidObjectState" in aws.refused(
        *("s3api", "get-object", "--bucket", bucket, "--key", "key", "out")
    )
    api("restore-object", "--key", "key", "--restore-request", json.dumps(FASTEST))
    await_copy(lambda: api("head-object", "--key", "key").get("Restore"))
    asked = ("--optional-object-attributes", "RestoreStatus")
    (one,) = api("list-objects-v2", *asked)["Contents"]
    assert one["RestoreStatus"]["IsRestoreInProgress"] is False
    api("get-object", "--key", "key", "out")
    assert (aws.folder / "out").read_bytes() == TEXT


def test_mc_adds_and_lists_transitions(
    program: Callable[..., Program], server: Server, s3: Any, bucket: str, tmp_path: Path
) -> None:
    mc = program("mc", MC_CONFIG_DIR=str(tmp_path / "mc"))
    mc("alias", "set", "coffre", server.endpoint, server.access_key, server.secret_key)
    target = f"coffre/{bucket}"
    mc(
        *("ilm", "rule", "add", target, "--prefix", "logs/"),
        *("--transition-days", "30", "--transition-tier", "GLACIER"),
        *("--noncurrent-transition-days", "7", "--noncurrent-transition-tier", "DEEP_ARCHIVE"),
    )
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Transitions"] == [{"Days": 30, "StorageClass": "GLACIER"}]
    noncurrent = [{"NoncurrentDays": 7, "StorageClass": "DEEP_ARCHIVE"}]
    assert rule["NoncurrentVersionTransitions"] == noncurrent
    listed = mc("ilm", "rule", "ls", target, "--transition")
    assert "GLACIER" in listed
    assert "DEEP_ARCHIVE" in listed
