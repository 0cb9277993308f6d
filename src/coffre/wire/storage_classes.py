"""Storage classes: which names AWS has, and what they mean here.

`KEPT` are kept as the client's word and told back: all of them are stored alike, as safely as
STANDARD, and read at once. `ARCHIVED` would have to be restored before they are read. The other
names of AWS's model belong to other kinds of buckets and are refused as AWS refuses them.
"""

from __future__ import annotations

from typing import Final

from coffre.wire.errors import S3Error

STANDARD: Final = "STANDARD"
KEPT: Final = frozenset(
    {
        *(STANDARD, "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA"),
        *("INTELLIGENT_TIERING", "GLACIER_IR"),
    }
)
ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def check_storage_class(text: str) -> str:
    """The class that a request names. Raises InvalidStorageClass; NotImplemented for an archive."""
    if text in ARCHIVED:
        raise S3Error(
            "NotImplemented",
            f"The storage class {text} is not implemented",
            Header="x-amz-storage-class",
        )
    if text not in KEPT:
        raise S3Error("InvalidStorageClass", StorageClassRequested=text)
    return text
