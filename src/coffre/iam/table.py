"""The one table of actions: who handles each, what it is asked on, which parameters it takes.

What AWS has beside these is refused by name (`InvalidAction`); a test holds both against AWS's own
model. `docs/iam.md` is written from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coffre.catalog.iam_records import IamKind
from coffre.iam import account, entities, inline, keys, policies, simulate, sts, ties
from coffre.iam.call import NAMES, Handler

_PAGED: Final = ("Marker", "MaxItems")
_LISTED: Final = ("PathPrefix", *_PAGED)


@dataclass(frozen=True, slots=True)
class Action:
    """`on`: of what kind it is asked on: one that `NAMES` has a parameter for, the managed policy
    of `PolicyArn`, the entity of `PolicySourceArn`, or everything. `makes`: the entity is new, its
    path is in the request. `free`: nobody needs permission, or the handler asks for it. `unsigned`:
    a stranger may call it."""

    name: str
    handler: Handler
    parameters: tuple[str, ...] = ()
    on: str = "*"
    makes: bool = False
    free: bool = False
    unsigned: bool = False


def _of_kind(kind: IamKind) -> list[Action]:
    """What users, groups and roles all have."""
    word, name = kind.capitalize(), NAMES[kind]
    new = {
        "user": ("PermissionsBoundary", "Tags"),
        "group": (),
        "role": (
            *("AssumeRolePolicyDocument", "Description", "MaxSessionDuration"),
            *("PermissionsBoundary", "Tags"),
        ),
    }[kind]
    return [
        Action(f"Create{word}", entities.create(kind), (name, "Path", *new), kind, makes=True),
        Action(f"Delete{word}", entities.delete(kind), (name,), kind),
        Action(f"List{word}s", entities.list_all(kind), _LISTED),
        Action(f"Put{word}Policy", inline.put(kind), (name, "PolicyName", "PolicyDocument"), kind),
        Action(f"Get{word}Policy", inline.get(kind), (name, "PolicyName"), kind),
        Action(f"Delete{word}Policy", inline.delete(kind), (name, "PolicyName"), kind),
        Action(f"List{word}Policies", inline.list_all(kind), (name, *_PAGED), kind),
        Action(f"Attach{word}Policy", ties.attach(kind), (name, "PolicyArn"), kind),
        Action(f"Detach{word}Policy", ties.detach(kind), (name, "PolicyArn"), kind),
        Action(f"ListAttached{word}Policies", ties.list_attached(kind), (name, *_LISTED), kind),
    ]


def _bounded(kind: IamKind) -> list[Action]:
    word, name = kind.capitalize(), NAMES[kind]
    return [
        Action(
            f"Put{word}PermissionsBoundary",
            ties.put_boundary(kind),
            (name, "PermissionsBoundary"),
            kind,
        ),
        Action(f"Delete{word}PermissionsBoundary", ties.delete_boundary(kind), (name,), kind),
    ]


def _tagged(kind: IamKind) -> list[Action]:
    word = kind.capitalize()
    name, on = ("PolicyArn", "policy arn") if kind == "policy" else (NAMES[kind], kind)
    return [
        Action(f"Tag{word}", entities.tag(kind), (name, "Tags"), on),
        Action(f"Untag{word}", entities.untag(kind), (name, "TagKeys"), on),
        Action(f"List{word}Tags", entities.list_tags(kind), (name, *_PAGED), on),
    ]


_MANAGED: Final = (
    Action(
        "CreatePolicy",
        policies.create_policy,
        ("PolicyName", "Path", "PolicyDocument", "Description", "Tags"),
        "policy",
        makes=True,
    ),
    Action("GetPolicy", policies.get_policy, ("PolicyArn",), "policy arn"),
    Action("DeletePolicy", policies.delete_policy, ("PolicyArn",), "policy arn"),
    Action(
        "ListPolicies",
        policies.list_policies,
        ("Scope", "OnlyAttached", "PolicyUsageFilter", *_LISTED),
    ),
    Action(
        "CreatePolicyVersion",
        policies.create_policy_version,
        ("PolicyArn", "PolicyDocument", "SetAsDefault"),
        "policy arn",
    ),
    Action(
        "GetPolicyVersion", policies.get_policy_version, ("PolicyArn", "VersionId"), "policy arn"
    ),
    Action(
        "ListPolicyVersions", policies.list_policy_versions, ("PolicyArn", *_PAGED), "policy arn"
    ),
    Action(
        "SetDefaultPolicyVersion",
        policies.set_default_policy_version,
        ("PolicyArn", "VersionId"),
        "policy arn",
    ),
    Action(
        "DeletePolicyVersion",
        policies.delete_policy_version,
        ("PolicyArn", "VersionId"),
        "policy arn",
    ),
    Action(
        "ListEntitiesForPolicy",
        policies.list_entities_for_policy,
        ("PolicyArn", "EntityFilter", "PolicyUsageFilter", *_LISTED),
        "policy arn",
    ),
)
_OTHERS: Final = (
    Action("GetUser", entities.get_user, ("UserName",), "user"),
    Action("GetGroup", entities.get_group, ("GroupName", *_PAGED), "group"),
    Action("GetRole", entities.get_role, ("RoleName",), "role"),
    Action("UpdateUser", entities.rename("user"), ("UserName", "NewUserName", "NewPath"), "user"),
    Action(
        "UpdateGroup", entities.rename("group"), ("GroupName", "NewGroupName", "NewPath"), "group"
    ),
    Action(
        "UpdateRole",
        entities.update_role,
        ("RoleName", "Description", "MaxSessionDuration"),
        "role",
    ),
    Action(
        "UpdateRoleDescription",
        entities.update_role_description,
        ("RoleName", "Description"),
        "role",
    ),
    Action(
        "UpdateAssumeRolePolicy",
        entities.update_assume_role_policy,
        ("RoleName", "PolicyDocument"),
        "role",
    ),
    Action("AddUserToGroup", ties.add_user_to_group, ("GroupName", "UserName"), "group"),
    Action("RemoveUserFromGroup", ties.remove_user_from_group, ("GroupName", "UserName"), "group"),
    Action("ListGroupsForUser", ties.list_groups_for_user, ("UserName", *_PAGED), "user"),
    Action("CreateAccessKey", keys.create_access_key, ("UserName",), "user"),
    Action("ListAccessKeys", keys.list_access_keys, ("UserName", *_PAGED), "user"),
    Action(
        "UpdateAccessKey", keys.update_access_key, ("UserName", "AccessKeyId", "Status"), "user"
    ),
    Action("DeleteAccessKey", keys.delete_access_key, ("UserName", "AccessKeyId"), "user"),
    Action("GetAccessKeyLastUsed", keys.get_access_key_last_used, ("AccessKeyId",)),
    Action("GetAccountSummary", account.get_account_summary),
    Action(
        "GetAccountAuthorizationDetails",
        account.get_account_authorization_details,
        ("Filter", *_PAGED),
    ),
    Action(
        "SimulatePrincipalPolicy",
        simulate.simulate_principal_policy,
        (
            *("PolicySourceArn", "PolicyInputList", "PermissionsBoundaryPolicyInputList"),
            *("ActionNames", "ResourceArns", "ResourcePolicy", "ContextEntries", *_PAGED),
        ),
        "source",
    ),
    Action(
        "SimulateCustomPolicy",
        simulate.simulate_custom_policy,
        (
            *("PolicyInputList", "PermissionsBoundaryPolicyInputList", "ActionNames"),
            *("ResourceArns", "ResourcePolicy", "CallerArn", "ContextEntries", *_PAGED),
        ),
    ),
)
_KINDS: Final[tuple[IamKind, ...]] = ("user", "group", "role")
_IAM: Final = (
    *(action for kind in _KINDS for action in _of_kind(kind)),
    *(*_bounded("user"), *_bounded("role")),
    *(*_tagged("user"), *_tagged("role"), *_tagged("policy")),
    *(*_MANAGED, *_OTHERS),
)
_SESSION: Final = ("RoleArn", "RoleSessionName", "Policy", "PolicyArns", "DurationSeconds")
_STS: Final = (
    Action("GetCallerIdentity", sts.get_caller_identity, free=True),
    Action("GetSessionToken", sts.get_session_token, ("DurationSeconds",), free=True),
    Action("GetAccessKeyInfo", sts.get_access_key_info, ("AccessKeyId",), free=True),
    Action("AssumeRole", sts.assume_role, (*_SESSION, "ExternalId", "Tags"), free=True),
    Action(
        "AssumeRoleWithWebIdentity",
        sts.assume_role_with_web_identity,
        (*_SESSION, "WebIdentityToken"),
        free=True,
        unsigned=True,
    ),
)
TABLE: Final = {
    "iam": {action.name: action for action in _IAM},
    "sts": {action.name: action for action in _STS},
}
