"""Values of the management API: policies. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from msgspec import Struct


class Policy(Struct, kw_only=True):
    """A bucket's policy as it was put; null: there is none."""

    bucket: str
    policy: str | None
    public: bool


class Rights(Struct, kw_only=True):
    """Who may what on what; `conditional`: only under conditions."""

    who: str
    on: str
    conditional: bool
    actions: list[str]


class PolicyDiff(Struct, kw_only=True):
    """What rights a policy gives and takes."""

    bucket: str
    gained: list[Rights]
    lost: list[Rights]
    public: bool
    was_public: bool
    warning: str = ""


class Decision(Struct, kw_only=True):
    """Whether somebody may use an action, and what decided."""

    who: str
    action: str
    on: str
    decision: str
    by: str
    statement: str | None


class PreviewRow(Struct, kw_only=True):
    """So many versions or uploads of so many bytes, on a day, by a rule. `held`: they are locked;
    `to`: the storage class they go to."""

    at_ms: int
    act: str
    rule: str
    to: str
    number: int
    bytes: int
    held: bool


class Preview(Struct, kw_only=True):
    """What the lifecycle's rules will do as the bucket stands. `judging`: what stood before the
    rules is yet to be looked at."""

    bucket: str
    now_ms: int
    judging: bool
    rows: list[PreviewRow]


class Days(Struct, kw_only=True):
    """Everything in the bucket expires after so many days (0: never, by this rule)."""

    bucket: str
    days: int
    rules: int


class KmsKey(Struct, kw_only=True):
    """A key of the store's key service."""

    id: str
    alias: str
    arn: str
    enabled: bool
    versions: int
    backend: str
    created_ms: int
    rotated_ms: int
