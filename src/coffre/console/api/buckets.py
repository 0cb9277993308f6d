"""The API's rows about buckets: what is of Coffre alone, not of S3's documents."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from coffre.catalog.interface import Reader
from coffre.console.api.asking import ask_node
from coffre.console.api.entrance import sees_store
from coffre.console.api.fields import (
    Addresses,
    BucketName,
    BucketRole,
    Checked,
    Count,
    Deleted,
    InBucket,
    Network,
    Search,
    StoreName,
    UserName,
)
from coffre.console.api.problem import Problem
from coffre.console.api.route import Access, Arguments, Own, Pages, Route, Rows
from coffre.console.parts import Parts
from coffre.console.signed import Signed


class BucketRow(Struct):
    """A bucket. `network` is what holds, its own rule or (`inherited`) its store's; `region` is
    where it lies; `objects` counts all versions; `quota` has what is set of `hard_bytes`,
    `hard_objects`, `warn_bytes`, `warn_objects`."""

    name: str
    store: str
    owner: str
    owner_label: str
    type: Literal["performance", "archiving"]
    object_lock: bool
    versioning: Literal["never", "enabled", "suspended"]
    network: str
    addresses: list[str]
    inherited: bool
    region: str
    objects: int
    bytes: int
    emptying: bool
    created_ms: int
    quota: dict[str, int]


class Bucket(BucketRow):
    """As in a list, with what one should know of it (`warning`)."""

    dialect: str
    warning: str = ""


class BucketsAsked(Struct, kw_only=True):
    store: StoreName | None = None


class BucketSearch(Struct, kw_only=True):
    store: StoreName | None = None
    search: Search = ""
    sort: Literal[
        "name", "store", "objects", "bytes", "created_ms", "region", "type", "network"
    ] = "name"
    descending: bool = False
    after: str = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class BucketNameAsked(Struct, kw_only=True):
    store: StoreName
    name: Annotated[str, Meta(max_length=512, examples=["photos"])]


class NewBucket(Struct, kw_only=True):
    store: StoreName
    name: BucketName
    region: Annotated[
        str | None, Meta(description="Where; left out: the store's own. There is one now.")
    ] = None
    type: Annotated[
        Literal["performance", "archiving"],
        Meta(description="`archiving`: objects of which nothing else is said are archived."),
    ] = "performance"
    network: Network = "private"
    addresses: Addresses = []
    versioning: bool = False
    object_lock: Annotated[
        bool, Meta(description="With versioning, for ever: it cannot be taken back.")
    ] = False


class NetworkRule(InBucket, kw_only=True):
    network: Annotated[
        Literal["private", "public", "custom", "store"],
        Meta(description="`store`: as the store's own rule says."),
    ]
    addresses: Addresses = []


class BucketQuota(InBucket, kw_only=True):
    """What is left out stays; 0: none."""

    hard_bytes: Count | None = None
    hard_objects: Count | None = None
    warn_bytes: Count | None = None
    warn_objects: Count | None = None


class QuotaShown(Struct):
    """The quota as it is now: what is set of it."""

    name: str
    quota: dict[str, int]


class ClassUsage(Struct):
    """What a bucket holds in a storage class; `RESTORED`: copies of archived objects that can be
    read for a while."""

    storage_class: str
    objects: int
    bytes: int


class EmptyingBegin(InBucket, kw_only=True):
    confirm: Annotated[str, Meta(description="The bucket's name again.", examples=["photos"])]


class Emptying(Struct):
    """How far the emptying of a bucket is. It ends with the bucket gone (404), or `failed` with
    what had to stay. `left`: objects that are still in it."""

    name: str
    state: Literal["pending", "in-progress", "failed"]
    deleted: int
    kept: int
    objects_at_first: int
    bytes_at_first: int
    left: int
    why: str
    created_ms: int
    updated_ms: int


class RoleRow(Struct):
    """Who has which role on a bucket."""

    user: str
    id: str
    role: BucketRole | None


class Granted(Struct):
    """A role as it stands now; null: none."""

    bucket: str
    user: str
    id: str
    role: BucketRole | None


class RoleGrant(InBucket, kw_only=True):
    user: UserName
    role: BucketRole


class RoleEnd(InBucket, kw_only=True):
    user: UserName


def bucket_operations(parts: Parts) -> dict[str, Own]:
    """What the console answers itself about buckets, by name."""

    async def page(signed: Signed, arguments: Arguments) -> Any:
        asked = dict(arguments)
        store = asked.pop("store", None)
        scope = _seen(parts.reader, signed) if store is None else {"stores": [store]}
        if store is not None and signed.person.role == "scoped":
            scope["names"] = _seen(parts.reader, signed)["names"]
        return await ask_node(parts, signed, "bucket.page", {**asked, **scope})

    async def create(signed: Signed, arguments: Arguments) -> Any:
        region = arguments.get("region")
        if region not in (None, parts.region):
            raise Problem("NoSuchRegion", f"there is no region {region!r} here", "region")
        asked = {name: one for name, one in arguments.items() if name != "region"}
        return await ask_node(parts, signed, "bucket.create", asked)

    async def usage(signed: Signed, arguments: Arguments) -> Any:
        asked = {"name": arguments["bucket"], "store": arguments["store"]}
        rows = await ask_node(parts, signed, "bucket.usage", asked)
        return [{**row, "storage_class": row["class"]} for row in rows]

    return {"bucket.page": page, "bucket.create": create, "bucket.usage": usage}


def _seen(reader: Reader, signed: Signed) -> dict[str, Any]:
    """What the node is asked for: the stores that a person sees, and a scoped one's buckets."""
    if signed.is_operator:
        return {}
    stores = {one.id: one.name for one in reader.stores() if sees_store(signed.person, one)}
    found: dict[str, Any] = {"stores": list(stores.values())}
    if signed.person.role == "scoped":
        buckets = {one.bucket_id: one.store_id for one in signed.person.scopes}
        known = [reader.bucket_by_id(bucket_id) for bucket_id in buckets]
        found["names"] = [f"{stores[b.store_id]}/{b.name}" for b in known if b is not None]
    return found


_ONE: Final = "/stores/{store}/buckets/{bucket}"
_NAMED: Final = {"bucket": "name"}

ROUTES: Final = (
    Route(
        operation="bucket.list",
        method="GET",
        path="/buckets",
        access=Access.ANYONE,
        scope="buckets:read",
        arguments=BucketsAsked,
        answer=BucketRow,
        rows=Rows(key=("store", "name"), store="store", bucket="name"),
        summary="The buckets that you see, of one store or of all.",
    ),
    Route(
        operation="bucket.page",
        method="GET",
        path="/bucket-search",
        access=Access.ANYONE,
        scope="buckets:read",
        arguments=BucketSearch,
        answer=BucketRow,
        pages=Pages(),
        summary="The buckets that you see, searched and sorted.",
    ),
    Route(
        operation="bucket.check",
        method="GET",
        path="/checks/bucket",
        access=Access.TENANT_READER,
        scope="buckets:read",
        arguments=BucketNameAsked,
        answer=Checked,
        summary="Whether a bucket could be made under a name.",
    ),
    Route(
        operation="bucket.create",
        method="POST",
        path="/stores/{store}/buckets",
        access=Access.TENANT_OWNER,
        scope="buckets:write",
        arguments=NewBucket,
        answer=Bucket,
        status=201,
        summary="A new bucket of the store itself.",
    ),
    Route(
        operation="bucket.show",
        method="GET",
        path=_ONE,
        access=Access.SCOPED,
        scope="buckets:read",
        arguments=InBucket,
        answer=Bucket,
        renamed=_NAMED,
        summary="A bucket and what it holds.",
    ),
    Route(
        operation="bucket.delete",
        method="DELETE",
        path=_ONE,
        access=Access.TENANT_OWNER,
        scope="buckets:write",
        arguments=InBucket,
        answer=Deleted,
        renamed=_NAMED,
        summary="An empty bucket goes, whoever owns it.",
    ),
    Route(
        operation="bucket.empty",
        method="POST",
        path=f"{_ONE}/empty",
        access=Access.TENANT_OWNER,
        scope="buckets:write",
        arguments=EmptyingBegin,
        answer=Emptying,
        renamed=_NAMED,
        status=202,
        summary="Delete all that is in a bucket, then the bucket, in the background.",
    ),
    Route(
        operation="bucket.emptying",
        method="GET",
        path=f"{_ONE}/emptying",
        access=Access.SCOPED,
        scope="buckets:read",
        arguments=InBucket,
        answer=Emptying,
        renamed=_NAMED,
        summary="How far the emptying of a bucket is.",
    ),
    Route(
        operation="bucket.usage",
        method="GET",
        path=f"{_ONE}/classes",
        access=Access.SCOPED,
        scope="buckets:read",
        arguments=InBucket,
        answer=ClassUsage,
        rows=Rows(key=("storage_class",)),
        summary="Objects and bytes of a bucket by storage class.",
    ),
    Route(
        operation="bucket.network",
        method="PUT",
        path=f"{_ONE}/network",
        access=Access.SCOPED,
        scope="buckets:write",
        arguments=NetworkRule,
        answer=Bucket,
        renamed=_NAMED,
        edits="bucket.show",
        summary="From where a bucket is reached.",
    ),
    Route(
        operation="bucket.set",
        method="PATCH",
        path=f"{_ONE}/quota",
        access=Access.TENANT_OWNER,
        scope="buckets:write",
        arguments=BucketQuota,
        answer=QuotaShown,
        renamed=_NAMED,
        edits="bucket.show",
        summary="A bucket's quota: the hard ones refuse writes, the others warn.",
    ),
    Route(
        operation="bucket.role.list",
        method="GET",
        path=f"{_ONE}/roles",
        access=Access.SCOPED,
        scope="buckets:read",
        arguments=InBucket,
        answer=RoleRow,
        rows=Rows(key=("user", "id")),
        summary="Who has which role on a bucket.",
    ),
    Route(
        operation="bucket.role.grant",
        method="PUT",
        path=f"{_ONE}/roles/{{user}}",
        access=Access.SCOPED,
        scope="buckets:write",
        arguments=RoleGrant,
        answer=Granted,
        summary="Give an account its one role on a bucket.",
    ),
    Route(
        operation="bucket.role.revoke",
        method="DELETE",
        path=f"{_ONE}/roles/{{user}}",
        access=Access.SCOPED,
        scope="buckets:write",
        arguments=RoleEnd,
        answer=Granted,
        summary="The account has no role on the bucket any more.",
    ),
)
