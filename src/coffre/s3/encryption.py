"""With what an object is encrypted: the store's key, a named one of the key service (SSE-KMS), or
one that its customer brings (SSE-C).

Under a key of the key service an object has a data key of its own, sealed by that key and kept
beside the object; it wraps the keys of the object's blobs.

A customer's key is never kept. A random salt and the key make two more by HKDF: one wraps the keys
of the object's blobs, the other is kept beside the salt as the proof by which the right key is
known again.
"""

from __future__ import annotations

import hmac
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final

from coffre.catalog.records import Encryption, KmsEncryption, Upload
from coffre.s3.content import Taken
from coffre.s3.context import Context
from coffre.s3.control import bucket_encryption
from coffre.s3.form_body import FormBody
from coffre.s3.response import ENCRYPTED, Header
from coffre.vault.keys import derive_customer_keys
from coffre.wire.bucket_settings import BucketEncryption
from coffre.wire.customer_key import CustomerKey, read_customer_key
from coffre.wire.errors import S3Error
from coffre.wire.kms import KMS, EncryptionAsked, full_context, read_encryption
from coffre.wire.kms import headers as kms_headers

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
        """The MD5 of what was taken in, which must not become known of what only the holder of a
        key can read: then 32 digits that depend on it and on the key."""
        if self.data_key is None:
            return taken.etag
        said = taken.staged.blob.id + taken.md5
        return hmac.digest(self.data_key, said, "sha256")[:16].hex()


BY_STORE: Final = Protection(None, None, (ENCRYPTED,))


async def protect(context: Context) -> Protection:
    """For a new object or upload, as the request or else the bucket wants it. AccessDenied where
    the bucket takes no customers' keys; KMS.NotFoundException, KMS.DisabledException."""
    asked, brought = read_encryption(context.head), _brought(context)
    default = bucket_encryption(context.reader, context.bucket)
    if brought is None:
        if (asked.algorithm or default.algorithm) != KMS:
            return BY_STORE
        return await _by_key_service(context, asked, default)
    if default.blocks_customer_keys:
        raise S3Error("AccessDenied")
    salt = context.services.entropy.bytes(_SALT_BYTES)
    data_key, proof = derive_customer_keys(brought.key, salt)
    return Protection(data_key, Encryption(salt, proof), brought.headers())


async def _by_key_service(
    context: Context, asked: EncryptionAsked, default: BucketEncryption
) -> Protection:
    _require_v4(context)
    service, store = context.services.keys, context.store
    name = asked.key if asked.algorithm else default.kms_key or None
    key = await service.usable(store, name)
    bound = full_context(asked.context, context.bucket.name, context.key)
    data_key, sealed = await service.new_data_key(store, key, bound)
    bucket_key = default.bucket_key if asked.bucket_key is None else asked.bucket_key
    kept = Encryption(b"", b"", KmsEncryption(key.id, sealed, bound, bucket_key))
    arn = service.arn(store, key.id)
    told = kms_headers(arn, bucket_key=bucket_key, sent_context=asked.sent_context)
    return Protection(data_key, kept, told)


async def open_protected(
    context: Context, kept: Encryption | None, *, source: bool = False, read: bool = True
) -> Protection:
    """For an object that is to be read (or, `source`, copied); without its data key where only its
    headers are (`read` False) and the key service would have to be asked.

    InvalidRequest where a key is missing or too many, AccessDenied for another than the object's;
    KMS.NotFoundException, KMS.DisabledException.
    """
    brought = _brought(context, source=source)
    if kept is None or kept.kms is not None:
        if brought is not None:
            raise S3Error(
                "InvalidRequest", "The encryption parameters are not applicable to this object."
            )
        return BY_STORE if kept is None else await _open_sealed(context, kept, read=read)
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


async def protect_part(context: Context, upload: Upload) -> Protection:
    """For a part: every one comes with the key of its upload. InvalidRequest otherwise."""
    brought, kept = _brought(context), upload.encryption
    if kept is None or kept.kms is not None:
        if brought is not None:
            raise S3Error(
                "InvalidRequest",
                "The multipart upload initiate did not request encryption. Please resend the "
                "request without sending encryption parameters.",
            )
        return BY_STORE if kept is None else await _open_sealed(context, kept)
    if brought is None:
        raise S3Error(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must "
            "include the appropriate encryption parameters.",
        )
    return _same(brought, kept)


async def check_completion(context: Context, upload: Upload) -> Protection:
    """For the end of an upload, where the key may be left out. Raises as `protect_part`."""
    kept = upload.encryption
    if kept is not None and _brought(context) is None:
        return Protection(None, kept, told_of(context, kept))
    return await protect_part(context, upload)


def told_of(context: Context, kept: Encryption | None) -> tuple[Header, ...]:
    """What an answer tells of an object's encryption that needs no key to be known."""
    if kept is None:
        return (ENCRYPTED,)
    if kept.kms is None:
        return ()
    arn = context.services.keys.arn(context.store, kept.kms.key_id)
    return kms_headers(arn, bucket_key=kept.kms.bucket_key)


async def _open_sealed(context: Context, kept: Encryption, *, read: bool = True) -> Protection:
    assert kept.kms is not None, "the caller looked"
    data_key = None
    if read:
        _require_v4(context)
        data_key = await context.services.keys.open(context.store, kept.kms)
    return Protection(data_key, kept, told_of(context, kept))


def is_v4(context: Context) -> bool:
    """Whether Signature Version 4 says who asks."""
    head = context.head
    signed = (head.header(b"authorization") or "").startswith("AWS4-")
    return signed or "X-Amz-Algorithm" in head.query or isinstance(context.body, FormBody)


def _require_v4(context: Context) -> None:
    """InvalidArgument unless Signature Version 4 says who asks, as on AWS. (What a form is signed
    with stands in its fields.)"""
    if not is_v4(context):
        raise S3Error(
            "InvalidArgument",
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS "
            "Signature Version 4.",
            ArgumentName="Authorization",
        )


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
