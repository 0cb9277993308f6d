"""Logging to standard error: one line a record, never a secret."""

from __future__ import annotations

import logging
import sys
import time
from typing import Literal

import msgspec

Format = Literal["text", "json"]
_DATE = "%Y-%m-%dT%H:%M:%S"


class _Line(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s",
            datefmt=_DATE,
        )
        self.converter = time.gmtime


class _Json(logging.Formatter):
    """A JSON object a line: `time`, `level`, `process`, `logger`, `message`, and where there are
    any `request_id` and `exception`."""

    def __init__(self, process: str) -> None:
        super().__init__(datefmt=_DATE)
        self.converter = time.gmtime
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": f"{self.formatTime(record, _DATE)}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = getattr(record, "request_id", "")
        if request_id:
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def configure_logging(level: str, *, process: str, form: Format = "text") -> None:
    """Send records of `level` and above to stderr, each naming the process that wrote it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if form == "json" else _Line(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
