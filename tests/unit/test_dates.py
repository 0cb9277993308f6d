from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire.dates import http_date, iso, iso_second, parse_http_date, parse_iso

EXAMPLE = 1_255_369_830_123  # 2009-10-12T17:50:30.123Z
INSTANTS = st.integers(-(10**12), 250_000_000_000_000)


def test_an_instant_is_written_as_aws_writes_it() -> None:
    assert http_date(EXAMPLE) == "Mon, 12 Oct 2009 17:50:30 GMT"
    assert iso(EXAMPLE) == "2009-10-12T17:50:30.123Z"
    assert iso_second(EXAMPLE) == "2009-10-12T17:50:30.000Z"


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 12 Oct 2009 17:50:30 GMT",
        "Monday, 12-Oct-09 17:50:30 GMT",
        "Mon Oct 12 17:50:30 2009",
        "Mon, 12 Oct 2009 19:50:30 +0200",
    ],
)
def test_every_http_form_is_read(text: str) -> None:
    assert parse_http_date(text) == EXAMPLE // 1000 * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "Mon, 42 Oct 2009 17:50:30 GMT", "0", "-1"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None


@given(INSTANTS)
def test_dates_agree_with_the_standard_library_and_read_back(ms: int) -> None:
    second = datetime.fromtimestamp(ms // 1000, UTC)
    assert http_date(ms) == format_datetime(second, usegmt=True)
    assert parse_iso(iso(ms)) == ms
    if second.year >= 1970:
        assert parse_http_date(http_date(ms)) == ms // 1000 * 1000


@pytest.mark.parametrize("ms", [253_402_300_800_000, (2**31 - 1) * 86_400_000])
def test_what_lies_behind_the_year_9999_is_written_as_its_last_second(ms: int) -> None:
    assert http_date(ms) == "Fri, 31 Dec 9999 23:59:59 GMT"
    assert iso_second(ms) == "9999-12-31T23:59:59.000Z"


@given(st.text() | st.text("0123456789 :,-+GMTOctMon"))
def test_no_text_makes_a_date_parser_raise(text: str) -> None:
    parse_http_date(text)
    parse_iso(text)
