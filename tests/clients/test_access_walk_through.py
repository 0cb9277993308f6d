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

GRACE_S = 3


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


def test_the_walk_through_of_access(walk: Walk, tmp_path: Path) -> None:
    # A store, whose initial user's keys are shown once.
    first = walk.coffre("store", "create", "shop", "--quota-bytes", "1GiB")
    assert first["label"] == "Initial S3 user"
    owner = walk.s3(first)
    owner.create_bucket(Bucket="bucket-test")
    owner.put_object(Bucket="bucket-test", Key="private/report", Body=b"secret")
    owner.put_object(
        Bucket="bucket-test", Key="public/page.html", Body=b"<p>hello", ContentType="text/html"
    )

    # A second user: by default only the creator of a bucket reaches it.
    ann = walk.coffre("user", "create", "--store", "shop", "--label", "ann")
    second = walk.s3(ann)
    about = {"Bucket": "bucket-test", "Key": "private/report"}
    assert code(second.get_object, **about) == "AccessDenied"
    assert code(second.put_object, **about, Body=b"") == "AccessDenied"
    assert code(second.list_objects_v2, Bucket="bucket-test") == "AccessDenied"
    assert second.list_buckets()["Buckets"] == []

    # A policy lets her access key put and get, and nothing else.
    hers = {
        "Sid": "Ann",
        "Effect": "Allow",
        "Principal": {"AWS": [ann["access_key"]]},
        "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": ["arn:aws:s3:::bucket-test/*"],
    }
    owner.put_bucket_policy(Bucket="bucket-test", Policy=policy(hers))
    assert second.get_object(**about)["Body"].read() == b"secret"
    second.put_object(Bucket="bucket-test", Key="private/hers", Body=b"hers")
    assert code(second.list_objects_v2, Bucket="bucket-test") == "AccessDenied"
    assert code(second.delete_object, **about) == "AccessDenied"
    told = walk.coffre(
        *("policy", "explain", "bucket-test", "--store", "shop", "--user", "ann"),
        *("--action", "s3:GetObject", "--key", "private/report"),
    )
    assert (told["decision"], told["statement"]) == ("allow", "Statement[0] (Ann)")

    # A prefix for every browser: the operator is warned before and when it is done.
    assert walk.browse("bucket-test/public/page.html")[0] == 403
    everybody = {
        "Sid": "Everybody",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bucket-test/public/*",
    }
    document = tmp_path / "policy.json"
    document.write_text(policy(hers, everybody))
    words = ("bucket-test", str(document), "--store", "shop")
    assert "Everybody" in walk.coffre("policy", "diff", *words)["warning"]
    assert walk.browse("bucket-test/public/page.html")[0] == 403
    walk.coffre("policy", "set", *words)
    assert walk.browse("bucket-test/public/page.html") == (200, "<p>hello")
    assert walk.browse("bucket-test/private/report")[0] == 403
    assert walk.browse("bucket-test/")[0] == 403

    # Her secret is rotated: for the grace both verify, after it the new one alone.
    made = walk.coffre("user", "rotate", ann["access_key"], "--grace", f"{GRACE_S}s")
    renewed = walk.s3(made)
    assert code(second.get_object, **about) == code(renewed.get_object, **about) == ""
    while (left_ms := made["old_secret_expires_ms"] - time.time_ns() // 1_000_000) > 0:
        time.sleep(left_ms / 1000)
    assert code(second.get_object, **about) == "SignatureDoesNotMatch"
    assert code(renewed.get_object, **about) == ""

    # Her keys are of this store alone, and the other store's say nothing here.
    elsewhere = walk.s3(
        {"access_key": walk.server.access_key, "secret_key": walk.server.secret_key}
    )
    assert code(elsewhere.get_object, **about) == "NoSuchBucket"

    # She is locked, and then she is gone.
    walk.coffre("user", "lock", "ann", "--store", "shop")
    assert code(renewed.get_object, **about) == "AccessDenied"
    walk.coffre("user", "delete", "ann", "--store", "shop")
    assert code(renewed.get_object, **about) == "InvalidAccessKeyId"
