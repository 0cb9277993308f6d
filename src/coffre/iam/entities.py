"""Users, groups and roles: made, told, changed, deleted, and their tags."""

from __future__ import annotations

from typing import Final

from coffre.catalog.iam_mutations import ChangeIamEntity, CreateIamEntity, DeleteIamEntity
from coffre.catalog.iam_records import IamFacts, IamKind
from coffre.iam import documents, shapes
from coffre.iam.call import PAGE, Call, Handler, Result, caller_arn, facts_with
from coffre.iam.credentials import new_entity_id
from coffre.iam.parameters import MOST_TAGS, Rule
from coffre.wire.query_protocol import QueryError, iso

_SHOWN: Final[dict[IamKind, str]] = {"user": "User", "group": "Group", "role": "Role"}
_TAG_KEY: Final = Rule("", 1, 128)
_DEFAULT_SESSION_S: Final = 3600


def create(kind: IamKind) -> Handler:
    """CreateUser, CreateGroup, CreateRole."""

    async def handle(call: Call) -> Result:
        given = call.parameters
        trust = b""
        if kind == "role":
            trust = documents.checked_trust(given.text("AssumeRolePolicyDocument"))
        bound = given.optional("PermissionsBoundary")
        mutation = CreateIamEntity(
            call.store.id,
            kind,
            new_entity_id(kind, call.iam.entropy),
            given.text(f"{_SHOWN[kind]}Name"),
            given.optional("Path") or "/",
            IamFacts(
                description=given.optional("Description") or "",
                max_session_s=given.number("MaxSessionDuration", _DEFAULT_SESSION_S),
                tags=given.tags(),
                trust=trust,
            ),
            boundary="" if bound is None else call.policy(bound).id,
        )
        await call.commit(mutation)
        made = call.find(kind)
        return {_SHOWN[kind]: shapes.entity(call, made, whole=True)}

    return handle


async def get_user(call: Call) -> Result:
    """GetUser; without a name, whoever asks."""
    if "UserName" in call.parameters.names or call.principal.kind != "object":
        if call.principal.kind != "iam" and "UserName" not in call.parameters.names:
            raise QueryError(
                "ValidationError", "Must specify userName when calling with non-User credentials"
            )
        own = call.reader.iam_entity_by_id(call.principal.user_id or "")
        found = call.find("user") if "UserName" in call.parameters.names else own
        assert found is not None, "an IAM user has a row of its own"
        return {"User": shapes.entity(call, found, whole=True)}
    user = call.reader.user(call.principal.user_id or "")
    assert user is not None, "who signs is a user"
    return {
        "User": {
            "Path": "/",
            "UserName": user.label,
            "UserId": user.id,
            "Arn": caller_arn(call.principal),
            "CreateDate": iso(user.created_ms),
        }
    }


async def get_role(call: Call) -> Result:
    """GetRole."""
    return {"Role": shapes.entity(call, call.find("role"), whole=True)}


async def get_group(call: Call) -> Result:
    """GetGroup: with its users."""
    group = call.find("group")
    users = sorted(shapes.members(call, group.id, "group"), key=lambda one: one.name.lower())
    page, told = call.page(users, lambda one: one.name)
    shown = [shapes.entity(call, one) for one in page]
    return {"Group": shapes.entity(call, group), "Users": shown, **(told or {})}


def list_all(kind: IamKind) -> Handler:
    """ListUsers, ListGroups, ListRoles."""

    async def handle(call: Call) -> Result:
        most = call.parameters.number("MaxItems", PAGE)
        path = call.parameters.optional("PathPrefix") or "/"
        found = call.reader.iam_entities(
            call.store.id, kind, after=call.after, path=path, limit=most + 1
        )
        page, told = call.cut(found, lambda one: one.name)
        return {f"{_SHOWN[kind]}s": [shapes.entity(call, one) for one in page], **(told or {})}

    return handle


def rename(kind: IamKind) -> Handler:
    """UpdateUser, UpdateGroup: another name or path."""

    async def handle(call: Call) -> Result:
        found = call.find(kind)
        name = call.parameters.optional(f"New{_SHOWN[kind]}Name")
        path = call.parameters.optional("NewPath")
        await call.commit(ChangeIamEntity(found.id, found.facts, found.facts, name, path))
        return None

    return handle


async def update_role(call: Call) -> Result:
    """UpdateRole: description and longest session."""
    role = call.find("role")
    given = call.parameters
    description = given.optional("Description")
    facts = facts_with(
        role,
        description=role.facts.description if description is None else description,
        max_session_s=given.number("MaxSessionDuration", role.facts.max_session_s),
    )
    await call.commit(ChangeIamEntity(role.id, role.facts, facts))
    return {}


async def update_role_description(call: Call) -> Result:
    """UpdateRoleDescription."""
    role = call.find("role")
    facts = facts_with(role, description=call.parameters.text("Description"))
    await call.commit(ChangeIamEntity(role.id, role.facts, facts))
    return {"Role": shapes.entity(call, call.find("role"), whole=True)}


async def update_assume_role_policy(call: Call) -> Result:
    """UpdateAssumeRolePolicy."""
    role = call.find("role")
    trust = documents.checked_trust(call.parameters.text("PolicyDocument"))
    facts = facts_with(role, trust=trust)
    await call.commit(ChangeIamEntity(role.id, role.facts, facts))
    return None


def delete(kind: IamKind) -> Handler:
    """DeleteUser, DeleteGroup, DeleteRole."""

    async def handle(call: Call) -> Result:
        await call.commit(DeleteIamEntity(call.find(kind).id))
        return None

    return handle


def tag(kind: IamKind) -> Handler:
    """TagUser, TagRole, TagPolicy."""

    async def handle(call: Call) -> Result:
        found = call.own_policy() if kind == "policy" else call.find(kind)
        given = call.parameters.tags()
        lower = {key.lower() for key in given}
        kept = {key: one for key, one in found.facts.tags.items() if key.lower() not in lower}
        if len(kept) + len(given) > MOST_TAGS:
            raise QueryError("LimitExceeded", f"At most {MOST_TAGS} tags.")
        facts = facts_with(found, tags={**kept, **given})
        await call.commit(ChangeIamEntity(found.id, found.facts, facts))
        return None

    return handle


def untag(kind: IamKind) -> Handler:
    """UntagUser, UntagRole, UntagPolicy."""

    async def handle(call: Call) -> Result:
        found = call.own_policy() if kind == "policy" else call.find(kind)
        gone = {key.lower() for key in call.parameters.texts("TagKeys", _TAG_KEY)}
        kept = {key: one for key, one in found.facts.tags.items() if key.lower() not in gone}
        await call.commit(ChangeIamEntity(found.id, found.facts, facts_with(found, tags=kept)))
        return None

    return handle


def list_tags(kind: IamKind) -> Handler:
    """ListUserTags, ListRoleTags, ListPolicyTags."""

    async def handle(call: Call) -> Result:
        found = call.own_policy() if kind == "policy" else call.find(kind)
        keys = sorted(found.facts.tags, key=str.lower)
        page, told = call.page(keys, str)
        shown = [{"Key": key, "Value": found.facts.tags[key]} for key in page]
        return {"Tags": shown, **(told or {})}

    return handle
