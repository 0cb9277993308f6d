"""The query protocol: how IAM and STS are asked, and what is refused before anything is done."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import botocore.session
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningKey
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.iam.table import TABLE
from coffre.testing.server import MemoryServer
from tests.protocol.boto_client import refused
from tests.protocol.iam_client import VERSIONS, Account, Keys, allow, error_of, policy, send
from tests.protocol.wire_client import WireClient

FORM = "application/x-www-form-urlencoded"
WHO = {"Action": "GetCallerIdentity", "Version": VERSIONS["sts"]}
USERS = {"Action": "ListUsers", "Version": VERSIONS["iam"]}


@pytest.fixture(scope="module")
def account(server: MemoryServer) -> Account:
    return Account(server)


def model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_every_action_and_parameter_is_one_of_awss(service: str) -> None:
    for name, action in TABLE[service].items():
        shape = model(service).operation_model(name).input_shape
        of_aws = set() if shape is None else set(shape.members)
        assert set(action.parameters) <= of_aws, name
        # What a call cannot do without is taken.
        assert set(() if shape is None else shape.required_members) <= set(action.parameters), name


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_what_aws_has_beside_these_is_refused_by_name(account: Account, service: str) -> None:
    for name in model(service).operation_names:
        if name not in TABLE[service]:
            form = {"Action": name, "Version": VERSIONS[service]}
            answer = send(account.server, account.root, form, service=service)
            assert (answer.status, error_of(answer)) == (400, "InvalidAction"), name


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_whatever_is_asked_without_its_parameters_is_the_askers_fault(
    account: Account, service: str
) -> None:
    for name in TABLE[service]:
        form = {"Action": name, "Version": VERSIONS[service]}
        answer = send(account.server, account.root, form, service=service)
        assert answer.status in (200, 400, 403, 404), (name, answer.body)


REFUSED: list[tuple[Any, int, str]] = [
    ({}, 400, "MissingAction"),
    ({"Version": VERSIONS["iam"]}, 400, "MissingAction"),
    ({"Action": "ListUsers"}, 400, "InvalidAction"),
    ({"Action": "ListUsers", "Version": "2011-06-15"}, 400, "InvalidAction"),
    ({"Action": "FlyUser", "Version": VERSIONS["iam"]}, 400, "InvalidAction"),
    ({**USERS, "Colour": "red"}, 400, "ValidationError"),
    ({**USERS, "MaxItems": "many"}, 400, "ValidationError"),
    ({**USERS, "MaxItems": "-1"}, 400, "ValidationError"),
    ({**USERS, "Marker": "\x01"}, 400, "ValidationError"),
    (b"Action=ListUsers&Version=2010-05-08&Action=ListRoles", 400, "MalformedQueryString"),
    (b"Action=ListUsers&Version=2010-05-08&\xff=1", 400, "MalformedQueryString"),
    (b"Action=ListUsers&Version=2010-05-08&x=%ff", 400, "MalformedQueryString"),
    (b"&".join(b"a%d=1" % n for n in range(3000)), 400, "MalformedQueryString"),
    (b"Action=" + b"x" * 300_000, 400, "MalformedQueryString"),
    (
        {
            "Action": "TagUser",
            "Version": VERSIONS["iam"],
            "UserName": "u",
            "Tags.member.2.Key": "a",
        },
        400,
        "MalformedQueryString",
    ),
    (
        {
            "Action": "TagUser",
            "Version": VERSIONS["iam"],
            "UserName": "u",
            "Tags.member.x.Key": "a",
        },
        400,
        "MalformedQueryString",
    ),
    (
        {"Action": "TagUser", "Version": VERSIONS["iam"], "UserName": "u", "Tags.member.1.No": "a"},
        400,
        "ValidationError",
    ),
]


@pytest.mark.parametrize(("form", "status", "code"), REFUSED)
def test_what_cannot_be_read_is_refused(
    account: Account, form: Any, status: int, code: str
) -> None:
    answer = send(account.server, account.root, form)
    assert (answer.status, error_of(answer)) == (status, code)


def test_who_does_not_sign_is_told_so(account: Account) -> None:
    answer = send(account.server, None, USERS)
    assert (answer.status, error_of(answer)) == (403, "MissingAuthenticationToken")


SIGNATURES: list[tuple[Keys, str, str]] = [
    (Keys("CFNOSUCHKEY000000000", "x" * 40), "iam", "InvalidClientTokenId"),
    (Keys("ASIANOSUCHKEY0000000", "x" * 40), "iam", "InvalidClientTokenId"),
    (Keys("ASIANOSUCHKEY0000000", "x" * 40, "bm8gdG9rZW4="), "iam", "InvalidClientTokenId"),
]


@pytest.mark.parametrize(("keys", "service", "code"), SIGNATURES)
def test_keys_that_are_none_are_refused(
    account: Account, keys: Keys, service: str, code: str
) -> None:
    answer = send(account.server, keys, USERS, service=service)
    assert (answer.status, error_of(answer)) == (403, code)


def test_a_signature_is_of_this_secret_this_service_and_this_body(account: Account) -> None:
    wrong = Keys(account.root.access_key, "x" * 40)
    assert error_of(send(account.server, wrong, USERS)) == "SignatureDoesNotMatch"
    for service in ("s3", "sts"):
        answer = send(account.server, account.root, USERS, service=service)
        assert (answer.status, error_of(answer)) == (400, "IncompleteSignature")
    token = Keys(*_pair(account.root), "bm8gdG9rZW4=")
    assert error_of(send(account.server, token, USERS)) == "InvalidClientTokenId"


def _pair(keys: Keys) -> tuple[str, str]:
    return keys.access_key, keys.secret_key


MODES = [
    "",
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "e" * 64,
    "nonsense",
]


@pytest.mark.parametrize("mode", MODES)
def test_a_body_is_the_signed_one_whatever_a_header_says_of_it(account: Account, mode: str) -> None:
    stated = {"X-Amz-Content-SHA256": mode} if mode else {}
    body, other = (urlencode({**USERS, "Action": name}).encode() for name in ("ListUsers", "No"))
    url = f"{account.server.endpoint}/"
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": FORM, **stated})
    SigV4Auth(SigningKey(*_pair(account.root)), "iam", "us-east-1").add_auth(request)
    headers = {**dict(request.headers.items()), "Content-Length": str(len(other))}
    headers.setdefault("Host", f"127.0.0.1:{account.server.port}")
    client = WireClient(account.server.port, account.user)
    answer = client.raw("POST", "/", other, headers)
    assert (answer.status, b"ListUsersResult" in answer.body) in ((400, False), (403, False))


def test_a_call_may_be_a_get_signed_in_header_or_query(account: Account) -> None:
    target = f"/?{urlencode(WHO)}"
    answer = send(account.server, account.root, b"", service="sts", method="GET", target=target)
    assert answer.status == 200, answer.body
    request = AWSRequest("GET", f"{account.server.endpoint}{target}")
    SigV4QueryAuth(SigningKey(*_pair(account.root)), "sts", "us-east-1", 60).add_auth(request)
    presigned = request.url.removeprefix(account.server.endpoint)
    client = WireClient(account.server.port, account.server.user)
    host = {"Host": f"127.0.0.1:{account.server.port}"}
    assert client.raw("GET", presigned, b"", host).status == 200
    changed = presigned.replace("GetCallerIdentity", "GetSessionToken")
    assert error_of(client.raw("GET", changed, b"", host)) == "SignatureDoesNotMatch"


def test_s3_is_asked_as_before(account: Account) -> None:
    client = WireClient(account.server.port, account.user)
    assert b"ListAllMyBucketsResult" in client.send("GET", "/?max-buckets=1").body
    # A bucket's form is no call, whatever its type.
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.send("POST", f"/{account.bucket()}?delete", b"Action=ListUsers", headers)
    assert b"ErrorResponse" not in answer.body


def test_a_bucket_that_the_host_names_is_posted_to_whatever_type_a_client_gives_the_body(
    account: Account,
) -> None:
    client = WireClient(account.server.port, account.user)
    host = f"{account.bucket()}.{account.name}.localhost:{account.server.port}"
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-MD5": digest}
    answer = client.send("POST", "/?delete", body, headers, host=host)
    assert b"<Deleted><Key>k</Key></Deleted>" in answer.body
    # Nor is a list of what begins with strange names.
    answer = client.send("GET", "/?prefix=Action=&marker=Version=", host=host)
    assert b"<ListBucketResult" in answer.body


def test_the_ledger_knows_calls_by_their_actions(account: Account) -> None:
    account.iam.list_users()
    event = account.server.events[-1]
    assert (event.operation, event.status) == ("iam:ListUsers", 200)
    assert (event.store, event.user_id) == (account.name, account.user.id)
    refused(account.iam.get_user, UserName="nobody")
    assert (account.server.events[-1].error) == "NoSuchEntity"


names = st.sampled_from(sorted(TABLE["iam"]) + sorted(TABLE["sts"]) + ["", "FlyUser"])
fields = st.sampled_from(
    sorted({name for table in TABLE.values() for one in table.values() for name in one.parameters})
)
places = st.sampled_from(["", ".member.1", ".member.1.Key", ".member.2.Value", ".member.0", ".x"])
values = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["fuzzed", "/", "arn:aws:iam::aws:policy/AdministratorAccess", "900", "true"]),
    st.just('{"Version": "2012-10-17", "Statement": []}'),
    st.just('{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'),
    st.just("[" * 5000),
    st.just('{"a":' * 5000),
)


@settings(max_examples=250, deadline=None)
@given(
    action=names,
    service=st.sampled_from(["iam", "sts"]),
    given_=st.dictionaries(st.tuples(fields, places), values, max_size=6),
)
def test_whatever_is_asked_is_answered_and_no_failure_of_ours(
    account: Account, action: str, service: str, given_: dict[tuple[str, str], str]
) -> None:
    form = {"Action": action, "Version": VERSIONS[service]}
    form |= {f"{name}{place}": value for (name, place), value in given_.items()}
    raw = urlencode(form, errors="surrogatepass", quote_via=quote).encode()
    answer = send(account.server, account.root, raw, service=service)
    assert answer.status < 500, (form, answer.body)
    assert answer.body.startswith(b"<?xml")


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=200))
def test_whatever_bytes_are_a_form_they_are_answered(account: Account, body: bytes) -> None:
    answer = send(account.server, account.root, body)
    assert (answer.status, answer.body[:5]) == (400, b"<?xml")


def test_a_users_fault_is_told_in_xml_that_can_be_read(account: Account) -> None:
    keys = account.create_user("reader-of-errors", allow("s3:*"))
    form = {**USERS, "PathPrefix": "/<&>\x02\x0b]]>"}
    for who in (account.root, keys):
        assert error_of(send(account.server, who, form))


def test_no_control_character_gets_into_an_answer(account: Account) -> None:
    ask = {
        "Action": "SimulateCustomPolicy",
        "Version": VERSIONS["iam"],
        "PolicyInputList.member.1": policy(allow("s3:*", Condition={"Null": {"x:\x01": "true"}})),
        "ActionNames.member.1": "s3:GetObject",
        "ResourceArns.member.1": "\x01",
    }
    answer = send(account.server, account.root, ask)
    told = ElementTree.fromstring(answer.body)
    assert "x:?" in {one.text for one in told.iter()}
    tag = {"Key": "k", "Value": "a\x1cb"}
    account.iam.create_user(UserName="tagged")
    assert refused(account.iam.tag_user, UserName="tagged", Tags=[tag]) == "ValidationError"
    account.iam.tag_user(UserName="tagged", Tags=[{"Key": "k", "Value": "\u00fc \u6f22"}])
