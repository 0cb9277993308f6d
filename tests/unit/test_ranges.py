from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.errors import S3Error
from coffre.wire.ranges import copy_range, resolve

OFFSETS = st.integers(0, 30)
SIZES = st.integers(0, 20)


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,3-4"),
        *("items=0-1", "bytes=1", "bytes=--1", "bytes=+1-2", "bytes= 1-2", "bytes=1-2x"),
        "bytes=\u0661-\u0662",
    ],
)
def test_what_is_not_one_good_range_asks_for_all(header: str | None) -> None:
    assert resolve(header, 10) is None


@given(OFFSETS, OFFSETS, SIZES)
def test_a_closed_range_gives_the_bytes_that_a_slice_gives(
    first: int, last: int, size: int
) -> None:
    body = bytes(range(size))
    if last < first:
        assert resolve(f"bytes={first}-{last}", size) is None
    elif not (expected := body[first : last + 1]):
        with pytest.raises(S3Error, match="InvalidRange"):
            resolve(f"bytes={first}-{last}", size)
    else:
        start, end = resolve(f"bytes={first}-{last}", size) or (0, -1)
        assert body[start : end + 1] == expected
        assert 0 <= start <= end < size


@given(OFFSETS, SIZES)
def test_open_and_suffix_ranges_give_the_bytes_that_a_slice_gives(n: int, size: int) -> None:
    body = bytes(range(size))
    for header, expected in ((f"bytes={n}-", body[n:]), (f"Bytes=-{n}", body[-n:] if n else b"")):
        if not expected:
            with pytest.raises(S3Error, match="InvalidRange"):
                resolve(header, size)
        else:
            start, end = resolve(header, size) or (0, -1)
            assert body[start : end + 1] == expected


def test_an_unsatisfiable_range_says_what_there_is() -> None:
    with pytest.raises(S3Error) as caught:
        resolve("bytes=10-20", 3)
    assert caught.value.fields == {"RangeRequested": "bytes=10-20", "ActualObjectSize": "3"}
    assert caught.value.headers == ((b"content-range", b"bytes */3"),)


def test_absurdly_long_numbers_are_only_far_away() -> None:
    assert resolve("bytes=0-" + "9" * 9000, 5) == (0, 4)
    assert resolve("bytes=-" + "9" * 9000, 5) == (0, 4)
    assert resolve("bytes=" + "0" * 9000 + "1-2", 5) == (1, 2)
    with pytest.raises(S3Error):
        resolve("bytes=" + "9" * 9000 + "-", 5)


@given(st.text(st.sampled_from("bytes=-, 0123456789x")), SIZES)
def test_no_header_raises_anything_but_s3_errors(header: str, size: int) -> None:
    for read in (resolve, copy_range):
        try:
            found = read(header, size)
        except S3Error:
            continue
        assert found is None or 0 <= found[0] <= found[1] < size


def test_a_copy_range_is_exact() -> None:
    assert copy_range(None, 10) is None
    assert copy_range("bytes=2-9", 10) == (2, 9)


@pytest.mark.parametrize(
    "header",
    ["", "bytes=1-", "bytes=-5", "0-5", "bytes=5-2", "bytes=0-1,2-3", "bytes=0-" + "9" * 5000],
)
def test_a_malformed_copy_range_is_refused(header: str) -> None:
    with pytest.raises(S3Error, match="must be of the form"):
        copy_range(header, 10)


@pytest.mark.parametrize(("header", "size"), [("bytes=0-10", 10), ("bytes=0-0", 0)])
def test_a_copy_range_past_the_source_is_refused(header: str, size: int) -> None:
    with pytest.raises(S3Error, match=f"source object of size: {size}"):
        copy_range(header, size)
