"""Terraform: a state in a bucket, which one writer at a time may change."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .server import Program, Server

CONFIGURATION = """
terraform {{
  backend "s3" {{
    bucket       = "{bucket}"
    key          = "state/live"
    region       = "{region}"
    endpoints    = {{ s3 = "{endpoint}" }}
    use_lockfile = true

    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
  }}
}}

variable "text" {{ type = string }}
variable "wait" {{ default = "true" }}

resource "terraform_data" "thing" {{
  input            = var.text
  triggers_replace = [var.text]
  provisioner "local-exec" {{ command = var.wait }}
}}

output "text" {{ value = terraform_data.thing.output }}
"""


@pytest.fixture
def terraform(
    program: Callable[..., Program], server: Server, bucket: str, tmp_path: Path
) -> Program:
    terraform = program("terraform", TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1")
    text = CONFIGURATION.format(bucket=bucket, region=server.region, endpoint=server.endpoint)
    (tmp_path / "main.tf").write_text(text)
    terraform("init", "-input=false")
    return terraform


def test_of_two_writers_one_waits_for_the_lock(
    terraform: Program, s3: Any, bucket: str, tmp_path: Path
) -> None:
    held, go = tmp_path / "held", tmp_path / "go"
    os.mkfifo(held)
    os.mkfifo(go)
    apply = ("apply", "-auto-approve", "-input=false")
    wait = f"wait=echo > {held}; cat {go}"
    with subprocess.Popen(
        [*terraform.command, *apply, "-var", "text=first", "-var", wait],
        env=dict(terraform.environment),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    ) as first:
        # The first writer is in the middle of its work, and says so.
        held.read_text()
        told = terraform.refused(*apply, "-lock-timeout=0s", "-var", "text=second")
        assert "Error acquiring the state lock" in told
        assert "PreconditionFailed" in told
        go.write_text("")
    assert first.returncode == 0
    assert terraform("output", "-raw", "text") == "first"
    terraform(*apply, "-var", "text=second")
    assert terraform("output", "-raw", "text") == "second"
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [one["Key"] for one in listed] == ["state/live"]
