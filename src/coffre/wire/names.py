"""What a bucket and an object may be called.

Buckets: AWS "General purpose bucket naming rules", or the wider names that ECS services allow.
Objects: AWS "Naming Amazon S3 objects": UTF-8, 1 to 1024 bytes.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from coffre.wire.errors import S3Error

Dialect = Literal["aws", "ecs"]

KEY_LIMIT: Final = 1024  # bytes of UTF-8

_AWS: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ECS: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{1,253}[A-Za-z0-9_-]")
_IPV4: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_RESERVED_STARTS: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def is_bucket_name(name: str, dialect: Dialect = "aws") -> bool:
    """Whether a bucket may be created under this name."""
    if dialect == "ecs":
        return bool(_ECS.fullmatch(name)) and ".." not in name and not _IPV4.fullmatch(name)
    return (
        bool(_AWS.fullmatch(name))
        and ".." not in name
        and not _IPV4.fullmatch(name)
        and not name.startswith(_RESERVED_STARTS)
        and not name.endswith(_RESERVED_ENDS)
    )


def check_bucket(name: str, dialect: Dialect = "aws") -> None:
    """InvalidBucketName unless a bucket may be created under this name."""
    if not is_bucket_name(name, dialect):
        raise S3Error("InvalidBucketName", BucketName=name)


def check_key(key: bytes) -> None:
    """KeyTooLongError over 1024 bytes; InvalidURI for what is not UTF-8, is empty or holds a NUL.

    Other control characters are legal, as on AWS. NUL is not: no XML answer can carry it, not even
    to a lenient parser, and a client written in C would act on the key that ends before it.
    """
    if len(key) > KEY_LIMIT:
        raise S3Error("KeyTooLongError", Size=str(len(key)), MaxSizeAllowed=str(KEY_LIMIT))
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI", URI=key.decode(errors="replace")) from error
    if not text or "\0" in text:
        raise S3Error("InvalidURI", URI=text)
