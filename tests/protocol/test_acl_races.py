"""An object that is replaced while somebody asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from coffre.catalog.records import Bucket, Version
from coffre.s3.services import Services
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.wire_client import WireClient


class Swapping:
    """A reader that finds `secret` at `k` from the second look on, as if it had been replaced."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.looks: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def current(self, bucket: Bucket, key: bytes) -> Version | None:
        if key == b"k" and self.looks is not None:
            self.looks += 1
            key = b"secret" if self.looks > 1 else key
        found: Version | None = self._reader.current(bucket, key)
        return found


def test_what_is_served_is_what_was_decided_on() -> None:
    readers = []

    def swapping(services: Services) -> Services:
        readers.append(Swapping(services.reader))
        return replace(services, reader=readers[0])

    with MemoryServer(change=swapping) as server:
        s3 = boto(server, server.user)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"public", ACL="public-read")
        s3.put_object(Bucket="bucket", Key="secret", Body=b"secret")
        readers[0].looks = 0
        wire = WireClient(server.port, server.user)
        host = {"Host": "main.localhost"}
        assert wire.raw("GET", "/bucket/k", b"", host).body == b"public"
        assert wire.raw("GET", "/bucket/k", b"", host).code == "AccessDenied"
