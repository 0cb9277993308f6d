"""What ties entities together: users in groups, managed policies, permission boundaries."""

from __future__ import annotations

from coffre.catalog.iam_mutations import LinkIam, UnlinkIam
from coffre.catalog.iam_records import IamKind
from coffre.iam import shapes
from coffre.iam.call import Call, Handler, Result
from coffre.wire.query_protocol import QueryError


async def add_user_to_group(call: Call) -> Result:
    """AddUserToGroup."""
    group, user = call.find("group"), call.find("user")
    await call.commit(LinkIam(user.id, "group", group.id))
    return None


async def remove_user_from_group(call: Call) -> Result:
    """RemoveUserFromGroup."""
    group, user = call.find("group"), call.find("user")
    await call.commit(UnlinkIam(user.id, "group", group.id))
    return None


async def list_groups_for_user(call: Call) -> Result:
    """ListGroupsForUser."""
    ids = call.reader.iam_targets(call.find("user").id, "group")
    groups = [one for one in map(call.reader.iam_entity_by_id, ids) if one is not None]
    page, told = call.page(sorted(groups, key=lambda one: one.name.lower()), lambda one: one.name)
    return {"Groups": [shapes.entity(call, one) for one in page], **(told or {})}


def attach(kind: IamKind) -> Handler:
    """AttachUserPolicy, AttachGroupPolicy, AttachRolePolicy."""

    async def handle(call: Call) -> Result:
        policy = call.policy(call.parameters.text("PolicyArn"))
        await call.commit(LinkIam(call.find(kind).id, "policy", policy.id))
        return None

    return handle


def detach(kind: IamKind) -> Handler:
    """DetachUserPolicy, DetachGroupPolicy, DetachRolePolicy."""

    async def handle(call: Call) -> Result:
        found, arn = call.find(kind), call.parameters.text("PolicyArn")
        policy = call.policy(arn)
        if policy.id not in call.reader.iam_targets(found.id, "policy"):
            raise QueryError("NoSuchEntity", f"Policy {arn} was not found.")
        await call.commit(UnlinkIam(found.id, "policy", policy.id))
        return None

    return handle


def list_attached(kind: IamKind) -> Handler:
    """ListAttachedUserPolicies, ListAttachedGroupPolicies, ListAttachedRolePolicies."""

    async def handle(call: Call) -> Result:
        ids = call.reader.iam_targets(call.find(kind).id, "policy")
        path = call.parameters.optional("PathPrefix") or "/"
        named = [shapes.attached(call, one) for one in ids]
        named = [one for one in named if one[1].partition(":policy")[2].startswith(path)]
        page, told = call.page(sorted(named, key=lambda one: one[0].lower()), lambda one: one[0])
        shown = [{"PolicyName": name, "PolicyArn": arn} for name, arn in page]
        return {"AttachedPolicies": shown, **(told or {})}

    return handle


def put_boundary(kind: IamKind) -> Handler:
    """PutUserPermissionsBoundary, PutRolePermissionsBoundary."""

    async def handle(call: Call) -> Result:
        policy = call.policy(call.parameters.text("PermissionsBoundary"))
        await call.commit(LinkIam(call.find(kind).id, "boundary", policy.id))
        return None

    return handle


def delete_boundary(kind: IamKind) -> Handler:
    """DeleteUserPermissionsBoundary, DeleteRolePermissionsBoundary."""

    async def handle(call: Call) -> Result:
        found = call.find(kind)
        if not call.reader.iam_targets(found.id, "boundary"):
            message = f"The {kind} {found.name} has no permissions boundary."
            raise QueryError("NoSuchEntity", message)
        await call.commit(UnlinkIam(found.id, "boundary"))
        return None

    return handle
