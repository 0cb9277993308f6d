"""What an operator can ask of a node: the operations behind the command line.

One class, one method an operation, JSON-shaped arguments and answers; the Unix socket, the offline
command line and (later) the management API are doors to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from coffre import __version__
from coffre.catalog.mutations import Refusal
from coffre.service.alerts import alerts
from coffre.service.audit_administration import AuditAdministration
from coffre.service.bucket_administration import BucketAdministration
from coffre.service.caller import Caller
from coffre.service.drive_view import by_node
from coffre.service.emptying_administration import EmptyingAdministration
from coffre.service.iam_administration import IamAdministration
from coffre.service.invalid import Invalid
from coffre.service.node import Node, NoStewards
from coffre.service.person_administration import PersonAdministration
from coffre.service.policy_administration import PolicyAdministration
from coffre.service.presigning import presign_operations
from coffre.service.quota_administration import QuotaAdministration
from coffre.service.recorded import recorded
from coffre.service.sign_in_administration import SignInAdministration
from coffre.service.store_administration import StoreAdministration
from coffre.service.usage_administration import UsageAdministration
from coffre.service.user_administration import UserAdministration
from coffre.stewards.expirer import behind_s, lag_s
from coffre.wire.errors import CATALOGUE

__all__ = ["Administration", "Invalid"]

# Operations that the stewards' process answers.
OF_STEWARDS = (
    "steward.pause",
    "steward.resume",
    "steward.run",
    "repair.start",
    "repair.status",
)

Answer = dict[str, Any] | list[dict[str, Any]]


def _words(refusal: Refusal) -> str:
    """What a refusal says, or else what S3 says of its code."""
    if refusal.message:
        return refusal.message
    return CATALOGUE[refusal.code][1] if refusal.code in CATALOGUE else refusal.code


class Administration:
    """The operations of one node, by name."""

    def __init__(self, node: Node) -> None:
        self._node = node
        users = UserAdministration(node)
        self._stores = StoreAdministration(node, users)
        self._quotas = QuotaAdministration(node)
        self._operations: dict[str, Callable[..., Awaitable[Answer]]] = {
            "status": self.status,
            **self._stores.operations,
            **users.operations,
            **PersonAdministration(node).operations,
            **SignInAdministration(node).operations,
            **BucketAdministration(node).operations,
            **EmptyingAdministration(node).operations,
            **IamAdministration(node).operations,
            **PolicyAdministration(node).operations,
            **presign_operations(node),
            **AuditAdministration(node).operations,
            **self._quotas.operations,
            **UsageAdministration(node).operations,
            "drive.list": self.list_drives,
            "node.list": self.list_nodes,
            "doctor.show": self.examine,
            "alert.list": self.list_alerts,
            "seal.now": self.seal_now,
            **node.operations,
            "steward.list": self.list_stewards,
            **{name: self._asking_stewards(name) for name in OF_STEWARDS},
        }

    @property
    def names(self) -> frozenset[str]:
        """Every operation that there is."""
        return frozenset(self._operations)

    async def call(
        self, operation: str, arguments: dict[str, Any], caller: Caller | None = None
    ) -> Answer:
        """Run one operation for `caller`, which leaves a record of it (None: a process of ours, of
        whose asking there is none). Raises Invalid for anything that the caller can mend."""
        if caller is None or not self._node.audited:
            return await self._call(operation, arguments)
        node = self._node
        about = (node.committer, node.reader, node.clock, operation, arguments, caller)
        return await recorded(*about, lambda: self._call(operation, arguments))

    async def _call(self, operation: str, arguments: dict[str, Any]) -> Answer:
        handler = self._operations.get(operation)
        if handler is None:
            raise Invalid("UnknownOperation", f"there is no operation {operation!r}", "operation")
        try:
            return await handler(**arguments)
        except TypeError as error:
            # Only a call whose arguments do not fit the operation's own may be the caller's fault.
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise Invalid("InvalidArgument", f"{operation}: {error}", "arguments") from error
            raise
        except NoStewards:
            raise Invalid(
                "NoStewards", "no steward runs: `coffre serve` starts the node and its stewards"
            ) from None
        except Refusal as refusal:
            raise Invalid(refusal.code, _words(refusal)) from refusal

    async def status(self) -> dict[str, Any]:
        """The node as it stands."""
        return {
            "version": __version__,
            **self._node.status(),
            "below_target": await self._below_target(),
            "over_quota": [*self._stores.warnings(), *self._quotas.warnings()],
            "expiry_lag_s": round(lag_s(self._node.reader, self._node.clock), 1),
            "clock_behind_s": behind_s(self._node.reader, self._node.clock),
        }

    async def _below_target(self) -> Any:
        """What the repairer counts; None while nobody does."""
        try:
            return (await self._node.ask_stewards("repair.status", {}))["below_target"]
        except NoStewards:
            return None

    async def list_drives(self) -> Answer:
        """Every drive of the zone with its labels and state."""
        return self._node.drive_list()

    async def list_nodes(self) -> Answer:
        """Every node with its rack, its drives and what is left on them."""
        return by_node(self._node.drive_list())

    async def examine(self) -> Answer:
        """What the doctor says of a node that serves."""
        return await self._node.examine(await self.status())

    async def list_alerts(self) -> Answer:
        """What needs attention now, the worst first."""
        status, stewards = await self.status(), await self.list_stewards()
        try:
            checks = (await self._node.examine(status))["checks"]
        except Invalid:  # There is no data folder to look at.
            checks = []
        return alerts(status, checks, stewards)

    async def seal_now(self) -> Answer:
        """Seal every open chunk; returns when any 4 drives and the catalog file may go."""
        return await self._node.seal_now()

    async def list_stewards(self) -> list[dict[str, Any]]:
        """Every steward as it stands; none while the node does not serve."""
        try:
            stewards: list[dict[str, Any]] = await self._node.ask_stewards("steward.list", {})
        except NoStewards:
            return []
        return stewards

    def _asking_stewards(self, operation: str) -> Callable[..., Awaitable[Answer]]:
        async def ask(**arguments: Any) -> Answer:
            answer: Answer = await self._node.ask_stewards(operation, arguments)
            return answer

        return ask
