"""boto3 clients of a memory server, what they are refused with, and bytes to send."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from coffre.testing.server import Credentials, MemoryServer

MIB = 1 << 20


def boto(server: MemoryServer, user: Credentials, **config: Any) -> Any:
    """A boto3 client that never tries twice."""
    settings = {"retries": {"max_attempts": 0}, "s3": {"addressing_style": "path"}, **config}
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=user.access_key,
        aws_secret_access_key=user.secret_key,
        region_name="us-east-1",
        config=Config(**settings),
    )


def refused(call: Any, *positional: Any, **named: Any) -> str:
    """The code with which a call of boto3's is refused."""
    with pytest.raises(ClientError) as error:
        call(*positional, **named)
    code: str = error.value.response["Error"]["Code"]
    return code


def pattern(size: int) -> bytes:
    """Bytes that show a part in the wrong place."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]
