"""One request and what became known of it: what audit, access log, metering and metrics tell."""

from __future__ import annotations

from coffre.access.principals import Principal
from coffre.catalog.records import Bucket, Store
from coffre.s3.body import RequestBody
from coffre.s3.fairness import Turn
from coffre.s3.operation import Operation
from coffre.s3.response import Response
from coffre.wire.auth import Claim
from coffre.wire.request import RequestHead
from coffre.wire.target import Target


class Exchange:
    """`called` is the action of the query API; `decided` which statement or rule allowed or denied
    (`access.decision.Explanation.by`), `denied` the last one that its handler asked about in vain;
    `detail` what else its record of the audit says; `recorded`: it has one. Of a request on many
    keys, `allowed` says what allowed them, and `refused` are the encoded records of those that were
    refused. Times are `now_ms` (since 1970) and monotonic seconds."""

    __slots__ = (
        *("allowed", "answered", "body", "bucket", "called", "capped", "claim", "decided"),
        *(
            "denied",
            "detail",
            "error",
            "head",
            "now_ms",
            "operation",
            "principal",
            "recorded",
            "refused",
        ),
        *("request_id", "response", "sent", "site", "started", "status", "store", "target"),
        *("tenant_id", "turn"),
    )

    def __init__(self, head: RequestHead, request_id: str, now_ms: int, started: float) -> None:
        self.head = head
        self.request_id = request_id
        self.now_ms = now_ms
        self.started = started
        self.target: Target | None = None
        self.claim: Claim | None = None
        self.operation: Operation | None = None
        self.principal: Principal | None = None
        self.bucket: Bucket | None = None
        self.body: RequestBody | None = None
        self.store = ""
        self.tenant_id = b""
        self.error = ""
        self.status = 0
        self.sent = 0
        self.answered = started
        self.response: Response | None = None
        self.site = False
        self.called = ""
        self.turn: Turn | None = None
        self.capped: Store | None = None
        self.decided = ""
        self.denied = ""
        self.detail = ""
        self.recorded = False
        self.allowed: dict[bytes, str] = {}
        self.refused: list[bytes] = []

    def enter(self, store: Store) -> None:
        """The store that it is about is known."""
        self.store, self.tenant_id = store.name, store.tenant_id
