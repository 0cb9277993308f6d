"""Values of the management API: fields. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class Checked(Struct, kw_only=True):
    """Whether a name is one (`valid`) and free (`available`); `problem` says why not."""

    name: str
    valid: bool
    available: bool
    problem: str


class Deleted(Struct, kw_only=True):
    """It is gone."""

    name: str
    deleted: bool
