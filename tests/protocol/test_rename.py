"""RenameObject, which AWS has for directory buckets alone, is refused and moves nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient


@pytest.mark.parametrize(
    "conditions",
    [{}, {"DestinationIfNoneMatch": "*"}, {"SourceIfMatch": "*"}, {"ClientToken": "once"}],
)
def test_a_rename_is_refused_and_moves_nothing(
    s3: Any, bucket: str, conditions: dict[str, str]
) -> None:
    s3.put_object(Bucket=bucket, Key="old", Body=b"x")
    about = {"Bucket": bucket, "Key": "new", "RenameSource": "old"}
    assert refused(s3.rename_object, **about, **conditions) == "NotImplemented"
    assert s3.get_object(Bucket=bucket, Key="old")["Body"].read() == b"x"
    assert refused(s3.get_object, Bucket=bucket, Key="new") == "NoSuchKey"


def test_the_refusal_says_why(wire: WireClient, bucket: str) -> None:
    headers = {"x-amz-rename-source": "old"}
    answer = wire.send("PUT", f"/{bucket}/new?renameObject", b"", headers)
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert "directory buckets" in answer.field("Message")
