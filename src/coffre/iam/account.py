"""The account as a whole: counts, and everything that it says of who may do what."""

from __future__ import annotations

from typing import Final

from coffre.catalog.iam_records import IamEntity, IamKind
from coffre.iam import policies, shapes
from coffre.iam.call import PAGE, Call, Result
from coffre.iam.parameters import Rule
from coffre.iam.shapes import Shape
from coffre.wire.query_protocol import Table, Value

_ALL: Final = 5000
_FILTER: Final = Rule(choices=("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"))
_LISTS: Final = {
    "user": "UserDetailList",
    "group": "GroupDetailList",
    "role": "RoleDetailList",
    "policy": "Policies",
}
_FILTERS: Final = {"user": "User", "group": "Group", "role": "Role", "policy": "LocalManagedPolicy"}


def _entities(call: Call, kind: IamKind) -> list[IamEntity]:
    return call.reader.iam_entities(call.store.id, kind, after="", path="/", limit=_ALL)


async def get_account_summary(call: Call) -> Result:
    """GetAccountSummary: what there is, and AWS's quotas."""
    counts = {
        "Users": len(_entities(call, "user")),
        "UsersQuota": 5000,
        "Groups": len(_entities(call, "group")),
        "GroupsQuota": 300,
        "Roles": len(_entities(call, "role")),
        "RolesQuota": 1000,
        "Policies": len(_entities(call, "policy")),
        "PoliciesQuota": 1500,
        "AccessKeysPerUserQuota": 2,
        "GroupsPerUserQuota": 10,
        "AttachedPoliciesPerUserQuota": 10,
        "AttachedPoliciesPerGroupQuota": 10,
        "AttachedPoliciesPerRoleQuota": 10,
        "VersionsPerPolicyQuota": 5,
        "UserPolicySizeQuota": 2048,
        "GroupPolicySizeQuota": 5120,
        "RolePolicySizeQuota": 10_240,
        "PolicySizeQuota": 6144,
        "AssumeRolePolicySizeQuota": 2048,
        "MFADevices": 0,
        "AccountMFAEnabled": 0,
    }
    return {"SummaryMap": Table(counts)}


async def get_account_authorization_details(call: Call) -> Result:
    """GetAccountAuthorizationDetails, never more than a hundred entities at once."""
    chosen = call.parameters.texts("Filter", _FILTER)
    found: list[IamEntity] = []
    kinds: tuple[IamKind, ...] = ("user", "group", "role", "policy")
    for kind in kinds:
        if not chosen or _FILTERS[kind] in chosen:
            found += _entities(call, kind)
    page, told = call.page(sorted(found, key=_place), _place, most=PAGE)
    shown: dict[str, list[Value]] = {name: [] for name in _LISTS.values()}
    for one in page:
        shown[_LISTS[one.kind]].append(_detail(call, one))
    return {**shown, **(told or {})}


def _place(one: IamEntity) -> str:
    return f"{one.kind} {one.name.lower()}"


def _detail(call: Call, one: IamEntity) -> Shape:
    if one.kind == "policy":
        versions = policies.versions_of(call, one)
        return {**shapes.policy(call, one), "PolicyVersionList": versions}
    shape = shapes.entity(call, one, whole=True)
    name = one.kind.capitalize()
    inline: list[Value] = [
        {"PolicyName": kept.name, "PolicyDocument": shapes.document(kept.document)}
        for kept in call.reader.iam_documents(one.id)
    ]
    attached = (shapes.attached(call, i) for i in call.reader.iam_targets(one.id, "policy"))
    shape |= {
        f"{name}PolicyList": inline,
        "AttachedManagedPolicies": [{"PolicyName": n, "PolicyArn": arn} for n, arn in attached],
    }
    if one.kind == "user":
        groups = map(call.reader.iam_entity_by_id, call.reader.iam_targets(one.id, "group"))
        shape["GroupList"] = [group.name for group in groups if group is not None]
    if one.kind == "role":
        shape.pop("Description")
        shape.pop("MaxSessionDuration")
        shape["InstanceProfileList"] = []
    return shape
