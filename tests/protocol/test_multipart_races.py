"""A completion that another one, or an abort, overtakes between two looks at the catalog."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from coffre.s3.services import Services
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import boto, refused


class Late:
    """A reader that finds the upload it found last once more, although it has ended since."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._last: Any = None
        self.late = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def upload(self, upload_id: bytes) -> Any:
        found = self._last if self.late else self._reader.upload(upload_id)
        self._last, self.late = found, False
        return found


@pytest.mark.parametrize("ended", ["completed", "aborted"])
def test_the_upload_is_gone_rather_than_its_part_wrong(ended: str) -> None:
    readers: list[Late] = []

    def late(services: Services) -> Services:
        readers.append(Late(services.reader))
        return replace(services, reader=readers[0])

    with MemoryServer(change=late) as server:
        s3 = boto(server, server.user)
        s3.create_bucket(Bucket="bucket")
        place = {"Bucket": "bucket", "Key": "k"}
        place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
        part = {"PartNumber": 1, "ETag": s3.upload_part(**place, PartNumber=1, Body=b"x")["ETag"]}
        asked = {**place, "MultipartUpload": {"Parts": [part]}}
        if ended == "completed":
            first = s3.complete_multipart_upload(**asked)["ETag"]
            readers[0].late = True
            assert s3.complete_multipart_upload(**asked)["ETag"] == first
        else:
            s3.abort_multipart_upload(**place)
            readers[0].late = True
            assert refused(s3.complete_multipart_upload, **asked) == "NoSuchUpload"
