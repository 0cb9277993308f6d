"""What ACLs allow: AWS's table of ACL permissions and actions, on values alone.

Source: AWS "Mapping of ACL permissions and access policy permissions". A grant on a bucket is about
the bucket and what is put into it; a grant on an object is about that object only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from coffre.wire.acl import AUTHENTICATED_USERS, PUBLIC, Acl, Permission

_OF_BUCKET: Final = {
    Permission.READ: frozenset(
        {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}
    ),
    Permission.WRITE: frozenset(
        {
            *("s3:PutObject", "s3:DeleteObject"),
            *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
        }
    ),
    Permission.READ_ACP: frozenset({"s3:GetBucketAcl"}),
    Permission.WRITE_ACP: frozenset({"s3:PutBucketAcl"}),
}
_READS: Final = frozenset({"s3:GetObject", "s3:GetObjectVersion"})
_OF_OBJECT: Final = {
    Permission.READ: _READS,
    Permission.READ_ACP: frozenset({"s3:GetObjectAcl", "s3:GetObjectVersionAcl"}),
    Permission.WRITE_ACP: frozenset({"s3:PutObjectAcl", "s3:PutObjectVersionAcl"}),
}
# Whoever put an object may do these with it, whatever its ACL says by now.
_OF_OBJECT_OWNER: Final = frozenset(
    {
        *(f"s3:{verb}Object{what}Acl" for verb in ("Get", "Put") for what in ("", "Version")),
        *(
            f"s3:{verb}Object{what}Tagging"
            for verb in ("Get", "Put", "Delete")
            for what in ("", "Version")
        ),
        *("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"),
        *_READS,
    }
)
ABOUT_OBJECTS: Final = _OF_OBJECT_OWNER


@dataclass(frozen=True, slots=True)
class ObjectControl:
    """Who owns an object, and its ACL."""

    owner_id: str
    acl: Acl


@dataclass(frozen=True, slots=True)
class Control:
    """The ACLs that a request meets. `object` None: it is about no object, or about none that is
    there. `ignores_public`: what is granted to everybody does not count (public access block)."""

    bucket: Acl = ()
    object: ObjectControl | None = None
    ignores_public: bool = False


NO_CONTROL: Final = Control()


def allows(user_id: str | None, permission: str, control: Control) -> bool:
    """Whether an ACL, or having put the object, allows `permission`; `user_id` None: not signed."""
    if _granted(user_id, control.bucket, _OF_BUCKET, permission, control.ignores_public):
        return True
    one = control.object
    if one is None:
        # That a key is missing is told to those who could see it in the listing.
        return permission in _READS and _granted(
            user_id, control.bucket, _OF_BUCKET, "s3:ListBucket", control.ignores_public
        )
    if user_id is not None and user_id == one.owner_id and permission in _OF_OBJECT_OWNER:
        return True
    return _granted(user_id, one.acl, _OF_OBJECT, permission, control.ignores_public)


def _granted(
    user_id: str | None,
    acl: Acl,
    table: dict[Permission, frozenset[str]],
    permission: str,
    ignores_public: bool,
) -> bool:
    for grant in acl:
        grantee = grant.grantee
        if grantee in PUBLIC:
            if ignores_public or (grantee == AUTHENTICATED_USERS and user_id is None):
                continue
        elif user_id is None or grantee != user_id:
            continue
        if grant.permission is Permission.FULL_CONTROL:
            if any(permission in actions for actions in table.values()):
                return True
        elif permission in table.get(grant.permission, ()):
            return True
    return False
