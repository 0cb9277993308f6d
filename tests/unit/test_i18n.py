"""The language of a request, and how each writes numbers, sizes, times and money."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from coffre.console.i18n import LANGUAGES, choose, install, language

AT = 1_795_534_496_789  # 2026-11-24 15:34:56.789 UTC
fr, en = language("fr"), language("en")


def plain(text: str) -> str:
    """Spaces that do not break, as any other."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("asked", "cookie", "accept", "chosen"),
    [
        ("fr", "en", "en", "fr"),
        ("xx", "fr", "en", "fr"),
        (None, None, "fr-CA,en;q=0.8", "fr"),
        (None, None, "de, en;q=0.5, fr;q=0.9", "fr"),
        (None, None, "fr;q=0", "en"),
        (None, None, "*", "en"),
        (None, "", "", "en"),
        (None, None, None, "en"),
    ],
)
def test_a_wish_comes_before_the_cookie_and_the_browser(
    asked: str | None, cookie: str | None, accept: str | None, chosen: str
) -> None:
    assert choose(asked, cookie, accept) == chosen


@given(st.text(), st.text(), st.text())
def test_any_header_gives_one_of_the_two(asked: str, cookie: str, accept: str) -> None:
    assert choose(asked, cookie, accept) in LANGUAGES


def test_sizes_are_decimal_and_exact_beside() -> None:
    assert plain(fr.size(18_402_123_456)) == "18,4 Go"
    assert plain(en.size(18_402_123_456)) == "18.4 GB"
    assert plain(fr.exact_size(18_402_123_456)) == "17,14 Gio (18 402 123 456 octets)"
    assert plain(en.exact_size(18_402_123_456)) == "17.14 GiB (18,402,123,456 bytes)"
    assert plain(fr.sized(1)) == '<span class="size" title="1 octet">1 o</span>'


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_949, "999.9 kB"), (999_950, "1 MB")],
)
def test_what_rounds_to_a_thousand_is_one_of_the_next(count: int, shown: str) -> None:
    assert plain(en.size(count)) == shown


@given(st.integers(0, 2**63))
def test_every_size_has_a_unit_and_no_more_than_three_digits_before_it(count: int) -> None:
    number, unit = plain(en.size(count)).split(" ")
    assert unit[-1] == "B"
    assert float(number.replace(",", "")) < 1000


def test_numbers_shares_and_money() -> None:
    assert plain(fr.number(42_318_907)) == "42 318 907"
    assert plain(fr.percent(0.62)) == "62 %"
    assert plain(en.percent(0.9999, 2)) == "99.99%"
    assert plain(fr.money("212.60", "EUR")) == "212,60 €"
    assert en.money(Decimal("212.6"), "EUR") == "€212.60"


def test_times_name_their_zone() -> None:
    assert en.time(AT) == "24 Nov 2026 15:34:56 UTC"
    assert fr.time(AT) == "24 nov. 2026 15:34:56 UTC"
    assert 'datetime="2026-11-24T15:34:56.789+00:00"' in fr.moment(AT)
    assert fr.month("2026-11") == "novembre 2026"
    assert fr.ago(AT - 7_200_000, AT) == "il y a 2 heures"
    assert en.ago(AT - 20 * 86_400_000, AT) == "4 Nov 2026"
    assert plain(fr.duration(3 * 86_400)) == "3 jours"
    assert plain(fr.duration(3600)) == "1 heure"
    assert plain(en.duration(5400)) == "90 minutes"


def test_values_in_a_sentence_are_escaped_and_its_markup_is_not() -> None:
    environment = Environment(autoescape=True)
    install(environment, en)
    shown = environment.from_string(
        '{{ _("Bucket <b>%(name)s</b>", name=name) }} {% trans name %}of {{ name }}{% endtrans %}'
        ' {{ ngettext("%(num)s byte", "%(num)s bytes", 2) }}'
    ).render(name="<i>")
    assert shown == "Bucket <b>&lt;i&gt;</b> of &lt;i&gt; 2 bytes"


def test_a_third_language_is_refused() -> None:
    with pytest.raises(ValueError, match="'de'"):
        language("de")
