"""Patterns of policies: `*` any characters, `?` one, `${name}` what the request says of itself.

A pattern is compiled once. Matching takes time in proportion to pattern and text: what stands
between two stars is found leftmost and never looked for again (atomic groups).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

# What a request says of itself: lower-case condition key -> values, absent when it says nothing.
Facts = Mapping[str, tuple[str, ...]]
Matcher = Callable[[str], bool]
# Matches a text against a pattern whose variables are filled in from facts.
Pattern = Callable[[str, Facts], bool]

_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_DEFAULT: Final = re.compile(r"\s*([^,]*?)\s*,\s*'([^']*)'\s*")
_LITERALS: Final = {"*": "*", "?": "?", "$": "$"}


def glob(pattern: str) -> Matcher:
    """Matches whole texts, cases told apart."""
    return _matcher([(pattern, True)])


def compile_pattern(
    pattern: str, *, wild: bool = True, variables: bool = True, fold: bool = False
) -> Pattern:
    """`wild`: stars and question marks count. `variables`: `${…}` counts (policy version 2012).
    `fold`: cases are not told apart; the text comes in lower case."""
    if fold:
        pattern = pattern.lower()
    if not variables or "${" not in pattern:
        fixed = _matcher([(pattern, wild)])
        return lambda text, facts: fixed(text)
    pieces = _pieces(pattern)

    def matches(text: str, facts: Facts) -> bool:
        parts: list[tuple[str, bool]] = []
        for piece, variable in pieces:
            if not variable:
                parts.append((piece, wild))
                continue
            value = _value(piece, facts)
            if value is None:
                return False
            parts.append((value.lower() if fold else value, False))
        return _matcher(parts)(text)

    return matches


def _pieces(pattern: str) -> list[tuple[str, bool]]:
    """(text, whether it names a variable) in order."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for found in _VARIABLE.finditer(pattern):
        pieces.append((pattern[at : found.start()], False))
        pieces.append((found.group(1), True))
        at = found.end()
    pieces.append((pattern[at:], False))
    return pieces


def _value(name: str, facts: Facts) -> str | None:
    """A variable's value: one of `${*} ${?} ${$}`, a fact with one value, or the default."""
    if name in _LITERALS:
        return _LITERALS[name]
    default: str | None = None
    if given := _DEFAULT.fullmatch(name):
        name, default = given.groups()
    values = facts.get(name.lower(), ())
    return values[0] if len(values) == 1 else default


def _matcher(parts: list[tuple[str, bool]]) -> Matcher:
    """`parts`: (text, whether its stars and question marks are wild), joined."""
    whole = "".join(text for text, _ in parts)
    wild = "".join(text for text, is_wild in parts if is_wild)
    if "*" not in wild and "?" not in wild:
        return whole.__eq__
    if len(parts) == 1 and "?" not in whole and whole.find("*") == len(whole) - 1:
        start = whole[:-1]
        return lambda text: text.startswith(start)
    expression = re.compile(_expression(parts), re.DOTALL)
    return lambda text: expression.fullmatch(text) is not None


def _expression(parts: list[tuple[str, bool]]) -> str:
    """What lies between stars; all but the last piece as an atomic group with its star."""
    between = [""]
    for text, is_wild in parts:
        for char in text:
            if is_wild and char == "*":
                between.append("")
            elif is_wild and char == "?":
                between[-1] += "."
            else:
                between[-1] += re.escape(char)
    first, *middle = between
    if not middle:
        return first
    *middle, last = middle
    groups = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return f"{first}{groups}.*{last}"
