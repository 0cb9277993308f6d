"""Server-side encryption as a request asks for it: by the service's own key (AES256), or by a named
key of the key service (aws:kms).

Source: AWS "Using server-side encryption with AWS KMS keys (SSE-KMS)", "Specifying server-side
encryption", and S3's own error messages.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from coffre.wire.xml import leaves, malformed, parse

AES256: Final = "AES256"
KMS: Final = "aws:kms"
MANAGED_ALIAS: Final = "alias/aws/s3"
"""The key that is meant where none is named."""
CONTEXT_LIMIT: Final = 8192  # bytes of JSON

_SSE: Final = b"x-amz-server-side-encryption"
_KEY: Final = _SSE + b"-aws-kms-key-id"
_CONTEXT: Final = _SSE + b"-context"
_BUCKET_KEY: Final = _SSE + b"-bucket-key-enabled"
_NAMES: Final = frozenset({_SSE, _KEY, _CONTEXT, _BUCKET_KEY})
_ARN_LIMIT: Final = 2048
_MODIFYING: Final = "Requests that modify an object encryption configuration require"
_TO_KMS: Final = "Requests that modify an object's encryption type to SSE-KMS require"
_ONLY_KMS: Final = "Valid values are SSEKMS."
_ARN: Final = re.compile(r"arn:aws:kms:([^:]*):([^:]*):(key/.+|alias/.+)")


@dataclass(frozen=True, slots=True)
class EncryptionAsked:
    """`algorithm` is empty where a request names none. `context` is the client's (names to texts),
    `sent_context` the same as it was sent; `bucket_key` None: not said."""

    algorithm: str = ""
    key: str | None = None
    context: dict[str, str] | None = None
    sent_context: str | None = None
    bucket_key: bool | None = None


_NOTHING: Final = EncryptionAsked()


def read_encryption(head: RequestHead) -> EncryptionAsked:
    """What a write asks for. Raises InvalidArgument; NotImplemented for aws:kms:dsse."""
    if _NAMES.isdisjoint(head.by_name):
        return _NOTHING
    algorithm = head.header(_SSE) or ""
    if algorithm == "aws:kms:dsse":
        raise S3Error("NotImplemented", Header=_SSE.decode())
    if algorithm not in ("", AES256, KMS):
        raise _invalid(_SSE, algorithm, "The encryption method specified is not supported")
    key, sent = head.header(_KEY), head.header(_CONTEXT)
    if algorithm != KMS and (key is not None or sent is not None):
        raise _invalid(
            _SSE,
            algorithm or "null",
            "Server Side Encryption with AWS KMS managed key requires HTTP header "
            "x-amz-server-side-encryption : aws:kms",
        )
    bucket_key = (head.header(_BUCKET_KEY) or "").lower()
    if bucket_key not in ("", "true", "false"):
        raise _invalid(_BUCKET_KEY, bucket_key, "The value must be true or false")
    context = None if sent is None else _context(sent)
    said = {"true": True, "false": False}.get(bucket_key)
    return EncryptionAsked(algorithm, key or None, context, sent, said)


def refuse_encryption(head: RequestHead) -> None:
    """InvalidArgument where a read names an encryption: what an object has, it has."""
    if not _NAMES.isdisjoint(head.by_name):
        raise _invalid(
            _SSE,
            head.header(_SSE) or "null",
            "x-amz-server-side-encryption header is not supported for this operation.",
        )


def _context(sent: str) -> dict[str, str]:
    try:
        text = b64decode(sent, validate=True).decode()
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if (
        not isinstance(found, dict)
        or len(text) > CONTEXT_LIMIT
        or not all(isinstance(value, str) for value in found.values())
    ):
        raise _invalid(
            _CONTEXT,
            sent[:100],
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 "
            "string holding JSON which represents a string-string map",
        )
    return found


def parse_object_encryption(body: bytes) -> tuple[str, bool]:
    """ObjectEncryption: the ARN of the key that an object is to be under, and whether a bucket key
    stands between. Raises MalformedXML; InvalidRequest for any other encryption and for what is no
    key's ARN."""
    root = parse(body, "ObjectEncryption")
    if len(root) != 1:
        raise malformed()
    if root[0].tag != "SSE-KMS":
        raise S3Error("InvalidRequest", f"{_MODIFYING} a valid new encryption type. {_ONLY_KMS}")
    said = leaves(root[0], ("KMSKeyArn", "BucketKeyEnabled"))
    bucket_key = said.get("BucketKeyEnabled", "false").strip().lower()
    if bucket_key not in ("true", "false"):
        raise S3Error(
            "InvalidRequest",
            "The BucketKeyEnabled value isn't valid. Valid values are true or false.",
        )
    arn = said.get("KMSKeyArn", "").strip()
    if not arn:
        raise S3Error("InvalidRequest", f"{_TO_KMS} an AWS KMS key Amazon Resource Name (ARN).")
    found = _ARN.fullmatch(arn)
    if found is None or not found[3].startswith("key/") or len(arn) > _ARN_LIMIT:
        raise S3Error(
            "InvalidRequest", f"{_TO_KMS} a valid AWS KMS key Amazon Resource Name (ARN)."
        )
    return arn, bucket_key == "true"


def account_of(arn: str) -> str:
    """Whose a key is, by its ARN."""
    return arn.split(":")[4]


def full_context(asked: dict[str, str] | None, bucket: str, key: bytes) -> str:
    """What the data key is bound to: the client's context and the object's ARN, as JSON in one
    form."""
    arn = f"arn:aws:s3:::{bucket}/{key.decode(errors='replace')}"
    whole = {"aws:s3:arn": arn, **(asked or {})}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def key_arn(region: str, store: str, key_id: str) -> str:
    """A key's full name, as answers tell it."""
    return f"arn:aws:kms:{region}:{store}:key/{key_id}"


def named_key(name: str, region: str, store: str) -> str:
    """`alias/…` or a key's id, from any form that names it. Raises KMS.NotFoundException for a
    name that another region or store would have."""
    if not name.startswith("arn:"):
        return name.removeprefix("key/")
    found = _ARN.fullmatch(name)
    if found is None:
        raise S3Error("KMS.NotFoundException", f"Invalid keyId '{name}'")
    if found[1] != region:
        raise S3Error("KMS.NotFoundException", f"Invalid arn {found[1]}")
    if found[2] != store:
        raise S3Error("KMS.NotFoundException", f"Key '{name}' does not exist")
    return found[3].removeprefix("key/")


def headers(
    arn: str, *, bucket_key: bool, sent_context: str | None = None
) -> tuple[tuple[bytes, bytes], ...]:
    """What an answer tells of an object under a key of the key service."""
    told = [(_SSE, KMS.encode()), (_KEY, arn.encode())]
    if sent_context is not None:
        told.append((_CONTEXT, sent_context.encode("latin-1", "replace")))
    if bucket_key:
        told.append((_BUCKET_KEY, b"true"))
    return tuple(told)


def _invalid(name: bytes, value: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name.decode(), ArgumentValue=value)
