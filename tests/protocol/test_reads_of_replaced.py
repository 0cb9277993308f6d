"""A read of an object in parts that is replaced between the look at it and the look at its parts:
it is looked for again, and nothing fails."""

from __future__ import annotations

from typing import Any

import pytest

from coffre.catalog.memory import MemoryCatalog
from coffre.catalog.records import Part
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import MIB, pattern, refused


@pytest.fixture(params=[1000, 11 * MIB], ids=["small", "large"])
def body(request: pytest.FixtureRequest, s3: Any, bucket: str) -> bytes:
    """The content of the object `k` in parts."""
    body = pattern(request.param)
    begun = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    where = {"Bucket": bucket, "Key": "k", "UploadId": begun}
    parts = []
    for number, at in enumerate(range(0, len(body), 5 * MIB), 1):
        part = s3.upload_part(**where, PartNumber=number, Body=body[at : at + 5 * MIB])
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    return body


def gone(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """So many looks at parts find none: another process replaced the object since."""
    plain = MemoryCatalog.manifest_parts
    left = iter(range(times))

    def look(self: MemoryCatalog, manifest_id: bytes, first: int, last: int) -> list[Part]:
        missing = next(left, None) is not None
        return [] if missing else plain(self, manifest_id, first, last)

    monkeypatch.setattr(MemoryCatalog, "manifest_parts", look)


def test_it_is_looked_for_again(
    server: MemoryServer, s3: Any, bucket: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone(monkeypatch, 2)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_what_is_replaced_all_the_time_is_to_be_asked_for_later(
    server: MemoryServer, s3: Any, bucket: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone(monkeypatch, 1_000_000)
    assert refused(s3.get_object, Bucket=bucket, Key="k") == "ServiceUnavailable"
