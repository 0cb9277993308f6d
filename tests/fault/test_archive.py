"""The archive on real processes: what is gathered and restored survives kills and a lost catalog,
and every byte of it is right."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.config import Config

from coffre.catalog.reader import SqliteReader
from coffre.catalog.schema import open_reader
from coffre.stewards.archivist import is_cold

from .node import Node, wait_until

MIB = 1 << 20
LONG_AGO = "2020-01-01T00:00:00Z"
RANDOM, TEXT = random.Random(4).randbytes(MIB), b"all of this is the same over and over. "
BODIES = {
    "text": TEXT * (6 * MIB // len(TEXT)),
    "random": RANDOM * 3,
    "small": TEXT * 500,
    "nothing": b"",
}
PARTS = [TEXT * (5 * MIB // len(TEXT) + 1), RANDOM * 5, b"the end"]


@pytest.fixture
def node(make_node: Callable[..., Node]) -> Node:
    return make_node(
        archive_geometry="8+4",
        restore_standard="0",
        inline_limit="65536",
        seal_after="2",
        collect_at="0.05",
    ).start()


def client(node: Node) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{node.port}",
        aws_access_key_id=node.keys.access_key,
        aws_secret_access_key=node.keys.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 8}),
    )


def fill(node: Node) -> dict[str, str]:
    """Archived objects; the digest of each by its key."""
    s3 = client(node)
    s3.create_bucket(Bucket="cold")
    for key, body in BODIES.items():
        s3.put_object(Bucket="cold", Key=key, Body=body, StorageClass="GLACIER")
    about = {"Bucket": "cold", "Key": "parts"}
    upload = s3.create_multipart_upload(**about, StorageClass="DEEP_ARCHIVE")["UploadId"]
    parts = [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**about, UploadId=upload, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in enumerate(PARTS, 1)
    ]
    s3.complete_multipart_upload(**about, UploadId=upload, MultipartUpload={"Parts": parts})
    bodies = {**BODIES, "parts": b"".join(PARTS)}
    return {key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}


def restore(node: Node, key: str) -> None:
    s3 = client(node)
    with suppress(s3.exceptions.ClientError):  # RestoreAlreadyInProgress
        s3.restore_object(Bucket="cold", Key=key, RestoreRequest={"Days": 1})


def is_restored(node: Node, key: str) -> bool:
    told: str = client(node).head_object(Bucket="cold", Key=key).get("Restore", "")
    return 'ongoing-request="false"' in told


def await_restored(node: Node, key: str) -> None:
    wait_until(lambda: is_restored(node, key), f"{key} is restored")


def digest(node: Node, key: str) -> str:
    body = client(node).get_object(Bucket="cold", Key=key)["Body"].read()
    return hashlib.sha256(body).hexdigest()


def gather(node: Node) -> None:
    node.command("steward", "run", "archivist")


def test_what_is_gathered_takes_less_and_comes_back_whole(node: Node) -> None:
    wanted = fill(node)
    gather(node)
    for key in wanted:
        restore(node, key)
    for key, digested in wanted.items():
        await_restored(node, key)
        assert digest(node, key) == digested
    reader = SqliteReader(open_reader(str(node.data / "catalog.sqlite")))
    cold = [chunk for chunk in reader.chunks() if is_cold(chunk)]
    assert cold
    assert {str(chunk.geometry) for chunk in cold} == {"8+4"}
    # The text is next to nothing, and of what is random nothing can be saved.
    assert sum(chunk.appended - chunk.dead for chunk in cold) < len(RANDOM) * 8.1
    found = node.command("verify", "--deep")
    assert found["ok"], found
    node.stop()


def test_kills_while_it_moves_gathers_and_restores_lose_nothing(node: Node) -> None:
    wanted = fill(node)
    s3 = client(node)
    s3.put_object(Bucket="cold", Key="moved", Body=BODIES["text"])
    wanted["moved"] = wanted["text"]
    rule = {
        "ID": "cold",
        "Filter": {"Prefix": "moved"},
        "Status": "Enabled",
        "Transitions": [{"Date": LONG_AGO, "StorageClass": "GLACIER"}],
    }
    s3.put_bucket_lifecycle_configuration(Bucket="cold", LifecycleConfiguration={"Rules": [rule]})
    kill_stewards(node)
    gather(node)
    wait_until(lambda: storage_class(node, "moved") == "GLACIER", "it is moved")
    for key in wanted:
        restore(node, key)
    kill_stewards(node)
    node.kill()
    node.forget_catalog()
    node.start()
    for key, digested in wanted.items():
        await_restored(node, key)
        assert digest(node, key) == digested
    usage = {row["class"]: row["objects"] for row in node.command("bucket", "usage", "cold")}
    assert usage == {
        "DEEP_ARCHIVE": 1,
        "GLACIER": len(wanted) - 1,
        "RESTORED": len(wanted),
        "STANDARD": 0,
    }
    found = node.command("verify", "--deep")
    assert found["ok"], found
    node.stop()


def kill_stewards(node: Node) -> None:
    """SIGKILL the stewards' process, and wait until there is another."""
    gone = node.roles()["steward"]
    for pid in gone:
        node.signal(pid)
    wait_until(lambda: set(node.roles()["steward"]) - set(gone), "there are stewards again")


def storage_class(node: Node, key: str) -> str:
    told: str = client(node).head_object(Bucket="cold", Key=key).get("StorageClass", "STANDARD")
    return told
