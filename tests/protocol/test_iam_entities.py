"""IAM's users, groups, roles, keys and policies as boto3 makes, reads and deletes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import refused
from tests.protocol.iam_client import Account, allow, policy

TRUST = policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
READS = policy(allow("s3:GetObject"))


@pytest.fixture(scope="module")
def account(server: MemoryServer) -> Account:
    return Account(server)


@pytest.fixture
def iam(account: Account) -> Any:
    return account.iam


def test_a_user_is_made_told_renamed_and_deleted(account: Account, iam: Any) -> None:
    made = iam.create_user(UserName="vera", Path="/team/", Tags=[{"Key": "Dept", "Value": "x"}])
    assert made["User"]["Arn"] == account.arn("user/team/vera")
    assert iam.get_user(UserName="VERA")["User"]["UserName"] == "vera"
    iam.update_user(UserName="vera", NewUserName="wera", NewPath="/other/")
    told = iam.get_user(UserName="wera")["User"]
    assert told["Arn"] == account.arn("user/other/wera")
    assert told["Tags"] == [{"Key": "Dept", "Value": "x"}]
    assert told["UserId"] == made["User"]["UserId"]
    assert refused(iam.get_user, UserName="vera") == "NoSuchEntity"
    iam.delete_user(UserName="wera")
    assert refused(iam.get_user, UserName="wera") == "NoSuchEntity"


def test_lists_go_on_behind_their_marker_and_keep_to_a_path(iam: Any) -> None:
    names = [f"page-{n:02}" for n in range(7)]
    for name in names:
        iam.create_user(UserName=name, Path="/paged/")
    pages = iam.get_paginator("list_users").paginate(
        PathPrefix="/paged/", PaginationConfig={"PageSize": 3}
    )
    listed = [[one["UserName"] for one in page["Users"]] for page in pages]
    assert listed == [names[:3], names[3:6], names[6:]]


def test_access_keys_are_two_and_sign_while_they_are_active(account: Account, iam: Any) -> None:
    keys = account.create_user("keys", allow("s3:ListAllMyBuckets"))
    iam.create_access_key(UserName="keys")
    assert refused(iam.create_access_key, UserName="keys") == "LimitExceeded"
    s3 = account.client("s3", keys)
    s3.list_buckets()
    about = {"UserName": "keys", "AccessKeyId": keys.access_key}
    iam.update_access_key(**about, Status="Inactive")
    assert refused(s3.list_buckets) == "InvalidAccessKeyId"
    status = {
        one["AccessKeyId"]: one["Status"]
        for one in iam.list_access_keys(UserName="keys")["AccessKeyMetadata"]
    }
    assert status.pop(keys.access_key) == "Inactive"
    assert list(status.values()) == ["Active"]
    iam.update_access_key(**about, Status="Active")
    s3.list_buckets()
    iam.delete_access_key(**about)
    assert refused(s3.list_buckets) == "InvalidAccessKeyId"
    assert refused(iam.delete_access_key, **about) == "NoSuchEntity"


def test_a_user_may_keep_its_own_keys_without_naming_itself(account: Account) -> None:
    own = allow("iam:*AccessKey*", account.arn("user/${aws:username}"))
    keys = account.create_user("keeper", own)
    mine = account.client("iam", keys)
    second = mine.create_access_key()["AccessKey"]
    assert second["UserName"] == "keeper"
    assert len(mine.list_access_keys()["AccessKeyMetadata"]) == 2
    mine.delete_access_key(AccessKeyId=second["AccessKeyId"])
    assert refused(mine.list_access_keys, UserName="other") == "AccessDenied"


def test_a_key_of_another_account_is_none_here(account: Account, server: MemoryServer) -> None:
    other = Account(server)
    asked = {"AccessKeyId": other.root.access_key}
    assert refused(account.iam.get_access_key_last_used, **asked) == "AccessDenied"
    own = account.iam.get_access_key_last_used(AccessKeyId=account.root.access_key)
    assert own["UserName"] == "Initial S3 user"
    assert refused(account.sts.get_access_key_info, **asked) == "AccessDenied"


def test_groups_have_users_and_say_so_from_both_sides(iam: Any) -> None:
    iam.create_group(GroupName="readers", Path="/g/")
    for name in ("g-one", "g-two"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="readers", UserName=name)
    iam.add_user_to_group(GroupName="readers", UserName="g-one")
    told = iam.get_group(GroupName="readers")
    assert [one["UserName"] for one in told["Users"]] == ["g-one", "g-two"]
    groups = iam.list_groups_for_user(UserName="g-one")["Groups"]
    assert [one["GroupName"] for one in groups] == ["readers"]
    assert refused(iam.delete_group, GroupName="readers") == "DeleteConflict"
    assert refused(iam.delete_user, UserName="g-one") == "DeleteConflict"
    for name in ("g-one", "g-two"):
        iam.remove_user_from_group(GroupName="readers", UserName=name)
    leave = {"GroupName": "readers", "UserName": "g-one"}
    assert refused(iam.remove_user_from_group, **leave) == "NoSuchEntity"
    iam.delete_group(GroupName="readers")


def test_a_user_is_in_ten_groups_and_no_more(iam: Any) -> None:
    iam.create_user(UserName="joiner")
    for n in range(11):
        iam.create_group(GroupName=f"of-joiner-{n}")
    for n in range(10):
        iam.add_user_to_group(GroupName=f"of-joiner-{n}", UserName="joiner")
    eleventh = {"GroupName": "of-joiner-10", "UserName": "joiner"}
    assert refused(iam.add_user_to_group, **eleventh) == "LimitExceeded"


def test_a_role_says_whom_it_trusts_and_how_long(account: Account, iam: Any) -> None:
    about = {"RoleName": "builder", "AssumeRolePolicyDocument": TRUST}
    made = iam.create_role(**about, Description="d", MaxSessionDuration=7200)["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert made["Arn"] == account.arn("role/builder")
    iam.update_role(RoleName="builder", MaxSessionDuration=3600)
    iam.update_role_description(RoleName="builder", Description="e")
    iam.update_assume_role_policy(RoleName="builder", PolicyDocument=TRUST.replace("*", "1" * 12))
    told = iam.get_role(RoleName="builder")["Role"]
    assert (told["Description"], told["MaxSessionDuration"]) == ("e", 3600)
    trusted = told["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    assert trusted == {"AWS": "1" * 12}
    iam.tag_role(RoleName="builder", Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName="builder", TagKeys=["A"])
    assert iam.list_role_tags(RoleName="builder")["Tags"] == [{"Key": "b", "Value": "2"}]
    iam.delete_role(RoleName="builder")
    assert refused(iam.get_role, RoleName="builder") == "NoSuchEntity"


@pytest.mark.parametrize("kind", ["user", "group", "role"])
def test_inline_policies_of_a_kind(iam: Any, kind: str) -> None:
    who = {f"{kind.capitalize()}Name": f"inline-{kind}"}
    more = {"AssumeRolePolicyDocument": TRUST} if kind == "role" else {}
    getattr(iam, f"create_{kind}")(**who, **more)
    put, get, drop = (getattr(iam, f"{verb}_{kind}_policy") for verb in ("put", "get", "delete"))
    put(**who, PolicyName="reads", PolicyDocument=READS)
    assert get(**who, PolicyName="reads")["PolicyDocument"] == json.loads(READS)
    assert getattr(iam, f"list_{kind}_policies")(**who)["PolicyNames"] == ["reads"]
    assert refused(getattr(iam, f"delete_{kind}"), **who) == "DeleteConflict"
    drop(**who, PolicyName="reads")
    assert refused(get, **who, PolicyName="reads") == "NoSuchEntity"
    assert refused(drop, **who, PolicyName="reads") == "NoSuchEntity"
    getattr(iam, f"delete_{kind}")(**who)


@pytest.mark.parametrize("kind", ["user", "group", "role"])
def test_managed_policies_are_attached_to_a_kind(account: Account, iam: Any, kind: str) -> None:
    who = {f"{kind.capitalize()}Name": f"attached-{kind}"}
    more = {"AssumeRolePolicyDocument": TRUST} if kind == "role" else {}
    getattr(iam, f"create_{kind}")(**who, **more)
    made = iam.create_policy(PolicyName=f"of-{kind}", PolicyDocument=READS, Path="/p/")["Policy"]
    arns = [made["Arn"], "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]
    for arn in arns:
        getattr(iam, f"attach_{kind}_policy")(**who, PolicyArn=arn)
    listed = getattr(iam, f"list_attached_{kind}_policies")(**who)["AttachedPolicies"]
    assert {one["PolicyArn"] for one in listed} == set(arns)
    having = iam.list_entities_for_policy(PolicyArn=made["Arn"])
    assert len(having[f"Policy{kind.capitalize()}s"]) == 1
    assert refused(iam.delete_policy, PolicyArn=made["Arn"]) == "DeleteConflict"
    detach = getattr(iam, f"detach_{kind}_policy")
    for arn in arns:
        detach(**who, PolicyArn=arn)
    assert refused(detach, **who, PolicyArn=made["Arn"]) == "NoSuchEntity"
    iam.delete_policy(PolicyArn=made["Arn"])


def test_a_managed_policy_has_five_versions_of_which_one_counts(iam: Any) -> None:
    arn = iam.create_policy(PolicyName="versions", PolicyDocument=READS)["Policy"]["Arn"]
    for n in range(2, 6):
        document = policy(allow("s3:PutObject", f"arn:aws:s3:::b{n}/*"))
        made = iam.create_policy_version(
            PolicyArn=arn, PolicyDocument=document, SetAsDefault=n == 3
        )["PolicyVersion"]
        assert (made["VersionId"], made["IsDefaultVersion"]) == (f"v{n}", n == 3)
    more = {"PolicyArn": arn, "PolicyDocument": READS}
    assert refused(iam.create_policy_version, **more) == "LimitExceeded"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
    drop = iam.delete_policy_version
    assert refused(drop, PolicyArn=arn, VersionId="v3") == "DeleteConflict"
    assert refused(drop, PolicyArn=arn, VersionId="v9") == "NoSuchEntity"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    for n in range(2, 6):
        assert refused(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
        drop(PolicyArn=arn, VersionId=f"v{n}")
    # A number is never given again.
    again = iam.create_policy_version(PolicyArn=arn, PolicyDocument=READS)["PolicyVersion"]
    assert again["VersionId"] == "v6"
    drop(PolicyArn=arn, VersionId="v6")
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert document == json.loads(READS)
    iam.delete_policy(PolicyArn=arn)


def test_built_in_policies_are_listed_and_cannot_be_changed(iam: Any) -> None:
    listed = iam.list_policies(Scope="AWS")["Policies"]
    assert "AdministratorAccess" in {one["PolicyName"] for one in listed}
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert refused(iam.delete_policy, PolicyArn=arn) == "AccessDenied"
    assert iam.list_policies(Scope="Local", OnlyAttached=True)["IsTruncated"] is False


def test_a_boundary_is_put_replaced_told_and_taken_away(iam: Any) -> None:
    one, two = (
        iam.create_policy(PolicyName=name, PolicyDocument=READS)["Policy"]["Arn"]
        for name in ("bound-1", "bound-2")
    )
    iam.create_user(UserName="bounded", PermissionsBoundary=one)
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=two)
    told = iam.get_user(UserName="bounded")["User"]["PermissionsBoundary"]
    assert told["PermissionsBoundaryArn"] == two
    iam.delete_policy(PolicyArn=one)
    assert refused(iam.delete_policy, PolicyArn=two) == "DeleteConflict"
    usage = {"PolicyArn": two, "PolicyUsageFilter": "PermissionsBoundary"}
    assert [o["UserName"] for o in iam.list_entities_for_policy(**usage)["PolicyUsers"]] == [
        "bounded"
    ]
    iam.delete_user_permissions_boundary(UserName="bounded")
    again = iam.delete_user_permissions_boundary
    assert refused(again, UserName="bounded") == "NoSuchEntity"


def test_the_whole_account_is_told_at_once(account: Account, iam: Any) -> None:
    account.create_user("detail", allow("s3:GetObject"))
    iam.create_group(GroupName="details")
    iam.add_user_to_group(GroupName="details", UserName="detail")
    pages = iam.get_paginator("get_account_authorization_details").paginate(
        PaginationConfig={"PageSize": 4}
    )
    users = [one for page in pages for one in page["UserDetailList"]]
    found = next(one for one in users if one["UserName"] == "detail")
    assert found["GroupList"] == ["details"]
    assert [one["PolicyName"] for one in found["UserPolicyList"]] == ["own"]
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["Users"] == len(users)


LONG = policy(allow("s3:GetObject", [f"arn:aws:s3:::b/{n}" * 3 for n in range(100)]))
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("create_user", {"UserName": "taken"}, "EntityAlreadyExists"),
    ("create_user", {"UserName": "TAKEN"}, "EntityAlreadyExists"),
    ("create_user", {"UserName": "a b"}, "ValidationError"),
    ("create_user", {"UserName": "ä"}, "ValidationError"),
    ("create_user", {"UserName": "x" * 65}, "ValidationError"),
    ("create_user", {"UserName": "p", "Path": "no-slash"}, "ValidationError"),
    ("create_user", {"UserName": "p", "PermissionsBoundary": "x" * 20}, "InvalidInput"),
    (
        "create_user",
        {"UserName": "p", "Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]},
        "InvalidInput",
    ),
    (
        "create_user",
        {"UserName": "p", "Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]},
        "LimitExceeded",
    ),
    ("delete_user", {"UserName": "nobody"}, "NoSuchEntity"),
    ("update_user", {"UserName": "taken", "NewUserName": "second"}, "EntityAlreadyExists"),
    ("create_access_key", {"UserName": "nobody"}, "NoSuchEntity"),
    ("update_access_key", {"AccessKeyId": "A" * 20, "Status": "Active"}, "NoSuchEntity"),
    ("add_user_to_group", {"GroupName": "none", "UserName": "taken"}, "NoSuchEntity"),
    (
        "put_user_policy",
        {"UserName": "taken", "PolicyName": "p", "PolicyDocument": "{"},
        "MalformedPolicyDocument",
    ),
    (
        "put_user_policy",
        {
            "UserName": "taken",
            "PolicyName": "p",
            "PolicyDocument": policy({**allow("s3:Get*"), "Principal": "*"}),
        },
        "MalformedPolicyDocument",
    ),
    (
        "put_user_policy",
        {"UserName": "taken", "PolicyName": "p", "PolicyDocument": LONG},
        "LimitExceeded",
    ),
    (
        "create_policy",
        {"PolicyName": "p", "PolicyDocument": policy(allow("s3:FlyObject"))},
        "MalformedPolicyDocument",
    ),
    (
        "create_role",
        {"RoleName": "r", "AssumeRolePolicyDocument": READS},
        "MalformedPolicyDocument",
    ),
    (
        "create_role",
        {"RoleName": "r", "AssumeRolePolicyDocument": TRUST, "MaxSessionDuration": 60},
        "ValidationError",
    ),
    ("get_policy", {"PolicyArn": "arn:aws:iam::000000000000:policy/p"}, "NoSuchEntity"),
    ("get_policy", {"PolicyArn": "arn:aws:iam::aws:policy/Unheard"}, "NoSuchEntity"),
    ("get_policy", {"PolicyArn": "arn:aws:s3:::bucket-of-nobody"}, "InvalidInput"),
    ("list_users", {"MaxItems": 1001}, "ValidationError"),
    ("list_users", {"Marker": "*"}, "InvalidInput"),
    ("attach_user_policy", {"UserName": "taken", "PolicyArn": "x"}, "ValidationError"),
]


@pytest.mark.parametrize(("call", "arguments", "code"), REFUSED)
def test_what_cannot_be_is_refused_by_its_name_and_changes_nothing(
    account: Account, call: str, arguments: dict[str, Any], code: str
) -> None:
    iam = account.client("iam", parameter_validation=False)
    names = {one["UserName"] for one in iam.list_users()["Users"]}
    for name in {"taken", "second"} - names:
        iam.create_user(UserName=name)
    before = iam.get_account_authorization_details(MaxItems=1000)
    assert refused(getattr(iam, call), **arguments) == code
    after = iam.get_account_authorization_details(MaxItems=1000)
    for told in (before, after):
        del told["ResponseMetadata"]
    assert before == after
