"""What IAM identities may: on S3 by all their policies, and on IAM itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from coffre.catalog.access_mutations import ChangeUser, DeleteUser
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import refused
from tests.protocol.iam_client import Account, Keys, allow, deny, policy
from tests.protocol.operator_client import Operator

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture(scope="module")
def account(server: MemoryServer) -> Account:
    return Account(server)


@pytest.fixture
def bucket(account: Account) -> str:
    return account.bucket()


def reads(account: Account, keys: Keys, bucket: str) -> bool:
    """Whether an object can be read."""
    s3 = account.client("s3", keys)
    try:
        s3.get_object(Bucket=bucket, Key="k")
    except s3.exceptions.ClientError as error:
        code: str = error.response["Error"]["Code"]
        if code != "AccessDenied":
            raise
        return False
    return True


def test_an_iam_user_has_nothing_but_what_a_policy_gives(account: Account, bucket: str) -> None:
    keys = account.create_user(f"u-{bucket}")
    s3 = account.client("s3", keys)
    assert not reads(account, keys, bucket)
    assert refused(s3.list_buckets) == "AccessDenied"
    assert refused(s3.create_bucket, Bucket=f"{bucket}-2") == "AccessDenied"


def test_every_way_to_a_policy_allows_at_once_and_ends_at_once(
    account: Account, bucket: str
) -> None:
    iam, name = account.iam, f"u-{bucket}"
    keys = account.create_user(name)
    document = policy(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
    iam.create_group(GroupName=name)
    user, group = {"UserName": name}, {"GroupName": name}
    inline, attached = {"PolicyName": "p"}, {"PolicyArn": arn}
    iam.add_user_to_group(**user, **group)
    ways = [
        (
            partial(iam.put_user_policy, **user, **inline, PolicyDocument=document),
            partial(iam.delete_user_policy, **user, **inline),
        ),
        (
            partial(iam.attach_user_policy, **user, **attached),
            partial(iam.detach_user_policy, **user, **attached),
        ),
        (
            partial(iam.put_group_policy, **group, **inline, PolicyDocument=document),
            partial(iam.delete_group_policy, **group, **inline),
        ),
        (
            partial(iam.attach_group_policy, **group, **attached),
            partial(iam.remove_user_from_group, **user, **group),
        ),
    ]
    for give, take in ways:
        give()
        assert reads(account, keys, bucket)
        take()
        assert not reads(account, keys, bucket)


def test_a_version_that_becomes_the_default_counts_from_then_on(
    account: Account, bucket: str
) -> None:
    iam, name = account.iam, f"u-{bucket}"
    keys = account.create_user(name)
    yes, no = (policy(one("s3:*")) for one in (allow, deny))
    arn = iam.create_policy(PolicyName=name, PolicyDocument=no)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=yes, SetAsDefault=False)
    assert not reads(account, keys, bucket)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    assert reads(account, keys, bucket)


def test_a_boundary_bounds_and_gives_nothing(account: Account, bucket: str) -> None:
    iam, name = account.iam, f"u-{bucket}"
    keys = account.create_user(name)
    bound = policy(allow("s3:Get*"))
    arn = iam.create_policy(PolicyName=name, PolicyDocument=bound)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=arn)
    assert not reads(account, keys, bucket)
    everything = policy(allow("s3:*"))
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=everything)
    assert reads(account, keys, bucket)
    put = account.client("s3", keys).put_object
    assert refused(put, Bucket=bucket, Key="new", Body=b"") == "AccessDenied"


def test_who_made_a_bucket_does_not_open_it_beyond_what_bounds_him(account: Account) -> None:
    bound = policy(allow(["s3:CreateBucket", "s3:ListBucket"]))
    arn = account.iam.create_policy(PolicyName="bucket-maker", PolicyDocument=bound)
    bounded = {"PermissionsBoundary": arn["Policy"]["Arn"]}
    makers = {
        "made-in-bounds": account.create_user("maker", allow("s3:*"), **bounded),
        "made-and-barred": account.create_user("barred", allow("s3:*"), deny("s3:*BucketPolicy")),
    }
    for bucket, keys in makers.items():
        s3 = account.client("s3", keys)
        s3.create_bucket(Bucket=bucket)
        public = policy({**allow("s3:*", f"arn:aws:s3:::{bucket}/*"), "Principal": "*"})
        assert refused(s3.put_bucket_policy, Bucket=bucket, Policy=public) == "AccessDenied"
        assert refused(s3.get_bucket_policy, Bucket=bucket) == "AccessDenied"
    # Without a word against it, whoever made it may, and no policy of the bucket's locks him out.
    s3 = account.client("s3", account.create_user("free", allow("s3:CreateBucket")))
    s3.create_bucket(Bucket="made-freely")
    shut = {**deny("s3:*", "arn:aws:s3:::made-freely"), "Principal": "*"}
    s3.put_bucket_policy(Bucket="made-freely", Policy=policy(shut))
    s3.delete_bucket_policy(Bucket="made-freely")


def test_conditions_of_own_policies_ask_tags_of_user_and_object(
    account: Account, bucket: str
) -> None:
    same = {"StringEquals": {"s3:ExistingObjectTag/team": "${aws:PrincipalTag/Team}"}}
    tags = [{"Key": "Team", "Value": "red"}]
    keys = account.create_user(f"u-{bucket}", allow("s3:GetObject", Condition=same), Tags=tags)
    assert not reads(account, keys, bucket)
    account.s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="team=red")
    assert reads(account, keys, bucket)
    account.iam.tag_user(UserName=f"u-{bucket}", Tags=[{"Key": "team", "Value": "blue"}])
    assert not reads(account, keys, bucket)


@pytest.mark.parametrize("by", ["name", "number"])
def test_a_buckets_policy_names_iam_users_by_either_name_of_the_account(
    account: Account, bucket: str, by: str
) -> None:
    name = f"u-{bucket}-{by}"
    keys = account.create_user(name, Path="/team/")
    store = account.name if by == "name" else account.number
    arn = f"arn:aws:iam::{store}:user/team/{name}"
    given = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Principal": {"AWS": arn}}
    account.s3.put_bucket_policy(Bucket=bucket, Policy=policy(given))
    assert reads(account, keys, bucket)
    denied = {"StringEquals": {"aws:PrincipalAccount": store}}
    barred = {**deny("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Condition=denied)}
    statements = [given, {**barred, "Principal": "*"}]
    account.s3.put_bucket_policy(Bucket=bucket, Policy=policy(*statements))
    assert not reads(account, keys, bucket)


def test_a_policy_on_new_buckets_names_them(account: Account, bucket: str) -> None:
    own = allow("s3:CreateBucket", "arn:aws:s3:::mine-*")
    keys = account.create_user(f"u-{bucket}", own, allow("s3:ListAllMyBuckets"))
    s3 = account.client("s3", keys)
    assert refused(s3.create_bucket, Bucket=f"not-{bucket}") == "AccessDenied"
    s3.create_bucket(Bucket=f"mine-{bucket}")
    # It lists all of the account's, and what it made is its own: but for the policy it may nothing.
    listed = {one["Name"] for one in s3.list_buckets()["Buckets"]}
    assert {bucket, f"mine-{bucket}"} <= listed
    assert refused(s3.list_objects_v2, Bucket=f"mine-{bucket}") == "AccessDenied"
    assert refused(s3.get_bucket_policy, Bucket=f"mine-{bucket}") == "NoSuchBucketPolicy"
    owner = account.s3.list_buckets()["Owner"]["ID"]
    assert owner == account.user.id


def test_buckets_of_a_deleted_user_are_the_root_users(account: Account, bucket: str) -> None:
    name = f"u-{bucket}"
    keys = account.create_user(name, allow("s3:*"))
    account.client("s3", keys).create_bucket(Bucket=f"left-{bucket}")
    account.iam.delete_user_policy(UserName=name, PolicyName="own")
    account.iam.delete_access_key(UserName=name, AccessKeyId=keys.access_key)
    account.iam.delete_user(UserName=name)
    account.s3.put_object(Bucket=f"left-{bucket}", Key="k", Body=b"")


# IAM itself


def test_only_the_root_user_and_whom_a_policy_lets_may_call_iam(
    account: Account, server: MemoryServer
) -> None:
    second = server.create_user(account.name, "second object user")
    other = Keys(second.access_key, second.secret_key)
    assert refused(account.client("iam", other).list_users) == "AccessDenied"
    assert refused(account.client("iam", other).get_user) == "AccessDenied"
    admin = account.create_user("admin")
    assert refused(account.client("iam", admin).list_users) == "AccessDenied"
    account.iam.attach_user_policy(UserName="admin", PolicyArn=ADMINISTRATOR)
    assert account.client("iam", admin).list_users()["Users"]
    account.client("iam", admin).create_group(GroupName="by-admin")


def test_accounts_do_not_see_each_other(account: Account, server: MemoryServer) -> None:
    stranger = Account(server)
    arn = stranger.iam.create_policy(PolicyName="s", PolicyDocument=policy(allow("s3:*")))
    stranger.iam.create_user(UserName="of-stranger")
    assert refused(account.iam.get_user, UserName="of-stranger") == "NoSuchEntity"
    assert refused(account.iam.get_policy, PolicyArn=arn["Policy"]["Arn"]) == "NoSuchEntity"
    of_all = account.create_user("of-all", allow("*"))
    s3 = account.client("s3", of_all)
    bucket = stranger.bucket()
    assert refused(s3.get_object, Bucket=bucket, Key="k") == "NoSuchBucket"
    shared = {"PolicyArn": ADMINISTRATOR}
    stranger.iam.attach_user_policy(UserName="of-stranger", **shared)
    having = account.iam.list_entities_for_policy(**shared)["PolicyUsers"]
    assert "of-stranger" not in {one["UserName"] for one in having}


def test_rights_on_iam_keep_to_the_path_that_a_policy_names(account: Account) -> None:
    team = account.arn("user/team/*")
    keys = account.create_user("leader", allow("iam:*", team))
    iam = account.client("iam", keys)
    iam.create_user(UserName="member", Path="/team/")
    iam.get_user(UserName="member")
    assert refused(iam.create_user, UserName="outside") == "AccessDenied"
    assert refused(iam.get_user, UserName="leader") == "AccessDenied"
    # Whether somebody is there is not told to whom it is not to be told.
    assert refused(iam.get_user, UserName="nobody-at-all") == "AccessDenied"
    grow = {"UserName": "leader", "PolicyArn": ADMINISTRATOR}
    assert refused(iam.attach_user_policy, **grow) == "AccessDenied"


def test_another_name_or_path_takes_the_right_on_what_it_will_be(account: Account) -> None:
    team = [account.arn("user/team/*"), account.arn("group/team/*")]
    iam = account.client("iam", account.create_user("deputy", allow("iam:*", team)))
    iam.create_user(UserName="mover", Path="/team/")
    iam.create_group(GroupName="movers", Path="/team/")
    for move in ({"NewPath": "/admin/"}, {"NewPath": "/", "NewUserName": "root-like"}):
        assert refused(iam.update_user, UserName="mover", **move) == "AccessDenied"
    assert refused(iam.update_group, GroupName="movers", NewPath="/admin/") == "AccessDenied"
    iam.update_user(UserName="mover", NewUserName="moved", NewPath="/team/inner/")
    iam.update_group(GroupName="movers", NewGroupName="moved-on")
    assert iam.get_user(UserName="moved")["User"]["Arn"] == account.arn("user/team/inner/moved")


def test_nobody_is_called_like_a_key_or_an_id_that_policies_name(
    account: Account, server: MemoryServer
) -> None:
    operator = Operator(server)
    named = operator.new_user(account.name, "named")
    gone = operator.call("user.key.add", user=named.id)["access_key"]
    operator.call("user.key.delete", access_key=gone)
    account.iam.create_user(UserName="climber")
    for name in (named.access_key, gone, named.id):
        assert refused(account.iam.create_user, UserName=name) == "EntityAlreadyExists"
        move = {"UserName": "climber", "NewUserName": name}
        assert refused(account.iam.update_user, **move) == "EntityAlreadyExists"
        about = {"store": account.name, "label": name, "kind": "iam"}
        assert operator.refused("user.create", **about)[0] == "UserAlreadyExists"


def test_what_names_buckets_gives_nothing_of_iam(account: Account) -> None:
    keys = account.create_user("stars", allow("*", ["arn:aws:s3:::*", "*/*", "**a"]))
    assert refused(account.client("iam", keys).list_users) == "AccessDenied"
    assert refused(account.client("iam", keys).get_user) == "AccessDenied"
    assert account.client("s3", keys).list_buckets()["Buckets"] is not None


def test_a_denial_holds_under_every_name_of_what_is_denied(account: Account) -> None:
    arn = account.iam.create_policy(PolicyName="Guarded", PolicyDocument=policy(allow("s3:*")))
    number = arn["Policy"]["Arn"]
    keys = account.create_user("denied", allow("iam:*"), deny("iam:*", number))
    iam = account.client("iam", keys)
    named = number.replace(account.number, account.name)
    assert refused(iam.get_policy, PolicyArn=number) == "AccessDenied"
    assert refused(iam.get_policy, PolicyArn=named) == "AccessDenied"
    assert refused(iam.get_policy, PolicyArn=number.lower()) == "NoSuchEntity"
    only = {"ArnNotEquals": {"iam:PolicyARN": number}}
    own = policy(allow("iam:*", Condition=only), allow("iam:GetPolicy"))
    account.iam.put_user_policy(UserName="denied", PolicyName="own", PolicyDocument=own)
    for asked in (number, named):
        grow = {"UserName": "denied", "PolicyArn": asked}
        assert refused(iam.attach_user_policy, **grow) == "AccessDenied"


def test_users_are_made_under_a_boundary_or_not_at_all(account: Account) -> None:
    bound = account.iam.create_policy(
        PolicyName="every-user", PolicyDocument=policy(allow("s3:*"))
    )["Policy"]["Arn"]
    under = {"StringEquals": {"iam:PermissionsBoundary": bound}}
    made = ["iam:CreateUser", "iam:PutUserPolicy", "iam:AttachUserPolicy"]
    keys = account.create_user("delegate", allow(made, Condition=under))
    iam = account.client("iam", keys)
    assert refused(iam.create_user, UserName="free") == "AccessDenied"
    iam.create_user(UserName="kept-in", PermissionsBoundary=bound)
    iam.attach_user_policy(UserName="kept-in", PolicyArn=ADMINISTRATOR)
    account.iam.create_user(UserName="without")
    grow = {"UserName": "without", "PolicyArn": ADMINISTRATOR}
    assert refused(iam.attach_user_policy, **grow) == "AccessDenied"


def test_tags_of_the_request_decide_on_what_is_made(account: Account) -> None:
    red = {"StringEquals": {"aws:RequestTag/team": "red"}}
    keys = account.create_user("tagger", allow("iam:CreateUser", Condition=red))
    iam = account.client("iam", keys)
    assert refused(iam.create_user, UserName="untagged") == "AccessDenied"
    iam.create_user(UserName="red-one", Tags=[{"Key": "Team", "Value": "red"}])


def test_a_locked_user_may_nothing_and_a_lost_root_user_hands_nothing_on(
    server: MemoryServer,
) -> None:
    account = Account(server)
    second = server.create_user(account.name, "second")
    other = Keys(second.access_key, second.secret_key)
    admin = account.create_user("admin", allow("*"))
    server.commit(ChangeUser(account.user.id, locked=True))
    assert refused(account.iam.list_users) == "AccessDenied"
    assert refused(account.sts.get_caller_identity) == "AccessDenied"
    server.commit(DeleteUser(account.user.id, second.id))
    assert refused(account.client("iam", other).list_users) == "AccessDenied"
    assert account.client("iam", admin).list_users()["Users"]


# Simulations


def decisions(told: Any) -> list[str]:
    return [one["EvalDecision"] for one in told["EvaluationResults"]]


def test_simulations_decide_as_requests_are_decided(account: Account, bucket: str) -> None:
    name, arn = f"u-{bucket}", f"arn:aws:s3:::{bucket}/k"
    statements = allow("s3:Get*", f"arn:aws:s3:::{bucket}/*"), deny("s3:GetObjectAcl")
    keys = account.create_user(name, *statements)
    asked = {"ActionNames": ["s3:GetObject", "s3:getobjectacl", "s3:PutObject"]}
    about = {"PolicySourceArn": account.arn(f"user/{name}"), "ResourceArns": [arn]}
    told = account.iam.simulate_principal_policy(**about, **asked)
    assert decisions(told) == ["allowed", "explicitDeny", "implicitDeny"]
    assert reads(account, keys, bucket)
    more = [policy(allow("s3:PutObject"))]
    told = account.iam.simulate_principal_policy(**about, **asked, PolicyInputList=more)
    assert decisions(told) == ["allowed", "explicitDeny", "allowed"]
    bounds = [policy(allow("s3:Put*"))]
    told = account.iam.simulate_principal_policy(
        **about, **asked, PolicyInputList=more, PermissionsBoundaryPolicyInputList=bounds
    )
    assert decisions(told) == ["implicitDeny", "explicitDeny", "allowed"]
    detail = told["EvaluationResults"][0]["PermissionsBoundaryDecisionDetail"]
    assert detail == {"AllowedByPermissionsBoundary": False}


def test_a_simulation_takes_facts_and_says_which_it_misses(account: Account) -> None:
    home = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    about: dict[str, Any] = {
        "PolicyInputList": [policy(allow("s3:GetObject", Condition=home))],
        "ActionNames": ["s3:GetObject"],
    }
    told = account.iam.simulate_custom_policy(**about)
    assert decisions(told) == ["implicitDeny"]
    assert told["EvaluationResults"][0]["MissingContextValues"] == ["aws:sourceip"]
    entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyType": "ip"}
    told = account.iam.simulate_custom_policy(
        **about, ContextEntries=[{**entry, "ContextKeyValues": ["10.1.2.3"]}]
    )
    assert decisions(told) == ["allowed"]
    unknown = {**about, "ActionNames": ["s3:FlyObject"]}
    assert refused(account.iam.simulate_custom_policy, **unknown) == "InvalidInput"
