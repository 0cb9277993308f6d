"""Policies that lie in one user, group or role."""

from __future__ import annotations

from coffre.catalog.iam_mutations import ChangeIamEntity
from coffre.catalog.iam_records import IamKind
from coffre.iam import documents, shapes
from coffre.iam.call import NAMES, Call, Handler, Result
from coffre.wire.query_protocol import QueryError


def put(kind: IamKind) -> Handler:
    """PutUserPolicy, PutGroupPolicy, PutRolePolicy."""

    async def handle(call: Call) -> Result:
        found, name = call.find(kind), call.parameters.text("PolicyName")
        text = documents.checked(call.parameters.text("PolicyDocument"), documents.INLINE[kind])
        await call.commit(ChangeIamEntity(found.id, found.facts, found.facts, put={name: text}))
        return None

    return handle


def get(kind: IamKind) -> Handler:
    """GetUserPolicy, GetGroupPolicy, GetRolePolicy."""

    async def handle(call: Call) -> Result:
        found, name = call.find(kind), call.parameters.text("PolicyName")
        for one in call.reader.iam_documents(found.id):
            if one.name == name:
                return {
                    NAMES[kind]: found.name,
                    "PolicyName": name,
                    "PolicyDocument": shapes.document(one.document),
                }
        raise QueryError("NoSuchEntity", f"The {kind} policy with name {name} cannot be found.")

    return handle


def delete(kind: IamKind) -> Handler:
    """DeleteUserPolicy, DeleteGroupPolicy, DeleteRolePolicy."""

    async def handle(call: Call) -> Result:
        found, name = call.find(kind), call.parameters.text("PolicyName")
        await call.commit(ChangeIamEntity(found.id, found.facts, found.facts, drop=(name,)))
        return None

    return handle


def list_all(kind: IamKind) -> Handler:
    """ListUserPolicies, ListGroupPolicies, ListRolePolicies."""

    async def handle(call: Call) -> Result:
        names = [one.name for one in call.reader.iam_documents(call.find(kind).id)]
        page, told = call.page(sorted(names, key=str.lower), str)
        return {"PolicyNames": page, **(told or {})}

    return handle
