"""Managed policies and their versions."""

from __future__ import annotations

from coffre.catalog.iam_mutations import ChangeIamEntity, CreateIamEntity, DeleteIamEntity
from coffre.catalog.iam_records import IamDocument, IamEntity, IamFacts
from coffre.iam import built_in, documents, shapes
from coffre.iam.built_in import BuiltIn
from coffre.iam.call import Call, Result, facts_with
from coffre.iam.credentials import new_entity_id
from coffre.iam.shapes import Shape
from coffre.wire.query_protocol import QueryError, Value, iso

_FIRST = "v1"


async def create_policy(call: Call) -> Result:
    """CreatePolicy."""
    given = call.parameters
    text = documents.checked(given.text("PolicyDocument"), documents.MANAGED)
    facts = IamFacts(
        description=given.optional("Description") or "",
        tags=given.tags(),
        default=_FIRST,
        versions=1,
    )
    mutation = CreateIamEntity(
        call.store.id,
        "policy",
        new_entity_id("policy", call.iam.entropy),
        given.text("PolicyName"),
        given.optional("Path") or "/",
        facts,
        {_FIRST: text},
    )
    await call.commit(mutation)
    return {"Policy": shapes.policy(call, call.find("policy"), whole=True)}


async def get_policy(call: Call) -> Result:
    """GetPolicy."""
    found = call.policy(call.parameters.text("PolicyArn"))
    return {"Policy": shapes.managed(call, found.made_of, whole=True)}


async def list_policies(call: Call) -> Result:
    """ListPolicies: those of the account, and those that are built in."""
    given = call.parameters
    scope, path = given.optional("Scope") or "All", given.optional("PathPrefix") or "/"
    found: list[IamEntity | BuiltIn] = []
    if scope != "AWS":
        found += call.reader.iam_entities(call.store.id, "policy", after="", path=path, limit=5000)
    if scope != "Local":
        found += [one for one in built_in.ALL.values() if one.path.startswith(path)]
    usage = given.optional("PolicyUsageFilter")
    if given.flag("OnlyAttached") or usage is not None:
        found = [one for one in found if _is_used(call, one, usage)]
    page, told = call.page(sorted(found, key=_place), _place)
    return {"Policies": [shapes.managed(call, one) for one in page], **(told or {})}


def _is_used(call: Call, one: IamEntity | BuiltIn, usage: str | None) -> bool:
    """Whether anybody has the policy, or is bounded by it; `usage` says which is asked."""
    policy_id = one.id if isinstance(one, IamEntity) else built_in.id_in(one, call.account)
    having, bounded = shapes.uses(call, policy_id)
    wanted = {"PermissionsPolicy": having, "PermissionsBoundary": bounded}
    return wanted.get(usage or "", having + bounded) > 0


def _place(one: IamEntity | BuiltIn) -> str:
    """Ours and built-in ones may share a name."""
    return f"{one.name} {one.id}".lower()


async def delete_policy(call: Call) -> Result:
    """DeletePolicy."""
    await call.commit(DeleteIamEntity(call.own_policy().id))
    return None


async def create_policy_version(call: Call) -> Result:
    """CreatePolicyVersion."""
    found = call.own_policy()
    text = documents.checked(call.parameters.text("PolicyDocument"), documents.MANAGED)
    number = found.facts.versions + 1
    name = f"v{number}"
    default = name if call.parameters.flag("SetAsDefault") else found.facts.default
    facts = facts_with(found, versions=number, default=default)
    await call.commit(ChangeIamEntity(found.id, found.facts, facts, put={name: text}))
    version = IamDocument(name, text, call.now_ms)
    return {"PolicyVersion": _version(version, default, whole=False)}


async def get_policy_version(call: Call) -> Result:
    """GetPolicyVersion."""
    versions, default = _versions(call)
    wanted = call.parameters.text("VersionId")
    for one in versions:
        if one.name == wanted:
            return {"PolicyVersion": _version(one, default, whole=True)}
    raise _no_version(wanted)


def versions_of(call: Call, policy: IamEntity) -> list[Value]:
    """All versions of a policy of the account, with their documents."""
    kept = call.reader.iam_documents(policy.id)
    return [_version(one, policy.facts.default, whole=True) for one in kept]


async def list_policy_versions(call: Call) -> Result:
    """ListPolicyVersions, the newest first."""
    versions, default = _versions(call)
    versions.sort(key=lambda one: -int(one.name[1:]))
    shown = [_version(one, default, whole=False) for one in versions]
    return {"Versions": shown, "IsTruncated": False}


async def set_default_policy_version(call: Call) -> Result:
    """SetDefaultPolicyVersion."""
    found, wanted = call.own_policy(), call.parameters.text("VersionId")
    _require_version(call, found, wanted)
    facts = facts_with(found, default=wanted)
    await call.commit(ChangeIamEntity(found.id, found.facts, facts))
    return None


async def delete_policy_version(call: Call) -> Result:
    """DeletePolicyVersion; not the default one."""
    found, wanted = call.own_policy(), call.parameters.text("VersionId")
    _require_version(call, found, wanted)
    if wanted == found.facts.default:
        raise QueryError("DeleteConflict", "Cannot delete the default version of a policy.")
    await call.commit(ChangeIamEntity(found.id, found.facts, found.facts, drop=(wanted,)))
    return None


async def list_entities_for_policy(call: Call) -> Result:
    """ListEntitiesForPolicy."""
    given = call.parameters
    policy = call.policy(given.text("PolicyArn"))
    usage, path = given.optional("PolicyUsageFilter"), given.optional("PathPrefix") or "/"
    found: list[IamEntity] = []
    if usage != "PermissionsBoundary":
        found += shapes.members(call, policy.id, "policy")
    if usage != "PermissionsPolicy":
        found += shapes.members(call, policy.id, "boundary")
    chosen = given.optional("EntityFilter")
    unique = {one.id: one for one in found if one.path.startswith(path)}
    listed = sorted(unique.values(), key=lambda one: (one.name.lower(), one.id))
    listed = [one for one in listed if chosen in (None, one.kind.capitalize())]
    page, told = call.page(listed, lambda one: f"{one.name} {one.id}")
    shown: dict[str, Value] = {}
    for kind in ("Group", "User", "Role"):
        of_kind = [one for one in page if one.kind == kind.lower()]
        shown[f"Policy{kind}s"] = [{f"{kind}Name": o.name, f"{kind}Id": o.id} for o in of_kind]
    return {**shown, **(told or {})}


def _versions(call: Call) -> tuple[list[IamDocument], str]:
    """A managed policy's versions, and which one counts."""
    found = call.policy(call.parameters.text("PolicyArn"))
    made_of = found.made_of
    if isinstance(made_of, BuiltIn):
        return [IamDocument(_FIRST, made_of.document, call.store.created_ms)], _FIRST
    return call.reader.iam_documents(found.id), made_of.facts.default


def _require_version(call: Call, policy: IamEntity, wanted: str) -> None:
    if wanted not in {one.name for one in call.reader.iam_documents(policy.id)}:
        raise _no_version(wanted)


def _no_version(wanted: str) -> QueryError:
    return QueryError("NoSuchEntity", f"Policy version {wanted} does not exist.")


def _version(one: IamDocument, default: str, *, whole: bool) -> Shape:
    return {
        "Document": shapes.document(one.document) if whole else None,
        "VersionId": one.name,
        "IsDefaultVersion": one.name == default,
        "CreateDate": iso(one.created_ms),
    }
