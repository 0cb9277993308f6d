"""The words and signs of SelectObjectContent's SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from coffre.wire.errors import S3Error

RESERVED: Final = frozenset(
    {
        *("SELECT", "FROM", "WHERE", "LIMIT", "AND", "OR", "NOT", "AS", "IN", "LIKE", "BETWEEN"),
        *("IS", "ESCAPE", "CASE", "WHEN", "THEN", "ELSE", "END", "CAST", "NULL", "MISSING"),
        *("TRUE", "FALSE", "GROUP", "ORDER", "BY", "HAVING", "JOIN", "UNION", "DISTINCT"),
        "OFFSET",
    }
)
UNSUPPORTED: Final = frozenset({"GROUP", "ORDER", "HAVING", "JOIN", "UNION", "OFFSET", "DISTINCT"})

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
      |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      |(?P<string>'(?:[^']|'')*')
      |(?P<quoted>"(?:[^"]|"")*")
      |(?P<word>[^\W\d]\w*)
      |(?P<sign><>|!=|<=|>=|\|\||[-+*/%=<>().,\[\]])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str

    @property
    def word(self) -> str:
        """In upper case, if it may be a keyword."""
        return self.text.upper() if self.kind == "word" else ""


END: Final = Token("end", "")


def tokens(text: str) -> list[Token]:
    """Raises LexerInvalidChar."""
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise S3Error(
                "LexerInvalidChar", f"The SQL expression has an invalid character at {at + 1}."
            )
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(Token(kind, match.group()))
        at = match.end()
    return found


def outermost(tokens: list[Token], word: str) -> int:
    """Where a keyword stands outside all brackets; past the end if nowhere."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.word == word:
            return at
    return len(tokens)


def decimal(token: Token) -> Decimal:
    """A number of at most 38 digits. Raises IntegerOverflow."""
    try:
        found = Decimal(token.text)
    except InvalidOperation:  # an exponent that no number has
        raise S3Error("IntegerOverflow") from None
    if found.adjusted() > 37 or len(found.as_tuple().digits) > 38:
        raise S3Error("IntegerOverflow")
    return found


def unquoted(text: str) -> str:
    """What stands between quotes; two of them are one."""
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)
