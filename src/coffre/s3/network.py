"""Who comes in at all: stores that are locked, and network rules of buckets and stores.

Asked as soon as store and bucket are known, before any permission: no signature, no policy and no
presigned URL gets past it.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

from coffre.access.networks import Address, read_rule
from coffre.catalog.interface import Reader
from coffre.catalog.records import Bucket, Store
from coffre.s3.settings import Settings
from coffre.wire.errors import S3Error

NETWORK: Final = "network"
"""The document of a bucket that has a rule of its own."""
_rule: Final = lru_cache(maxsize=256)(read_rule)


def check_entry(
    reader: Reader, settings: Settings, client: str, store: Store, bucket: Bucket | None
) -> None:
    """AccessDenied where the store is locked, or the client comes from where the bucket's rule (its
    store's, where it has none) lets nobody in."""
    if store.status != "active":
        raise S3Error("AccessDenied")
    document = None if bucket is None else reader.bucket_document(bucket.id, NETWORK)
    kept = store.settings.network if document is None else document
    if kept and not _rule(kept).admits(_address(client), settings.private_networks):
        raise S3Error("AccessDenied")


@lru_cache(maxsize=1024)
def _address(client: str) -> Address | None:
    """None for what is no address: nothing but a public rule lets it in."""
    try:
        return ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return None
