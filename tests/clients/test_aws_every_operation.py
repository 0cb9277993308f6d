"""`aws s3api` with every operation of S3: done, or refused as `docs/compatibility.md` says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from tools.compatibility import NONE, REFUSED, names, state

from .server import CLIENTS, Server

# What speaks to an endpoint of its own on AWS is not for this one.
NOT_HERE = {"ListDirectoryBuckets", "WriteGetObjectResponse"}
MIB = 1024 * 1024
OPERATIONS = {xform_name(name, "-"): name for name in names()}


class Aws:
    """aws-cli, kept running; `done` are the operations that were called."""

    def __init__(self, process: subprocess.Popen[str], endpoint: str) -> None:
        self._process = process
        self._endpoint = endpoint
        self.done: set[str] = set()

    def __call__(self, command: str, *arguments: str, **documents: Any) -> dict[str, Any]:
        """Call an operation, expect what the page says of it; its answer, empty for a refusal."""
        name = OPERATIONS[command]
        self.done.add(name)
        found = self._run(command, arguments, documents)
        way, said = state(name)
        refused = re.search(r"An error occurred \((\w+)\)", found["err"])
        if way == REFUSED:
            assert refused is not None, f"{command} is not refused: {found}"
            assert refused[1] in said, found
            return {}
        if refused is not None and way == NONE and re.match("NoSuch|.*NotFound", refused[1]):
            return {}
        assert found["code"] == 0, f"{command}: {found}"
        answer: dict[str, Any] = json.loads(found["out"]) if found["out"].strip() else {}
        return answer

    def refused(self, command: str, *arguments: str) -> str:
        """Call what is refused here as on AWS: the error's code."""
        self.done.add(OPERATIONS[command])
        told = re.search(r"An error occurred \((\w+)\)", self._run(command, arguments, {})["err"])
        assert told is not None
        return told[1]

    def _run(
        self, command: str, arguments: tuple[str, ...], documents: dict[str, Any]
    ) -> dict[str, Any]:
        for name, value in documents.items():
            text = value if isinstance(value, str) else json.dumps(value)
            arguments += (f"--{name.replace('_', '-')}", text)
        line = ["--endpoint-url", self._endpoint, "--output", "json", "s3api", command, *arguments]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(line), file=self._process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@pytest.fixture(scope="module")
def aws(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    python = CLIENTS / "aws" / "bin" / "python"
    if not python.exists():
        pytest.skip("aws is not installed")
    home = tmp_path_factory.mktemp("aws")
    (home / "body").write_bytes(b"0123456789")
    (home / "part").write_bytes(bytes(5 * MIB))
    with subprocess.Popen(
        [python, Path(__file__).with_name("aws_driver.py")],
        env=server.environment(home),
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Aws(process, server.endpoint)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def named(aws: Aws, name: str) -> tuple[str, str]:
    aws("create-bucket", "--bucket", name)
    return ("--bucket", name)


def test_buckets(aws: Aws, named: tuple[str, str]) -> None:
    aws("head-bucket", *named)
    assert named[1] in [one["Name"] for one in aws("list-buckets")["Buckets"]]
    aws("get-bucket-location", *named)
    aws("create-session", *named)
    aws("delete-bucket", *named)
    assert aws.refused("head-bucket", *named) == "404"


def test_objects(aws: Aws, named: tuple[str, str]) -> None:
    where = (*named, "--key", "k")
    aws("put-object", *where, "--body", "body", "--metadata", "by=me")
    assert aws("head-object", *where)["Metadata"] == {"by": "me"}
    assert aws("get-object", *where, "--range", "bytes=2-3", "out")["ContentLength"] == 2
    wanted = ("--object-attributes", "ETag", "ObjectSize")
    assert aws("get-object-attributes", *where, *wanted)["ObjectSize"] == 10
    aws("copy-object", *named, "--key", "copy", "--copy-source", f"{named[1]}/k")
    for command in ("list-objects", "list-objects-v2"):
        assert [one["Key"] for one in aws(command, *named)["Contents"]] == ["copy", "k"]
    assert len(aws("list-object-versions", *named)["Versions"]) == 2
    aws("put-object-tagging", *where, tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    assert len(aws("get-object-tagging", *where)["TagSet"]) == 1
    aws("delete-object-tagging", *where)
    aws("put-object-acl", *where, "--acl", "public-read")
    assert len(aws("get-object-acl", *where)["Grants"]) == 2
    chosen = ("--expression-type", "SQL", "--expression", "select _1 from S3Object")
    formats = ("--input-serialization", '{"CSV": {}}', "--output-serialization", '{"JSON": {}}')
    aws("select-object-content", *where, *chosen, *formats, "selected")
    aws("get-object-torrent", *where, "out")
    assert aws.refused("restore-object", *where, "--restore-request", "Days=1") == (
        "InvalidObjectState"
    )
    aws("rename-object", *where, "--rename-source", "copy")
    sealed = aws("put-object", *where, "--body", "body", "--server-side-encryption", "aws:kms")
    to = {"SSEKMS": {"KMSKeyArn": sealed["SSEKMSKeyId"]}}
    aws("update-object-encryption", *named, "--key", "copy", object_encryption=to)
    told = aws("head-object", *named, "--key", "copy")
    assert told["ServerSideEncryption"] == "aws:kms"
    aws("delete-object", *where)
    gone = aws("delete-objects", *named, delete={"Objects": [{"Key": "copy"}]})
    assert [one["Key"] for one in gone["Deleted"]] == ["copy"]


def test_annotations(aws: Aws, named: tuple[str, str]) -> None:
    where = (*named, "--key", "k")
    aws("put-object", *where, "--body", "body")
    aws("list-object-annotations", *where)
    note = (*where, "--annotation-name", "n")
    aws("put-object-annotation", *note, "--annotation-payload", "body")
    aws("get-object-annotation", *note, "out")
    aws("delete-object-annotation", *note)


def test_uploads(aws: Aws, named: tuple[str, str]) -> None:
    where = (*named, "--key", "large")
    aws("put-object", *named, "--key", "k", "--body", "body")
    upload = ("--upload-id", aws("create-multipart-upload", *where)["UploadId"])
    first = aws("upload-part", *where, *upload, "--part-number", "1", "--body", "part")["ETag"]
    second = aws(
        "upload-part-copy",
        *where,
        *upload,
        "--part-number",
        "2",
        "--copy-source",
        f"{named[1]}/k",
    )["CopyPartResult"]["ETag"]
    assert len(aws("list-parts", *where, *upload)["Parts"]) == 2
    assert len(aws("list-multipart-uploads", *named)["Uploads"]) == 1
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    aws("complete-multipart-upload", *where, *upload, multipart_upload={"Parts": parts})
    assert aws("head-object", *where)["ContentLength"] == 5 * MIB + 10
    upload = ("--upload-id", aws("create-multipart-upload", *where)["UploadId"])
    aws("abort-multipart-upload", *where, *upload)


# Of each setting: what is put, and what puts, gets and deletes it; most are named for the setting.
STATEMENT = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
SETTINGS: dict[str, tuple[str, Any]] = {
    "bucket-versioning": ("versioning-configuration", {"Status": "Enabled"}),
    "bucket-tagging": ("tagging", {"TagSet": [{"Key": "a", "Value": "b"}]}),
    "bucket-acl": ("acl", "private"),
    "bucket-cors": (
        "cors-configuration",
        {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]},
    ),
    "bucket-encryption": (
        "server-side-encryption-configuration",
        {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
    ),
    "bucket-ownership-controls": (
        "ownership-controls",
        {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    ),
    "public-access-block": (
        "public-access-block-configuration",
        {"BlockPublicAcls": True, "IgnorePublicAcls": True},
    ),
    "bucket-request-payment": ("request-payment-configuration", {"Payer": "Requester"}),
    "bucket-accelerate-configuration": ("accelerate-configuration", {"Status": "Suspended"}),
    "bucket-logging": ("bucket-logging-status", {}),
    "bucket-notification-configuration": ("notification-configuration", {}),
    "bucket-notification": ("notification-configuration", {}),
    "bucket-website": ("website-configuration", {"IndexDocument": {"Suffix": "index.html"}}),
    "bucket-lifecycle-configuration": (
        "lifecycle-configuration",
        {
            "Rules": [
                {
                    "ID": "r",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "x/"},
                    "Expiration": {"Days": 9},
                }
            ]
        },
    ),
    "bucket-lifecycle": (
        "lifecycle-configuration",
        {"Rules": [{"ID": "r", "Status": "Enabled", "Prefix": "x/", "Expiration": {"Days": 9}}]},
    ),
    "bucket-abac": ("abac-status", {"Status": "Disabled"}),
    "bucket-replication": (
        "replication-configuration",
        {
            "Role": "arn:aws:iam::123456789012:role/r",
            "Rules": [
                {
                    "Status": "Enabled",
                    "Prefix": "",
                    "Destination": {"Bucket": "arn:aws:s3:::other"},
                }
            ],
        },
    ),
}
NUMBERED = {
    "analytics": {"Id": "i", "StorageClassAnalysis": {}},
    "intelligent-tiering": {
        "Id": "i",
        "Status": "Enabled",
        "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}],
    },
    "inventory": {
        "Id": "i",
        "IsEnabled": False,
        "IncludedObjectVersions": "All",
        "Schedule": {"Frequency": "Daily"},
        "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::other", "Format": "CSV"}},
    },
    "metrics": {"Id": "i"},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_of_a_bucket(aws: Aws, named: tuple[str, str], setting: str) -> None:
    option, document = SETTINGS[setting]
    if setting == "bucket-replication":
        aws("put-bucket-versioning", *named, versioning_configuration={"Status": "Enabled"})
    aws(f"put-{setting}", *named, **{option: document})
    aws(f"get-{setting}", *named)
    if f"delete-{setting}" in OPERATIONS:
        aws(f"delete-{setting}", *named)


@pytest.mark.parametrize("kind", NUMBERED)
def test_a_configuration_with_an_id(aws: Aws, named: tuple[str, str], kind: str) -> None:
    option = f"{kind}-configuration"
    one = (*named, "--id", "i")
    # Reports go to a bucket that is there.
    document = json.dumps(NUMBERED[kind]).replace(":::other", f":::{named[1]}")
    aws(f"put-bucket-{option}", *one, **{option: document})
    aws(f"get-bucket-{option}", *one)
    aws(f"list-bucket-{option}s", *named)
    aws(f"delete-bucket-{option}", *one)


def test_a_policy(aws: Aws, named: tuple[str, str]) -> None:
    statement = {**STATEMENT, "Resource": f"arn:aws:s3:::{named[1]}/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws("put-bucket-policy", *named, "--policy", document)
    assert "s3:GetObject" in aws("get-bucket-policy", *named)["Policy"]
    assert aws("get-bucket-policy-status", *named)["PolicyStatus"]["IsPublic"] is True
    aws("delete-bucket-policy", *named)


def test_object_lock(aws: Aws, named: tuple[str, str]) -> None:
    where = (*named, "--key", "k")
    aws("put-bucket-versioning", *named, versioning_configuration={"Status": "Enabled"})
    aws("put-object", *where, "--body", "body")
    lock = {"ObjectLockEnabled": "Enabled"}
    aws("put-object-lock-configuration", *named, object_lock_configuration=lock)
    aws("get-object-lock-configuration", *named)
    aws("put-object-legal-hold", *where, legal_hold={"Status": "ON"})
    aws("get-object-legal-hold", *where)
    aws("put-object-legal-hold", *where, legal_hold={"Status": "OFF"})
    until = {"Mode": "GOVERNANCE", "RetainUntilDate": "2099-01-01T00:00:00Z"}
    aws("put-object-retention", *where, retention=until)
    aws("get-object-retention", *where)


def test_metadata_tables(aws: Aws, named: tuple[str, str]) -> None:
    journal = {"JournalTableConfiguration": {"RecordExpiration": {"Expiration": "DISABLED"}}}
    aws("create-bucket-metadata-configuration", *named, metadata_configuration=journal)
    table = {
        "S3TablesDestination": {
            "TableBucketArn": "arn:aws:s3tables:us-east-1:123456789012:bucket/b",
            "TableName": "t",
        }
    }
    aws("create-bucket-metadata-table-configuration", *named, metadata_table_configuration=table)
    for kind in ("metadata-configuration", "metadata-table-configuration"):
        aws(f"get-bucket-{kind}", *named)
        aws(f"delete-bucket-{kind}", *named)
    for kind, document in (
        ("annotation", {"ConfigurationState": "DISABLED"}),
        ("inventory", {"ConfigurationState": "DISABLED"}),
        ("journal", {"RecordExpiration": {"Expiration": "DISABLED"}}),
    ):
        option = {f"{kind}_table_configuration": document}
        aws(f"update-bucket-metadata-{kind}-table-configuration", *named, **option)


def test_nothing_was_left_out(aws: Aws, request: pytest.FixtureRequest) -> None:
    """The tests above, when all of them ran, called every operation."""
    ran = [item for item in request.session.items if item.fspath == request.node.fspath]
    if len(ran) < 10 + len(SETTINGS):
        pytest.skip("only some of this file's tests ran")
    assert aws.done == set(names()) - NOT_HERE
