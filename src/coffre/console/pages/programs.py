"""Configurations of S3 programs, ready to paste: each with an endpoint, a region and two keys."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

ACCESS_KEY: Final = "ACCESS_KEY"
AUTHORITY_FILE: Final = "coffre-authority.pem"
SECRET_KEY: Final = "SECRET_KEY"  # noqa: S105 (a place for one, not one)


class Snippet(NamedTuple):
    """`file`: under which name it is kept; `where`: where the program looks for it."""

    key: str
    program: str
    file: str
    where: str
    text: str


class Access(NamedTuple):
    """What a program has to know. `endpoint`: the store's origin, without a slash at its end;
    `own_authority`: it must be given the certificate that the console has at `/authority.pem`."""

    endpoint: str
    region: str
    name: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    bucket: str = "my-bucket"
    own_authority: bool = False


def snippets(access: Access) -> list[Snippet]:
    """One for each program that the console speaks of."""
    return [
        Snippet("aws", "aws", f"aws-{access.name}.sh", "~/.aws", _aws(access)),
        Snippet("mc", "mc", f"mc-{access.name}.sh", "sh", _mc(access)),
        Snippet("rclone", "rclone", "rclone.conf", "~/.config/rclone/rclone.conf", _rclone(access)),
        Snippet("s3cmd", "s3cmd", "s3cfg", "~/.s3cfg", _s3cmd(access)),
        Snippet("boto3", "boto3", f"{access.name.replace('-', '_')}.py", "Python", _boto3(access)),
    ]


def _aws(access: Access) -> str:
    profile = f"--profile {access.name}"
    trusted = f"aws configure set ca_bundle {AUTHORITY_FILE} {profile}\n" * access.own_authority
    return f"""\
aws configure set aws_access_key_id {access.access_key} {profile}
aws configure set aws_secret_access_key {access.secret_key} {profile}
aws configure set region {access.region} {profile}
aws configure set endpoint_url {access.endpoint} {profile}
aws configure set s3.addressing_style path {profile}
{trusted}
aws s3 cp file.txt s3://{access.bucket}/ {profile}
aws s3 ls s3://{access.bucket}/ {profile}
"""


def _mc(access: Access) -> str:
    trusted = f"cp {AUTHORITY_FILE} ~/.mc/certs/CAs/\n" * access.own_authority
    return f"""\
{trusted}\
mc alias set {access.name} {access.endpoint} \\
  {access.access_key} {access.secret_key} --api S3v4 --path on
mc cp file.txt {access.name}/{access.bucket}/
mc ls {access.name}/{access.bucket}/
"""


def _rclone(access: Access) -> str:
    trusted = f" --ca-cert {AUTHORITY_FILE}" * access.own_authority
    return f"""\
[{access.name}]
type = s3
provider = Other
access_key_id = {access.access_key}
secret_access_key = {access.secret_key}
region = {access.region}
endpoint = {access.endpoint}
force_path_style = true
# rclone copy file.txt {access.name}:{access.bucket}/{trusted}
"""


def _s3cmd(access: Access) -> str:
    parts = urlsplit(access.endpoint)
    trusted = f"ca_certs_file = {AUTHORITY_FILE}\n" * access.own_authority
    return f"""\
[default]
access_key = {access.access_key}
secret_key = {access.secret_key}
host_base = {parts.netloc}
host_bucket = {parts.netloc}
bucket_location = {access.region}
use_https = {"True" if parts.scheme == "https" else "False"}
{trusted}\
# s3cmd put file.txt s3://{access.bucket}/
"""


def _boto3(access: Access) -> str:
    trusted = f'    verify="{AUTHORITY_FILE}",\n' * access.own_authority
    return f"""\
import boto3
from botocore.config import Config

s3 = boto3.client(
    "s3",
    endpoint_url="{access.endpoint}",
    region_name="{access.region}",
    aws_access_key_id="{access.access_key}",
    aws_secret_access_key="{access.secret_key}",
    config=Config(s3={{"addressing_style": "path"}}),
{trusted}\
)
s3.upload_file("file.txt", "{access.bucket}", "file.txt")
for one in s3.list_objects_v2(Bucket="{access.bucket}").get("Contents", []):
    print(one["Key"], one["Size"])
"""
