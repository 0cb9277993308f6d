"""The API's rows for operators: stewards, repair, the catalog's safety, root keys, HTTPS, the
release clock, the doctor, alerts."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from coffre.console.api.fields import AccessKey, BucketName, Key, VersionId
from coffre.console.api.operator_row import operator_row as _row
from coffre.console.api.route import Access, Route, Rows

Why = Annotated[str, Meta(max_length=1024, description="Kept beside it.")]


class Steward(Struct):
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


class StewardNamed(Struct, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=64, examples=["repairer"])]


class RepairAsked(Struct):
    """The recount that was asked for is over when `answered` of its status reaches it."""

    asked: int


class RepairStatus(Struct):
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


class Sealed(Struct):
    """How many chunks were sealed."""

    sealed: int


class VerifyAsked(Struct, kw_only=True):
    deep: Annotated[bool, Meta(description="Read every byte.")] = False
    rate_mib: Annotated[
        int, Meta(ge=1, le=1 << 20, description="With `deep`: MiB a second at most.")
    ] = 100


class Verdict(Struct):
    """What a verification found. `findings_left_out`: how many more there are."""

    ok: bool
    deep: bool
    verdict: str
    checked: dict[str, int]
    counts: dict[str, int]
    findings: list[dict[str, Any]]
    findings_left_out: int


class Snapshot(Struct):
    """A snapshot of the catalog on the drives."""

    id: str
    taken_ms: int
    record: int
    schema: int
    bytes: int


class RootKeys(Struct):
    """Every root key with what names it; no `problems`: all is well."""

    ok: bool
    keys: list[dict[str, Any]]
    unread: dict[str, int]
    backup_made_ms: int | None
    problems: list[str]


class Rotated(Struct):
    """The key that is the current one now, and how much was wrapped anew by it."""

    current: str
    wrapped_anew: int


class Pruned(Struct):
    """Root keys that are gone, and those that something names, or may."""

    removed: list[str]
    kept: list[dict[str, Any]]


class BackupAsked(Struct, kw_only=True):
    passphrase: Annotated[
        str, Meta(min_length=12, max_length=1024, description="Kept nowhere: without it, none.")
    ]


class KeyBackup(Struct):
    """All root keys, encrypted: `content` is the file, in base64."""

    content: str
    keys: list[str]
    made_ms: int


class Certificate(Struct):
    """The certificate that serves. `local`: made by the node's own authority."""

    certificate: str
    key: str
    local: bool
    names: list[str]
    issuer: str
    not_before_ms: int
    not_after_ms: int
    sha256: str


class Renewal(Struct, kw_only=True):
    authority: Annotated[
        bool, Meta(description="By another authority, which clients must be given anew.")
    ] = False


class Authority(Struct):
    """The local authority's certificate, which clients must trust."""

    pem: str


class ClockFacts(Struct):
    """The clock that releases locks, beside the wall clock. `pending`: what was accepted."""

    trusted_ms: int
    wall_ms: int
    behind_s: float
    pending: dict[str, int] | None


class ClockShown(ClockFacts):
    """Also what others say, and what changed it."""

    sources: list[dict[str, Any]]
    agreed_ms: int | None
    changes: list[dict[str, Any]]


class ClockOrder(Struct, kw_only=True):
    why: Why = ""


class Check(Struct):
    """One thing that was looked at; `do` is empty if nothing need be done."""

    name: str
    verdict: str
    says: str
    do: str


class Alert(Struct):
    """One thing that needs attention: `bad`, data or service is in danger now; `warn`, something is
    worth doing. `kind`: what found it."""

    severity: Literal["bad", "warn"]
    kind: Literal["check", "quota", "steward"]
    about: str
    says: str
    do: str


class Doctor(Struct):
    """Is everything as it should be, and what to do if not."""

    ok: bool
    checks: list[Check]


class Metrics(Struct):
    """Every metric with its series; `monotonic`: seconds by a clock that only goes forward."""

    at_ms: int
    monotonic: float
    metrics: list[dict[str, Any]]


class PresignAsked(Struct, kw_only=True):
    access_key: AccessKey
    method: Annotated[str, Meta(pattern="^(GET|PUT|HEAD|DELETE)$", examples=["GET"])]
    endpoint: Annotated[str, Meta(examples=["https://s3.example.org"])]
    bucket: BucketName
    key: Key
    region: Annotated[str, Meta(min_length=1, examples=["fr1"])]
    expires_s: Annotated[int, Meta(ge=1, le=7 * 24 * 3600)]
    virtual: bool = False
    version_id: VersionId = ""


class Presigned(Struct):
    """A URL that does what the key's user may, until it expires."""

    url: str
    expires_ms: int


WORK: Final = (
    _row(
        "steward.list",
        "GET",
        "/stewards",
        Steward,
        "What works in the background.",
        rows=Rows(key=("name",)),
    ),
    *(
        _row(
            f"steward.{verb}",
            "POST",
            f"/stewards/{{name}}/{verb}",
            Steward,
            summary,
            StewardNamed,
            long=verb == "run",
        )
        for verb, summary in (
            ("pause", "Let a steward begin nothing more, also after a restart."),
            ("resume", "Let a paused steward work again."),
            ("run", "Have a steward do its next round now."),
        )
    ),
    _row("repair.status", "GET", "/repair", RepairStatus, "How much is below target."),
    _row(
        "repair.start",
        "POST",
        "/repair",
        RepairAsked,
        "Make anew what is not held where it must be, and count all of it again.",
    ),
    _row("verify.run", "POST", "/verify", Verdict, "Verify it all.", VerifyAsked, long=True),
    _row("seal.now", "POST", "/seal", Sealed, "Seal every open chunk.", long=True),
    _row(
        "snapshot.list",
        "GET",
        "/snapshots",
        Snapshot,
        "The snapshots of the catalog, the oldest first.",
        rows=Rows(key=("taken_ms", "id")),
    ),
    _row("snapshot.now", "POST", "/snapshots", Snapshot, "Take one now.", long=True),
    _row(
        "follower.status",
        "GET",
        "/follower",
        dict[str, Any],
        "How the second catalog file stands that is replayed from the log.",
    ),
    _row(
        "follower.compare",
        "POST",
        "/follower/compare",
        dict[str, Any],
        "Compare every row of it with the catalog.",
        long=True,
    ),
)
SAFETY: Final = (
    _row("key.check", "GET", "/root-keys", RootKeys, "Does root.key open everything?"),
    _row(
        "key.rotate",
        "POST",
        "/root-keys/rotate",
        Rotated,
        "Another root key becomes the current one.",
        long=True,
        sudo=True,
    ),
    _row(
        "key.prune",
        "POST",
        "/root-keys/prune",
        Pruned,
        "Older root keys that nothing names go out of root.key.",
        long=True,
        sudo=True,
    ),
    _row(
        "key.backup",
        "POST",
        "/root-keys/backup",
        KeyBackup,
        "All root keys, encrypted with a passphrase.",
        BackupAsked,
        sudo=True,
        session_only=True,
    ),
    _row("tls.show", "GET", "/tls", Certificate, "The certificate of HTTPS."),
    _row("tls.renew", "POST", "/tls/renew", Certificate, "Make another certificate now.", Renewal),
    Route(
        operation="tls.authority",
        method="GET",
        path="/tls/authority",
        access=Access.ANYONE,
        answer=Authority,
        summary="Whom clients must trust, where the node's own authority made the certificate.",
    ),
    _row("clock.show", "GET", "/clock", ClockShown, "The clock that releases locks."),
    _row(
        "clock.accept",
        "POST",
        "/clock/accept",
        ClockFacts,
        "Put it forward to the wall clock's time, in 24 hours.",
        ClockOrder,
        sudo=True,
    ),
    _row(
        "clock.cancel",
        "POST",
        "/clock/cancel",
        ClockFacts,
        "Take back what was accepted, before it takes effect.",
        ClockOrder,
    ),
    _row("metrics.snapshot", "GET", "/metrics", Metrics, "Every metric with its series now."),
    _row(
        "alert.list",
        "GET",
        "/alerts",
        Alert,
        "What needs attention now.",
        rows=Rows(key=("severity", "kind", "about", "says")),
    ),
    _row("doctor.show", "GET", "/doctor", Doctor, "Is everything as it should be?"),
    _row(
        "presign",
        "POST",
        "/presign",
        Presigned,
        "A URL in the name of a storage account. People's own links: an object's `links`.",
        PresignAsked,
    ),
)
ROUTES: Final = (*WORK, *SAFETY)
