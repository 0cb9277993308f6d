"""Inventory configurations: kept, told, and acted on by a steward (`coffre.stewards.inventory`)."""

from __future__ import annotations

from coffre.s3.context import Context
from coffre.wire.errors import S3Error
from coffre.wire.inventory import read_inventory


def check_inventory(context: Context, kept: bytes) -> None:
    """InvalidS3DestinationBucket unless the destination is a bucket of the same owner; AccessDenied
    unless whoever asks may put objects there; what `read_inventory` raises."""
    wanted = read_inventory(kept)
    target = context.reader.bucket(context.bucket.store_id, wanted.target)
    if target is None or target.owner_id != context.bucket.owner_id:
        raise S3Error("InvalidS3DestinationBucket", DestinationBucket=wanted.target)
    context.authorize("s3:PutObject", target, f"{wanted.folder}/{context.bucket.name}".encode())
