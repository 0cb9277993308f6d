"""Values of the management API: machine. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Steward(Struct, kw_only=True):
    """One that works in the background. `rate`: bytes a second over the last rounds."""

    name: str
    state: str
    left: int | None = None
    unit: str = ""
    rate: float = 0
    last_result: str = ""
    last_error: str = ""
    last_round_ms: int | None = None
    rounds: int = 0


class RepairStatus(Struct, kw_only=True):
    """How much is below target, and what is done about it."""

    asked: int
    answered: int
    below_target: dict[str, Any]
    left: dict[str, Any]
    recount: Any
    stuck: dict[str, Any]
    unsealed: int
    paused: bool
    last_error: str
    rounds: int
    scrub: dict[str, Any]
    findings: list[dict[str, Any]]


class RepairAsked(Struct, kw_only=True):
    """The recount that was asked for is over when `answered` of its status reaches it."""

    asked: int


class Verdict(Struct, kw_only=True):
    """What a verification found. `findings_left_out`: how many more there are."""

    ok: bool
    deep: bool
    verdict: str
    checked: dict[str, int]
    counts: dict[str, int]
    findings: list[dict[str, Any]]
    findings_left_out: int


class Sealed(Struct, kw_only=True):
    """How many chunks were sealed."""

    sealed: int


class Snapshot(Struct, kw_only=True):
    """A snapshot of the catalog on the drives."""

    id: str
    taken_ms: int
    record: int
    schema: int
    bytes: int


class RootKeys(Struct, kw_only=True):
    """Every root key with what names it; no `problems`: all is well."""

    ok: bool
    keys: list[dict[str, Any]]
    unread: dict[str, int]
    backup_made_ms: int | None
    problems: list[str]


class Rotated(Struct, kw_only=True):
    """The key that is the current one now, and how much was wrapped anew by it."""

    current: str
    wrapped_anew: int


class Pruned(Struct, kw_only=True):
    """Root keys that are gone, and those that something names, or may."""

    removed: list[str]
    kept: list[dict[str, Any]]


class KeyBackup(Struct, kw_only=True):
    """All root keys, encrypted: `content` is the file, in base64."""

    content: str
    keys: list[str]
    made_ms: int


class Certificate(Struct, kw_only=True):
    """The certificate that serves. `local`: made by the node's own authority."""

    certificate: str
    key: str
    local: bool
    names: list[str]
    issuer: str
    not_before_ms: int
    not_after_ms: int
    sha256: str


class Authority(Struct, kw_only=True):
    """The local authority's certificate, which clients must trust."""

    pem: str


class ClockShown(Struct, kw_only=True):
    """Also what others say, and what changed it."""

    trusted_ms: int
    wall_ms: int
    behind_s: float
    pending: dict[str, int] | None
    sources: list[dict[str, Any]]
    agreed_ms: int | None
    changes: list[dict[str, Any]]


class ClockFacts(Struct, kw_only=True):
    """The clock that releases locks, beside the wall clock. `pending`: what was accepted."""

    trusted_ms: int
    wall_ms: int
    behind_s: float
    pending: dict[str, int] | None


class Metrics(Struct, kw_only=True):
    """Every metric with its series; `monotonic`: seconds by a clock that only goes forward."""

    at_ms: int
    monotonic: float
    metrics: list[dict[str, Any]]


class Alert(Struct, kw_only=True):
    """One thing that needs attention: `bad`, data or service is in danger now; `warn`, something is
    worth doing. `kind`: what found it."""

    severity: Literal["bad", "warn"]
    kind: Literal["check", "quota", "steward"]
    about: str
    says: str
    do: str


class Check(Struct, kw_only=True):
    """One thing that was looked at; `do` is empty if nothing need be done."""

    name: str
    verdict: str
    says: str
    do: str


class Doctor(Struct, kw_only=True):
    """Is everything as it should be, and what to do if not."""

    ok: bool
    checks: list[Check]


class Presigned(Struct, kw_only=True):
    """A URL that does what the key's user may, until it expires."""

    url: str
    expires_ms: int
