"""The two ways in which the command line says no, and its exit codes."""

from __future__ import annotations

from typing import Final

import click

INTERNAL: Final = 70
INTERRUPTED: Final = 130


class Complaint(click.ClickException):
    """The node said no (exit 1): one line that says what is wrong and what to do next."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Unusable(Complaint):
    """Nothing was asked or started (exit 2): the call, the configuration or the folder is wrong."""

    exit_code = 2
