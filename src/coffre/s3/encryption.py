"""With what an object is encrypted: the store's key, or one that its customer brings (SSE-C).

A customer's key is never kept. A random salt and the key make two more by HKDF: one wraps the keys
of the object's blobs, the other is kept beside the salt as the proof by which the right key is
known again.
"""

from __future__ import annotations

import hmac
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final

from coffre.catalog.records import Encryption, Upload
from coffre.s3.content import Taken
from coffre.s3.context import Context
from coffre.s3.control import blocks_customer_keys
from coffre.s3.response import ENCRYPTED, Header
from coffre.vault.keys import derive_customer_keys
from coffre.wire.customer_key import CustomerKey, read_customer_key
from coffre.wire.errors import S3Error

_SALT_BYTES: Final = 32


class Protection:
    """`data_key` wraps the blobs' keys (None: the store's does), `kept` is what the catalog keeps,
    `headers` what an answer tells."""

    __slots__ = ("data_key", "headers", "kept")

    def __init__(
        self, data_key: bytes | None, kept: Encryption | None, headers: tuple[Header, ...]
    ) -> None:
        self.data_key = data_key
        self.kept = kept
        self.headers = headers

    def etag(self, taken: Taken) -> str:
        """The MD5 of what was taken in, which must not become known of what only a customer can
        read: then 32 digits that depend on it and on the key."""
        if self.data_key is None:
            return taken.etag
        said = taken.staged.blob.id + taken.md5
        return hmac.digest(self.data_key, said, "sha256")[:16].hex()


BY_STORE: Final = Protection(None, None, (ENCRYPTED,))


def protect(context: Context) -> Protection:
    """For a new object or upload, as the request wants it. AccessDenied where the bucket takes no
    customers' keys."""
    brought = _brought(context)
    if brought is None:
        return BY_STORE
    if blocks_customer_keys(context.reader, context.bucket):
        raise S3Error("AccessDenied")
    salt = context.services.entropy.bytes(_SALT_BYTES)
    data_key, proof = derive_customer_keys(brought.key, salt)
    return Protection(data_key, Encryption(salt, proof), brought.headers())


def open_protected(
    context: Context, kept: Encryption | None, *, source: bool = False
) -> Protection:
    """For an object that is to be read (or, `source`, copied).

    InvalidRequest where a key is missing or too many, AccessDenied for another than the object's.
    """
    brought = _brought(context, source=source)
    if kept is None:
        if brought is None:
            return BY_STORE
        raise S3Error(
            "InvalidRequest", "The encryption parameters are not applicable to this object."
        )
    if brought is None:
        raise S3Error(
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. The correct parameters "
            "must be provided to retrieve the object.",
        )
    opened = _opened(brought, kept)
    if opened is None:
        raise S3Error("AccessDenied")
    return opened


def protect_part(context: Context, upload: Upload) -> Protection:
    """For a part: every one comes with the key of its upload. InvalidRequest otherwise."""
    brought, kept = _brought(context), upload.encryption
    if kept is None:
        if brought is None:
            return BY_STORE
        raise S3Error(
            "InvalidRequest",
            "The multipart upload initiate did not request encryption. Please resend the request "
            "without sending encryption parameters.",
        )
    if brought is None:
        raise S3Error(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must "
            "include the appropriate encryption parameters.",
        )
    return _same(brought, kept)


def check_completion(context: Context, upload: Upload) -> Protection:
    """For the end of an upload, where the key may be left out. Raises as `protect_part`."""
    if upload.encryption is None or _brought(context) is not None:
        return protect_part(context, upload)
    return Protection(None, upload.encryption, ())


def _same(brought: CustomerKey, kept: Encryption) -> Protection:
    opened = _opened(brought, kept)
    if opened is None:
        raise S3Error(
            "InvalidRequest",
            "The provided encryption parameters did not match the ones used originally.",
        )
    return opened


def _opened(brought: CustomerKey, kept: Encryption) -> Protection | None:
    data_key, proof = derive_customer_keys(brought.key, kept.salt)
    if not compare_digest(proof, kept.proof):
        return None
    return Protection(data_key, kept, brought.headers())


def _brought(context: Context, *, source: bool = False) -> CustomerKey | None:
    brought = read_customer_key(context.head, source=source)
    if brought is not None and not _is_secure(context):
        raise S3Error(
            "InvalidRequest",
            "Requests specifying Server Side Encryption with Customer provided keys must be made "
            "over a secure connection.",
        )
    return brought


def _is_secure(context: Context) -> bool:
    """Whether nobody on the way could read the key: TLS, this machine, or the operator's word."""
    head = context.head
    if head.scheme == "https" or context.services.settings.sse_c_over_http:
        return True
    try:
        client = ip_address(head.client)
    except ValueError:
        return False
    return (getattr(client, "ipv4_mapped", None) or client).is_loopback
