"""Data on a person's behalf: requests to the S3 gateway in this process, signed by a session that
may what the person may.

There is no way around the gateway: network rules are held against the person's address, policies
and locks against the session, and the audit names the person.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from coffre.access import roles
from coffre.access.actions import TARGETS, Target
from coffre.access.roles import Role
from coffre.catalog.people_records import Person
from coffre.catalog.records import Bucket, Store
from coffre.console.api.entrance import sees_store
from coffre.console.api.problem import Problem
from coffre.console.parts import Parts
from coffre.console.signed import Signed
from coffre.iam.sessions import Credentials, Session
from coffre.wire.request import RequestHead
from coffre.wire.sigv4 import (
    ALGORITHM,
    UNSIGNED_PAYLOAD,
    canonical_requests,
    scope,
    sign,
    signing_key,
    string_to_sign,
)

SESSION_S: Final = 15 * 60
LINK_S: Final = 7 * 24 * 3600
# Under no base (RFC 2606): the path alone names the bucket.
_HOST: Final = b"console.invalid"
_VERSION: Final = "2012-10-17"
_SAFE: Final = "-._~"
Headers = Sequence[tuple[bytes, bytes]]


class S3Response(Struct):
    """A started answer; `body` gives its pieces, once."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: AsyncIterator[bytes]

    def header(self, name: bytes) -> bytes | None:
        """The first header of a name (lower case)."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    async def read(self, limit: int = 16 << 20) -> bytes:
        """All of the body. Raises ValueError beyond the limit."""
        whole = bytearray()
        async for piece in self.body:
            whole += piece
            if len(whole) > limit:
                raise ValueError(f"an answer of more than {limit} bytes")
        return bytes(whole)


class Data:
    """Requests to the gateway, by people."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @asynccontextmanager
    async def request(
        self,
        signed: Signed,
        store: str,
        method: str,
        bucket: str | None = None,
        key: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | AsyncIterable[bytes] = b"",
    ) -> AsyncIterator[S3Response]:
        """One request; errors are answers of S3's. A body that streams needs a `content-length`
        among the headers. Raises Problem (NoSuchStore) for a store that the person does not see."""
        credentials = self.credentials(signed, store)
        path = _path(bucket, key)
        raw_query = _query(query or {})
        sent = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        if isinstance(body, bytes):
            sent.append((b"content-length", b"%d" % len(body)))
        head = RequestHead(
            method, path, raw_query, (), scheme="https", client=signed.where.client or "127.0.0.1"
        )
        complete = self._signed(head, sent, credentials, signed)
        exchange = _Exchange(self._parts.gateway, complete, body)
        try:
            yield await exchange.start()
        finally:
            await exchange.close()

    def credentials(self, signed: Signed, store: str, seconds: int = SESSION_S) -> Credentials:
        """Temporary keys for a store that may what the person may. Raises Problem."""
        found = self._parts.reader.store_named(store)
        if found is None or not sees_store(signed.person, found):
            raise Problem("NoSuchStore", f"there is no store {store!r}", "store")
        now_ms = self._parts.clock.now_ms()
        session = Session(
            found.id,
            "",
            "",
            signed.person.name,
            now_ms,
            now_ms + seconds * 1000,
            (self._policy(signed.person, found),),
            person=True,
        )
        return self._parts.sessions.start(session)

    def _policy(self, person: Person, store: Store) -> bytes:
        if person.role in ("operator", "owner"):
            statements = [_allow(["s3:*"], ["*"])]
        elif person.role == "reader":
            statements = [_allow(["s3:Get*", "s3:List*"], ["*"])]
        else:
            granted = {one.bucket_id: one.role for one in person.scopes}
            buckets = self._buckets(store, granted)
            statements = [
                _allow(
                    _actions(Role(role)),
                    [
                        form
                        for one in buckets
                        if granted[one.id] == role
                        for form in (one.name, f"{one.name}/*")
                    ],
                )
                for role in sorted({granted[one.id] for one in buckets})
            ]
        document = {"Version": _VERSION, "Statement": statements or [_nothing()]}
        return msgspec.json.encode(document)

    def _buckets(self, store: Store, granted: Mapping[bytes, Any]) -> list[Bucket]:
        found: list[Bucket] = []
        after = ""
        while page := self._parts.reader.buckets(
            store.id, None, prefix="", after=after, limit=1000
        ):
            found += [bucket for bucket in page if bucket.id in granted]
            after = page[-1].name
        return found

    def _signed(
        self,
        head: RequestHead,
        sent: list[tuple[bytes, bytes]],
        credentials: Credentials,
        signed: Signed,
    ) -> RequestHead:
        """The head with a signature of Version 4 over all of its headers."""
        now = datetime.fromtimestamp(self._parts.clock.now_ms() // 1000, UTC)
        timestamp = now.strftime("%Y%m%dT%H%M%SZ")
        date, region = timestamp[:8], self._parts.region
        all_headers = (
            *sent,
            (b"host", _HOST),
            (b"user-agent", signed.where.user_agent.encode(errors="replace") or b"console"),
            (b"x-amz-content-sha256", UNSIGNED_PAYLOAD.encode()),
            (b"x-amz-date", timestamp.encode()),
            (b"x-amz-security-token", credentials.token.encode()),
        )
        unsigned = RequestHead(
            head.method,
            head.raw_path,
            head.raw_query,
            all_headers,
            scheme=head.scheme,
            client=head.client,
        )
        names = tuple(sorted({name for name, _ in all_headers}))
        credential_scope = scope(date, region, "s3")
        canonical = next(canonical_requests(unsigned, names, UNSIGNED_PAYLOAD))
        key = signing_key(credentials.secret, date, region, "s3")
        signature = sign(key, string_to_sign(timestamp, credential_scope, canonical))
        authorization = (
            f"{ALGORITHM} Credential={credentials.access_key}/{credential_scope}, "
            f"SignedHeaders={b';'.join(names).decode()}, Signature={signature}"
        )
        return RequestHead(
            head.method,
            head.raw_path,
            head.raw_query,
            (*all_headers, (b"authorization", authorization.encode())),
            scheme=head.scheme,
            client=head.client,
        )


class _Exchange:
    """One ASGI call of the gateway: what it sends becomes an answer that streams."""

    def __init__(self, gateway: Any, head: RequestHead, body: bytes | AsyncIterable[bytes]) -> None:
        self._gateway = gateway
        self._head = head
        self._body = _pieces(body)
        self._sent = asyncio.Queue[MutableMapping[str, Any]](2)
        self._over = asyncio.Event()
        self._ended = False
        self._calling: asyncio.Future[None] | None = None

    async def start(self) -> S3Response:
        head = self._head
        called = {
            "type": "http",
            "http_version": "1.1",
            "method": head.method,
            "scheme": head.scheme,
            "path": head.raw_path.decode("latin-1"),
            "raw_path": head.raw_path,
            "query_string": head.raw_query,
            "headers": list(head.headers),
            "client": (head.client, 0),
            "server": ("console", 0),
        }
        self._calling = asyncio.ensure_future(self._gateway(called, self._receive, self._sent.put))
        begun = await self._next()
        if begun is None:
            raise Problem("Unavailable")
        return S3Response(begun["status"], tuple(begun["headers"]), self._answer())

    async def close(self) -> None:
        """The answer is not wanted any more, or all there."""
        self._over.set()
        calling = self._calling
        if calling is None:
            return
        while not calling.done():
            getting = asyncio.ensure_future(self._sent.get())
            await asyncio.wait((getting, calling), return_when=asyncio.FIRST_COMPLETED)
            getting.cancel()
        calling.exception()

    async def _next(self) -> MutableMapping[str, Any] | None:
        """The gateway's next message; None where it ended without one."""
        calling = self._calling
        assert calling is not None, "it is started"
        getting = asyncio.ensure_future(self._sent.get())
        await asyncio.wait((getting, calling), return_when=asyncio.FIRST_COMPLETED)
        if not getting.done():
            getting.cancel()
            if self._sent.empty():
                calling.result()
                return None
            return self._sent.get_nowait()
        return getting.result()

    async def _answer(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._next()
            if message is None:
                raise ConnectionResetError("the answer ended short")
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._ended:
            piece = await anext(self._body, None)
            if piece is not None:
                return {"type": "http.request", "body": piece, "more_body": True}
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}


async def _pieces(body: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        if body:
            yield body
    else:
        async for piece in body:
            if piece:
                yield piece


def _path(bucket: str | None, key: bytes | None) -> bytes:
    path = "/" if bucket is None else f"/{quote(bucket, safe=_SAFE)}"
    if key is not None:
        path += "/" + quote(key, safe="/" + _SAFE)
    return path.encode()


def _query(query: Mapping[str, str]) -> bytes:
    return "&".join(
        f"{quote(name, safe=_SAFE)}={quote(value.encode('utf-8', 'surrogateescape'), safe=_SAFE)}"
        for name, value in query.items()
    ).encode()


def _allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
    arns = ["*" if one == "*" else f"arn:aws:s3:::{one}" for one in resources]
    return {"Effect": "Allow", "Action": actions, "Resource": arns}


def _nothing() -> dict[str, Any]:
    return {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["*"]}


def _actions(role: Role) -> list[str]:
    """What the role allows on a bucket, of what can be asked of one."""
    return sorted(
        name
        for name, target in TARGETS.items()
        if target is not Target.SERVICE and roles.allows(role, name)
    )
