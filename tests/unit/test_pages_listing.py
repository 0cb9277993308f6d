"""Tables: what is searched is found, sorted, and comes once, page by page."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from coffre.console.pages.listing import PAGE, Listing

rows = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.text(max_size=5),
            "bytes": st.integers(0, 9),
            "label": st.one_of(st.none(), st.text(max_size=3)),
        }
    ),
    max_size=250,
)


def listing(rows: list[dict[str, Any]], asked: dict[str, str]) -> Listing:
    return Listing(
        rows,
        asked,
        "/things",
        columns=("name", "bytes", "label"),
        searched=("name", "label"),
        kept={"store": "shop", "none": ""},
    )


def asked_by(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


@given(rows, st.sampled_from(["name", "-name", "bytes", "-bytes", "label", "-label"]))
def test_the_pages_hold_every_row_once_in_order(rows: list[dict[str, Any]], sort: str) -> None:
    page = listing(rows, {"sort": sort})
    seen = list(page.shown)
    while page.page < page.pages:
        assert len(page.shown) == PAGE
        page = listing(rows, asked_by(page.at(page.page + 1)))
        assert page.kept == {"store": "shop"}
        seen += page.shown
    assert sorted(map(str, seen)) == sorted(map(str, rows))
    by = sort.removeprefix("-")
    values = [row[by] for row in seen if row[by] is not None]
    folded = [one.casefold() if isinstance(one, str) else one for one in values]
    assert folded == sorted(folded, reverse=sort.startswith("-"))


@given(rows, st.text(max_size=3))
def test_a_search_finds_what_holds_it_whatever_its_case(
    rows: list[dict[str, Any]], query: str
) -> None:
    found = listing(rows, {"q": query})
    wanted = query.strip().casefold()
    holds = [
        row
        for row in rows
        if wanted in row["name"].casefold() or wanted in (row["label"] or "").casefold()
    ]
    assert (found.total, found.all) == (len(holds), len(rows))


@given(st.dictionaries(st.sampled_from(["q", "sort", "page", "store"]), st.text(max_size=12)))
def test_an_address_that_makes_no_sense_shows_a_table(asked: dict[str, str]) -> None:
    page = listing([{"name": "a", "bytes": 1, "label": None}], asked)
    assert page.page == 1
    assert len(page.shown) <= 1


def test_a_column_that_is_sorted_by_turns_round() -> None:
    page = listing([], {"sort": "bytes", "q": "x"})
    assert asked_by(page.sorted_by("bytes")) == {"store": "shop", "q": "x", "sort": "-bytes"}
    assert asked_by(page.sorted_by("name"))["sort"] == "name"
