"""What a form brought: what was typed, kept for the page that says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from coffre.console.i18n import N_, Language

# Both ways to write a unit: 500 GiB, 500 Gio, 2 TB, 2 To.
_SIZE: Final = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\s*([kmgtpe]?)(i?)(?:b|o)?", re.IGNORECASE)
_POWERS: Final = " kmgtpe"
_MOST: Final = (1 << 63) - 1


class Form:
    """Fields as they were sent, and the problems found with them, by field. `said` words them."""

    def __init__(self, fields: Mapping[str, Sequence[str]], said: Language) -> None:
        self.fields = fields
        self._said = said
        self.problems: dict[str, str] = {}

    def typed(self, name: str, otherwise: object = None) -> str:
        """What stands in a field: what was sent, or else its value of before."""
        sent = self.fields.get(name)
        if sent:
            return sent[-1]
        return "" if otherwise is None else str(otherwise)

    def ticked(self, name: str, otherwise: bool = False) -> bool:
        """Whether a box is ticked; a form that was sent says so of each of its boxes."""
        return name in self.fields if self.fields else otherwise

    def text(self, name: str) -> str:
        """A line without the blanks around it."""
        return self.typed(name).strip()

    def lines(self, name: str) -> list[str]:
        """The entries of a field that takes many: one a line, or with commas between."""
        return [one for one in re.split(r"[\s,;]+", self.typed(name)) if one]

    def whole(self, name: str, least: int = 0, most: int = _MOST) -> int:
        """A whole number within bounds; what is none is a problem of the field, and `least`."""
        text = re.sub(r"[\s\u202f\u00a0]", "", self.typed(name)) or str(least)
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        if most == _MOST:
            self.refuse(name, N_("A whole number, %(least)s or more."), least=least)
        else:
            self.refuse(
                name, N_("A whole number from %(least)s to %(most)s."), least=least, most=most
            )
        return least

    def size(self, name: str) -> int:
        """Bytes, typed with or without a unit; what is no size is a problem of the field, and 0."""
        match = _SIZE.fullmatch(self.text(name) or "0")
        if match is None:
            self.refuse(name, N_("A size, such as 500 GiB or 2 TB."))
            return 0
        step = 1024 if match[3] else 1000
        power = _POWERS.index(match[2].lower() or " ")
        size = int(Decimal(match[1].replace(",", ".")) * step**power)
        if size > _MOST:
            self.refuse(name, N_("This is more than can be stored."))
        return min(size, _MOST)

    def refuse(self, name: str, message: str, **values: object) -> None:
        """Note what is wrong with a field, in the reader's language."""
        self.problems.setdefault(name, self._said(message, **values))
