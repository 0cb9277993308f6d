"""Appending by `x-amz-write-offset-bytes`, which AWS has for directory buckets alone, is refused: a
client that means to append must never replace the object."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient


@pytest.mark.parametrize("offset", [0, 1, 4])
def test_an_append_is_refused_and_replaces_nothing(s3: Any, bucket: str, offset: int) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"kept")
    about = {"Bucket": bucket, "Key": "key", "Body": b"more"}
    assert refused(s3.put_object, **about, WriteOffsetBytes=offset) == "NotImplemented"
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"kept"


def test_the_refusal_names_the_header(wire: WireClient, bucket: str) -> None:
    headers = {"x-amz-write-offset-bytes": "0"}
    answer = wire.send("PUT", f"/{bucket}/key", b"x", headers)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert answer.field("Header") == "x-amz-write-offset-bytes"
