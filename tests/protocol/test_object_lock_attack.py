"""Every operation of the table and of the administration is tried against a version under
COMPLIANCE, by several kinds of principals: it stays as it is until its date, and goes after it."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
from collections import Counter
from typing import Any, Final

import pytest

from coffre.catalog.lock_mutations import PutRetention
from coffre.catalog.mutations import CreateBucket, DeleteVersion, PutBucketDocument, Refusal
from coffre.catalog.records import Bucket, Retention, Trait, Version
from coffre.config import Settings
from coffre.s3.control import POLICY
from coffre.s3.operation import BodyKind, On, Operation
from coffre.s3.operations import TABLE
from coffre.service.administration import Administration, Invalid
from coffre.service.clock_keeper import ClockKeeper
from coffre.service.kms_administration import kms_operations
from coffre.service.lifecycle_administration import lifecycle_operations
from coffre.stewards.emptier import Emptier
from coffre.stewards.expirer import Expirer
from coffre.testing.server import Credentials, Dialect, MemoryServer
from coffre.vault.records import Blob
from tests.protocol.ecs_client import MovedClock
from tests.protocol.iam_client import Account, allow
from tests.protocol.operator_client import ServersNode
from tests.protocol.wire_client import Answer, WireClient

DAY_MS: Final = 24 * 3600 * 1000
KEPT_DAYS: Final = 400
BODY: Final = b"kept to the letter" * 20
NOTE, NOTED = "x", b"and what is noted of it"
PRINCIPALS: Final = ("owner", "iam", "ally", "stranger", "nobody")
CENTURY_MS: Final = 100 * 366 * DAY_MS
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
    "UpdateObjectEncryption": "<ObjectEncryption><SSE-KMS><KMSKeyArn>{kms_key}</KMSKeyArn>"
    "</SSE-KMS></ObjectEncryption>",
}
SHORTER: Final = (
    "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>"
    "</Retention>"
)


class Fortress:
    """A bucket with one version under COMPLIANCE, and everybody who comes for it."""

    def __init__(self, server: MemoryServer, clock: MovedClock, dialect: Dialect) -> None:
        self.server, self.clock = server, clock
        self.catalog: Any = server.engine.catalog
        account = Account(server, dialect)
        found = server.engine.catalog.store_named(account.name)
        assert found is not None
        self.store, owner = found, account.user
        keys = account.create_user("iam", allow("*"))
        users = {
            "owner": owner,
            "iam": Credentials(account.name, "", "iam", keys.access_key, keys.secret_key),
            "ally": server.create_user(account.name, "ally"),
            "stranger": server.create_user(account.name, "stranger"),
        }
        self.clients = {name: WireClient(server.port, user) for name, user in users.items()}
        services = server.engine.services
        kms_key = server.call(services.keys.create(self.store, "alias/a"))
        self.kms_key = services.keys.arn(self.store, kms_key.id)
        traits = Trait.OBJECT_LOCK | (Trait.ECS if dialect == "ecs" else 0)
        bucket_id = server.engine.entropy.bytes(16)
        made = CreateBucket(bucket_id, self.store.id, "kept", owner.id, "us-east-1", traits=traits)
        server.commit(made)
        digest = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
        put = self.clients["owner"].send("PUT", "/kept/k", BODY, {"Content-MD5": digest})
        self.version_id = bytes.fromhex(put.headers["x-amz-version-id"])
        noted = self.clients["owner"].send(
            "PUT", f"/kept/k?annotation&annotationName={NOTE}", NOTED
        )
        assert noted.status == 200, noted.body
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
        note = self.catalog.annotation(bucket, version, NOTE)
        assert note is not None, after
        assert self._read(version.manifest.blob) == BODY, after
        assert self._read(note.blob) == NOTED, after

    def _read(self, blob: Blob | None) -> bytes:
        assert blob is not None
        services = self.server.engine.services
        key = services.keyring.data_key(self.catalog, blob.key_id)
        return bytes(self.server.call(services.vault.read_whole(blob, key, 0, blob.size)))

    def clear(self) -> None:
        """The version is the newest of its key again: who aims at the key means it."""
        bucket, nowhere = self.bucket(), {"prefix": b"k", "delimiter": b"", "after_key": b""}
        page = self.catalog.list_versions(bucket, **nowhere, after_version=None, limit=1000)
        for one in page.versions:
            if one.key == b"k" and one.version_id != self.version_id:
                gone = DeleteVersion(bucket.id, b"k", one.version_id, bypass=True)
                self.server.commit(gone)

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
    fortress = Fortress(*moved, dialect)
    shown = fortress.version_id.hex()
    let_happen: Counter[str] = Counter()
    for row in TABLE:
        if row.dialect not in (None, dialect):
            continue
        for who in PRINCIPALS:
            fortress.open_gates()
            for target in _targets(row, fortress.upload, shown):
                for template in (BODIES.get(row.name, "<x/>"), SHORTER):
                    fortress.clear()
                    body = template.format(version=shown, kms_key=fortress.kms_key).encode()
                    answer = fortress.attack(who, row, target, body)
                    let_happen[who] += answer.status == 200
                    fortress.check(f"{who}: {row.name} {target}: {answer.status} {answer.code}")
    if dialect == "ecs":
        _attack_by_extensions(fortress)
    # A good part of it was let happen: else nothing would have been tried.
    assert min(let_happen[who] for who in ("owner", "iam", "ally")) > 50, let_happen
    _wait_for_the_end(fortress)
    owner = fortress.clients["owner"]
    assert owner.send("DELETE", f"/kept/k?versionId={shown}").status == 204
    assert fortress.catalog.version(fortress.bucket(), b"k", fortress.version_id) is None


def _wait_for_the_end(fortress: Fortress) -> None:
    """Whoever sets the wall clock gains nothing; once the time has passed, the lock is over."""
    rows = {row.name: row for row in TABLE}
    target = f"/kept/k?versionId={fortress.version_id.hex()}"
    for jumped_ms in (CENTURY_MS, -CENTURY_MS // 4, 0):
        fortress.clock.jumped_ms = jumped_ms
        for who in PRINCIPALS:
            answer = fortress.attack(who, rows["DeleteObject"], target, b"")
            assert answer.code == "AccessDenied"
        fortress.work()
        fortress.check(f"the wall clock was set wrong by {jumped_ms} ms")
    fortress.clock.ahead_ms += (KEPT_DAYS - 1) * DAY_MS
    fortress.clear()
    fortress.work()
    fortress.check("time passed, but not enough")
    fortress.clock.ahead_ms += 2 * DAY_MS


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
            fortress.clear()
            answer = fortress.attack(who, rows[name], target, b"xxxx", **more)
            fortress.work()
            fortress.check(f"{who}: {name} {more}: {answer.status} {answer.code}")


def _administration(server: MemoryServer) -> Administration:
    """All that an operator can ask for where there are no drives (`test_locks` has those)."""
    engine, node = server.engine, ServersNode(server)
    rows = engine.catalog, engine.catalog
    node.operations = {
        **kms_operations(Settings(), *rows, engine.root_keys, engine.entropy),
        **ClockKeeper(*rows, engine.clock, []).operations,
        **lifecycle_operations(*rows, engine.clock),
    }
    return Administration(node)


def test_nothing_asked_of_the_administration_opens_a_lock(
    moved: tuple[MemoryServer, MovedClock],
) -> None:
    server, clock = moved
    fortress = Fortress(server, clock, "aws")
    administration = _administration(server)
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
        "tenant": fortress.store.name,
        "role": "maintainer",
        "force": True,
        "give_to": "Initial S3 user",
        "alias": "a",
        "key": "a",
    }
    done = set()
    # What an operator accepts takes a day by the release clock, and is taken back before.
    clock.jumped_ms = CENTURY_MS
    # The user goes last: what is asked of it is asked before.
    for name in sorted(administration._operations, key=lambda name: (name == "user.delete", name)):
        call = administration._operations[name]
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
    assert {"lifecycle.set_days", "store.list", "store.set", "user.delete"} <= done
    assert {"clock.accept", "clock.cancel", "kms.disable", "kms.rotate"} <= done
    assert not {"bucket.delete", "store.delete"} & done
    clock.jumped_ms = 0
    clock.ahead_ms += (KEPT_DAYS - 1) * DAY_MS
    fortress.work()
    fortress.check("time passed, but not enough")
    clock.ahead_ms += 2 * DAY_MS
    fortress.work()
    server.commit(DeleteVersion(fortress.bucket().id, b"k", fortress.version_id))
    assert fortress.version() is None
