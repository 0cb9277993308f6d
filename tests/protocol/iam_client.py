"""boto3 clients of a store's account: whoever signs, for IAM, STS and S3."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as SigningKey
from msgspec import Struct

from coffre.testing.server import Credentials, Dialect, MemoryServer
from tests.protocol.wire_client import Answer, WireClient

VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15"}
_numbers = itertools.count()


class Keys(Struct, frozen=True):
    """What signs; `token` of temporary ones."""

    access_key: str
    secret_key: str
    token: str | None = None

    @classmethod
    def of_session(cls, told: Mapping[str, str]) -> Keys:
        return cls(told["AccessKeyId"], told["SecretAccessKey"], told["SessionToken"])


class Account:
    """A store of its own, and clients for whoever signs; without keys its root user."""

    def __init__(self, server: MemoryServer, dialect: Dialect = "aws") -> None:
        self.server = server
        self.name = f"account-{next(_numbers)}"
        self.user: Credentials = server.create_store(self.name, dialect)
        self.root = Keys(self.user.access_key, self.user.secret_key)
        self.iam, self.sts, self.s3 = (self.client(name) for name in ("iam", "sts", "s3"))
        self.number: str = self.sts.get_caller_identity()["Account"]

    def client(self, service: str, keys: Keys | None = None, **config: Any) -> Any:
        keys = keys or self.root
        return boto3.client(
            service,
            endpoint_url=self.server.endpoint,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
        )

    def arn(self, what: str) -> str:
        return f"arn:aws:iam::{self.number}:{what}"

    def create_user(self, name: str, *statements: dict[str, Any], **more: Any) -> Keys:
        """An IAM user with one key and, if statements are given, an inline policy."""
        self.iam.create_user(UserName=name, **more)
        if statements:
            document = policy(*statements)
            self.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        made = self.iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"])

    def create_role(self, name: str, trusted: Any, *statements: dict[str, Any]) -> str:
        """A role that trusts a principal; its ARN."""
        trust = policy({"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"})
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
        if statements:
            document = policy(*statements)
            self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
        arn: str = role["Arn"]
        return arn

    def assume(self, role: str, keys: Keys, **more: Any) -> Keys:
        told = self.client("sts", keys).assume_role(RoleArn=role, RoleSessionName="session", **more)
        return Keys.of_session(told["Credentials"])

    def bucket(self) -> str:
        """A bucket of the root user's, with an object `k`."""
        name = f"of-account-{next(_numbers)}"
        self.s3.create_bucket(Bucket=name)
        self.s3.put_object(Bucket=name, Key="k", Body=b"text")
        return name


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def send(
    server: MemoryServer,
    keys: Keys | None,
    form: Mapping[str, str] | bytes,
    *,
    service: str = "iam",
    method: str = "POST",
    target: str = "/",
) -> Answer:
    """A form as it stands, signed for a service; by nobody without keys."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    url = f"{server.endpoint}{target}"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if method == "GET":
        headers = {}
    request = AWSRequest(method, url, data=body, headers=headers)
    if keys is not None:
        key = SigningKey(keys.access_key, keys.secret_key, keys.token)
        SigV4Auth(key, service, "us-east-1").add_auth(request)
    sent = dict(request.headers.items())
    if method == "POST":
        sent["Content-Length"] = str(len(body))
    sent.setdefault("Host", f"127.0.0.1:{server.port}")
    return WireClient(server.port, server.user).raw(method, target, body, sent)


def error_of(answer: Answer) -> str:
    """The code of an error in these services' form."""
    root = ElementTree.fromstring(answer.body)
    assert root.tag.endswith("}ErrorResponse"), answer.body
    return next(one.text or "" for one in root.iter() if one.tag.endswith("}Code"))
