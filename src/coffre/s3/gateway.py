"""The one way in: the ASGI application of the S3 port.

target -> operation -> network rule -> signature -> zone gate -> permission -> handler -> funnel.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from coffre.access.decision import SERVICE, Judged, Resource, explain
from coffre.access.principals import ANONYMOUS, Principal
from coffre.catalog.event_mutations import Cause
from coffre.catalog.interface import Committer, Reader
from coffre.catalog.records import Bucket, Store, Trait
from coffre.s3 import cors, ecs_rules, parameters
from coffre.s3.access_entry import entry_of
from coffre.s3.auditing import attribute, keep_refusal, record_of, recording
from coffre.s3.authenticate import (
    authenticate,
    authenticate_form,
    store_of_nobody,
    with_hoisted,
)
from coffre.s3.body import Receive, RequestBody
from coffre.s3.caps import begin_capped
from coffre.s3.context import Context
from coffre.s3.control import Seen, bucket_tags, resource, tags_of
from coffre.s3.deadlines import Deadlines
from coffre.s3.exchange import Exchange
from coffre.s3.facts import RequestFacts
from coffre.s3.fairness import Turn
from coffre.s3.form_body import FormBody
from coffre.s3.funnel import Disconnected, Funnel, Interrupted, Send, as_error, log_failure
from coffre.s3.network import check_entry
from coffre.s3.notifications import TellingCommitter
from coffre.s3.operation import BodyKind, Entry, On, Operation
from coffre.s3.operations import TABLE
from coffre.s3.post_object import read_form
from coffre.s3.query_api import answer_query
from coffre.s3.request_payment import CHARGED, is_charged
from coffre.s3.response import Response
from coffre.s3.router import Router
from coffre.s3.services import Event, Services
from coffre.s3.unread import CLOSE, Unread, has_body
from coffre.s3.website import Site, html, site_bucket, site_forms, site_label
from coffre.wire.access_log import log_line
from coffre.wire.auth import read_claim
from coffre.wire.errors import S3Error
from coffre.wire.form_auth import read_form_claim
from coffre.wire.post_policy import check_policy, parse_policy
from coffre.wire.query_protocol import is_query
from coffre.wire.request import RequestHead
from coffre.wire.target import Target, host_forms, resolve
from coffre.wire.website import error_page

_ROUTER = Router(TABLE)
NETWORK = "network"
_NO_STORE = Store(b"", "", b"", b"", 0)
_READS = {row.method: row for row in TABLE if row.name in ("GetObject", "HeadObject")}


class Gateway:
    """The S3 service on HTTP/1.1 (ASGI)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        patience = services.settings.patience
        self._hosts = host_forms(services.settings.base_hosts, services.settings.region)
        self._sites = (
            *site_forms(services.settings.base_hosts, services.settings.region),
            *services.settings.website_bases,
        )
        self._funnel = Funnel(services.entropy, patience.idle_s)
        self._deadlines = Deadlines(min(patience.idle_s, patience.grace_s))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"the S3 port speaks HTTP, not {scope['type']}")
        services, funnel = self._services, self._funnel
        head = RequestHead(
            scope["method"],
            scope["raw_path"],
            scope["query_string"],
            tuple(scope["headers"]),
            scheme=scope["scheme"],
            client=scope["client"][0],
        )
        clock = services.clock
        exchange = Exchange(head, funnel.request_id(), clock.now_ms(), clock.monotonic())
        services.requests.begin(exchange, exchange.started)
        try:
            try:
                if services.audit is not None:
                    services.audit.admit()
                response = await self._answer(exchange, receive)
            except Exception as failure:
                response = self._failed(exchange, failure)
            if response.status >= 400 or exchange.refused:
                response = await self._recorded(exchange, response)
            exchange.answered, exchange.response = clock.monotonic(), response
            await self._send(exchange, response, receive, send)
        finally:
            bucket = exchange.bucket
            if bucket is not None and bucket.traits & Trait.LOGGED:
                self._log_access(exchange, bucket)
            services.requests.end(exchange)
            self._leave(exchange)
            self._note(exchange)
            if services.ledger is not None:
                services.ledger(self._event(exchange))

    async def _recorded(self, exchange: Exchange, response: Response) -> Response:
        """The answer, once its refusals are recorded; another where that is impossible."""
        audit = self._services.audit
        if audit is None:
            return response
        if exchange.turn is not None:
            exchange.turn.leave()
        try:
            if not exchange.store:
                attribute(self._services.reader, exchange)
            ended = self._services.clock.monotonic()
            await keep_refusal(audit, exchange, ended, response.status)
        except Exception as failure:
            return self._failed(exchange, failure)
        return response

    def _note(self, exchange: Exchange) -> None:
        """A read is over, whether or not all of it was sent: record that soon."""
        audit, status = self._services.audit, exchange.status
        if audit is None or exchange.recorded or not status or status >= 400:
            return
        try:
            ended = self._services.clock.monotonic()
            audit.note(record_of(exchange, ended, status, exchange.error, exchange.sent))
        except Exception as failure:
            log_failure("was not recorded", exchange.request_id, failure)

    async def _enter(self, exchange: Exchange, store: Store) -> Turn:
        """Begin within the store's caps, when it is its turn. Raises SlowDown beyond a cap."""
        services = self._services
        if store.settings.limits.capped:
            begin_capped(services.caps, store)
            exchange.capped = store
        turn = exchange.turn = await services.fairness.enter(store)
        return turn

    def _leave(self, exchange: Exchange) -> None:
        if exchange.turn is not None:
            exchange.turn.leave()
        if exchange.capped is not None:
            store, received = exchange.capped, exchange.body.received if exchange.body else 0
            size = received + exchange.sent
            self._services.caps.end(store.id, store.settings.limits, size)

    def _failed(self, exchange: Exchange, failure: Exception) -> Response:
        error = as_error(failure, exchange.request_id)
        exchange.error = error.code
        return self._funnel.error(error, exchange.head, exchange.request_id)

    def _log_access(self, exchange: Exchange, bucket: Bucket) -> None:
        services = self._services
        if services.access_log is None:
            return
        ended, host_id = services.clock.monotonic(), self._funnel.host_id
        try:
            entry = entry_of(exchange, bucket, ended, host_id, site=exchange.site)
            services.access_log.add(bucket, exchange.now_ms, log_line(entry))
        except Exception as failure:
            log_failure("was not logged", exchange.request_id, failure)

    async def _send(
        self, exchange: Exchange, response: Response, receive: Receive, send: Send
    ) -> None:
        unread = None
        if exchange.turn is not None:
            exchange.turn.leave()
        if not (exchange.body and exchange.body.ended) and has_body(exchange.head):
            received = exchange.body.received if exchange.body else 0
            unread = Unread(receive, exchange.head, received)
            await unread.finish()
            if not unread.ended and CLOSE not in response.headers:
                response.headers.append(CLOSE)
        await self._send_it(exchange, response, receive, send)
        if unread is not None:
            await unread.linger()

    async def _send_it(
        self, exchange: Exchange, response: Response, receive: Receive, send: Send
    ) -> None:
        self._share(exchange, response)
        exchange.status = response.status
        request_id = exchange.request_id
        if response.stream is None:
            exchange.sent = await self._funnel.send(response, request_id, send)
            return
        if exchange.turn is not None:
            await exchange.turn.back()
            send = exchange.turn.sending(send)
        started = False

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            exchange.sent = await self._funnel.stream(response, request_id, receive, sending)
        except Disconnected as left:
            exchange.error = "ClientDisconnected"
            exchange.sent = left.sent
        except Exception as failure:
            if started:
                exchange.error = "ResponseInterrupted"
                log_failure("broke off its answer", request_id, failure)
                raise Interrupted(request_id) from None
            response = await self._recorded(exchange, self._failed(exchange, failure))
            self._share(exchange, response)
            exchange.status = response.status
            exchange.sent = await self._funnel.send(response, request_id, send)

    def _share(self, exchange: Exchange, response: Response) -> None:
        """Tell a browser whether the page that asked may see the answer, an error's too."""
        head, operation = exchange.head, exchange.operation
        if b"origin" not in head.by_name:
            return
        if operation is not None and operation.entry is Entry.NOBODY:
            return  # a preflight says so itself
        about = (exchange.target, exchange.claim, exchange.bucket)
        try:
            response.headers += cors.headers_for(self._services, head, *about)
        except Exception as failure:
            log_failure("did not learn who may see its answer", exchange.request_id, failure)

    async def _answer(self, exchange: Exchange, receive: Receive) -> Response:
        services, sent_head = self._services, exchange.head
        if (label := site_label(sent_head, self._sites)) is not None:
            return await self._answer_site(exchange, receive, label)
        target = exchange.target = resolve(sent_head, self._hosts, self._is_store)
        if is_query(sent_head):
            return await answer_query(services, exchange, target, receive, self._deadlines)
        claim = exchange.claim = read_claim(sent_head)
        head = with_hoisted(claim, sent_head)
        if head.raw_query:
            parameters.check_query(head)
        operation = exchange.operation = _ROUTER.find(head, _addressed(target))
        services.network(operation.name, head.client, target.bucket)
        now_ms, verified = exchange.now_ms, None
        if operation.entry is Entry.FORM:
            head, principal, store = await self._enter_by_form(exchange, operation, receive)
            target = exchange.target or target
        elif operation.entry is Entry.NOBODY:
            principal = ANONYMOUS
            store = cors.store_of_preflight(services, sent_head, target, claim)
        elif operation.entry is Entry.OPEN:
            principal, store = ANONYMOUS, _NO_STORE
        else:
            principal, store, verified = authenticate(services, claim, sent_head, target, now_ms)
        exchange.principal = principal
        exchange.enter(store)
        ecs_rules.check_store(store, operation, head)
        services.zone(operation.name, head.client, target.bucket)
        named = None if operation.creates_bucket else target.bucket
        bucket = None if named is None else services.reader.bucket(store.id, named)
        exchange.bucket = bucket
        exchange.decided = NETWORK
        check_entry(services.reader, services.settings, head.client, store, bucket)
        exchange.decided = ""
        if bucket is not None:
            ecs_rules.check_bucket(bucket, operation)
        turn = await self._enter(exchange, store)
        if bucket is None and named is not None:
            raise S3Error("NoSuchBucket", BucketName=named)
        seen, facts = Seen(), RequestFacts(head, principal, claim, now_ms)
        asked = SERVICE if named is not None or target.bucket is None else Resource(target.bucket)
        authorize(operation, services.reader, facts, bucket, target.key, seen, asked, exchange)
        charged = bucket is not None and is_charged(services.reader, principal, head, bucket)
        body = exchange.body
        if body is None:
            if operation.body.kind is not BodyKind.NONE:
                services.fairness.admit(store)
                services.admit(operation.name, head.client, target.bucket)
            about = (head, verified, services.settings.patience, self._deadlines)
            body = exchange.body = RequestBody(turn.receiving(receive), *about)
        context = Context(
            services,
            head,
            principal,
            store,
            target.bucket or "",
            bucket,
            target.key or b"",
            body,
            now_ms,
            target.virtual,
            seen,
            facts,
            self._writer(exchange, principal, bucket),
            exchange,
        )
        response = await operation.handler(context)
        if charged:
            response.headers.append(CHARGED)
        return response

    def _writer(self, exchange: Exchange, principal: Principal, bucket: Bucket | None) -> Committer:
        """The committer, which a request in a bucket that notifies tells who it came from."""
        services, target = self._services, exchange.target
        committer = recording(services.audit, services.committer, exchange, services.clock)
        if exchange.turn is not None:
            committer = services.fairness.committer(committer, exchange.turn)
        if bucket is None or target is None or not bucket.traits & Trait.NOTIFYING:
            return committer
        head = exchange.head
        about = (principal.user_id or "", head.client, exchange.request_id)
        cause = Cause(bucket.id, target.key or b"", head.method, *about)
        return TellingCommitter(committer, cause)

    async def _answer_site(self, exchange: Exchange, receive: Receive, label: str) -> Response:
        """The answer of a bucket's website: reads by nobody, and pages for errors."""
        services, head, now_ms = self._services, exchange.head, exchange.now_ms
        operation = exchange.operation = _READS["HEAD" if head.method == "HEAD" else "GET"]
        exchange.principal, exchange.site = ANONYMOUS, True
        try:
            bucket = exchange.bucket = site_bucket(services.reader, label)
            exchange.target = Target(None, bucket.name, None, True, label)
            services.network(operation.name, head.client, bucket.name)
            services.zone(operation.name, head.client, bucket.name)
            store = services.reader.store(bucket.store_id)
            assert store is not None, "a bucket's store is there"
            exchange.enter(store)
            exchange.decided = NETWORK
            check_entry(services.reader, services.settings, head.client, store, bucket)
            exchange.decided = ""
            await self._enter(exchange, store)
        except Exception as failure:
            error = as_error(failure, exchange.request_id)
            exchange.error = error.code
            page = error_page(error, exchange.request_id, self._funnel.host_id)
            return html(error, page, head)
        patience = services.settings.patience

        def visit(asked: RequestHead, key: bytes) -> Context:
            exchange.target = Target(store.name, bucket.name, key, True, label)
            body = RequestBody(receive, asked, None, patience, self._deadlines)
            facts = RequestFacts(asked, ANONYMOUS, None, now_ms)
            about = (services, asked, ANONYMOUS, store, bucket.name, bucket, key)
            return Context(*about, body, now_ms, True, {}, facts, None, exchange)

        site = Site(head, bucket, store, services.reader, visit)
        response = await site.answer(exchange.request_id, self._funnel.host_id)
        codes = (text for name, text in response.headers if name == b"x-amz-error-code")
        exchange.error = next(codes, b"").decode()
        return response

    async def _enter_by_form(
        self, exchange: Exchange, operation: Operation, receive: Receive
    ) -> tuple[RequestHead, Principal, Store]:
        """Read a browser form as far as its file: what it asks for, and who allowed it."""
        services, sent, target = self._services, exchange.head, exchange.target
        assert target is not None, "the target comes first"
        assert target.bucket is not None, "the table says what forms are on"
        if exchange.claim is not None:
            raise S3Error(
                "InvalidArgument",
                "Only one auth mechanism allowed; a form is signed in its own fields",
                ArgumentName="Authorization",
            )
        body = FormBody(receive, sent, services.settings.patience, self._deadlines)
        services.admit(operation.name, sent.client, target.bucket)
        exchange.body = body
        await body.read_fields()
        fields = body.fields
        key, head = read_form(sent, fields)
        exchange.target = replace(target, key=key)
        claim = exchange.claim = read_form_claim(fields)
        if claim is None:
            # Without policy and signature: what the bucket lets everybody write.
            return head, ANONYMOUS, store_of_nobody(services, sent, exchange.target)
        principal, store = authenticate_form(services, claim, fields, target, exchange.now_ms)
        body.policy = parse_policy(fields["policy"])
        check_policy(body.policy, fields, target.bucket, exchange.now_ms)
        return head, principal, store

    def _is_store(self, name: str) -> bool:
        return self._services.reader.store_named(name) is not None

    def _event(self, exchange: Exchange) -> Event:
        operation, target, principal = exchange.operation, exchange.target, exchange.principal
        return Event(
            request_id=exchange.request_id,
            at_ms=exchange.now_ms,
            seconds=self._services.clock.monotonic() - exchange.started,
            operation=exchange.called if operation is None else operation.name,
            metering="" if operation is None else operation.metering,
            status=exchange.status,
            error=exchange.error,
            access_key="" if exchange.claim is None else exchange.claim.access_key,
            user_id="" if principal is None else principal.user_id or "",
            store=exchange.store,
            bucket="" if target is None else target.bucket or "",
            key=b"" if target is None else target.key or b"",
            client=exchange.head.client,
            host="" if target is None else target.host,
            bytes_in=0 if exchange.body is None else exchange.body.received,
            bytes_out=exchange.sent,
        )


def _addressed(target: Target) -> On:
    if target.key is not None:
        return On.OBJECT
    return On.SERVICE if target.bucket is None else On.BUCKET


def authorize(
    operation: Operation,
    reader: Reader,
    facts: RequestFacts,
    bucket: Bucket | None,
    key: bytes | None,
    seen: Seen,
    otherwise: Resource,
    judged: Judged,
) -> None:
    """AccessDenied unless everything that the table asks for beforehand is permitted; `otherwise`
    is what it is asked on where there is no bucket yet. `judged` is told what decided."""
    principal, head = facts.principal, facts.head
    for need in operation.needs:
        if need.by_body or need.on in (On.SOURCE, On.EACH_KEY):
            continue  # only the handler knows on what, or with what
        if need.header is not None and need.header not in head.by_name:
            continue
        permission, version_id = need.permission, None
        if need.versioned is not None and "versionId" in head.query:
            permission, version_id = need.versioned, parameters.version_id(head)
        asked = otherwise
        if bucket is not None:
            asked = resource(reader, principal, permission, bucket, key, version_id, seen)
            if asked.policy is not None or principal.identity is not None:
                told = partial(tags_of, reader, bucket, key, version_id, seen)
                facts = facts.about(told, partial(bucket_tags, reader, bucket))
        found = explain(principal, permission, asked, facts)
        judged.decided = found.by
        if not found.decision.allowed:
            raise S3Error("AccessDenied")
