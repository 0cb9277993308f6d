"""Who asks for a management operation: `coffre.access.caller`, for those who answer it."""

from __future__ import annotations

from coffre.access.caller import Caller, Via

__all__ = ["Caller", "Via"]
