"""Who pays for requests. In a bucket whose requesters pay, everybody but its owner must say that
they know it, and nobody may come unsigned (AWS, "Using Requester Pays buckets")."""

from __future__ import annotations

from typing import Final

from coffre.access.principals import Principal
from coffre.catalog.interface import Reader
from coffre.catalog.records import Bucket
from coffre.s3.response import Header
from coffre.wire.configurations import requester_pays
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

REQUEST_PAYMENT: Final = "request-payment"
_PAYER: Final = "x-amz-request-payer"
CHARGED: Final[Header] = (b"x-amz-request-charged", b"requester")


def is_charged(reader: Reader, principal: Principal, head: RequestHead, bucket: Bucket) -> bool:
    """Whether the requester pays. AccessDenied for one who would have to and does not say so."""
    if principal.user_id == bucket.owner_id:
        return False
    kept = reader.bucket_document(bucket.id, REQUEST_PAYMENT)
    if kept is None or not requester_pays(kept):
        return False
    said = head.header(_PAYER.encode()) or head.query.get(_PAYER, "")
    if principal.user_id is None or said.lower() != "requester":
        raise S3Error("AccessDenied")
    return True
