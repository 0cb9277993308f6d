"""STS: who am I, and keys that last for a while.

Whom a role trusts decides who may assume it; a trust in the account as a whole leaves it to the
caller's own policies. Source: the STS API reference, "Policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from coffre.access.decision import Decision, Resource, decide
from coffre.access.patterns import Facts
from coffre.access.policy import Policy
from coffre.access.principals import Principal
from coffre.catalog.iam_records import IamEntity
from coffre.iam import documents
from coffre.iam.call import Call, Overlay, Result, caller_arn
from coffre.iam.identities import trust_policy
from coffre.iam.sessions import LONGEST_TOKEN, Session
from coffre.wire.query_protocol import QueryError, Value, iso

_SESSION_S: Final = 3600
_TOKEN_S: Final = 43_200
_CHAINED_S: Final = 3600
_POLICY_BYTES: Final = 2048
_MOST_POLICIES: Final = 10
_TAG: Final = "aws:principaltag/"


async def get_caller_identity(call: Call) -> Result:
    """GetCallerIdentity: nobody is denied it."""
    who = call.principal
    return {"UserId": who.user_id, "Account": call.account, "Arn": caller_arn(who)}


async def get_access_key_info(call: Call) -> Result:
    """GetAccessKeyInfo, of keys of this account alone."""
    found = call.reader.identity(call.parameters.text("AccessKeyId"))
    if found is None or found.store.id != call.store.id:
        raise QueryError("AccessDenied", "The access key is none of this account.")
    return {"Account": call.account}


async def get_session_token(call: Call) -> Result:
    """GetSessionToken: the same user, with keys that end."""
    if call.session is not None:
        raise QueryError("AccessDenied", "Cannot call GetSessionToken with session credentials")
    lasts_s = call.parameters.number("DurationSeconds", _TOKEN_S)
    session = Session(call.store.id, call.key, "", "", call.now_ms, call.now_ms + lasts_s * 1000)
    return {"Credentials": _credentials(call, session)}


async def assume_role(call: Call) -> Result:
    """AssumeRole."""
    role = call.entity_of(call.parameters.text("RoleArn"), "role")
    arn = call.arn_of(role)
    tags = call.parameters.tags()
    name = call.parameters.text("RoleSessionName")
    said: dict[str, tuple[str, ...]] = {"sts:rolesessionname": (name,)}
    external = call.parameters.optional("ExternalId")
    if external is not None:
        said["sts:externalid"] = (external,)
    said |= {f"aws:requesttag/{key}".lower(): (value,) for key, value in tags.items()}
    if tags:
        said["aws:tagkeys"] = tuple(tags)
    facts = Overlay(said, call.facts)
    asked = ("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",)
    for action in asked:
        if not is_trusted(call.principal, role, arn, action, facts):
            raise _not_authorized(call.principal, action, arn)
    known = tuple((f"{_TAG}{key}".lower(), value) for key, value in tags.items())
    return _assumed(call, role, known)


async def assume_role_with_web_identity(call: Call) -> Result:
    """AssumeRoleWithWebIdentity, of a caller whom an issuer vouches for."""
    who = await call.iam.web_tokens.read(call.parameters.text("WebIdentityToken"), call.now_ms)
    # A stranger is not told which roles there are.
    denied = QueryError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    try:
        role = call.entity_of(call.parameters.text("RoleArn"), "role")
    except QueryError as error:
        raise denied if error.code == "NoSuchEntity" else error from None
    arn = call.arn_of(role)
    provider = call.arn("oidc-provider", "/", who.issuer)
    said = {key: (value,) for key, value in who.known}
    said["aws:federatedprovider"] = (provider,)
    said["sts:rolesessionname"] = (call.parameters.text("RoleSessionName"),)
    principal = Principal(None, kind="federated", account=call.account, issuer=who.issuer)
    action, facts = "sts:AssumeRoleWithWebIdentity", Overlay(said, call.facts)
    if not is_trusted(principal, role, arn, action, facts):
        raise denied
    known = (*who.known, ("aws:federatedprovider", provider))
    return {
        **_assumed(call, role, known),
        "SubjectFromWebIdentityToken": who.subject,
        "Provider": provider,
        "Audience": who.audience,
    }


def is_trusted(principal: Principal, role: IamEntity, arn: str, action: str, facts: Facts) -> bool:
    """Whether a role lets a principal in, and what bounds the principal does not forbid it."""
    trust = trust_policy(role.facts.trust)
    itself = replace(principal, identity=None)
    trusted = Resource(arn=arn, policy=trust)
    decision = decide(itself, action, trusted, facts)
    if decision is Decision.DENY or principal.locked:
        return False
    if decision.allowed:
        return decide(principal, action, trusted, facts).allowed
    return (
        _trusts_account(trust, principal, action, arn, facts)
        and decide(principal, action, Resource(arn=arn), facts).allowed
    )


def _trusts_account(
    trust: Policy, principal: Principal, action: str, arn: str, facts: Facts
) -> bool:
    """Whether a role leaves it to the account's own policies who may assume it."""
    if principal.user_id is None:
        return False
    account = Principal(
        "account", store=principal.store, account=principal.account, path="root", root=True
    )
    return decide(account, action, Resource(arn=arn, policy=trust), facts).allowed


def _assumed(call: Call, role: IamEntity, known: tuple[tuple[str, str], ...]) -> dict[str, Value]:
    name = call.parameters.text("RoleSessionName")
    lasts_s = call.parameters.number("DurationSeconds", _SESSION_S)
    longest_s = role.facts.max_session_s
    if call.session is not None and call.session.role_id:
        longest_s = min(longest_s, _CHAINED_S)
    if lasts_s > longest_s:
        raise QueryError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    policies, managed = _session_policies(call)
    session = Session(
        call.store.id,
        call.key,
        role.id,
        name,
        call.now_ms,
        call.now_ms + lasts_s * 1000,
        policies,
        managed,
        known,
    )
    size = sum(map(len, policies))
    return {
        "Credentials": _credentials(call, session),
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role.id}:{name}",
            "Arn": f"arn:aws:sts::{call.account}:assumed-role/{role.name}/{name}",
        },
        "PackedPolicySize": -(-size * 100 // _POLICY_BYTES) if size else None,
    }


def _session_policies(call: Call) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """What bounds a session: documents, and ids of managed policies."""
    inline = call.parameters.optional("Policy")
    kept = () if inline is None else (documents.checked(inline, _POLICY_BYTES),)
    items = call.parameters.structures("PolicyArns", "arn")
    if len(items) > _MOST_POLICIES:
        raise QueryError("ValidationError", f"At most {_MOST_POLICIES} PolicyArns.")
    return kept, tuple(call.policy(item.get("arn", "")).id for item in items)


def _credentials(call: Call, session: Session) -> Mapping[str, Value]:
    made = call.iam.sessions.start(session)
    if len(made.token) > LONGEST_TOKEN:
        raise QueryError("PackedPolicyTooLarge")
    return {
        "AccessKeyId": made.access_key,
        "SecretAccessKey": made.secret,
        "SessionToken": made.token,
        "Expiration": iso(session.expires_ms),
    }


def _not_authorized(principal: Principal, action: str, arn: str) -> QueryError:
    return QueryError(
        "AccessDenied",
        f"User: {caller_arn(principal)} is not authorized to perform: {action} on resource: {arn}",
    )
