"""What it costs to know who asks and whether he may: the S3 service's own code, in one process.

A request of a user who does not own the bucket is taken as it comes off the wire: its claim read,
its signature verified, and every permission of the operation decided by the bucket's policy. No
byte goes over a socket, so that nothing else is measured.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from statistics import median

from bench.signing import Request, Signer
from coffre.access.decision import SERVICE
from coffre.catalog.mutations import CreateBucket, PutBucketDocument
from coffre.catalog.records import Bucket
from coffre.s3.authenticate import authenticate
from coffre.s3.control import POLICY
from coffre.s3.facts import RequestFacts
from coffre.s3.gateway import authorize
from coffre.s3.operations import TABLE
from coffre.testing.server import Credentials, MemoryEngine
from coffre.wire.auth import read_claim
from coffre.wire.request import RequestHead
from coffre.wire.target import Target

BUCKET, KEY = "decided", b"a/key"
_ROUNDS = 9
_ENDPOINT = "http://localhost:9000"


class _Unheard:
    """Who is told what decided."""

    decided = ""


@dataclass(frozen=True)
class DecisionCost:
    """Microseconds of a core for one request: the median of rounds, with and without its
    signature."""

    operation: str
    statements: int
    whole_us: float
    decision_us: float


def decision_costs(requests: int) -> list[DecisionCost]:
    """GET and PUT, without a policy that is long and with one of 50 statements."""
    return asyncio.run(_costs(requests))


async def _costs(requests: int) -> list[DecisionCost]:
    engine = MemoryEngine()
    tenant = await engine.create_tenant("bench")
    store = await engine.create_store("bench", tenant)
    owner = await engine.create_user("bench", "owner")
    guest = await engine.create_user("bench", "guest")
    bucket_id = engine.entropy.bytes(16)
    await engine.catalog.commit(
        CreateBucket(bucket_id, store, BUCKET, owner.id, engine.settings.region)
    )
    found = []
    for statements in (1, 50):
        document = policy(statements, guest)
        await engine.catalog.commit(PutBucketDocument(bucket_id, POLICY, document))
        for operation in ("GetObject", "PutObject"):
            found.append(_cost(engine, store, guest, operation, statements, requests))
    return found


def policy(statements: int, guest: Credentials) -> bytes:
    """The last statement allows what is asked; those before it are about others."""
    others = [
        {
            "Effect": "Deny" if number % 2 else "Allow",
            "Principal": {"AWS": f"arn:aws:iam::bench:user/someone-{number}"},
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::{BUCKET}/home-{number}/*",
            "Condition": {"IpAddress": {"aws:SourceIp": f"10.{number}.0.0/16"}},
        }
        for number in range(statements - 1)
    ]
    own = {
        "Effect": "Allow",
        "Principal": {"AWS": guest.access_key},
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{BUCKET}/a/*",
        "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [*others, own]}).encode()


def _cost(
    engine: MemoryEngine,
    store_id: bytes,
    guest: Credentials,
    name: str,
    statements: int,
    requests: int,
) -> DecisionCost:
    operation = next(row for row in TABLE if row.name == name)
    signer = Signer(_ENDPOINT, guest.access_key, guest.secret_key, engine.settings.region)
    sent = signer.sign(operation.method, f"/{BUCKET}/{KEY.decode()}")
    services, target = engine.services, Target(None, BUCKET, KEY, False, "")
    bucket = engine.catalog.bucket(store_id, BUCKET)
    assert bucket is not None, "it was just made"
    found: Bucket = bucket

    def decide(head: RequestHead, now_ms: int) -> float:
        """Seconds of a core that the decision alone takes."""
        claim = read_claim(head)
        principal, _, _ = authenticate(services, claim, head, target, now_ms)
        began = time.thread_time()
        facts = RequestFacts(head, principal, claim, now_ms)
        authorize(operation, services.reader, facts, found, KEY, {}, SERVICE, _Unheard())
        return time.thread_time() - began

    whole, alone = [], []
    for _ in range(_ROUNDS):
        heads = [_head(sent) for _ in range(requests)]
        now_ms = engine.clock.now_ms()
        began = time.thread_time()
        deciding = sum(decide(head, now_ms) for head in heads)
        whole.append((time.thread_time() - began) / requests)
        alone.append(deciding / requests)
    return DecisionCost(name, statements, median(whole) * 1e6, median(alone) * 1e6)


def _head(sent: Request) -> RequestHead:
    """As it comes off the wire: nothing of it was looked at before."""
    headers = tuple((name.lower().encode(), text.encode()) for name, text in sent.headers.items())
    return RequestHead(sent.method, sent.target.encode(), b"", headers, client="127.0.0.1")
