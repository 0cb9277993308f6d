"""Values of the management API: problem. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class ProblemDocument(Struct, kw_only=True):
    """`code` is stable, `detail` is for people; `field` names the argument that it is about."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    field: str | None = None
