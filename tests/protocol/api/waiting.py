"""Waiting for what a node does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 30.0


def until(true: Callable[[], Any]) -> Any:
    """Ask again until it is true; fails after a while."""
    ends = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.05)
    return found
