"""How an operation says no: to whom it can mend it."""

from __future__ import annotations


class Invalid(Exception):
    """An operation cannot be done as asked: which field, and why."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        self.code = code
        self.field = field
        self.message = message
        super().__init__(message)
