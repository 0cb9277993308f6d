"""Values of the management API: activities. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from coffre.client.types.problem import ProblemDocument


class Activity(Struct, kw_only=True):
    """`result` is what the operation answered, `error` why it failed; both null until it ends.
    `unknown`: the console ended meanwhile, and did not hear how it went."""

    id: str
    operation: str
    status: Literal["done", "failed", "running", "unknown"]
    started_ms: int
    ended_ms: int | None = None
    result: Any = None
    error: ProblemDocument | None = None
