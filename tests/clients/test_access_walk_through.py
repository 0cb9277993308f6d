"""The published service's walk-through of access, with its own commands and the clients that people
use: a store, its users, deny by default, a policy, a public prefix, a rotation with grace."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.clients.server import COFFRE, ENGINE, Server, find, running

GRACE_S = 5


class Walk:
    """A server, and the commands that its operator types."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def coffre(self, *words: str, stdin: str = "") -> Any:
        done = subprocess.run(
            [COFFRE, *words, "--data", self.server.data, "--json"],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "COFFRE_LOG_LEVEL": "error"},
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def s3(self, keys: Mapping[str, Any]) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.server.port}",
            aws_access_key_id=keys["access_key"],
            aws_secret_access_key=keys["secret_key"],
            region_name=self.server.region,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )

    def browse(self, path: str) -> tuple[int, str]:
        """What a browser gets that knows nothing but the URL."""
        url = f"http://shop.localhost:{self.server.port}/{path}"
        done = subprocess.run(
            [find("curl"), "-s", "-w", "\n%{http_code}", url],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    if ENGINE == "memory":
        pytest.skip("the memory engine has no operator's door")
    with running(tmp_path_factory.mktemp("walk")) as server:
        yield Walk(server)


def code(call: Any, **arguments: Any) -> str:
    """The code with which a call is refused; empty when it is served."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ABOUT = {"Bucket": "bucket-test", "Key": "private/report"}


def test_the_walk_through_of_access(walk: Walk, tmp_path: Path) -> None:
    # A store, whose initial user's keys are shown once.
    first = walk.coffre("store", "create", "shop", "--quota-bytes", "1GiB")
    assert first["label"] == "Initial S3 user"
    owner = walk.s3(first)
    owner.create_bucket(Bucket="bucket-test")
    owner.put_object(**ABOUT, Body=b"secret")
    owner.put_object(
        Bucket="bucket-test", Key="public/page.html", Body=b"<p>hello", ContentType="text/html"
    )
    ann = walk.coffre("user", "create", "--store", "shop", "--label", "ann")
    only_the_creator_of_a_bucket_reaches_it(walk.s3(ann))
    hers = {
        "Sid": "Ann",
        "Effect": "Allow",
        "Principal": {"AWS": [ann["access_key"]]},
        "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": ["arn:aws:s3:::bucket-test/*"],
    }
    owner.put_bucket_policy(Bucket="bucket-test", Policy=policy(hers))
    a_policy_lets_her_put_and_get_and_nothing_else(walk, walk.s3(ann))
    a_prefix_is_every_browsers(walk, hers, tmp_path / "policy.json")
    renewed = after_the_grace_her_new_secret_verifies_alone(walk, ann)
    # Keys of another store say nothing here.
    theirs = {"access_key": walk.server.access_key, "secret_key": walk.server.secret_key}
    assert code(walk.s3(theirs).get_object, **ABOUT) == "NoSuchBucket"
    # She is locked, and then she is gone.
    walk.coffre("user", "lock", "ann", "--store", "shop")
    assert code(renewed.get_object, **ABOUT) == "AccessDenied"
    walk.coffre("user", "delete", "ann", "--store", "shop")
    assert code(renewed.get_object, **ABOUT) == "InvalidAccessKeyId"


def only_the_creator_of_a_bucket_reaches_it(ann: Any) -> None:
    assert code(ann.get_object, **ABOUT) == "AccessDenied"
    assert code(ann.put_object, **ABOUT, Body=b"") == "AccessDenied"
    assert code(ann.list_objects_v2, Bucket="bucket-test") == "AccessDenied"
    assert ann.list_buckets()["Buckets"] == []


def a_policy_lets_her_put_and_get_and_nothing_else(walk: Walk, ann: Any) -> None:
    assert ann.get_object(**ABOUT)["Body"].read() == b"secret"
    ann.put_object(Bucket="bucket-test", Key="private/hers", Body=b"hers")
    assert code(ann.list_objects_v2, Bucket="bucket-test") == "AccessDenied"
    assert code(ann.delete_object, **ABOUT) == "AccessDenied"
    told = walk.coffre(
        *("policy", "explain", "bucket-test", "--store", "shop", "--user", "ann"),
        *("--action", "s3:GetObject", "--key", "private/report"),
    )
    assert (told["decision"], told["statement"]) == ("allow", "Statement[0] (Ann)")


def a_prefix_is_every_browsers(walk: Walk, hers: Mapping[str, Any], document: Path) -> None:
    """The operator is warned before."""
    assert walk.browse("bucket-test/public/page.html")[0] == 403
    everybody = {
        "Sid": "Everybody",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bucket-test/public/*",
    }
    document.write_text(policy(hers, everybody))
    words = ("bucket-test", str(document), "--store", "shop")
    assert "Everybody" in walk.coffre("policy", "diff", *words)["warning"]
    assert walk.browse("bucket-test/public/page.html")[0] == 403
    walk.coffre("policy", "set", *words)
    assert walk.browse("bucket-test/public/page.html") == (200, "<p>hello")
    assert walk.browse("bucket-test/private/report")[0] == 403
    assert walk.browse("bucket-test/")[0] == 403


def after_the_grace_her_new_secret_verifies_alone(walk: Walk, ann: Mapping[str, Any]) -> Any:
    old = walk.s3(ann)
    made = walk.coffre("user", "rotate", ann["access_key"], "--grace", f"{GRACE_S}s")
    renewed = walk.s3(made)
    assert code(old.get_object, **ABOUT) == code(renewed.get_object, **ABOUT) == ""
    while (left_ms := made["old_secret_expires_ms"] - time.time_ns() // 1_000_000) > 0:
        time.sleep(left_ms / 1000)
    assert code(old.get_object, **ABOUT) == "SignatureDoesNotMatch"
    assert code(renewed.get_object, **ABOUT) == ""
    return renewed
