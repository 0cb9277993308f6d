"""Expiry on real processes: what is due goes although the node is killed, the catalog is lost and
made again, and nothing else goes with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from .node import Node, wait_until

LONG_AGO = "2020-01-01T00:00:00Z"
OBJECTS = 300


def test_what_is_due_goes_through_kills_and_a_lost_catalog(
    make_node: Callable[..., Node], chance: random.Random
) -> None:
    node = make_node(inline_limit="65536").start()
    s3 = client(node)
    s3.create_bucket(Bucket="kept")
    for at in range(OBJECTS):
        s3.put_object(Bucket="kept", Key=f"tmp/{at}", Body=b"x" * chance.randrange(100))
    for at in range(3):
        s3.put_object(Bucket="kept", Key=f"data/{at}", Body=b"kept")
    node.command("steward", "pause", "expirer")
    rule = {
        "ID": "tmp",
        "Filter": {"Prefix": "tmp/"},
        "Status": "Enabled",
        "Expiration": {"Date": LONG_AGO},
    }
    s3.put_bucket_lifecycle_configuration(Bucket="kept", LifecycleConfiguration={"Rules": [rule]})
    (row,) = node.command("lifecycle", "preview", "kept")["rows"]
    assert (row["rule"], row["number"]) == ("tmp", OBJECTS)
    node.command("steward", "resume", "expirer")
    wait_until(lambda: count(node) < OBJECTS, "something expires")
    node.kill()
    for path in node.data.glob("catalog.sqlite*"):
        path.unlink()
    node.start()
    wait_until(lambda: count(node) == 3, "all that is due expires")
    listed = client(node).list_objects_v2(Bucket="kept")["Contents"]
    assert [one["Key"] for one in listed] == [f"data/{at}" for at in range(3)]
    assert node.ask("status")["expiry_lag_s"] == 0
    assert "rule='tmp'" in node.log.read_text()
    node.stop()


def test_days_for_a_bucket_are_set_and_taken_back(make_node: Callable[..., Node]) -> None:
    node = make_node().start()
    s3 = client(node)
    s3.create_bucket(Bucket="kept")
    node.command("lifecycle", "set-days", "kept", "30")
    answer = s3.put_object(Bucket="kept", Key="k", Body=b"x")
    assert 'rule-id="coffre-days"' in answer["Expiration"]
    node.command("lifecycle", "set-days", "kept", "0")
    assert "Expiration" not in s3.head_object(Bucket="kept", Key="k")
    assert node.command("lifecycle", "preview", "kept")["rows"] == []
    node.stop()


def count(node: Node) -> int:
    (bucket,) = node.ask("bucket.list")
    found: int = bucket["objects"]
    return found


def client(node: Node) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{node.port}",
        aws_access_key_id=node.keys.access_key,
        aws_secret_access_key=node.keys.secret_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )
