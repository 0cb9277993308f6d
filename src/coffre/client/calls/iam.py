"""Calls of the management API: iam. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from coffre.client.transport import Transport, located
from coffre.client.types.accounts import IamEntity, IamSummary


class IamCalls:
    """Operations `iam.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def summary(self, *, store: str) -> IamSummary:
        """How many users, groups, roles and policies a store has in IAM."""
        return self._transport.value("GET", located("stores", store, "iam"), IamSummary)

    def list(
        self, *, store: str, kind: Literal["group", "policy", "role", "user"]
    ) -> Iterator[IamEntity]:
        """Users, groups, roles or managed policies of a store, by name."""
        return self._transport.rows("GET", located("stores", store, "iam", kind), IamEntity)
