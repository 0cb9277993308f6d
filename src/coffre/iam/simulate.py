"""What policies would decide, asked of the one decision that requests are held to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from coffre.access import actions
from coffre.access.decision import Decision, Explanation, Identity, explain
from coffre.access.patterns import Facts
from coffre.access.policy import BadPolicy, Policy, read_policy
from coffre.access.principals import Principal
from coffre.catalog.iam_records import IamEntity
from coffre.iam import documents, identities
from coffre.iam.call import IN_S3, Call, Result, resource_of
from coffre.iam.parameters import Parameters, Rule, check
from coffre.wire.query_protocol import QueryError, Value, members

_ACTION: Final = Rule("", 3, 128)
_RESOURCE: Final = Rule("", 1, 2048)
_DOCUMENT: Final = Rule("", 1, 131_072)
_KEY: Final = Rule("", 5, 256)
_MOST: Final = 1000
_MOST_BYTES: Final = 4 << 20
_DECISIONS: Final = {
    Decision.ALLOW: "allowed",
    Decision.DENY: "explicitDeny",
    Decision.NOBODY_ALLOWS: "implicitDeny",
}


async def simulate_principal_policy(call: Call) -> Result:
    """SimulatePrincipalPolicy: what a user, group or role has, and what is given beside it."""
    entity = call.entity_of(call.parameters.text("PolicySourceArn"), "user", "group", "role")
    own = identities.identity_of(call.reader, entity.id)
    given = _given(call.parameters, "PolicyInputList")
    bounds = _given(call.parameters, "PermissionsBoundaryPolicyInputList") or own.boundary
    return _simulate(call, Identity({**own.policies, **given}, bounds), _principal(call, entity))


async def simulate_custom_policy(call: Call) -> Result:
    """SimulateCustomPolicy: what is given alone."""
    given = _given(call.parameters, "PolicyInputList")
    bounds = _given(call.parameters, "PermissionsBoundaryPolicyInputList") or None
    caller = Principal("simulated", kind="iam", store=call.store.name, account=call.account)
    named = call.parameters.optional("CallerArn")
    if named is not None:
        caller = _principal(call, call.entity_of(named, "user", "role"))
    return _simulate(call, Identity(given, bounds), caller)


def _given(parameters: Parameters, name: str) -> dict[str, Policy]:
    texts = parameters.texts(name, _DOCUMENT)
    return {f"{name}.{i}": documents.compiled(text) for i, text in enumerate(texts, 1)}


def _principal(call: Call, entity: IamEntity) -> Principal:
    """Whom the policies of an entity would speak for."""
    path = f"{entity.kind}{entity.path}{entity.name}"
    store, account = call.store.name, call.account
    if entity.kind == "role":
        return Principal(entity.id, kind="role", role_path=path, store=store, account=account)
    return Principal(entity.id, kind="iam", path=path, store=store, account=account)


def _simulate(call: Call, identity: Identity, principal: Principal) -> Result:
    asked = [_action(name) for name in call.parameters.texts("ActionNames", _ACTION)]
    arns = call.parameters.texts("ResourceArns", _RESOURCE) or ["*"]
    if not asked:
        raise QueryError("InvalidInput", "ActionNames must not be empty.")
    _check_size(call.parameters, len(asked) * len(arns))
    facts = _facts(call.parameters, principal)
    own = _resource_policy(call, arns)
    results: list[Value] = []
    for action in asked:
        for arn in arns:
            resource = replace(resource_of(action, arn), policy=own)
            found = explain(principal, action, resource, facts, identity)
            policies = [*identity.policies.values(), *(identity.boundary or {}).values()]
            missing = _missing(policies, action, facts)
            results.append(_told(action, arn, found, missing, bounded=identity.boundary))
    return {"EvaluationResults": results, "IsTruncated": False}


def _told(
    action: str,
    arn: str,
    found: Explanation,
    missing: list[str],
    *,
    bounded: Mapping[str, Policy] | None,
) -> dict[str, Value]:
    matched: list[Value] = []
    if found.statement is not None:
        matched.append({"SourcePolicyId": found.source})
    shape: dict[str, Value] = {
        "EvalActionName": action,
        "EvalResourceName": arn,
        "EvalDecision": _DECISIONS[found.decision],
        "MatchedStatements": matched,
        "MissingContextValues": list(missing),
    }
    if bounded is not None:
        within = "boundary" not in found.source or found.statement is not None
        shape["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
    return shape


def _action(name: str) -> str:
    """As the decision spells it. Raises InvalidInput for none of S3's."""
    if not name.lower().startswith("s3:"):
        return name
    found = actions.canonical(name)
    if found is None:
        raise QueryError("InvalidInput", f"Invalid action name: {name}")
    return found


def _facts(parameters: Parameters, principal: Principal) -> Facts:
    """`ContextEntries`, and who is asked about."""
    facts: dict[str, tuple[str, ...]] = {}
    if principal.name:
        facts["aws:username"] = (principal.name,)
    items = parameters.structures(
        "ContextEntries", "ContextKeyName", "ContextKeyType", "ContextKeyValues"
    )
    for item in items:
        name = item.get("ContextKeyName", "")
        check("contextKeyName", name, _KEY)
        values = (one.get("", "") for one in members(item, "ContextKeyValues"))
        facts[name.lower()] = tuple(values)
    return facts


def _check_size(parameters: Parameters, questions: int) -> None:
    """InvalidInput for more than is answered in the time of a few requests."""
    if questions > _MOST or questions * parameters.size > _MOST_BYTES:
        raise QueryError(
            "InvalidInput",
            f"At most {_MOST} actions on resources at once, and {_MOST_BYTES} bytes of policies"
            " to look through for all of them.",
        )


def _resource_policy(call: Call, arns: list[str]) -> Policy | None:
    document = call.parameters.optional("ResourcePolicy")
    if document is None:
        return None
    bucket, *others = {arn.removeprefix(IN_S3).partition("/")[0] for arn in arns}
    if others:
        raise QueryError("InvalidInput", "A ResourcePolicy is one bucket's.")
    try:
        return read_policy(document.encode(), bucket=bucket, ecs=True)
    except BadPolicy as error:
        raise QueryError("InvalidInput", f"ResourcePolicy: {error}") from error


def _missing(policies: Iterable[Policy], action: str, facts: Facts) -> list[str]:
    """Condition keys that statements about the action ask for and nobody gave."""
    asked = (
        condition.key
        for policy in policies
        for statement in policy.covering(action)
        for condition in statement.conditions
    )
    return sorted({key for key in asked if key not in facts})
