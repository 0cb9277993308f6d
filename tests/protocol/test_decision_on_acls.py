"""What ACLs add to the decision, against AWS's table read the other way round."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coffre.access.acl import Control, ObjectControl
from coffre.access.decision import Decision, Resource, decide
from coffre.access.principals import ANONYMOUS, Principal
from coffre.s3.operations import TABLE
from coffre.wire.acl import (
    ALL_USERS,
    AUTHENTICATED_USERS,
    LOG_DELIVERY,
    Acl,
    Grant,
    Permission,
    pack,
    private,
    unpack,
)

OWNER, OTHER = Principal("owner"), Principal("other")
PERMISSIONS = sorted({need.permission for row in TABLE for need in row.needs})
USERS = st.sampled_from(["owner", "other", "third"])
GRANTS = st.builds(
    Grant,
    USERS | st.sampled_from([ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY]),
    st.sampled_from(list(Permission)),
)
ACLS: Any = st.lists(GRANTS, max_size=4).map(tuple)
CONTROLS = st.builds(
    Control, ACLS, st.none() | st.builds(ObjectControl, USERS, ACLS), st.booleans()
)
# action -> the grants that give it: on the bucket, on the object
GIVEN_BY: dict[str, tuple[set[str], set[str]]] = {
    "s3:ListBucket": ({"READ"}, set()),
    "s3:PutObject": ({"WRITE"}, set()),
    "s3:DeleteObject": ({"WRITE"}, set()),
    "s3:DeleteObjectVersion": (set(), set()),
    "s3:DeleteBucket": (set(), set()),
    "s3:PutBucketPolicy": (set(), set()),
    "s3:GetBucketAcl": ({"READ_ACP"}, set()),
    "s3:PutBucketAcl": ({"WRITE_ACP"}, set()),
    "s3:GetObject": (set(), {"READ"}),
    "s3:GetObjectVersion": (set(), {"READ"}),
    "s3:GetObjectAcl": (set(), {"READ_ACP"}),
    "s3:PutObjectVersionAcl": (set(), {"WRITE_ACP"}),
    "s3:GetObjectTagging": (set(), set()),
}
# What is the object owner's whatever the ACL says.
OWN = {
    *("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl", "s3:PutObjectVersionAcl"),
    "s3:GetObjectTagging",
}


def naive(principal: Principal, action: str, control: Control) -> bool:
    me = {principal.user_id}
    if not control.ignores_public:
        me |= {ALL_USERS} if principal.user_id is None else {ALL_USERS, AUTHENTICATED_USERS}

    def given_by(acl: Acl, wanted: set[str]) -> bool:
        held = {str(grant.permission) for grant in acl if grant.grantee in me}
        return bool(wanted) and bool(held & (wanted | {"FULL_CONTROL"}))

    on_bucket, on_object = GIVEN_BY[action]
    one = control.object
    if one is None:
        missing = {"READ"} if action in ("s3:GetObject", "s3:GetObjectVersion") else set()
        return given_by(control.bucket, on_bucket | missing)
    if principal.user_id == one.owner_id and action in OWN:
        return True
    return given_by(control.bucket, on_bucket) or given_by(one.acl, on_object)


@given(st.sampled_from([OTHER, ANONYMOUS]), st.sampled_from(sorted(GIVEN_BY)), CONTROLS)
def test_acls_allow_what_the_table_says_and_nothing_else(
    principal: Principal, action: str, control: Control
) -> None:
    resource = Resource("bucket", "owner", b"key", control)
    assert decide(principal, action, resource).allowed == naive(principal, action, control)


@given(st.sampled_from(PERMISSIONS), CONTROLS)
def test_no_acl_takes_from_the_owner_or_gives_to_the_locked(
    permission: str, control: Control
) -> None:
    resource = Resource("bucket", "owner", b"key", control)
    assert decide(OWNER, permission, resource).allowed
    locked = Principal("other", locked=True)
    assert decide(locked, permission, resource) is Decision.DENY


@given(ACLS, USERS)
def test_an_acl_is_kept_as_it_was(acl: Acl, owner: str) -> None:
    stored = pack(acl, owner)
    assert unpack(stored, owner) == acl
    assert (stored == b"") == (acl == private(owner))
