"""Roles on a bucket, for those who do not write policies.

Reader lists and gets, Writer also puts and deletes, Maintainer also sets the bucket up and gives
roles, but does not delete it; write-only puts and neither gets nor lists. They live beside policies
and ACLs: what one of them allows, an explicit denial still takes away.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from coffre.access import actions


class Role(StrEnum):
    """What a user is on a bucket."""

    READER = "reader"
    WRITER = "writer"
    MAINTAINER = "maintainer"
    WRITE_ONLY = "write-only"


_MULTIPART: Final = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
_READ: Final = frozenset(
    {
        *("s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation"),
        *("s3:GetBucketVersioning", "s3:GetObjectLegalHold", "s3:GetObjectRetention"),
        *(
            f"s3:GetObject{which}{what}"
            for which in ("", "Version")
            for what in ("", "Attributes", "Tagging")
        ),
    }
)
_PUT: Final = frozenset({"s3:PutObject", *_MULTIPART})
_WRITE: Final = _PUT | {
    *("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucketMultipartUploads"),
    *("s3:RenameObject", "s3:RestoreObject", "s3:PutObjectRetention", "s3:PutObjectLegalHold"),
    *(f"s3:{verb}Object{which}Tagging" for verb in ("Put", "Delete") for which in ("", "Version")),
}
# Getting round a lock is never part of a role: it takes a policy that names it.
_NEVER: Final = {"s3:DeleteBucket", "s3:CreateBucket", "s3:BypassGovernanceRetention"}
_MAINTAIN: Final = frozenset(
    name
    for name, target in actions.TARGETS.items()
    if target is not actions.Target.SERVICE and name not in _NEVER
)
_ALLOWED: Final = {
    Role.READER: _READ,
    Role.WRITER: _READ | _WRITE,
    Role.MAINTAINER: _MAINTAIN,
    Role.WRITE_ONLY: _PUT,
}


def allows(role: Role, action: str) -> bool:
    """Whether a role allows an action (its own spelling) on its bucket and every object in it."""
    return action in _ALLOWED[role]
