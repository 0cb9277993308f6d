"""What a first start tells its operator, once: where, with which keys, and how to try it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from coffre.cli.invocation import Invocation


def credentials(facts: Mapping[str, Any]) -> str:
    """The secrets of a new region: they are never shown again."""
    return f"""\
  Access key         {facts["access_key"]}
  Secret key         {facts["secret_key"]}
  Owner              {facts["owner_name"]} ({facts["owner_id"]})
  Operator           {facts["operator"]}
  Operator password  {facts["password"]}"""


def keep(facts: Mapping[str, Any]) -> str:
    """What to do with them."""
    return (
        "Keep these: they are shown this once. A lost secret key is replaced with\n"
        f"`coffre user rotate {facts['access_key']}`."
    )


def start_line(invocation: Invocation, data: str) -> str:
    """What starts the region that was made: by the same configuration, which names its drives."""
    file = invocation.config_file or os.environ.get("COFFRE_CONFIG")
    words = ["coffre", "serve"] + (["--config", file] if file else [])
    if not file or "data" in invocation.flags:
        words += ["--data", data]
    return shlex.join(words)


def labels(facts: Mapping[str, Any]) -> str:
    """That racks and nodes are names alone, where they are; else nothing."""
    words = facts.get("labels_only")
    if not words:
        return ""
    return f"Labels only: {words}.\nFine for a trial; `coffre doctor` says more.\n\n"


def first_start(facts: Mapping[str, Any], *, kept: bool) -> str:
    """The whole welcome; `kept`: the region outlives this process.

    The three lines under "Try it" work as they are when pasted.
    """
    parts = [
        f"Coffre serves S3 at {facts['endpoint']} (region {facts['region']}).{https(facts)}",
        credentials(facts),
        keep(facts) if kept else "All of it is in memory: it ends with this process.",
        "Try it with aws-cli, mc, or Python with boto3, each line on its own:",
        "\n".join((aws_line(facts), mc_line(facts), python_line(facts))),
    ]
    if facts.get("hosts"):
        parts.append(
            "The store's own name does not resolve here. To use it, and bucket names as hosts,\n"
            f"add this line to /etc/hosts and start again:\n  {facts['hosts']}"
        )
    return "\n\n".join(parts)


def https(facts: Mapping[str, Any]) -> str:
    """Where HTTPS is offered, and what clients of it must trust; nothing if it is not."""
    if "https" not in facts:
        return ""
    beside = "" if facts["https"] == facts["endpoint"] else f"\nHTTPS is at {facts['https']}."
    trust = f"\nClients of HTTPS must trust {facts['ca']}." if "ca" in facts else ""
    console = f"\nThe console is at {facts['console']}." if "console" in facts else ""
    return beside + trust + console


def _trusted(facts: Mapping[str, Any]) -> str | None:
    """The authority that the lines to paste must name."""
    return facts.get("ca") if facts["endpoint"] == facts.get("https") else None


def later_start(facts: Mapping[str, Any]) -> str:
    """One line."""
    return (
        f"Coffre serves S3 at {facts['endpoint']} (region {facts['region']},"
        f" access key {facts['access_key']})."
    )


def aws_line(facts: Mapping[str, Any]) -> str:
    keys = (
        f"AWS_ACCESS_KEY_ID={shlex.quote(facts['access_key'])}"
        f" AWS_SECRET_ACCESS_KEY={shlex.quote(facts['secret_key'])}"
        f" AWS_DEFAULT_REGION={shlex.quote(facts['region'])}"
    )
    if ca := _trusted(facts):
        keys += f" AWS_CA_BUNDLE={shlex.quote(ca)}"
    return f"{keys} aws --endpoint-url {facts['endpoint']} s3 mb s3://from-aws-cli"


def mc_line(facts: Mapping[str, Any]) -> str:
    keys = f"{shlex.quote(facts['access_key'])} {shlex.quote(facts['secret_key'])}"
    ca = _trusted(facts)
    trust = f"export SSL_CERT_FILE={shlex.quote(ca)} && " if ca else ""
    return (
        f"{trust}mc alias set coffre {facts['endpoint']} {keys}"
        " && mc mb --ignore-existing coffre/from-mc && mc ls coffre"
    )


def python_line(facts: Mapping[str, Any]) -> str:
    """boto3, from client to an object read back."""
    region, ca = facts["region"], _trusted(facts)
    trust = f" verify={ca!r}," if ca else ""
    place = (
        ""
        if region == "us-east-1"
        else f", CreateBucketConfiguration={{'LocationConstraint': {region!r}}}"
    )
    program = (
        f"import boto3; s3 = boto3.client('s3', endpoint_url={facts['endpoint']!r},"
        f"{trust} region_name={region!r}, aws_access_key_id={facts['access_key']!r},"
        f" aws_secret_access_key={facts['secret_key']!r});"
        f" s3.create_bucket(Bucket='from-python'{place});"
        " s3.put_object(Bucket='from-python', Key='hello.txt', Body=b'hello');"
        " print(s3.get_object(Bucket='from-python', Key='hello.txt')['Body'].read())"
    )
    return f'python3 -c "{program}"'
