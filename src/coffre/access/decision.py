"""The decision: may this principal do this to that? Pure, from values alone.

What nobody allows is denied. Three things allow: owning the bucket, which covers it and every
object in it and which no ACL takes away; being a user of the store, which covers the list of one's
own buckets and creating one; and ACLs (`access.acl`). Policies and roles are further sources of the
same answer and belong here: their denials before everything, their permissions beside these.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from coffre.access.acl import NO_CONTROL, Control, allows


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `user_id` is the Owner ID of S3 answers; None is everybody (not signed)."""

    user_id: str | None
    label: str = ""
    locked: bool = False


ANONYMOUS: Final = Principal(None)


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked for: the service (no bucket), a bucket, or an object in it.

    `control` may be left out where the principal owns the bucket: it changes nothing then.
    """

    bucket: str | None = None
    owner_id: str | None = None
    key: bytes | None = None
    control: Control = NO_CONTROL


SERVICE: Final = Resource()


class Decision(Enum):
    """An explicit denial beats every permission; the default denial is only nobody's permission."""

    ALLOW = "allow"
    DENY = "deny"
    NOBODY_ALLOWS = "nobody allows"

    @property
    def allowed(self) -> bool:
        return self is Decision.ALLOW


_OF_EVERY_USER: Final = frozenset({"s3:CreateBucket", "s3:ListAllMyBuckets"})


def decide(principal: Principal, permission: str, resource: Resource) -> Decision:
    """Whether `principal` may use `permission` (an action name of AWS's) on `resource`."""
    if principal.locked:
        return Decision.DENY
    user_id = principal.user_id
    if user_id is not None and (permission in _OF_EVERY_USER or user_id == resource.owner_id):
        return Decision.ALLOW
    if allows(user_id, permission, resource.control):
        return Decision.ALLOW
    return Decision.NOBODY_ALLOWS
