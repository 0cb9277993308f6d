"""Byte ranges: `Range` on reads (RFC 9110 §14.2, one range as on AWS) and on part copies."""

from __future__ import annotations

import re
from typing import Final

from coffre.wire.errors import S3Error

_RANGE: Final = re.compile(r"bytes=([0-9]*)-([0-9]*)", re.IGNORECASE)
_COPY_RANGE: Final = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")
_FAR: Final = 10**19  # past any object; also keeps thousands of digits away from int()


def _offset(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= 19 else _FAR


def resolve(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte (inclusive) that a `Range` header asks of `size` bytes; None for all.

    Malformed, reversed, several ranges or another unit: the header is ignored, as AWS does.
    InvalidRange when a well-formed range holds no byte of the object (so always when it is empty).
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if first:
        start, end = _offset(first), min(_offset(last or str(_FAR)), size - 1)
        if last and _offset(last) < start:
            return None
    else:
        start, end = max(0, size - _offset(last)), size - 1
    if start > end:
        raise S3Error(
            "InvalidRange",
            headers=((b"content-range", b"bytes */%d" % size),),
            RangeRequested=found.string,
            ActualObjectSize=str(size),
        )
    return start, end


def copy_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that `x-amz-copy-source-range` asks of `size` bytes; None for all.

    Both ends must be given, in order and inside the source: else InvalidArgument.
    """
    if header is None:
        return None
    found = _COPY_RANGE.fullmatch(header.strip())
    start, end = (int(found[1]), int(found[2])) if found else (1, 0)
    if start > end:
        message = (
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first"
            " and last are the zero-based offsets of the first and last bytes to copy"
        )
    elif end >= size:
        message = f"Range specified is not valid for source object of size: {size}"
    else:
        return start, end
    raise S3Error(
        "InvalidArgument",
        message,
        ArgumentName="x-amz-copy-source-range",
        ArgumentValue=header,
    )
