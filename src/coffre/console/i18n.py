"""Two languages: which one a request is answered in, its words, numbers, sizes and dates.

Sentences in the source are English and are the keys of `locale/fr/LC_MESSAGES/coffre.po`, which is
read as it is: no compiled file can be older than it. `N_` marks what is translated later.
"""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment
from markupsafe import Markup

SOURCE = "en"
LANGUAGES = (SOURCE, "fr")
COOKIE = "coffre_lang"
DOMAIN = "coffre"

# A thousand and 1024 bytes, as the two languages write them.
_DECIMAL = {"en": "B kB MB GB TB PB EB", "fr": "o ko Mo Go To Po Eo"}
_BINARY = {"en": "B KiB MiB GiB TiB PiB EiB", "fr": "o Kio Mio Gio Tio Pio Eio"}
_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9]+)*\s*(?:;\s*q\s*=\s*([01](?:\.\d*)?))?\s*"
)
_NO_BREAK = "\N{NO-BREAK SPACE}"
_DAY_S = 86_400


def N_(message: str) -> str:  # noqa: N802 (gettext's own name)
    """Marks a sentence for translation where it is written; it is translated where it is shown."""
    return message


def choose(asked: str | None, cookie: str | None, accept: str | None) -> str:
    """The language of a request: `?lang=`, else the cookie, else `Accept-Language` (RFC 9110,
    12.5.4: the highest weight, the first of equals), else English."""
    for wish in (asked, cookie):
        if wish in LANGUAGES:
            return str(wish)
    wishes: list[tuple[float, str]] = []
    for part in (accept or "")[:1000].split(","):
        match = _RANGE.fullmatch(part)
        code = match[1].lower() if match else ""
        code = SOURCE if code == "*" else code
        if match and code in LANGUAGES:
            wishes.append((float(match[2] or 1), code))
    best = max(wishes, key=lambda wish: wish[0], default=(0.0, SOURCE))
    return best[1] if best[0] > 0 else SOURCE


class Language:
    """One language's words and forms. Times are milliseconds since 1970, shown in `zone`."""

    def __init__(self, code: str, translations: gettext.NullTranslations) -> None:
        self.code = code
        self.translations = translations
        self._locale = Locale(code, "GB" if code == "en" else "FR")

    def __call__(self, message: str, **values: object) -> str:
        """A sentence in this language, its `%(name)s` filled in."""
        return self.translations.gettext(message) % values

    def plural(self, one: str, many: str, num: int, **values: object) -> str:
        """The form for `num`, which is also the value `%(num)s`, written as numbers are here."""
        message = self.translations.ngettext(one, many, num)
        return message % {"num": self.number(num), **values}

    @property
    def units(self) -> list[str]:
        """Bytes, thousands of them, and so on."""
        return _DECIMAL[self.code].split()

    def number(self, value: float | Decimal) -> str:
        return numbers.format_decimal(value, locale=self._locale)

    def percent(self, share: float, digits: int = 0) -> str:
        """A share of one as a percentage."""
        pattern = f"0.{'0' * digits}%" if digits else "0%"
        if self.code == "fr":
            pattern = pattern.replace("%", f"{_NO_BREAK}%")
        return numbers.format_percent(share, pattern, locale=self._locale)

    def money(self, amount: Decimal | str, currency: str) -> str:
        """An amount, a decimal string too, with the currency's own number of digits."""
        return numbers.format_currency(Decimal(amount), currency, locale=self._locale)

    def size(self, count: int) -> str:
        """Bytes in the unit of a thousand that suits: `18,4 Go`, `18.4 GB`."""
        return self._scaled(count, 1000, self.units)

    def exact_size(self, count: int) -> str:
        """Bytes in units of 1024 and to the byte: `17.14 GiB (18,402,123,456 bytes)`."""
        binary = self._scaled(count, 1024, _BINARY[self.code].split(), digits=2)
        exact = self.plural("%(num)s byte", "%(num)s bytes", count)
        return f"{binary} ({exact})" if abs(count) >= 1024 else exact

    def sized(self, count: int) -> Markup:
        """The size as a page shows it: short, and exact where the pointer rests."""
        return Markup('<span class="size" title="{}">{}</span>').format(
            self.exact_size(count), self.size(count)
        )

    def date(self, at_ms: int, zone: tzinfo = UTC) -> str:
        return dates.format_date(_moment(at_ms, zone), "medium", locale=self._locale)

    def time(self, at_ms: int, zone: tzinfo = UTC) -> str:
        """Day and time to the second, with the zone's name: a time without one is a guess."""
        moment = _moment(at_ms, zone)
        day = dates.format_date(moment, "medium", locale=self._locale)
        return f"{day} {moment:%H:%M:%S} {moment:%Z}"

    def moment(self, at_ms: int, zone: tzinfo = UTC) -> Markup:
        """The time as a page shows it: `<time>`, which machines read too."""
        return Markup('<time datetime="{}">{}</time>').format(
            _moment(at_ms, UTC).isoformat(timespec="milliseconds"), self.time(at_ms, zone)
        )

    def month(self, month: str) -> str:
        """`2026-11` as `novembre 2026`."""
        year, number = month.split("-")
        first = datetime(int(year), int(number), 1, tzinfo=UTC)
        return dates.format_skeleton("yMMMM", first, locale=self._locale)

    def duration(self, seconds: float) -> str:
        """About how long: `3 days`, `90 minutes`, `1 heure`."""
        whole = round(max(seconds, 0))
        even = whole % _DAY_S == 0 or (whole < _DAY_S and whole % 3600 == 0)
        return dates.format_timedelta(whole, threshold=1 if even else 2, locale=self._locale)

    def ago(self, at_ms: int, now_ms: int) -> str:
        """How long before `now_ms`, as words; after a week the day itself says more."""
        seconds = (now_ms - at_ms) / 1000
        if abs(seconds) >= 7 * _DAY_S:
            return self.date(at_ms)
        return dates.format_timedelta(-round(seconds), add_direction=True, locale=self._locale)

    def _scaled(self, count: int, step: int, units: list[str], digits: int = 1) -> str:
        power, value = 0, Decimal(count)
        # What would round to a whole step is the next unit's.
        while power + 1 < len(units) and abs(round(value, digits)) >= step:
            power, value = power + 1, value / step
        pattern = "#,##0." + "#" * digits if power else "#,##0"
        shown = numbers.format_decimal(value, pattern, locale=self._locale)
        return f"{shown}{_NO_BREAK}{units[power]}"


def _moment(at_ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, zone)


def read_translations(code: str) -> gettext.NullTranslations:
    """The words of a language from its `.po` file; the source's need none."""
    if code == SOURCE:
        return gettext.NullTranslations()
    page = files("coffre.console") / "locale" / code / "LC_MESSAGES" / f"{DOMAIN}.po"
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(page.read_bytes()), code, DOMAIN))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def language(code: str) -> Language:
    """One of `LANGUAGES`, read once a process. Raises ValueError for any other."""
    if code not in LANGUAGES:
        raise ValueError(f"no words in the language {code!r}")
    return Language(code, read_translations(code))


def install(environment: Environment, spoken: Language) -> None:
    """Give an environment of templates one language: `_()`, `ngettext()`, `{% trans %}`, and the
    filters below. Sentences may hold markup; the values in them are escaped."""
    environment.add_extension("jinja2.ext.i18n")
    installing: Callable[..., None] = environment.install_gettext_translations  # type: ignore[attr-defined]
    installing(spoken.translations, newstyle=True)
    filters: dict[str, Callable[..., Any]] = {
        "number": spoken.number,
        "percent": spoken.percent,
        "money": spoken.money,
        "size": spoken.sized,
        "size_text": spoken.size,
        "size_exact": spoken.exact_size,
        "date": spoken.date,
        "moment": spoken.moment,
        "time_text": spoken.time,
        "month": spoken.month,
        "duration": spoken.duration,
        "ago": spoken.ago,
    }
    environment.filters.update(filters)
    environment.globals["language"] = spoken
