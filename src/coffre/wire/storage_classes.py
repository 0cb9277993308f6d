"""Storage classes: which names AWS has, and what they mean here.

`KEPT` can be asked for. GLACIER and DEEP_ARCHIVE are archived: restored before they are read. The
others are kept as the client's word and told back; all of them are stored alike, as safely as
STANDARD, and read at once. The rest of AWS's names belong to other kinds of buckets.
"""

from __future__ import annotations

from typing import Final

from coffre.wire.errors import S3Error

STANDARD: Final = "STANDARD"
ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
KEPT: Final = ARCHIVED | {
    *(STANDARD, "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA"),
    *("INTELLIGENT_TIERING", "GLACIER_IR"),
}


def check_storage_class(text: str) -> str:
    """The class that a request names. Raises InvalidStorageClass."""
    if text not in KEPT:
        raise S3Error("InvalidStorageClass", StorageClassRequested=text)
    return text
