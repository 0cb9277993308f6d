"""Every operation of the table and of the administration is tried against a version under
COMPLIANCE, by several kinds of principals: it stays as it is until its date, and goes after it."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
from typing import Any, Final

import pytest

from coffre.catalog.lock_mutations import PutRetention
from coffre.catalog.mutations import CreateBucket, DeleteVersion, PutBucketDocument, Refusal
from coffre.catalog.records import Bucket, Retention, Trait, Version
from coffre.s3.control import POLICY
from coffre.s3.operation import BodyKind, On, Operation
from coffre.s3.operations import TABLE
from coffre.service.administration import Administration, Invalid
from coffre.service.lifecycle_administration import lifecycle_operations
from coffre.service.node import Node
from coffre.stewards.emptier import Emptier
from coffre.stewards.expirer import Expirer
from coffre.testing.server import Dialect, MemoryServer
from tests.protocol.ecs_client import MovedClock
from tests.protocol.wire_client import Answer, WireClient

DAY_MS: Final = 24 * 3600 * 1000
KEPT_DAYS: Final = 400
BODY: Final = b"kept to the letter" * 20
PRINCIPALS: Final = ("owner", "ally", "stranger", "nobody")
PAST = "2001-01-01T00:00:00Z"
RULES: Final = f"""<LifecycleConfiguration>
<Rule><ID>a</ID><Filter/><Status>Enabled</Status><Expiration><Date>{PAST}</Date></Expiration></Rule>
<Rule><ID>b</ID><Filter/><Status>Enabled</Status><NoncurrentVersionExpiration>
<NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>"""
# What does the most harm that an operation can ask for; `{version}` is the one that is kept.
BODIES: Final = {
    "DeleteObjects": "<Delete><Object><Key>k</Key><VersionId>{version}</VersionId></Object>"
    "<Object><Key>k</Key></Object></Delete>",
    "PutObjectRetention": "<Retention/>",
    "PutObjectLegalHold": "<LegalHold><Status>OFF</Status></LegalHold>",
    "PutObjectLockConfiguration": "<ObjectLockConfiguration><ObjectLockEnabled>Enabled"
    "</ObjectLockEnabled></ObjectLockConfiguration>",
    "PutBucketVersioning": "<VersioningConfiguration><Status>Suspended</Status>"
    "</VersioningConfiguration>",
    "PutBucketLifecycleConfiguration": RULES,
    "PutObject": "overwritten",
    "PutObjectTagging": "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>"
    "</Tagging>",
    "PutObjectAnnotation": "beside it",
    "RestoreObject": "<RestoreRequest><Days>1</Days></RestoreRequest>",
    "UpdateObjectEncryption": "<ObjectEncryption><SSE-KMS><KMSKeyArn>alias/a</KMSKeyArn></SSE-KMS>"
    "</ObjectEncryption>",
}
SHORTER: Final = (
    "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>"
    "</Retention>"
)


class Fortress:
    """A bucket with one version under COMPLIANCE, and everybody who comes for it."""

    def __init__(
        self, server: MemoryServer, clock: MovedClock, dialect: Dialect, store: str
    ) -> None:
        self.server, self.clock = server, clock
        self.catalog: Any = server.engine.catalog
        owner = server.create_store(store, dialect)
        found = server.engine.catalog.store_named(store)
        assert found is not None
        self.store = found
        users = {
            "owner": owner,
            "ally": server.create_user(store, "ally"),
            "stranger": server.create_user(store, "stranger"),
        }
        self.clients = {name: WireClient(server.port, user) for name, user in users.items()}
        traits = Trait.OBJECT_LOCK | (Trait.ECS if dialect == "ecs" else 0)
        bucket_id = server.engine.entropy.bytes(16)
        made = CreateBucket(bucket_id, self.store.id, "kept", owner.id, "us-east-1", traits=traits)
        server.commit(made)
        digest = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
        put = self.clients["owner"].send("PUT", "/kept/k", BODY, {"Content-MD5": digest})
        self.version_id = bytes.fromhex(put.headers["x-amz-version-id"])
        self.until_ms = clock.now_ms() + KEPT_DAYS * DAY_MS
        kept = Retention("COMPLIANCE", self.until_ms)
        order = self.version().order
        server.commit(PutRetention(made.id, b"k", self.version_id, order, kept))
        begun = self.clients["owner"].send("POST", "/kept/k?uploads")
        self.upload = begun.body.partition(b"<UploadId>")[2].partition(b"</UploadId>")[0].decode()
        self.stands = self.version()

    def bucket(self) -> Bucket:
        found: Bucket = self.catalog.bucket(self.store.id, "kept")
        return found

    def version(self) -> Version:
        found: Version = self.catalog.version(self.bucket(), b"k", self.version_id)
        return found

    def check(self, after: str) -> None:
        """The version is there, byte for byte, and its lock is what it was."""
        bucket, version = self.bucket(), self.version()
        assert bucket is not None, after
        assert bucket.versioning == "enabled", after
        assert bucket.traits & Trait.OBJECT_LOCK, after
        assert version is not None, after
        assert version.lock is not None, after
        assert version.lock.retention == Retention("COMPLIANCE", self.until_ms), after
        same = (version.order, version.modified_ms, version.etag, version.size)
        first = self.stands
        assert same == (first.order, first.modified_ms, first.etag, first.size), after
        assert version.manifest is not None
        assert version.manifest.blob is not None
        services = self.server.engine.services
        blob = version.manifest.blob
        key = services.keyring.data_key(self.catalog, blob.key_id)
        read = services.vault.read_whole(blob, key, 0, blob.size)
        assert bytes(self.server.call(read)) == BODY, after

    def open_gates(self) -> None:
        """Everything is allowed to the ally, by policy."""
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": [self.clients["ally"].user.access_key]},
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::kept", "arn:aws:s3:::kept/*"],
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
        self.server.commit(PutBucketDocument(self.bucket().id, POLICY, document))

    def attack(self, who: str, row: Operation, target: str, body: bytes, **more: str) -> Answer:
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {
            "Content-MD5": digest,
            "x-amz-bypass-governance-retention": "true",
            **{name.replace("_", "-"): text for name, text in more.items()},
        }
        if row.selector.copy:
            headers |= {"x-amz-copy-source": "kept/k", "x-amz-metadata-directive": "REPLACE"}
        if row.body.kind is BodyKind.NONE:
            body = b""
            del headers["Content-MD5"]
        if who == "nobody":
            plain = {"Host": self.clients["owner"].host, "Content-Length": str(len(body))}
            return self.clients["owner"].raw(row.method, target, body, {**plain, **headers})
        return self.clients[who].send(row.method, target, body, headers)

    def work(self) -> None:
        """What stewards do with what was asked of them."""
        emptier = Emptier(self.catalog, self.catalog)
        expirer = Expirer(self.catalog, self.catalog, self.clock, lambda done: None)
        for steward in (emptier, expirer):
            for _ in range(20):
                if not self.server.call(steward.round()).did:
                    break


@pytest.mark.parametrize("dialect", ["aws", "ecs"])
def test_nothing_asked_of_the_service_opens_a_lock(
    moved: tuple[MemoryServer, MovedClock], dialect: Dialect
) -> None:
    fortress = Fortress(*moved, dialect, f"attacked-{dialect}")
    shown = fortress.version_id.hex()
    answered: dict[int, int] = {}
    for row in TABLE:
        if row.dialect not in (None, dialect):
            continue
        for who in PRINCIPALS:
            fortress.open_gates()
            for target in _targets(row, fortress.upload, shown):
                for body in (BODIES.get(row.name, "<x/>"), SHORTER):
                    answer = fortress.attack(who, row, target, body.format(version=shown).encode())
                    answered[answer.status] = answered.get(answer.status, 0) + 1
                    fortress.check(f"{who}: {row.name} {target}: {answer.status} {answer.code}")
    if dialect == "ecs":
        _attack_by_extensions(fortress)
    # A good part of it was let happen: else nothing would have been tried.
    assert answered[200] > 100
    fortress.clock.ahead_ms += (KEPT_DAYS - 1) * DAY_MS
    fortress.work()
    fortress.check("time passed, but not enough")
    fortress.clock.ahead_ms += 2 * DAY_MS
    owner = fortress.clients["owner"]
    assert owner.send("DELETE", f"/kept/k?versionId={shown}").status in (204, 404)
    assert fortress.catalog.version(fortress.bucket(), b"k", fortress.version_id) is None


def _targets(row: Operation, upload: str, version: str) -> list[str]:
    """The bucket or the key, and the version by its id."""
    path = {On.SERVICE: "/", On.BUCKET: "/kept", On.OBJECT: "/kept/k"}[row.target]
    sub = row.selector.sub_resource
    if sub == "uploadId":
        sub = f"uploadId={upload}&partNumber=1"
    elif sub == "list-type":
        sub = "list-type=2"
    elif "&" in sub:
        sub = f"{sub}=x"
    plain = f"{path}?{sub}" if sub else path
    if row.target is not On.OBJECT:
        return [plain]
    return [plain, f"{plain}{'&' if sub else '?'}versionId={version}"]


def _attack_by_extensions(fortress: Fortress) -> None:
    rows = {row.name: row for row in TABLE}
    for who in PRINCIPALS:
        for name, target, more in (
            ("PutObject", "/kept/k", {"Range": "bytes=0-3"}),
            ("PutObject", "/kept/k", {"Range": "bytes=-1-"}),
            ("DeleteBucket", "/kept", {"x_emc_empty_bucket": "true"}),
            ("PutBucketIsStaleAllowed", "/kept?isstaleallowed", {"x_emc_is_stale_allowed": "true"}),
        ):
            answer = fortress.attack(who, rows[name], target, b"xxxx", **more)
            fortress.work()
            fortress.check(f"{who}: {name} {more}: {answer.status} {answer.code}")


class OverMemory(Node):
    """The administration's view of a memory server."""

    def __init__(self, server: MemoryServer, clock: MovedClock) -> None:
        engine = server.engine
        self.reader = self.committer = engine.catalog
        self.root_keys: Any = engine._root_key
        self.clock, self.entropy, self.zone_number = clock, engine.entropy, 1
        self.operations = lifecycle_operations(engine.catalog, engine.catalog, clock)

    def status(self) -> dict[str, Any]:
        return {}

    def drive_list(self) -> list[dict[str, Any]]:
        return []

    async def seal_now(self) -> dict[str, Any]:
        return {}


def test_nothing_asked_of_the_administration_opens_a_lock(
    moved: tuple[MemoryServer, MovedClock],
) -> None:
    server, clock = moved
    fortress = Fortress(server, clock, "aws", "administered")
    administration = Administration(OverMemory(server, clock))
    given = {
        "store": fortress.store.name,
        "name": fortress.store.name,
        "bucket": "kept",
        "user": "ally",
        "label": "ally",
        "access_key": fortress.clients["ally"].user.access_key,
        "days": 1,
        "profile": "spec",
        "retention_policies": {"all": 0},
        "quota_bytes": 1,
        "quota_objects": 1,
        "tenant": "default",
        "role": "maintainer",
        "force": True,
        "give_to": "ally",
    }
    done = set()
    for name, call in sorted(administration._operations.items()):
        known = inspect.signature(call).parameters
        arguments = {one: given[one] for one in known if one in given}
        if name.startswith("bucket.") and "name" in arguments:
            arguments["name"] = "kept"
        try:
            server.call(administration.call(name, arguments))
            done.add(name)
        except (Invalid, Refusal):
            continue
        finally:
            fortress.work()
            fortress.check(name)
    assert {"lifecycle.set_days", "store.list", "store.set"} <= done
    assert not {"bucket.delete", "store.delete"} & done
    fortress.clock.ahead_ms += (KEPT_DAYS - 1) * DAY_MS
    fortress.work()
    fortress.check("time passed, but not enough")
    fortress.clock.ahead_ms += 2 * DAY_MS
    fortress.work()
    server.commit(DeleteVersion(fortress.bucket().id, b"k", fortress.version_id))
    assert fortress.version() is None
