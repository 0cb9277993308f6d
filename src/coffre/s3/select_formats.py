"""AWS's patterns of time stamps (`yyyy-MM-dd HH:mm`) as strftime's."""

from __future__ import annotations

import re
from typing import Final

from coffre.wire.errors import S3Error

_LETTERS: Final = {
    **{"y": "%Y", "yyyy": "%Y", "yy": "%y", "M": "%-m", "MM": "%m", "MMM": "%b", "MMMM": "%B"},
    **{"d": "%-d", "dd": "%d", "a": "%p", "h": "%-I", "hh": "%I", "H": "%-H", "HH": "%H"},
    **{"m": "%-M", "mm": "%M", "s": "%-S", "ss": "%S", "SSS": "%g", "SSSSSS": "%f"},
    **{"X" * many: "Z" for many in (1, 2, 3)},
    **{"x": "+00", "xx": "+0000", "xxx": "+00:00"},
}
_PIECE: Final = re.compile(r"([a-zA-Z])\1*|'([^']*)'|[^a-zA-Z']+")


def time_format(pattern: str) -> str:
    """The pattern for strftime in UTC. EvaluatorTimestampFormatPatternSyntaxError."""
    pieces, at = [], 0
    while at < len(pattern):
        found = _PIECE.match(pattern, at)
        if found is None:
            raise S3Error("EvaluatorTimestampFormatPatternSyntaxError")
        text = found.group()
        if found.group(1) and text != "T":
            if text not in _LETTERS:
                raise S3Error("EvaluatorTimestampFormatPatternSyntaxError")
            pieces.append(_LETTERS[text])
        else:
            plain = found.group(2) if text.startswith("'") else text
            pieces.append(plain.replace("%", "%%"))
        at = found.end()
    return "".join(pieces)
