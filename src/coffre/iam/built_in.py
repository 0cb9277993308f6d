"""Managed policies that every account has, as AWS names them. They are code and cannot be changed.

Of AWS's own they are those that mean something here.
"""

from __future__ import annotations

import json
from typing import Any, Final

from msgspec import Struct

from coffre.catalog.iam_records import BUILT_IN

OWNER: Final = "aws"
_READS: Final = ("s3:Get*", "s3:List*")
_OF_IAM: Final = ("iam:Get*", "iam:List*", "iam:Simulate*")


class BuiltIn(Struct, frozen=True):
    id: str
    name: str
    path: str
    description: str
    document: bytes

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{OWNER}:policy{self.path}{self.name}"


def _made(name: str, description: str, *actions: str) -> BuiltIn:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return BuiltIn(f"{BUILT_IN}{name.upper()}", name, "/", description, document.encode())


_ALL: Final = (
    _made("AdministratorAccess", "Everything in the account.", "*"),
    _made("AmazonS3FullAccess", "Everything on buckets and objects.", "s3:*"),
    _made("AmazonS3ReadOnlyAccess", "Reads and lists of buckets and objects.", *_READS),
    _made("IAMFullAccess", "Everything on users, groups, roles and policies.", "iam:*"),
    _made("IAMReadOnlyAccess", "Reads of users, groups, roles and policies.", *_OF_IAM),
)
ALL: Final = {one.id: one for one in _ALL}
BY_ARN: Final = {one.arn: one for one in _ALL}


def id_in(one: BuiltIn, account: str) -> str:
    """What entities of an account are tied to: nobody counts those of all others to know whose
    they are."""
    return f"{one.id}.{account}"


def find(policy_id: str) -> BuiltIn | None:
    """By its id, or by what entities are tied to; None for a policy that is no code."""
    return ALL.get(policy_id.partition(".")[0])
