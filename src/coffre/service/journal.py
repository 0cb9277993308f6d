"""Logging to standard error: one line a record, never a secret."""

from __future__ import annotations

import logging
import sys
import time


class _Line(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s",
            datefmt="%Y-%m-%dT%H:%M:%S",
        )
        self.converter = time.gmtime


def configure_logging(level: str, *, process: str) -> None:
    """Send records of `level` and above to stderr, each naming the process that wrote it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
