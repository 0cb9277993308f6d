"""A call's way: action, parameters, permission, handler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from coffre.access.patterns import Facts
from coffre.access.principals import ANONYMOUS, Principal, account_of
from coffre.catalog.iam_records import IamEntity, IamKind
from coffre.catalog.records import Store
from coffre.iam import shapes
from coffre.iam.call import NAMES, Call, Iam, Result
from coffre.iam.parameters import Parameters
from coffre.iam.sessions import Session
from coffre.iam.table import TABLE, Action
from coffre.wire.query_protocol import SERVICES, QueryError

_COMMON: Final = frozenset({"Action", "Version"})
# What carries a signature in a query, in whatever case.
_SIGNATURE: Final = "x-amz-"
_RENAMES: Final = frozenset({"NewGroupName", "NewPath", "NewUserName"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed, in which store; `key` and `session` as `iam.call.Call` has them."""

    principal: Principal
    store: Store
    key: str
    session: Session | None


def find_action(given: Mapping[str, str]) -> tuple[str, Action]:
    """The service and the action that parameters ask for. Raises MissingAction, InvalidAction."""
    name, version = given.get("Action"), given.get("Version", "")
    if not name:
        raise QueryError("MissingAction")
    service = SERVICES.get(version)
    if service is None:
        raise QueryError("InvalidAction", f"Could not find operation {name} for version {version}")
    action = TABLE[service].get(name)
    if action is None:
        raise QueryError(
            "InvalidAction",
            f"Could not find operation {name} for version {version}: not built here",
        )
    return service, action


def store_of_role(iam: Iam, given: Mapping[str, str]) -> Store:
    """The store of the role that a stranger asks for; its ARN names it by number or name. Raises
    AccessDenied."""
    parts = given.get("RoleArn", "").split(":", 5)
    named = parts[4] if len(parts) == 6 else ""
    found = iam.reader.store_named(named)
    if found is None:
        stores = iam.reader.stores()
        found = next((one for one in stores if account_of(one.id) == named), None)
    if found is None or found.status != "active":
        raise QueryError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    return found


async def answer(
    iam: Iam,
    service: str,
    action: Action,
    given: Mapping[str, str],
    caller: Caller | None,
    facts: Facts,
    now_ms: int,
) -> Result:
    """What an action says. `caller` None: nobody signed. Raises QueryError."""
    parameters = Parameters(
        {
            name: value
            for name, value in given.items()
            if name not in _COMMON and not name.lower().startswith(_SIGNATURE)
        }
    )
    for name in parameters.names.difference(action.parameters):
        raise QueryError(
            "ValidationError", f"The parameter {name[:100]} is not taken by {action.name} here."
        )
    if caller is None:
        call = Call(iam, store_of_role(iam, given), ANONYMOUS, parameters, facts, now_ms)
    else:
        who = (caller.principal, parameters, facts, now_ms, caller.key, caller.session)
        call = Call(iam, caller.store, *who)
        _check_caller(service, action, caller)
    if not action.free:
        _authorize(call, service, action)
    return await action.handler(call)


def _check_caller(service: str, action: Action, caller: Caller) -> None:
    """A locked user may nothing; a session of a user may neither change who it is nor go on for
    longer."""
    if caller.principal.locked:
        raise QueryError("AccessDenied", "The user is locked.")
    session = caller.session
    if service == "iam" and session is not None and not session.role_id:
        raise QueryError("AccessDenied", "Cannot call IAM APIs with GetSessionToken credentials")


def _authorize(call: Call, service: str, action: Action) -> None:
    """AccessDenied unless the caller may, before anything is told of what is asked for."""
    arn, entity = _target(call, action)
    said = _said(call, entity)
    for asked in (arn, *_renamed(call, entity)):
        call.require(f"{service}:{action.name}", asked, said)


def _target(call: Call, action: Action) -> tuple[str, IamEntity | None]:
    """The ARN that an action is asked on, and the entity it is, if that stands."""
    given = call.parameters
    if action.on == "policy arn":
        return call.normal(given.text("PolicyArn")), None
    if action.on == "source":
        return call.normal(given.text("PolicySourceArn")), None
    kind = next((kind for kind in NAMES if kind == action.on), None)
    if kind is None:
        return "*", None
    if action.makes:
        return call.arn(kind, given.optional("Path") or "/", given.text(NAMES[kind])), None
    return _entity_asked(call, kind)


def _entity_asked(call: Call, kind: IamKind) -> tuple[str, IamEntity | None]:
    if kind == "user" and "UserName" not in call.parameters.names:
        entity = call.reader.iam_entity_by_id(call.principal.user_id or "")
        path = call.principal.path
        return f"arn:aws:iam::{call.account}:{path}", entity
    name = call.parameters.text(NAMES[kind])
    entity = call.reader.iam_entity(call.store.id, kind, name)
    return call.arn(kind, "/", name) if entity is None else call.arn_of(entity), entity


def _renamed(call: Call, entity: IamEntity | None) -> list[str]:
    """What an entity would be called from then on, where it gets another name or path: AWS asks
    for the permission on both."""
    given = call.parameters
    if entity is None or given.names.isdisjoint(_RENAMES):
        return []
    name = given.optional(f"New{NAMES[entity.kind]}") or entity.name
    return [call.arn(entity.kind, given.optional("NewPath") or entity.path, name)]


def _said(call: Call, entity: IamEntity | None) -> dict[str, tuple[str, ...]]:
    """Facts for policies' conditions: what the call gives, and what the entity has."""
    given = call.parameters
    said: dict[str, tuple[str, ...]] = {}
    arn = given.optional("PolicyArn")
    if arn is not None:
        said["iam:policyarn"] = (call.normal(arn),)
    bound = given.optional("PermissionsBoundary")
    if bound is None and entity is not None:
        bound = shapes.boundary_arn(call, entity)
    if bound is not None:
        said["iam:permissionsboundary"] = (call.normal(bound),)
    if "Tags" in given.names:
        tags = given.tags()
        said |= {f"aws:requesttag/{key}".lower(): (value,) for key, value in tags.items()}
        said["aws:tagkeys"] = tuple(tags)
    for key, value in ({} if entity is None else entity.facts.tags).items():
        said |= {f"{head}:resourcetag/{key}".lower(): (value,) for head in ("aws", "iam")}
    return said
