"""Lifecycles as people set them: aws s3api with a file, mc ilm."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .server import Program, Server

# The rule of the service's own walk-through: reports go after 90 days.
REPORTS = {
    "ID": "reports",
    "Filter": {"Prefix": "rapports/"},
    "Status": "Enabled",
    "Expiration": {"Days": 90},
}


@pytest.fixture
def aws(program: Callable[..., Program], server: Server) -> Program:
    return program("aws", "--endpoint-url", server.endpoint)


def test_aws_puts_gets_and_deletes_a_lifecycle(aws: Program, bucket: str) -> None:
    def api(call: str, *more: str | Path) -> Any:
        answer = aws("s3api", call, "--bucket", bucket, *more, "--output", "json")
        return json.loads(answer) if answer.strip() else {}

    (aws.folder / "lifecycle.json").write_text(json.dumps({"Rules": [REPORTS]}))
    from_file = ("--lifecycle-configuration", "file://lifecycle.json")
    api("put-bucket-lifecycle-configuration", *from_file)
    assert api("get-bucket-lifecycle-configuration")["Rules"] == [REPORTS]
    (aws.folder / "body").write_bytes(b"x")
    told = api("put-object", "--key", "rapports/1", "--body", "body")
    assert 'rule-id="reports"' in told["Expiration"]
    assert "Expiration" not in api("put-object", "--key", "autres/1", "--body", "body")
    api("delete-bucket-lifecycle")
    named = ("s3api", "get-bucket-lifecycle-configuration", "--bucket", bucket)
    assert "NoSuchLifecycleConfiguration" in aws.refused(*named)


def test_the_earliest_calls_of_aws_work_too(aws: Program, bucket: str) -> None:
    rule = {"ID": "old", "Prefix": "rapports/", "Status": "Enabled", "Expiration": {"Days": 90}}
    (aws.folder / "old.json").write_text(json.dumps({"Rules": [rule]}))
    aws(
        *("s3api", "put-bucket-lifecycle", "--bucket", bucket),
        *("--lifecycle-configuration", "file://old.json"),
    )
    told = aws("s3api", "get-bucket-lifecycle", "--bucket", bucket, "--output", "json")
    assert json.loads(told)["Rules"] == [rule]


def test_mc_adds_edits_lists_and_removes_rules(
    program: Callable[..., Program], server: Server, bucket: str, tmp_path: Path
) -> None:
    mc = program("mc", MC_CONFIG_DIR=str(tmp_path / "mc"))
    mc("alias", "set", "coffre", server.endpoint, server.access_key, server.secret_key)
    target = f"coffre/{bucket}"
    mc("ilm", "rule", "add", target, "--expire-days", "90", "--prefix", "rapports/")
    mc("ilm", "rule", "add", target, "--expire-delete-marker")
    mc(
        *("ilm", "rule", "add", target, "--noncurrent-expire-days", "7"),
        *("--noncurrent-expire-newer", "3", "--tags", "a=b&c=d"),
    )
    exported = json.loads(mc("ilm", "rule", "export", target))["Rules"]
    by_days = {rule.get("Expiration", {}).get("Days"): rule for rule in exported}
    assert len(exported) == 3
    reports = by_days[90]["ID"]
    mc("ilm", "rule", "edit", target, "--id", reports, "--expire-days", "30")
    listed = mc("ilm", "rule", "ls", target)
    assert "rapports/" in listed
    mc("ilm", "rule", "rm", target, "--id", reports)
    left = json.loads(mc("ilm", "rule", "export", target))["Rules"]
    assert reports not in [rule["ID"] for rule in left]
    mc("ilm", "rule", "rm", target, "--all", "--force")
