"""What forms bring: numbers, sizes and addresses as people type them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.console.api.problem import Problem
from coffre.console.i18n import language
from coffre.console.pages.browsers import browser_of
from coffre.console.pages.form import Form
from coffre.console.pages.networks import addresses_of, quota_meters, read_quota, typed_quota
from coffre.console.pages.words import said_of

ENGLISH, FRENCH = language("en"), language("fr")
MOST = (1 << 63) - 1


def form(**fields: str) -> Form:
    return Form({name: [value] for name, value in fields.items()}, ENGLISH)


@given(st.integers(0, MOST), st.sampled_from(["en", "fr"]))
def test_a_size_that_is_shown_to_be_typed_is_read_as_itself(size: int, code: str) -> None:
    shown = typed_quota({"hard_bytes": size}, language(code))["hard_bytes"]
    assert form(size=shown).size("size") == size


@pytest.mark.parametrize(
    ("typed", "size"),
    [
        ("", 0),
        ("17", 17),
        ("500 GiB", 500 * 1024**3),
        ("500 Gio", 500 * 1024**3),
        ("2TB", 2 * 10**12),
        ("2 to", 2 * 10**12),
        ("1,5 Go", 1_500_000_000),
        ("1.5 MiB", 1_572_864),
        ("3k", 3000),
    ],
)
def test_sizes_are_read_in_both_languages(typed: str, size: int) -> None:
    read = form(size=typed)
    assert (read.size("size"), read.problems) == (size, {})


@pytest.mark.parametrize("typed", ["-1", "much", "1 GiBB", "1e3", "9 EiB EiB", "99999 EiB", "١"])
def test_what_is_no_size_is_a_problem_of_its_field(typed: str) -> None:
    read = form(size=typed)
    read.size("size")
    assert list(read.problems) == ["size"]
    assert read.typed("size") == typed


@given(st.text(max_size=20))
def test_a_whole_number_is_one_or_a_problem(typed: str) -> None:
    read = form(number=typed)
    number = read.whole("number", 1, 30)
    assert 1 <= number <= 30
    plain = "".join(typed.split()) or "1"
    fits = plain.isascii() and plain.isdigit() and 1 <= int(plain) <= 30
    assert bool(read.problems) is not fits


@given(st.lists(st.one_of(st.ip_addresses(), st.ip_addresses(v=4).map(ip_network)), max_size=20))
def test_addresses_are_read_one_a_line_or_with_commas(addresses: list[object]) -> None:
    texts = [str(one) for one in addresses]
    for between in ("\n", ", ", " ; "):
        read = form(addresses=between.join(texts))
        assert addresses_of(read) == texts
        assert bool(read.problems) is not bool(texts)


def test_a_box_that_is_not_ticked_is_off_once_the_form_was_sent() -> None:
    assert Form({}, ENGLISH).ticked("box", True)
    assert not form(other="x").ticked("box", True)
    assert form(box="yes").ticked("box")


def test_a_limit_is_a_meter_with_words() -> None:
    shown = {
        "bytes": 18_400_000_000,
        "objects": 3,
        "quota": {"hard_bytes": 25 * 10**9, "warn_objects": 2},
    }
    (meter,) = quota_meters(shown, FRENCH)
    words = meter.words.replace("\N{NO-BREAK SPACE}", " ")
    assert (meter.label, words) == ("Octets", "18,4 Go sur 25 Go")
    assert read_quota(form(hard_bytes="1 kB", warn_objects="7")) == {
        "hard_bytes": 1000,
        "warn_bytes": 0,
        "hard_objects": 0,
        "warn_objects": 7,
    }


def test_the_usual_refusals_are_said_in_the_readers_language() -> None:
    known = Problem("NoSuchBucket", "there is no bucket 'x'")
    assert said_of(known, FRENCH).startswith("Ce bucket n’existe pas")
    assert said_of(Problem("SomethingElse", "its own words"), FRENCH) == "its own words"


@pytest.mark.parametrize(
    ("header", "called"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Firefox, Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120.0 Safari/537.36 Edg/120.0",
            "Edge, Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0) Version/17.0 Safari/604.1", "Safari, iPhone"),
        ("curl/8.1", "curl"),
        ("", ""),
    ],
)
def test_browsers_are_called_as_their_people_call_them(header: str, called: str) -> None:
    assert browser_of(header) == called
