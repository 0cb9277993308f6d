"""What the decision is told of a bucket: its policy and ACLs, read only where they can matter.

The owner of a bucket without a policy needs nothing of it: the requests that are most of all.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from coffre.access.acl import ABOUT_OBJECTS, NO_CONTROL, Control, ObjectControl
from coffre.access.decision import Resource
from coffre.access.policy import Policy, read_policy
from coffre.access.principals import Principal
from coffre.access.public import is_public
from coffre.access.roles import Role
from coffre.catalog.interface import Reader
from coffre.catalog.records import Bucket, Version
from coffre.wire import acl, bucket_settings
from coffre.wire.acl import Acl
from coffre.wire.bucket_settings import BucketEncryption, Ownership, PublicAccessBlock
from coffre.wire.tags import BUCKET_TAGS, parse_tagging

Seen = dict[tuple[bytes, bytes, bytes | None], Version | None]
"""Versions by bucket, key and the version id that was asked for."""

ABAC: Final = "abac"
ACL: Final = "acl"
ENCRYPTION: Final = "encryption"
OWNERSHIP: Final = "ownership"
POLICY: Final = "policy"
PUBLIC_ACCESS_BLOCK: Final = "public-access-block"
TAGGING: Final = "tagging"
_ABAC: Final = bucket_settings.render_abac(enabled=True)
_NO_BLOCK: Final = PublicAccessBlock()
_NO_ENCRYPTION: Final = BucketEncryption()
_ownership: Final = lru_cache(maxsize=64)(bucket_settings.parse_ownership)
_encryption: Final = lru_cache(maxsize=64)(bucket_settings.parse_encryption)
_tagging: Final = lru_cache(maxsize=64)(parse_tagging)
_block: Final = lru_cache(maxsize=64)(bucket_settings.parse_public_access_block)


def ownership(reader: Reader, bucket: Bucket) -> Ownership:
    """Who owns what is put into the bucket; ObjectWriter where nobody said."""
    found = reader.bucket_document(bucket.id, OWNERSHIP)
    return Ownership.OBJECT_WRITER if found is None else _ownership(found)


def public_access_block(reader: Reader, bucket: Bucket) -> PublicAccessBlock:
    """What public access the bucket refuses; none where nobody said."""
    found = reader.bucket_document(bucket.id, PUBLIC_ACCESS_BLOCK)
    return _NO_BLOCK if found is None else _block(found)


@lru_cache(maxsize=1024)
def _policy(document: bytes, bucket: str) -> tuple[Policy, bool]:
    """A policy that was checked when it was put, and whether it is public."""
    policy = read_policy(document, bucket=bucket, ecs=True)
    return policy, is_public(policy)


def policy(reader: Reader, bucket: Bucket) -> tuple[Policy, bool] | None:
    """The bucket's policy and whether it is public; None where there is none."""
    found = reader.bucket_document(bucket.id, POLICY)
    return None if found is None else _policy(found, bucket.name)


def bucket_encryption(reader: Reader, bucket: Bucket) -> BucketEncryption:
    """With what new objects are encrypted where they say nothing; AES256 where nobody said."""
    found = reader.bucket_document(bucket.id, ENCRYPTION)
    return _NO_ENCRYPTION if found is None else _encryption(found)


def bucket_acl(reader: Reader, bucket: Bucket) -> Acl:
    """The bucket's ACL as it was put."""
    return acl.unpack(reader.bucket_document(bucket.id, ACL) or b"", bucket.owner_id)


def resource(
    reader: Reader,
    principal: Principal,
    permission: str,
    bucket: Bucket,
    key: bytes | None,
    version_id: bytes | None,
    seen: Seen,
) -> Resource:
    """What is asked for, with all that decides on it. `version_id` None: the current version.

    A version that it looks at for that is left in `seen`: what was decided on is what must be
    served, not what has taken its place since.
    """
    rules, public = policy(reader, bucket) or (None, False)
    owns = principal.user_id == bucket.owner_id
    if principal.locked or (owns and rules is None):
        return Resource(bucket.name, bucket.owner_id, key)
    control = NO_CONTROL if owns else _control(reader, permission, bucket, key, version_id, seen)
    restricted = public and public_access_block(reader, bucket).restrict_buckets
    role = None if owns else role_on(reader, principal, bucket)
    return Resource(bucket.name, bucket.owner_id, key, control, rules, restricted, role)


def role_on(reader: Reader, principal: Principal, bucket: Bucket) -> Role | None:
    """What the principal is on the bucket, beside its owner."""
    if principal.user_id is None:
        return None
    found = reader.bucket_roles(bucket.id).get(principal.user_id)
    return None if found is None else Role(found)


def tags_of(
    reader: Reader, bucket: Bucket, key: bytes | None, version_id: bytes | None, seen: Seen
) -> dict[str, str]:
    """The tags of a version that a policy asks about; it is left in `seen` as in `resource`."""
    if key is None:
        return {}
    asked = (bucket.id, key, version_id)
    if asked not in seen:
        seen[asked] = look(reader, bucket, key, version_id)
    found = seen[asked]
    return {} if found is None else found.tags


def by_tags(reader: Reader, bucket: Bucket) -> bool:
    """Whether policies may ask for the bucket's tags (ABAC)."""
    return reader.bucket_document(bucket.id, ABAC) == _ABAC


def bucket_tags(reader: Reader, bucket: Bucket) -> dict[str, str]:
    """The tags of a bucket that policies may ask for; none where they may not."""
    found = reader.bucket_document(bucket.id, TAGGING) if by_tags(reader, bucket) else None
    return {} if found is None else _tagging(found, BUCKET_TAGS)


def _control(
    reader: Reader,
    permission: str,
    bucket: Bucket,
    key: bytes | None,
    version_id: bytes | None,
    seen: Seen,
) -> Control:
    if ownership(reader, bucket) is Ownership.BUCKET_OWNER_ENFORCED:
        return NO_CONTROL
    about = None
    if key is not None and permission in ABOUT_OBJECTS:
        asked = (bucket.id, key, version_id)
        found = seen[asked] if asked in seen else look(reader, bucket, key, version_id)
        seen[asked] = found
        if found is not None and not found.marker:
            about = ObjectControl(found.owner_id, acl.unpack(found.acl, found.owner_id))
    ignores = public_access_block(reader, bucket).ignore_acls
    return Control(bucket_acl(reader, bucket), about, ignores)


def look(reader: Reader, bucket: Bucket, key: bytes, version_id: bytes | None) -> Version | None:
    """The current version (`version_id` None) or a named one."""
    if version_id is None:
        return reader.current(bucket, key)
    return reader.version(bucket, key, version_id)
