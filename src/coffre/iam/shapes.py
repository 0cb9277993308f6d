"""IAM's structures as answers tell them."""

from __future__ import annotations

from urllib.parse import quote

from coffre.catalog.iam_records import IamEntity, Relation
from coffre.iam import built_in
from coffre.iam.built_in import BuiltIn
from coffre.iam.call import Call
from coffre.wire.query_protocol import Value, iso

Shape = dict[str, Value]
_KINDS = {"user": "User", "group": "Group", "role": "Role"}


def document(text: bytes) -> str:
    """Policies are told percent-encoded."""
    return quote(text.decode(), safe="")


def entity(call: Call, one: IamEntity, *, whole: bool = False) -> Shape:
    """A User, Group or Role; `whole`: with its tags and what bounds it, as lists do not."""
    name = _KINDS[one.kind]
    shape: Shape = {
        "Path": one.path,
        f"{name}Name": one.name,
        f"{name}Id": one.id,
        "Arn": call.arn_of(one),
        "CreateDate": iso(one.created_ms),
    }
    if one.kind == "role":
        shape |= {
            "AssumeRolePolicyDocument": document(one.facts.trust),
            "Description": one.facts.description or None,
            "MaxSessionDuration": one.facts.max_session_s,
        }
    if whole and one.kind != "group":
        shape["PermissionsBoundary"] = boundary(call, one)
        shape["Tags"] = tags(one) or None
    return shape


def boundary(call: Call, one: IamEntity) -> Value:
    arn = boundary_arn(call, one)
    if arn is None:
        return None
    return {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": arn}


def boundary_arn(call: Call, one: IamEntity) -> str | None:
    bounds = call.reader.iam_targets(one.id, "boundary")
    return policy_arn(call, bounds[0]) if bounds else None


def tags(one: IamEntity) -> list[Value]:
    return [{"Key": key, "Value": value} for key, value in sorted(one.facts.tags.items())]


def policy_arn(call: Call, policy_id: str) -> str | None:
    known = built_in.find(policy_id)
    if known is not None:
        return known.arn
    found = call.reader.iam_entity_by_id(policy_id)
    return None if found is None else call.arn_of(found)


def attached(call: Call, policy_id: str) -> tuple[str, str]:
    """Name and ARN of a managed policy."""
    known = built_in.find(policy_id)
    if known is not None:
        return known.name, known.arn
    found = call.reader.iam_entity_by_id(policy_id)
    assert found is not None, "a policy goes after all that ties it"
    return found.name, call.arn_of(found)


def policy(call: Call, one: IamEntity, *, whole: bool = False) -> Shape:
    """A managed policy of the account."""
    used, bounds = uses(call, one.id)
    shape: Shape = {
        "PolicyName": one.name,
        "PolicyId": one.id,
        "Arn": call.arn_of(one),
        "Path": one.path,
        "DefaultVersionId": one.facts.default,
        "AttachmentCount": used,
        "PermissionsBoundaryUsageCount": bounds,
        "IsAttachable": True,
        "CreateDate": iso(one.created_ms),
        "UpdateDate": iso(one.facts.updated_ms),
    }
    if whole:
        shape["Description"] = one.facts.description or None
        shape["Tags"] = tags(one) or None
    return shape


def uses(call: Call, policy_id: str) -> tuple[int, int]:
    """How many entities of the account have a managed policy, and how many it bounds."""
    having = members(call, policy_id, "policy")
    return len(having), len(members(call, policy_id, "boundary"))


def members(call: Call, target_id: str, relation: Relation) -> list[IamEntity]:
    """Entities of the account that are tied to another."""
    found = map(call.reader.iam_entity_by_id, call.reader.iam_members(target_id, relation))
    return [one for one in found if one is not None and one.store_id == call.store.id]


def managed(call: Call, one: IamEntity | BuiltIn, *, whole: bool = False) -> Shape:
    """A managed policy, of the account or built in."""
    if isinstance(one, BuiltIn):
        return _built_in(call, one, whole=whole)
    return policy(call, one, whole=whole)


def _built_in(call: Call, one: BuiltIn, *, whole: bool) -> Shape:
    used, bounds = uses(call, built_in.id_in(one, call.account))
    shape: Shape = {
        "PolicyName": one.name,
        "PolicyId": one.id,
        "Arn": one.arn,
        "Path": one.path,
        "DefaultVersionId": "v1",
        "AttachmentCount": used,
        "PermissionsBoundaryUsageCount": bounds,
        "IsAttachable": True,
        "CreateDate": iso(call.store.created_ms),
        "UpdateDate": iso(call.store.created_ms),
    }
    if whole:
        shape["Description"] = one.description
    return shape
