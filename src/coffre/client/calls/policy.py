"""Calls of the management API: policy. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET, UnsetType

from coffre.client.transport import Transport, located
from coffre.client.types.policies import Decision, Policy, PolicyDiff


class PolicyCalls:
    """Operations `policy.…`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def show(self, *, store: str, bucket: str) -> Policy:
        """A bucket's policy, and whether it is public."""
        return self._transport.value(
            "GET", located("stores", store, "buckets", bucket, "policy"), Policy
        )

    def set(self, *, store: str, bucket: str, policy: str, if_match: str = "") -> PolicyDiff:
        """Put a policy; what it changed."""
        return self._transport.value(
            "PUT",
            located("stores", store, "buckets", bucket, "policy"),
            PolicyDiff,
            {"policy": policy},
            if_match=if_match,
        )

    def remove(self, *, store: str, bucket: str) -> PolicyDiff:
        """The bucket has no policy any more; what that changed."""
        return self._transport.value(
            "DELETE", located("stores", store, "buckets", bucket, "policy"), PolicyDiff
        )

    def diff(self, *, store: str, bucket: str, policy: str | None) -> PolicyDiff:
        """What a policy (null: none) would change. Nothing is put."""
        return self._transport.value(
            "POST",
            located("stores", store, "buckets", bucket, "policy", "diff"),
            PolicyDiff,
            {"policy": policy},
        )

    def explain(
        self,
        *,
        store: str,
        bucket: str,
        action: str,
        user: str | UnsetType = UNSET,
        key: str | UnsetType | None = UNSET,
        source_ip: str | UnsetType = UNSET,
        secure: bool | UnsetType = UNSET,
    ) -> Decision:
        """Whether somebody may use an action, and what decides."""
        return self._transport.value(
            "GET",
            located("stores", store, "buckets", bucket, "policy", "decision"),
            Decision,
            {"action": action, "user": user, "key": key, "source_ip": source_ip, "secure": secure},
        )

    def simulate(
        self,
        *,
        store: str,
        bucket: str,
        actions: Sequence[str] | UnsetType = UNSET,
        user: str | UnsetType = UNSET,
        key: str | UnsetType | None = UNSET,
        source_ip: str | UnsetType = UNSET,
        secure: bool | UnsetType = UNSET,
        context: dict[str, str] | UnsetType = UNSET,
    ) -> Iterator[Decision]:
        """As the decision of several actions, with facts as a request would bring them."""
        return self._transport.rows(
            "POST",
            located("stores", store, "buckets", bucket, "policy", "simulation"),
            Decision,
            {
                "actions": actions,
                "user": user,
                "key": key,
                "source_ip": source_ip,
                "secure": secure,
                "context": context,
            },
        )
