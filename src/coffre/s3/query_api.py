"""IAM and STS on the S3 port: the query protocol from the request's first byte to its answer.

network rule -> body -> signature -> action -> permission -> handler; errors in IAM's words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from coffre.access.principals import ANONYMOUS
from coffre.catalog.audit_records import readable
from coffre.catalog.records import Store
from coffre.iam import service as iam_service
from coffre.iam.call import Iam
from coffre.iam.service import Caller
from coffre.iam.table import Action
from coffre.s3.auditing import recording
from coffre.s3.authenticate import admitted, signer_of
from coffre.s3.body import Receive, RequestBody
from coffre.s3.deadlines import Deadlines
from coffre.s3.exchange import Exchange
from coffre.s3.facts import RequestFacts
from coffre.s3.funnel import as_error
from coffre.s3.network import check_entry
from coffre.s3.response import Header, Response
from coffre.s3.services import Services
from coffre.wire.auth import read_claim, verify
from coffre.wire.claim import security_token
from coffre.wire.query_protocol import (
    BODY_LIMIT,
    QueryError,
    of_s3,
    read_parameters,
    render,
    render_error,
)
from coffre.wire.target import Target

_XML: Final[Header] = (b"content-type", b"text/xml")
_UNKNOWN: Final = "iam"
# Parameters that a record may repeat: names and ids. Others may be secrets, or long.
_TOLD: Final = frozenset(
    {
        *("AccessKeyId", "GroupName", "InstanceProfileName", "NewGroupName", "NewPath"),
        *("NewUserName", "Path", "PermissionsBoundary", "PolicyArn", "PolicyName", "RoleArn"),
        *("RoleName", "RoleSessionName", "Status", "UserName", "VersionId"),
    }
)
_TOLD_CHARACTERS: Final = 256


async def answer_query(
    services: Services, exchange: Exchange, target: Target, receive: Receive, deadlines: Deadlines
) -> Response:
    """The answer, an error's too."""
    service = _UNKNOWN
    try:
        given = await _parameters(services, exchange, receive, deadlines)
        service, action = iam_service.find_action(given)
        exchange.called = f"{service}:{action.name}"
        caller = _caller(services, exchange, service, action, target, given)
        principal = ANONYMOUS if caller is None else caller.principal
        facts = RequestFacts(exchange.head, principal, exchange.claim, exchange.now_ms)
        asked = (service, action, given, caller, facts, exchange.now_ms)
        result = await iam_service.answer(_iam(services, exchange, given), *asked)
    except Exception as failure:
        error = failure if isinstance(failure, QueryError) else None
        if error is None:
            error = of_s3(as_error(failure, exchange.request_id))
        exchange.error = error.code
        body = render_error(service, error, exchange.request_id)
        return Response(error.status, [_XML], body)
    return Response(200, [_XML], render(service, action.name, result, exchange.request_id))


async def _parameters(
    services: Services, exchange: Exchange, receive: Receive, deadlines: Deadlines
) -> Mapping[str, str]:
    """What is asked, and who says they signed it. The form is read first: it is what is signed."""
    head = exchange.head
    services.network(_UNKNOWN, head.client, None)
    form = b""
    if head.method == "POST":
        services.admit(_UNKNOWN, head.client, None)
        patience = services.settings.patience
        exchange.body = RequestBody(receive, head, None, patience, deadlines)
        form = await exchange.body.document(BODY_LIMIT)
    exchange.claim = read_claim(head, allow_v2=False, body_sha256=hashlib.sha256(form).hexdigest())
    return read_parameters(head, form)


def _caller(
    services: Services,
    exchange: Exchange,
    service: str,
    action: Action,
    target: Target,
    given: Mapping[str, str],
) -> Caller | None:
    """Who signed; None for a stranger, where an action is for such. Raises
    MissingAuthenticationToken, and as `authenticate`."""
    claim, head, now_ms = exchange.claim, exchange.head, exchange.now_ms
    if claim is None:
        if not action.unsigned:
            raise QueryError("MissingAuthenticationToken")
        _let_in(services, exchange, iam_service.store_of_role(services.iam, given))
        return None
    settings = services.settings
    signer = signer_of(services, claim, security_token(head), now_ms)
    verify(
        claim,
        head,
        signer.secrets,
        regions=settings.regions,
        region=settings.region,
        now_ms=now_ms,
        service=service,
    )
    principal = exchange.principal = admitted(services, signer, target, now_ms)
    _let_in(services, exchange, signer.store)
    return Caller(principal, signer.store, signer.key, signer.session)


def _let_in(services: Services, exchange: Exchange, store: Store) -> None:
    """AccessDenied where the store's network rule, or its lock, lets nobody in."""
    client = exchange.head.client
    exchange.enter(store)
    services.zone(exchange.called, client, None)
    exchange.decided = "network"
    check_entry(services.reader, services.settings, client, store, None)
    exchange.decided = ""


def _iam(services: Services, exchange: Exchange, given: Mapping[str, str]) -> Iam:
    """IAM as one call uses it: what it changes leaves the call's record, which names what the call
    is about."""
    told = {
        name: readable(value)[:_TOLD_CHARACTERS] for name, value in given.items() if name in _TOLD
    }
    exchange.detail = msgspec.json.encode(told).decode() if told else ""
    committer = recording(services.audit, services.committer, exchange, services.clock)
    return replace(services.iam, committer=committer, judged=exchange)
