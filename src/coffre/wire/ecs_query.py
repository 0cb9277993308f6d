"""The search expressions of ECS: `Size > 10 and (x-amz-meta-a == "b" or x-amz-meta-n <= 3)`.

`and` binds closer than `or`; text stands in quotes or, where it has no space, without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from coffre.wire.errors import S3Error

MOST_CONDITIONS: Final = 64
MOST_DEPTH: Final = 32
OPERATORS: Final = ("==", ">=", "<=", ">", "<")

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<bracket>[()])|(?P<operator>==|>=|<=|[<>])"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<word>[^\s()<>="']+))"""
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`name operator text`."""

    name: str
    operator: str
    text: str


@dataclass(frozen=True, slots=True)
class Both:
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Either:
    left: Expression
    right: Expression


Expression = Comparison | Both | Either


def parse_query(text: str) -> Expression:
    """The expression of `?query=`. Raises InvalidArgument."""
    parser = _Parser(text)
    found = parser.either(0)
    if parser.next is not None:
        raise parser.wrong()
    return found


def comparisons(expression: Expression) -> Iterator[Comparison]:
    """All its conditions, as they are written from left to right."""
    if isinstance(expression, Comparison):
        yield expression
    else:
        yield from comparisons(expression.left)
        yield from comparisons(expression.right)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._conditions = 0
        self.next: tuple[str, str] | None = None
        self._advance()

    def wrong(self) -> S3Error:
        return S3Error(
            "InvalidArgument",
            f"The search expression cannot be read from character {self._at} on",
            ArgumentName="query",
            ArgumentValue=self._text,
        )

    def either(self, depth: int) -> Expression:
        found = self._both(depth)
        while self._word("or"):
            found = Either(found, self._both(depth))
        return found

    def _both(self, depth: int) -> Expression:
        found = self._one(depth)
        while self._word("and"):
            found = Both(found, self._one(depth))
        return found

    def _one(self, depth: int) -> Expression:
        if self.next == ("bracket", "("):
            if depth == MOST_DEPTH:
                raise self.wrong()
            self._advance()
            inner = self.either(depth + 1)
            if self.next != ("bracket", ")"):
                raise self.wrong()
            self._advance()
            return inner
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise self.wrong()
        name = self._take("word")
        operator = self._take("operator")
        if self.next is None or self.next[0] not in ("word", "text"):
            raise self.wrong()
        return Comparison(name, operator, self._take(self.next[0]))

    def _word(self, word: str) -> bool:
        if self.next is None or self.next[0] != "word" or self.next[1].lower() != word:
            return False
        self._advance()
        return True

    def _take(self, kind: str) -> str:
        if self.next is None or self.next[0] != kind:
            raise self.wrong()
        text = self.next[1]
        self._advance()
        return text

    def _advance(self) -> None:
        if not self._text[self._at :].strip():
            self.next = None
            return
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise self.wrong()
        self._at = found.end()
        kind = found.lastgroup or ""
        text = found[kind]
        if kind in ("double", "single"):
            kind, text = "text", re.sub(r"\\(.)", r"\1", text)
        self.next = kind, text
