"""A server whose time a test moves, and a bucket with Object Lock in it."""

from __future__ import annotations

import base64
import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.ecs_client import MovedClock
from tests.protocol.wire_client import Answer, WireClient

LOCKED = "Access Denied because object protected by object lock."
_names = itertools.count()


class LockRoom:
    """One bucket with Object Lock, its owner's clients, and the time."""

    def __init__(self, server: MemoryServer, clock: MovedClock, *, locked: bool = True) -> None:
        self.server = server
        self.clock = clock
        self.user = server.user
        self.s3 = boto(server, server.user)
        self.wire = WireClient(server.port, server.user)
        self.bucket = f"locked-{next(_names)}"
        self.s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=locked)

    def now(self) -> datetime:
        """The catalog's time."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    def after(self, **period: float) -> datetime:
        """A date in whole seconds, which are all that boto3 sends."""
        return (self.now() + timedelta(**period)).replace(microsecond=0)

    def pass_time(self, **period: float) -> None:
        self.clock.ahead_ms += round(timedelta(**period).total_seconds() * 1000)

    def put(self, key: str = "k", body: bytes = b"body", **more: Any) -> str:
        """A new version; its id."""
        done = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)
        version: str = done["VersionId"]
        return version

    def locked(self, mode: str, key: str = "k", **period: float) -> str:
        """A new version that is retained for a while; its id."""
        until = self.after(**period)
        return self.put(key, ObjectLockMode=mode, ObjectLockRetainUntilDate=until)

    def retain(self, version: str, mode: str, until: datetime, key: str = "k", **more: Any) -> Any:
        kept = {"Mode": mode, "RetainUntilDate": until}
        return self.s3.put_object_retention(**self.named(key, version), Retention=kept, **more)

    def retention(self, version: str, key: str = "k") -> Any:
        return self.s3.get_object_retention(**self.named(key, version))["Retention"]

    def delete(self, version: str, key: str = "k", **more: Any) -> Any:
        return self.s3.delete_object(**self.named(key, version), **more)

    def named(self, key: str = "k", version: str | None = None) -> dict[str, str]:
        named = {"Bucket": self.bucket, "Key": key}
        return named if version is None else {**named, "VersionId": version}

    def default(self, mode: str, **period: int) -> None:
        self.s3.put_object_lock_configuration(
            Bucket=self.bucket,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": mode, **period}},
            },
        )

    def stands(self, version: str, key: str = "k") -> bool:
        """Whether a version is there, byte for byte."""
        listed = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key).get("Versions", [])
        return version in [one["VersionId"] for one in listed]


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
