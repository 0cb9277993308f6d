"""The three ways to open a data folder: initialize it, serve it, or work on it while none runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

import uvloop

from coffre.config import Settings
from coffre.service.memory import serve_memory


def serve(
    settings: Settings,
    announce: Callable[[dict[str, Any]], None],
    engine: Literal["drives", "memory"] = "drives",
) -> None:
    """Serve until told to stop. Raises StartRefused."""
    if engine == "memory":
        uvloop.run(serve_memory(settings, announce))
        return
    raise RuntimeError


def initialize(settings: Settings) -> dict[str, Any]:
    raise RuntimeError


def offline(settings: Settings) -> AbstractContextManager[Any]:
    raise RuntimeError
