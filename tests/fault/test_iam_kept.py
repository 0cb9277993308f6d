"""IAM and sessions on a real node: through a kill, a lost catalog and a new root key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .node import Node

READS = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


def client(node: Node, service: str, *keys: str) -> Any:
    access_key, secret, *token = keys or (node.keys.access_key, node.keys.secret_key)
    return boto3.client(
        service,
        endpoint_url=node.facts["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        aws_session_token=token[0] if token else None,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def answer(node: Node, keys: tuple[str, ...]) -> str:
    """What a read of the one object comes to."""
    try:
        got = client(node, "s3", *keys).get_object(Bucket="kept", Key="k")["Body"].read()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return bytes(got).decode()


def test_whoever_may_still_may_and_a_session_goes_on(tmp_path: Path) -> None:
    node = Node(tmp_path / "data").start()
    try:
        user, session = _prepare(node)
        asked = {"AccessKeyId": user[0]}
        # A worker that drains writes down which keys it saw.
        node.stop()
        node.start()
        told = client(node, "iam").get_access_key_last_used(**asked)
        assert told["UserName"] == "ann"
        assert "LastUsedDate" in told["AccessKeyLastUsed"]
        assert (answer(node, user), answer(node, session)) == ("text", "text")
        # The catalog made again from its log knows the same.
        node.kill()
        for name in ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"):
            (node.data / name).unlink(missing_ok=True)
        assert node.command("rebuild")["complete"]
        node.start()
        assert (answer(node, user), answer(node, session)) == ("text", "text")
        # What is sealed under an older root key is opened as long as that is kept.
        node.command("key", "rotate")
        assert answer(node, session) == "text"
        client(node, "iam").delete_role_policy(RoleName="reader", PolicyName="reads")
        assert answer(node, session) == "AccessDenied"
        assert answer(node, user) == "text"
    finally:
        node.kill()


def _prepare(node: Node) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """An IAM user's keys, and those of a role's session."""
    s3, iam = client(node, "s3"), client(node, "iam")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"text")
    iam.create_user(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="reads", PolicyDocument=document(READS))
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    user = (made["AccessKeyId"], made["SecretAccessKey"])
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document(TRUST))["Role"]
    iam.put_role_policy(RoleName="reader", PolicyName="reads", PolicyDocument=document(READS))
    about = {"RoleArn": role["Arn"], "RoleSessionName": "through-it-all"}
    told = client(node, "sts", *user).assume_role(**about)["Credentials"]
    return user, (told["AccessKeyId"], told["SecretAccessKey"], told["SessionToken"])


@pytest.mark.parametrize("issuer", ["http://login.example", "https://user@login.example", ""])
def test_an_issuer_that_is_no_https_url_is_refused_at_the_start(
    tmp_path: Path, issuer: str
) -> None:
    settings = tmp_path / "coffre.toml"
    settings.write_text(f'[[oidc]]\nissuer = "{issuer}"\naudiences = ["coffre"]\n')
    told = Node(tmp_path / "data", config=str(settings)).refused()
    assert "oidc" in told.said
