"""All that the S3 service stands on, handed in by whoever starts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import Bucket
from coffre.iam.call import Iam
from coffre.s3.auditing import Audit
from coffre.s3.caps import UNCOUNTED, Account
from coffre.s3.fairness import QUEUED_BYTES, Fairness
from coffre.s3.key_service import KeyService
from coffre.s3.keyring import Keyring
from coffre.s3.settings import Settings
from coffre.system.clock import Clock
from coffre.system.entropy import Entropy
from coffre.vault.interface import Vault


class Event(Struct, frozen=True):
    """One finished request, as audit, metering and metrics want it. Bytes are of bodies."""

    request_id: str
    at_ms: int
    seconds: float
    operation: str
    metering: str
    status: int
    error: str
    access_key: str
    user_id: str
    store: str
    bucket: str
    key: bytes
    client: str
    host: str
    bytes_in: int
    bytes_out: int


Ledger = Callable[[Event], None]


class Gate(Protocol):
    """A rule on the way in that may refuse (by raising S3Error or CommitterBusy)."""

    def __call__(self, operation: str, client: str, bucket: str | None, /) -> None: ...


def open_gate(operation: str, client: str, bucket: str | None, /) -> None:
    """The gate of those who have no rule: all may pass."""


KeyUse = Callable[[str, int], None]


def unnoted(access_key: str, at_ms: int, /) -> None:
    """The `KeyUse` of those who keep no record of which key was used when."""


class OpenRequests(Protocol):
    """Who wants to know which requests are open: what they may read must not go away."""

    def begin(self, request: object, started: float, /) -> None: ...

    def end(self, request: object, /) -> None: ...


class Unwatched:
    """`OpenRequests` where nothing ever goes away."""

    def begin(self, request: object, started: float, /) -> None: ...

    def end(self, request: object, /) -> None: ...


UNWATCHED = Unwatched()


class AccessLog(Protocol):
    """Takes the lines of requests on buckets whose access is logged."""

    def add(self, source: Bucket, at_ms: int, line: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """`ledger` is told of every finished request, `audit` keeps a record of each. `network` and
    `zone` are asked before the signature and after it; `admit` before a body is read (it raises
    CommitterBusy while too much is queued). `iam` answers what is IAM's and STS's. `used` is told
    of every access key that verified. `requests` is told of every request's begin, before it reads
    anything, and end."""

    reader: Reader
    committer: Committer
    vault: Vault
    keyring: Keyring
    keys: KeyService
    clock: Clock
    entropy: Entropy
    settings: Settings
    iam: Iam
    ledger: Ledger | None = None
    network: Gate = open_gate
    zone: Gate = open_gate
    admit: Gate = open_gate
    requests: OpenRequests = UNWATCHED
    access_log: AccessLog | None = None
    fairness: Fairness = field(default_factory=lambda: Fairness(QUEUED_BYTES))
    caps: Account = UNCOUNTED
    used: KeyUse = unnoted
    audit: Audit | None = None
