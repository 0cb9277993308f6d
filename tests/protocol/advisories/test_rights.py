"""Rights that other services forgot to ask for, and ways to be given more of them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.iam_client import Account, Keys, allow, policy, send
from tests.protocol.wire_client import WireClient

_numbers = itertools.count()


@pytest.fixture
def other(server: MemoryServer, stranger: Credentials) -> Any:
    return boto(server, stranger)


@pytest.fixture
def mine(other: Any) -> str:
    """A bucket of the stranger's own."""
    name = f"strangers-{next(_numbers)}"
    other.create_bucket(Bucket=name)
    return name


@pytest.fixture
def account(server: MemoryServer) -> Account:
    return Account(server)


def test_a_part_is_not_copied_from_what_may_not_be_read(
    s3: Any, other: Any, bucket: str, mine: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret")
    upload = other.create_multipart_upload(Bucket=mine, Key="k")["UploadId"]
    part = {"Bucket": mine, "Key": "k", "UploadId": upload, "PartNumber": 1}
    for source in (f"{bucket}/k", f"/{bucket}/k", f"{bucket}/k?versionId=null", f"{bucket}//../k"):
        assert refused(other.upload_part_copy, **part, CopySource=source) == "AccessDenied"
        assert refused(other.copy_object, Bucket=mine, Key="c", CopySource=source) == "AccessDenied"
    assert "Parts" not in other.list_parts(Bucket=mine, Key="k", UploadId=upload)


def test_no_upload_is_touched_by_who_may_not_write_there(
    s3: Any, other: Any, bucket: str, mine: str
) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for place in (bucket, mine):
        about = {"Bucket": place, "Key": "k", "UploadId": upload}
        for call in (
            lambda about=about: other.upload_part(**about, PartNumber=1, Body=b"x"),
            lambda about=about: other.list_parts(**about),
            lambda about=about: other.complete_multipart_upload(
                **about, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "x"}]}
            ),
            lambda about=about: other.abort_multipart_upload(**about),
        ):
            assert refused(call) in ("AccessDenied", "NoSuchUpload")
    assert s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["UploadId"] == upload


def test_deleting_many_asks_for_each(s3: Any, other: Any, bucket: str) -> None:
    for key in ("theirs", "mine"):
        s3.put_object(Bucket=bucket, Key=key)
    statement = {
        **allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/theirs"),
        "Principal": "*",
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(statement))
    objects = [{"Key": "theirs"}, {"Key": "mine"}, {"Key": "mine/../theirs"}]
    told = other.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert [one["Key"] for one in told["Deleted"]] == ["theirs"]
    assert {one["Code"] for one in told["Errors"]} == {"AccessDenied"}
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["mine"]


def test_a_denial_of_getting_round_a_lock_counts(server: MemoryServer) -> None:
    account = Account(server)
    account.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    account.s3.put_object_lock_configuration(
        Bucket="locked",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    version = account.s3.put_object(Bucket="locked", Key="k", Body=b"x")["VersionId"]
    no = {
        **allow("s3:BypassGovernanceRetention", "arn:aws:s3:::locked/*"),
        "Effect": "Deny",
        "Principal": "*",
    }
    account.s3.put_bucket_policy(Bucket="locked", Policy=policy(no))
    keys = account.create_user("ann", allow("s3:*"))
    named = {"Bucket": "locked", "Key": "k", "VersionId": version}
    for client in (account.client("s3", keys), account.s3):
        assert (
            refused(client.delete_object, **named, BypassGovernanceRetention=True) == "AccessDenied"
        )
        past = {"Mode": "GOVERNANCE", "RetainUntilDate": "2099-01-01T00:00:00Z"}
        client.put_object_retention(**named, Retention=past)
        assert (
            refused(
                client.put_object_retention,
                **named,
                Retention={**past, "RetainUntilDate": "2098-01-01T00:00:00Z"},
                BypassGovernanceRetention=True,
            )
            == "AccessDenied"
        )


def test_nobody_gives_himself_rights(account: Account) -> None:
    """A user who may touch his own keys and policies only where he was told so."""
    keys = account.create_user("ann", allow("iam:GetUser"), allow("s3:GetObject"))
    account.create_user("bob")
    account.create_role("admins", {"AWS": account.arn("user/bob")}, allow("*"))
    iam = account.client("iam", keys)
    everything = {"PolicyName": "p", "PolicyDocument": policy(allow("*"))}
    admin = "arn:aws:iam::aws:policy/AdministratorAccess"
    for call in (
        lambda: iam.put_user_policy(UserName="ann", **everything),
        lambda: iam.attach_user_policy(UserName="ann", PolicyArn=admin),
        lambda: iam.create_access_key(UserName="bob"),
        iam.create_access_key,
        lambda: iam.create_user(UserName="eve"),
        lambda: iam.create_group(GroupName="g"),
        lambda: iam.create_policy(**everything),
        lambda: iam.delete_user_permissions_boundary(UserName="ann"),
        lambda: iam.update_assume_role_policy(
            RoleName="admins",
            PolicyDocument=policy(
                {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
            ),
        ),
    ):
        assert refused(call) == "AccessDenied"
    role = account.arn("role/admins")
    assert refused(account.assume, role, keys) == "AccessDenied"


def test_a_session_is_never_more_than_its_role_and_its_policy(account: Account) -> None:
    bucket = account.bucket()
    keys = account.create_user("ann")
    role = account.create_role("reader", {"AWS": account.arn("user/ann")}, allow("s3:GetObject"))
    wide = account.assume(role, keys, Policy=policy(allow("*")))
    s3 = account.client("s3", wide)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"text"
    assert refused(s3.delete_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert refused(account.client("iam", wide).list_users) == "AccessDenied"
    narrow = account.assume(role, keys, Policy=policy(allow("s3:ListBucket")))
    client = account.client("s3", narrow)
    assert refused(client.get_object, Bucket=bucket, Key="k") == "AccessDenied"


def test_a_session_token_is_good_for_its_own_key_alone(account: Account) -> None:
    bucket = account.bucket()
    keys = account.create_user("ann")
    reading = allow("s3:GetObject")
    role = account.create_role("reader", {"AWS": account.arn("user/ann")}, reading)
    one, two = account.assume(role, keys), account.assume(role, keys)
    token = one.token or ""
    for mixed in (
        Keys(one.access_key, one.secret_key, two.token),
        Keys(one.access_key, two.secret_key, token),
        Keys(one.access_key, one.secret_key, None),
        Keys(one.access_key, one.secret_key, token[:-8] + "AAAAAAAA"),
        Keys(account.root.access_key, account.root.secret_key, token),
        Keys(keys.access_key, keys.secret_key, token),
    ):
        client = account.client("s3", mixed)
        assert refused(client.get_object, Bucket=bucket, Key="k") in (
            *("InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"),
        )


def test_one_stores_session_is_nothing_in_another(server: MemoryServer) -> None:
    here, there = Account(server), Account(server)
    bucket = there.bucket()
    keys = here.create_user("ann")
    role = here.create_role("all", {"AWS": here.arn("user/ann")}, allow("*"))
    session = here.assume(role, keys)
    client = here.client("s3", session)
    assert refused(client.get_object, Bucket=bucket, Key="k") == "NoSuchBucket"
    wire = WireClient(server.port, server.user)
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    path = url.removeprefix(server.endpoint)
    host = {"Host": f"{there.name}.localhost:{server.port}"}
    assert wire.raw("GET", path, b"", host).status == 403
    assert refused(
        there.client("sts", session).assume_role,
        RoleArn=there.arn("role/x"),
        RoleSessionName="session",
    ) in ("AccessDenied", "NoSuchEntity")


def test_nobody_administers(server: MemoryServer, account: Account) -> None:
    """The endpoint for identities is on the port that everybody reaches."""
    form = {"Action": "CreateUser", "UserName": "eve", "Version": "2010-05-08"}
    assert send(server, None, form).status == 403
    assert send(server, None, form, method="GET", target="/?Action=ListUsers").status == 403
    bad = Keys(account.root.access_key, "x" * 40)
    assert send(server, bad, form).status == 403
    assert [one["UserName"] for one in account.iam.list_users()["Users"]] == []


@pytest.mark.parametrize(
    "path",
    [
        *("/minio/health/live", "/minio/admin/v3/info", "/metrics", "/debug/pprof/", "/.env"),
        *("/admin/user", "/healthz?verbose=1", "/rustfs/rpc/read", "/api/v1/users"),
        *("/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "//etc/passwd"),
    ],
)
def test_no_path_tells_more_than_a_bucket_would(wire: WireClient, path: str) -> None:
    for method in ("GET", "POST"):
        answer = wire.raw(method, path, b"", {"Host": wire.host, "Content-Length": "0"})
        assert answer.status in (400, 403, 404, 405, 411, 412, 501), path
        assert b"COFFRE_" not in answer.body
        assert b"PATH" not in answer.body
        assert b"root:" not in answer.body


def test_only_what_one_may_see_is_listed(
    s3: Any, other: Any, bucket: str, server: MemoryServer
) -> None:
    assert bucket not in {one["Name"] for one in other.list_buckets()["Buckets"]}
    elsewhere = Account(server)
    assert elsewhere.s3.list_buckets()["Buckets"] == []
    # A bucket that is there and one that is not look the same from another store.
    for name in (bucket, "no-such-bucket-at-all"):
        assert refused(elsewhere.s3.list_objects_v2, Bucket=name) == "NoSuchBucket"


def test_a_policy_by_address_is_not_talked_round(
    s3: Any, other: Any, wire: WireClient, stranger: Credentials, bucket: str
) -> None:
    """Whoever is no trusted proxy says nothing of where a request comes from."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    from_there = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    statement = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Principal": "*"}
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=json.dumps(
            {"Version": "2012-10-17", "Statement": [{**statement, "Condition": from_there}]}
        ),
    )
    client = WireClient(wire.port, stranger)
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP"):
        said = "for=203.0.113.7" if name == "Forwarded" else "203.0.113.7"
        assert client.send("GET", f"/{bucket}/k", b"", {name: said}).status == 403
