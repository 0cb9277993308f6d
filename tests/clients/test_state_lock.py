"""A state that two writers change under a lock of conditional writes, by the requests that
Terraform sends: `<key>.tflock` is put if there is none, and deleted when the state is written."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

STATE = "state/live"
LOCK = f"{STATE}.tflock"
TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}
CHANGES = 20


def change(s3: Any, bucket: str, who: str) -> None:
    """Add a line to the state, as often as `CHANGES`, each time under the lock."""
    for number in range(CHANGES):
        while not locked(s3, bucket, who):
            pass
        assert s3.get_object(Bucket=bucket, Key=LOCK)["Body"].read() == who.encode()
        found = s3.get_object(Bucket=bucket, Key=STATE)["Body"].read()
        s3.put_object(Bucket=bucket, Key=STATE, Body=found + f"{who} {number}\n".encode())
        s3.delete_object(Bucket=bucket, Key=LOCK)


def locked(s3: Any, bucket: str, who: str) -> bool:
    """Is the lock ours now?"""
    try:
        s3.put_object(Bucket=bucket, Key=LOCK, Body=who.encode(), IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in TAKEN:
            raise
        return False
    return True


def test_no_change_of_two_writers_is_lost(boto: Callable[..., Any], s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key=STATE, Body=b"")
    writers = ("first", "second")
    with ThreadPoolExecutor(len(writers)) as pool:
        for _ in pool.map(lambda who: change(boto(), bucket, who), writers):
            pass
    lines = s3.get_object(Bucket=bucket, Key=STATE)["Body"].read().decode().splitlines()
    for who in writers:
        mine = [line for line in lines if line.startswith(who)]
        assert mine == [f"{who} {number}" for number in range(CHANGES)]
    assert len(lines) == len(writers) * CHANGES
