"""How a management operation says no to the console."""

from __future__ import annotations


class Refused(Exception):
    """An operation cannot be done as asked: which field, and why."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        self.code = code
        self.field = field
        self.message = message
        super().__init__(message)


class Away(Exception):
    """The process that would answer is not there now; it is started again."""
