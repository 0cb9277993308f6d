"""STS: who I am, roles, and keys that last for a while, on S3 and on IAM."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from coffre.catalog.access_mutations import ChangeUser, SetKey
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import refused
from tests.protocol.ecs_client import MovedClock
from tests.protocol.iam_client import Account, Keys, allow, deny, policy
from tests.protocol.wire_client import WireClient

HOUR_MS = 3600 * 1000


@pytest.fixture(scope="module")
def timed(clock: MovedClock) -> Iterator[MemoryServer]:
    with MemoryServer(clock=clock) as running:
        yield running


@pytest.fixture
def account(timed: MemoryServer, clock: MovedClock) -> Account:
    clock.ahead_ms = 0
    return Account(timed)


@pytest.fixture
def bucket(account: Account) -> str:
    return account.bucket()


def get(account: Account, keys: Keys, bucket: str) -> Any:
    return account.client("s3", keys).get_object(Bucket=bucket, Key="k")["Body"].read()


def denied(account: Account, keys: Keys, bucket: str) -> str:
    return refused(account.client("s3", keys).get_object, Bucket=bucket, Key="k")


def test_everybody_is_told_who_they_are(account: Account) -> None:
    told = account.sts.get_caller_identity()
    assert (told["Arn"], told["UserId"]) == (account.arn("root"), account.user.id)
    keys = account.create_user("ann", deny("*"), Path="/team/")
    told = account.client("sts", keys).get_caller_identity()
    assert told["Arn"] == account.arn("user/team/ann")
    role = account.create_role("r", {"AWS": account.arn("user/team/ann")})
    assert refused(account.assume, role, keys) == "AccessDenied"
    account.iam.delete_user_policy(UserName="ann", PolicyName="own")
    told = account.client("sts", account.assume(role, keys)).get_caller_identity()
    number = account.number
    assert told["Arn"] == f"arn:aws:sts::{number}:assumed-role/r/session"
    assert told["UserId"].endswith(":session")
    assert told["UserId"].startswith("AROA")


def test_a_session_token_is_the_same_user_for_a_while(
    account: Account, bucket: str, clock: MovedClock
) -> None:
    keys = account.create_user("ann", allow("s3:GetObject"))
    told = account.client("sts", keys).get_session_token(DurationSeconds=900)
    session = Keys.of_session(told["Credentials"])
    assert session.access_key.startswith("ASIA")
    assert get(account, session, bucket) == b"text"
    who = account.client("sts", session)
    assert who.get_caller_identity()["Arn"] == account.arn("user/ann")
    assert refused(who.get_session_token) == "AccessDenied"
    account.iam.attach_user_policy(
        UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    assert refused(account.client("iam", session).list_users) == "AccessDenied"
    clock.ahead_ms = 900_001
    assert denied_later(account, session, bucket, clock) == "ExpiredToken"


def denied_later(account: Account, keys: Keys, bucket: str, clock: MovedClock) -> str:
    """As `denied`, signed by the server's clock."""
    client = WireClient(account.server.port, account.user)
    url = account.client("s3", keys).generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=604_800
    )
    target = url.removeprefix(account.server.endpoint)
    return client.raw("GET", target, b"", {"Host": f"127.0.0.1:{account.server.port}"}).code


def test_sessions_of_object_users_own_what_their_user_owns(account: Account, bucket: str) -> None:
    told = account.sts.get_session_token()
    session = Keys.of_session(told["Credentials"])
    s3 = account.client("s3", session)
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert get(account, session, bucket) == b"new"
    barred = {**deny("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Principal": "x"}
    barred["Principal"] = {"AWS": account.root.access_key}
    account.s3.put_bucket_policy(Bucket=bucket, Policy=policy(barred))
    assert denied(account, session, bucket) == "AccessDenied"


@pytest.mark.parametrize("by", ["user", "account", "access key", "everybody"])
def test_a_role_is_assumed_by_whom_it_trusts(account: Account, bucket: str, by: str) -> None:
    own = [allow("sts:AssumeRole")] if by == "account" else []
    keys, other = account.create_user("ann", *own), account.create_user("bob")
    trusted = {
        "user": account.arn("user/ann"),
        "account": account.arn("root"),
        "access key": keys.access_key,
        "everybody": "*",
    }[by]
    role = account.create_role("reader", {"AWS": trusted}, allow("s3:GetObject"))
    assert get(account, account.assume(role, keys), bucket) == b"text"
    if by != "everybody":
        assert refused(account.assume, role, other) == "AccessDenied"


def test_a_denial_of_the_callers_own_keeps_it_out_of_a_role_that_trusts_it(
    account: Account,
) -> None:
    keys = account.create_user("ann")
    role = account.create_role("reader", {"AWS": account.arn("user/ann")})
    account.assume(role, keys)
    for document in (policy(deny("sts:*")), policy(deny("*", account.arn("role/reader")))):
        account.iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=document)
        assert refused(account.assume, role, keys) == "AccessDenied"


def test_an_external_id_is_asked_for(account: Account) -> None:
    keys = account.create_user("ann")
    role = account.create_role("shared", {"AWS": "*"})
    asked = {"StringEquals": {"sts:ExternalId": "secret-1"}}
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = policy({**statement, "Condition": asked})
    account.iam.update_assume_role_policy(RoleName="shared", PolicyDocument=document)
    assert refused(account.assume, role, keys) == "AccessDenied"
    assert refused(account.assume, role, keys, ExternalId="secret-2") == "AccessDenied"
    account.assume(role, keys, ExternalId="secret-1")


def test_session_policies_bound_a_role(account: Account, bucket: str) -> None:
    keys = account.create_user("ann")
    role = account.create_role("all", {"AWS": "*"}, allow("s3:*"))
    less = account.assume(role, keys, Policy=policy(allow("s3:PutObject")))
    assert denied(account, less, bucket) == "AccessDenied"
    account.client("s3", less).put_object(Bucket=bucket, Key="k", Body=b"text")
    managed = [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]
    reads = account.assume(role, keys, PolicyArns=managed)
    assert get(account, reads, bucket) == b"text"
    put = account.client("s3", reads).put_object
    assert refused(put, Bucket=bucket, Key="k", Body=b"") == "AccessDenied"
    # What a bucket's policy gives the role a session's policies bound too.
    account.iam.delete_role_policy(RoleName="all", PolicyName="own")
    given = {**allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), "Principal": {"AWS": role}}
    account.s3.put_bucket_policy(Bucket=bucket, Policy=policy(given))
    assert get(account, account.assume(role, keys), bucket) == b"text"
    assert denied(account, less, bucket) == "AccessDenied"


def test_a_managed_policy_that_bounds_a_session_and_is_deleted_lets_nothing_through(
    account: Account, bucket: str
) -> None:
    made = account.iam.create_policy(PolicyName="b", PolicyDocument=policy(allow("s3:*")))
    arn = made["Policy"]["Arn"]
    role = account.create_role("all", {"AWS": "*"}, allow("s3:*"))
    session = account.assume(role, account.create_user("ann"), PolicyArns=[{"arn": arn}])
    assert get(account, session, bucket) == b"text"
    account.iam.delete_policy(PolicyArn=arn)
    assert denied(account, session, bucket) == "AccessDenied"


def test_tags_of_a_session_need_permission_and_decide(account: Account, bucket: str) -> None:
    same = {"StringEquals": {"aws:PrincipalTag/team": "red"}}
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*", Condition=same))
    keys = account.create_user("ann")
    red = [{"Key": "Team", "Value": "red"}]
    assert refused(account.assume, role, keys, Tags=red) == "AccessDenied"
    both = ["sts:AssumeRole", "sts:TagSession"]
    trust = policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": both})
    account.iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust)
    assert denied(account, account.assume(role, keys), bucket) == "AccessDenied"
    assert get(account, account.assume(role, keys, Tags=red), bucket) == b"text"


@pytest.mark.parametrize(("size", "code"), [(128, None), (256, "PackedPolicyTooLarge")])
def test_a_session_whose_token_would_not_be_taken_is_refused(
    account: Account, bucket: str, size: int, code: str | None
) -> None:
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    both = ["sts:AssumeRole", "sts:TagSession"]
    trust = policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": both})
    account.iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust)
    tags = [{"Key": f"{n:0{size // 2}}", "Value": "v" * size} for n in range(50)]
    keys = account.create_user("ann")
    if code is None:
        assert get(account, account.assume(role, keys, Tags=tags), bucket) == b"text"
    else:
        assert refused(account.assume, role, keys, Tags=tags) == code


def test_what_a_role_makes_is_the_root_users(account: Account, bucket: str) -> None:
    role = account.create_role("maker", {"AWS": "*"}, allow("s3:*"))
    session = account.assume(role, account.create_user("ann"))
    s3 = account.client("s3", session)
    s3.create_bucket(Bucket=f"by-role-{bucket}")
    s3.put_object(Bucket=f"by-role-{bucket}", Key="k", Body=b"text")
    assert get(account, account.root, f"by-role-{bucket}") == b"text"
    listed = account.s3.list_objects_v2(Bucket=f"by-role-{bucket}", FetchOwner=True)
    assert listed["Contents"][0]["Owner"]["ID"] == account.user.id
    assert bucket in {one["Name"] for one in s3.list_buckets()["Buckets"]}
    # The bucket is the account's, not the role's, which may no more than its policies say.
    account.iam.put_role_policy(
        RoleName="maker", PolicyName="own", PolicyDocument=policy(allow("s3:GetObject"))
    )
    asked = {"Bucket": f"by-role-{bucket}"}
    assert refused(s3.get_bucket_policy, **asked) == "AccessDenied"


def test_roles_follow_roles_for_an_hour(account: Account, bucket: str) -> None:
    keys = account.create_user("ann")
    first = account.create_role("first", {"AWS": account.arn("user/ann")})
    second = account.create_role("second", {"AWS": first}, allow("s3:*"))
    account.iam.update_role(RoleName="second", MaxSessionDuration=7200)
    assert refused(account.assume, second, keys) == "AccessDenied"
    session = account.assume(first, keys)
    long = {"DurationSeconds": 7200}
    assert refused(account.assume, second, session, **long) == "ValidationError"
    assert get(account, account.assume(second, session), bucket) == b"text"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"DurationSeconds": 899}, "ValidationError"),
        ({"DurationSeconds": 3601}, "ValidationError"),
        ({"RoleSessionName": "a"}, "ValidationError"),
        ({"RoleSessionName": "a/b"}, "ValidationError"),
        ({"RoleSessionName": "x" * 65}, "ValidationError"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
        ({"Policy": policy(allow("s3:*")) + " " * 2048}, "ValidationError"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/Unheard"}]}, "NoSuchEntity"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/X"}] * 11}, "ValidationError"),
        ({"RoleArn": "arn:aws:iam::000000000000:role/r"}, "NoSuchEntity"),
        ({"RoleArn": "arn:aws:iam::000000000000:user/r"}, "InvalidInput"),
        ({"ExternalId": "x"}, "ValidationError"),
        ({"SourceIdentity": "someone"}, "ValidationError"),
        ({"SerialNumber": "123456789", "TokenCode": "123456"}, "ValidationError"),
    ],
)
def test_what_no_session_can_be_is_refused(
    account: Account, arguments: dict[str, Any], code: str
) -> None:
    role = account.create_role("r", {"AWS": "*"})
    sts = account.client("sts", account.create_user("ann"), parameter_validation=False)
    asked = {"RoleArn": role, "RoleSessionName": "session", **arguments}
    assert refused(sts.assume_role, **asked) == code


def test_roles_of_another_account_are_none(account: Account, timed: MemoryServer) -> None:
    other = Account(timed)
    role = other.create_role("open", {"AWS": "*"}, allow("s3:*"))
    assert refused(account.assume, role, account.create_user("ann")) == "NoSuchEntity"


# How sessions end


def test_a_session_ends_with_its_role(account: Account, bucket: str) -> None:
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    session = account.assume(role, account.create_user("ann"))
    account.iam.delete_role_policy(RoleName="r", PolicyName="own")
    assert denied(account, session, bucket) == "AccessDenied"
    account.iam.delete_role(RoleName="r")
    assert denied(account, session, bucket) == "InvalidToken"
    # One of the same name is another.
    account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    assert denied(account, session, bucket) == "InvalidToken"


@pytest.mark.parametrize("kind", ["role", "user"])
def test_a_session_ends_with_the_key_that_asked_for_it(
    account: Account, bucket: str, kind: str
) -> None:
    keys = account.create_user("ann", allow("s3:*"))
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    told = account.client("sts", keys).get_session_token()
    session = Keys.of_session(told["Credentials"])
    if kind == "role":
        # Through the user's session: the key behind that counts.
        session = account.assume(role, session)
    user_id = account.iam.get_user(UserName="ann")["User"]["UserId"]
    server = account.server
    assert get(account, session, bucket) == b"text"
    server.commit(SetKey(keys.access_key, active=False))
    assert denied(account, session, bucket) == "InvalidToken"
    server.commit(SetKey(keys.access_key, active=True))
    server.commit(ChangeUser(user_id, locked=True))
    assert denied(account, session, bucket) == "AccessDenied"
    server.commit(ChangeUser(user_id, locked=False))
    assert get(account, session, bucket) == b"text"
    account.iam.delete_access_key(UserName="ann", AccessKeyId=keys.access_key)
    assert denied(account, session, bucket) == "InvalidToken"


def test_old_sessions_are_denied_by_when_they_began(
    account: Account, bucket: str, clock: MovedClock
) -> None:
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    keys = account.create_user("ann")
    # By the clock that sessions begin by: other tests move it, and rows may be ahead of it.
    began = datetime.fromtimestamp(clock.now_ms() // 1000, UTC)
    old = account.assume(role, keys)
    later = {"DateLessThan": {"aws:TokenIssueTime": f"{began:%Y-%m-%dT%H:%M:%SZ}"}}
    account.iam.put_role_policy(
        RoleName="r", PolicyName="revoked", PolicyDocument=policy(deny("*", Condition=later))
    )
    assert get(account, old, bucket) == b"text"
    later["DateLessThan"]["aws:TokenIssueTime"] = str(clock.now_ms() // 1000 + 1)
    account.iam.put_role_policy(
        RoleName="r", PolicyName="revoked", PolicyDocument=policy(deny("*", Condition=later))
    )
    assert denied(account, old, bucket) == "AccessDenied"


# Tokens on S3


def test_a_token_belongs_to_its_key_and_every_bit_of_it_counts(
    account: Account, bucket: str
) -> None:
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    keys = account.create_user("ann")
    one, two = account.assume(role, keys), account.assume(role, keys)
    assert one.token is not None
    changed = one.token[:40] + ("A" if one.token[40] != "A" else "B") + one.token[41:]
    mixed = {
        "another session's": two.token,
        "changed": changed,
        "cut": one.token[:-4],
        "no base64": "?" * 200,
        "empty of all": "AQ==",
        "long": "A" * 20_000,
    }
    for what, token in mixed.items():
        keys = Keys(one.access_key, one.secret_key, token)
        assert denied(account, keys, bucket) == "InvalidToken", what
    assert denied(account, Keys(one.access_key, one.secret_key), bucket) == "InvalidAccessKeyId"
    wrong = Keys(one.access_key, two.secret_key, one.token)
    assert denied(account, wrong, bucket) == "SignatureDoesNotMatch"
    permanent = Keys(account.root.access_key, account.root.secret_key, one.token)
    assert denied(account, permanent, bucket) == "InvalidToken"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_and_forms_carry_a_token(
    account: Account, bucket: str, version: str
) -> None:
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    session = account.assume(role, account.create_user("ann"))
    s3 = account.client("s3", session, signature_version=version)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert urllib.request.urlopen(url).read() == b"text"
    without = re.sub(r"(?i)(?<=[?&])x-amz-security-token=[^&]*&?", "", url)
    assert without != url
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(without)
    form = s3.generate_presigned_post(bucket, "formed")
    assert "x-amz-security-token" in form["fields"]
    answer = _post(form["url"], {**form["fields"], "file": "by form"})
    assert answer == 204
    assert account.s3.get_object(Bucket=bucket, Key="formed")["Body"].read() == b"by form"
    assert _post(form["url"], {**form["fields"], "x-amz-security-token": "x", "file": ""}) != 204


def _post(url: str, fields: dict[str, str]) -> int:
    edge = "edge-of-a-part"
    parts = "".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    request = urllib.request.Request(url, f"{parts}--{edge}--\r\n".encode(), headers)
    try:
        status: int = urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
    return status


def test_a_browser_is_told_whose_bucket_a_sessions_url_is_about(
    account: Account, bucket: str, timed: MemoryServer
) -> None:
    # Another store has a bucket of that name: only the key says which is meant.
    Account(timed).s3.create_bucket(Bucket=bucket)
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://page"]}
    account.s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    role = account.create_role("r", {"AWS": "*"}, allow("s3:*"))
    s3 = account.client("s3", account.assume(role, account.create_user("ann")))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    target = url.removeprefix(timed.endpoint)
    headers = {
        "Host": f"127.0.0.1:{timed.port}",
        "Origin": "https://page",
        "Access-Control-Request-Method": "GET",
    }
    answer = WireClient(timed.port, account.user).raw("OPTIONS", target, b"", headers)
    assert answer.headers["access-control-allow-origin"] == "https://page"
