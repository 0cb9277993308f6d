"""`aws iam` and `aws sts` as people type them, and profiles of aws-cli that assume a role."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .server import CLIENTS, Server

Call = Callable[..., Any]


class Aws:
    """aws-cli, kept running; profiles are written as they come up."""

    def __init__(self, process: subprocess.Popen[str], home: Path) -> None:
        self._process = process
        self._config = home / "config"
        self._config.write_text("")

    def __call__(self, *arguments: str, profile: str = "", **documents: Any) -> Any:
        """The answer of a command that must succeed."""
        found = self._run(arguments, profile, documents)
        assert found["code"] == 0, found
        out: str = found["out"]
        return json.loads(out) if out.strip().startswith("{") else out

    def refused(self, *arguments: str, profile: str = "", **documents: Any) -> str:
        """What a command that must fail says."""
        found = self._run(arguments, profile, documents)
        assert found["code"] != 0, found
        said: str = found["err"]
        return said

    def add_profile(self, name: str, **settings: str) -> None:
        lines = [f"[profile {name}]", *(f"{key} = {text}" for key, text in settings.items())]
        with self._config.open("a") as config:
            config.write("\n".join(lines) + "\n")

    def _run(self, arguments: tuple[str, ...], profile: str, documents: dict[str, Any]) -> Any:
        line = [*arguments, *(("--profile", profile) if profile else ())]
        for name, document in documents.items():
            line += [f"--{name.replace('_', '-')}", json.dumps(document)]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([*line, "--output", "json"]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def aws(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    python = CLIENTS / "aws" / "bin" / "python"
    if not python.exists():
        pytest.skip("aws is not installed")
    home = tmp_path_factory.mktemp("aws-iam")
    environment = {
        **server.environment(home),
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_ENDPOINT_URL": server.endpoint,
    }
    with subprocess.Popen(
        [python, Path(__file__).with_name("aws_driver.py")],
        env=environment,
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Aws(process, home)
        assert process.stdin is not None
        process.stdin.close()


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def test_people_groups_and_policies(aws: Aws, bucket: str) -> None:
    who, group = ("--user-name", "ann"), ("--group-name", "readers")
    account = aws("sts", "get-caller-identity")["Account"]
    made = aws("iam", "create-user", *who, "--path", "/team/", "--tags", "Key=Dept,Value=x")
    assert made["User"]["Arn"] == f"arn:aws:iam::{account}:user/team/ann"
    key = aws("iam", "create-access-key", *who)["AccessKey"]
    aws.add_profile(
        "ann",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region="us-east-1",
    )
    told = aws("sts", "get-caller-identity", profile="ann")
    assert told["Arn"] == made["User"]["Arn"]
    look = ("s3api", "list-objects-v2", "--bucket", bucket)
    assert "AccessDenied" in aws.refused(*look, profile="ann")
    assert "AccessDenied" in aws.refused("iam", "list-users", profile="ann")

    aws("iam", "create-group", *group)
    aws("iam", "add-user-to-group", *group, *who)
    own = document(allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"))
    arn = aws("iam", "create-policy", "--policy-name", "lists", policy_document=own)["Policy"][
        "Arn"
    ]
    aws("iam", "attach-group-policy", *group, "--policy-arn", arn)
    aws(*look, profile="ann")
    assert aws("iam", "list-attached-group-policies", *group)["AttachedPolicies"]
    simulated = aws(
        *("iam", "simulate-principal-policy", "--policy-source-arn", made["User"]["Arn"]),
        *("--action-names", "s3:ListBucket", "s3:GetObject"),
        *("--resource-arns", f"arn:aws:s3:::{bucket}"),
    )["EvaluationResults"]
    assert [one["EvalDecision"] for one in simulated] == ["allowed", "implicitDeny"]

    none = document({"Effect": "Deny", "Action": "s3:*", "Resource": "*"})
    aws("iam", "put-user-policy", *who, "--policy-name", "none", policy_document=none)
    assert "AccessDenied" in aws.refused(*look, profile="ann")
    kept = aws("iam", "get-user-policy", *who, "--policy-name", "none")["PolicyDocument"]
    assert kept == none
    assert "DeleteConflict" in aws.refused("iam", "delete-user", *who)
    assert "DeleteConflict" in aws.refused("iam", "delete-policy", "--policy-arn", arn)

    aws("iam", "delete-user-policy", *who, "--policy-name", "none")
    aws("iam", "remove-user-from-group", *group, *who)
    aws("iam", "delete-access-key", *who, "--access-key-id", key["AccessKeyId"])
    aws("iam", "delete-user", *who)
    aws("iam", "detach-group-policy", *group, "--policy-arn", arn)
    aws("iam", "delete-group", *group)
    aws("iam", "delete-policy", "--policy-arn", arn)
    assert "NoSuchEntity" in aws.refused("iam", "get-user", *who)


def test_a_profile_assumes_a_role_by_itself(aws: Aws, server: Server, bucket: str) -> None:
    account = aws("sts", "get-caller-identity")["Account"]
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}}
    trust = document({**root, "Action": "sts:AssumeRole"})
    made = ("iam", "create-role", "--role-name", "writer", "--max-session-duration", "7200")
    arn = aws(*made, assume_role_policy_document=trust)["Role"]["Arn"]
    everything = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    aws("iam", "attach-role-policy", "--role-name", "writer", "--policy-arn", everything)
    aws.add_profile(
        "owner", aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key
    )
    aws.add_profile("writer", role_arn=arn, source_profile="owner", duration_seconds="7200")
    told = aws("sts", "get-caller-identity", profile="writer")
    assert ":assumed-role/writer/" in told["Arn"]
    where = ("--bucket", bucket, "--key", "by-role")
    aws("s3api", "put-object", *where, profile="writer")
    aws("s3api", "head-object", *where)
    assert "AccessDenied" in aws.refused("iam", "list-roles", profile="writer")
    token = aws("sts", "get-session-token", "--duration-seconds", "900")["Credentials"]
    assert token["AccessKeyId"].startswith("ASIA")
    aws("iam", "detach-role-policy", "--role-name", "writer", "--policy-arn", everything)
    aws("iam", "delete-role", "--role-name", "writer")


def test_what_is_not_built_says_so(aws: Aws) -> None:
    said = aws.refused("iam", "create-account-alias", "--account-alias", "house")
    assert "InvalidAction" in said
    assert "InvalidAction" in aws.refused(
        "sts", "decode-authorization-message", "--encoded-message", "x"
    )


def test_no_worker_serves_a_right_that_was_taken(server: Server, s3: Any, bucket: str) -> None:
    """Each request on a connection of its own, so that all workers are asked."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"text")
    root = (server.access_key, server.secret_key)
    iam = _client(server, "iam", *root)
    iam.create_user(UserName="coming-and-going")
    key = iam.create_access_key(UserName="coming-and-going")["AccessKey"]
    reads = json.dumps(document(allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*")))
    about = {"UserName": "coming-and-going", "PolicyName": "reads"}
    keys = (key["AccessKeyId"], key["SecretAccessKey"])
    for _ in range(5):
        iam.put_user_policy(**about, PolicyDocument=reads)
        assert _answers(server, keys, bucket) == {"200"}
        iam.delete_user_policy(**about)
        assert _answers(server, keys, bucket) == {"AccessDenied"}
    iam.update_access_key(UserName="coming-and-going", AccessKeyId=keys[0], Status="Inactive")
    assert _answers(server, keys, bucket) == {"InvalidAccessKeyId"}


def _answers(server: Server, keys: tuple[str, str], bucket: str) -> set[str]:
    found = set()
    for _ in range(6):
        client = _client(server, "s3", *keys)
        try:
            client.get_object(Bucket=bucket, Key="k")["Body"].read()
            found.add("200")
        except ClientError as error:
            found.add(error.response["Error"]["Code"])
        client.close()
    return found


def _client(server: Server, service: str, access_key: str, secret_key: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 1}),
    )
