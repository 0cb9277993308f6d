"""What a handler is given: who asks, of what, and the services that answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from coffre.access.decision import Decision, Explanation, Resource, decide, explain
from coffre.access.principals import Principal
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import Bucket, Store, Version
from coffre.s3.auditing import key_record
from coffre.s3.body import RequestBody
from coffre.s3.control import Seen, bucket_tags, look, resource, tags_of
from coffre.s3.facts import RequestFacts, Said
from coffre.s3.network import check_entry
from coffre.s3.parameters import show_version_id
from coffre.s3.services import Services
from coffre.s3.settings import Limits
from coffre.system.entropy import new_id
from coffre.vault.interface import Vault
from coffre.wire.documents import Owner
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

if TYPE_CHECKING:
    from coffre.s3.exchange import Exchange


class Context:
    """One authorized request. `head` is for `wire`'s parsers; handlers read no header themselves.

    `exchange` is told what decided, where somebody listens.
    `named_bucket` is the bucket as the client calls it; `bucket` its row, which every operation on
    a bucket or object has except the one that creates it. `virtual`: the host named the bucket.
    """

    __slots__ = (
        "_bucket",
        "_facts",
        "_seen",
        "_virtual",
        "_writer",
        "body",
        "exchange",
        "head",
        "key",
        "named_bucket",
        "now_ms",
        "principal",
        "services",
        "store",
    )

    def __init__(
        self,
        services: Services,
        head: RequestHead,
        principal: Principal,
        store: Store,
        named_bucket: str,
        bucket: Bucket | None,
        key: bytes,
        body: RequestBody,
        now_ms: int,
        virtual: bool,
        seen: Seen,
        facts: RequestFacts,
        writer: Committer | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self.services = services
        self.head = head
        self.principal = principal
        self.store = store
        self.named_bucket = named_bucket
        self._bucket = bucket
        self.key = key
        self.body = body
        self.now_ms = now_ms
        self._virtual = virtual
        self._writer = writer or services.committer
        self.exchange = exchange
        self._seen = seen
        self._facts = facts

    @property
    def bucket(self) -> Bucket:
        assert self._bucket is not None, "the table says which operations have a bucket"
        return self._bucket

    @property
    def bucket_url(self) -> str:
        """The bucket's URL as the client addresses it, without a slash at the end."""
        head = self.head
        origin = f"{head.scheme}://{head.header(b'host')}"
        return origin if self._virtual else f"{origin}/{self.named_bucket}"

    @property
    def ecs(self) -> bool:
        """Whether the store speaks the `ecs` dialect."""
        return self.store.dialect == "ecs"

    @property
    def reader(self) -> Reader:
        return self.services.reader

    @property
    def committer(self) -> Committer:
        return self._writer

    @property
    def vault(self) -> Vault:
        return self.services.vault

    @property
    def limits(self) -> Limits:
        return self.services.settings.limits

    @property
    def owner_id(self) -> str:
        """Whose is what the signer creates (`Principal.owner_id`). AccessDenied for a stranger."""
        owner_id = self.principal.owner_id
        if owner_id is None:
            raise S3Error("AccessDenied")
        return owner_id

    @property
    def owner(self) -> Owner:
        return Owner(self.owner_id, self.principal.label)

    def new_id(self) -> bytes:
        return new_id(
            self.services.entropy, self.services.settings.zone, self.services.clock.now_ms()
        )

    def data_key(self, key_id: bytes) -> bytes:
        """The 32 bytes of a store key."""
        return self.services.keyring.data_key(self.services.reader, key_id)

    def authorize(
        self, permission: str, bucket: Bucket, key: bytes | None, version_id: bytes | None = None
    ) -> None:
        """AccessDenied unless the principal may, on what the table could not know beforehand."""
        found, exchange = self._explain(permission, bucket, key, version_id), self.exchange
        if not found.decision.allowed:
            raise S3Error("AccessDenied")
        if exchange is not None and key is not None:
            exchange.allowed[key] = found.by

    def refused(self, key: bytes, version: str, error: S3Error) -> None:
        """One of the keys that the request names was refused: that has a record of its own."""
        one = self.exchange
        if one is not None and self.services.audit is not None:
            ended = self.services.clock.monotonic()
            one.refused.append(key_record(one, ended, key, version, error))

    def permits(
        self,
        permission: str,
        bucket: Bucket,
        key: bytes | None,
        version_id: bytes | None = None,
        said: Said | None = None,
        new_tags: Mapping[str, str] | None = None,
    ) -> bool:
        """May the principal? `version_id` None: the current version. `said`: facts for policies'
        conditions that the request's body says; `new_tags`: tags that it gives the object."""
        return self._explain(permission, bucket, key, version_id, said, new_tags).decision.allowed

    def _explain(
        self,
        permission: str,
        bucket: Bucket,
        key: bytes | None,
        version_id: bytes | None = None,
        said: Said | None = None,
        new_tags: Mapping[str, str] | None = None,
    ) -> Explanation:
        about = (self.principal, permission, bucket, key, version_id)
        asked = resource(self.reader, *about, self._seen)
        if version_id is not None:
            # Whatever the query says: it may be about another version, or about none.
            said = {**(said or {}), "s3:versionid": show_version_id(version_id)}
        facts = self._facts.about(
            lambda: tags_of(self.reader, bucket, key, version_id, self._seen),
            lambda: bucket_tags(self.reader, bucket),
            said,
            new_tags,
        )
        return self._noted(explain(self.principal, permission, asked, facts))

    def _noted(self, found: Explanation) -> Explanation:
        """What decided, which a refusal's record says."""
        if self.exchange is not None and not found.decision.allowed:
            self.exchange.denied = found.by
        return found

    def permits_in_new(self, permission: str) -> bool:
        """May the principal, in the bucket that the request makes?"""
        asked = Resource(self.named_bucket)
        found = self._noted(explain(self.principal, permission, asked, self._facts))
        return found.decision.allowed

    def authorize_acl(self, bucket: Bucket, key: bytes) -> None:
        """AccessDenied unless what is put may be given an ACL at once: whom a policy lets put needs
        it to allow that too; whom the bucket's ACL lets put owns the object, and its ACL."""
        about = (self.principal, "s3:PutObjectAcl", bucket, key, None)
        asked = resource(self.reader, *about, self._seen)
        if asked.policy is None:
            return
        facts = self._facts.about(dict, lambda: bucket_tags(self.reader, bucket))
        decision = decide(self.principal, "s3:PutObjectAcl", asked, facts)
        without = replace(asked, policy=None)
        by_acl = decide(self.principal, "s3:PutObject", without).allowed
        if decision is Decision.DENY or not (decision.allowed or by_acl):
            raise S3Error("AccessDenied")

    def look(self, bucket: Bucket, key: bytes, version_id: bytes | None) -> Version | None:
        """The current version (`version_id` None) or a named one: the one that was decided on, for
        those on whom its ACL decides."""
        if self._seen:
            asked = (bucket.id, key, version_id)
            if asked in self._seen:
                return self._seen[asked]
        return look(self.reader, bucket, key, version_id)

    def find_bucket(self, name: str) -> Bucket:
        """Another bucket of the same store. Raises NoSuchBucket, AccessDenied (from where the
        client is nobody may come to it)."""
        reader, settings = self.services.reader, self.services.settings
        found = reader.bucket(self.store.id, name)
        check_entry(reader, settings, self.head.client, self.store, found)
        if found is None:
            raise S3Error("NoSuchBucket", BucketName=name)
        return found
