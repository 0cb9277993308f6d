"""Values of the management API: buckets. Generated: `python -m tools.api_client`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class BucketRow(Struct, kw_only=True):
    """A bucket. `network` is what holds, its own rule or (`inherited`) its store's; `region` is
    where it lies; `objects` counts all versions; `quota` has what is set of `hard_bytes`,
    `hard_objects`, `warn_bytes`, `warn_objects`."""

    name: str
    store: str
    owner: str
    owner_label: str
    type: Literal["archiving", "performance"]
    object_lock: bool
    versioning: Literal["enabled", "never", "suspended"]
    network: str
    addresses: list[str]
    inherited: bool
    region: str
    objects: int
    bytes: int
    emptying: bool
    created_ms: int
    quota: dict[str, int]


class Bucket(Struct, kw_only=True):
    """As in a list, with what one should know of it (`warning`)."""

    name: str
    store: str
    owner: str
    owner_label: str
    type: Literal["archiving", "performance"]
    object_lock: bool
    versioning: Literal["enabled", "never", "suspended"]
    network: str
    addresses: list[str]
    inherited: bool
    region: str
    objects: int
    bytes: int
    emptying: bool
    created_ms: int
    quota: dict[str, int]
    dialect: str
    warning: str = ""


class Emptying(Struct, kw_only=True):
    """How far the emptying of a bucket is. It ends with the bucket gone (404), or `failed` with
    what had to stay. `left`: objects that are still in it."""

    name: str
    state: Literal["failed", "in-progress", "pending"]
    deleted: int
    kept: int
    objects_at_first: int
    bytes_at_first: int
    left: int
    why: str
    created_ms: int
    updated_ms: int


class ClassUsage(Struct, kw_only=True):
    """What a bucket holds in a storage class; `RESTORED`: copies of archived objects that can be
    read for a while."""

    storage_class: str
    objects: int
    bytes: int


class QuotaShown(Struct, kw_only=True):
    """The quota as it is now: what is set of it."""

    name: str
    quota: dict[str, int]


class RoleRow(Struct, kw_only=True):
    """Who has which role on a bucket."""

    user: str
    id: str
    role: Literal["maintainer", "reader", "write-only", "writer"] | None


class Granted(Struct, kw_only=True):
    """A role as it stands now; null: none."""

    bucket: str
    user: str
    id: str
    role: Literal["maintainer", "reader", "write-only", "writer"] | None
