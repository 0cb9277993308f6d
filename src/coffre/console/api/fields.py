"""Fields that many rows of the API have."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

StoreName = Annotated[
    str, Meta(min_length=1, max_length=63, description="An object store.", examples=["shop"])
]
NewName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        description="a–z, 0–9 and '-', no '-' at either end.",
        examples=["shop"],
    ),
]
TenantName = Annotated[
    str, Meta(min_length=1, max_length=63, description="A tenant.", examples=["acme"])
]
BucketName = Annotated[
    str, Meta(min_length=1, max_length=255, description="A bucket.", examples=["photos"])
]
UserName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        description="A storage account: its id, its label, or one of its access keys.",
        examples=["backup"],
    ),
]
Label = Annotated[
    str, Meta(min_length=1, max_length=128, description="Printable.", examples=["Backup of mail"])
]
AccessKey = Annotated[str, Meta(min_length=1, max_length=128, examples=["CFEXAMPLE"])]
Grace = Annotated[
    int,
    Meta(
        ge=0,
        le=30 * 24 * 3600,
        description="For how many seconds the secret of before goes on.",
        examples=[3600],
    ),
]
Network = Annotated[
    Literal["private", "public", "custom"],
    Meta(
        description="From where: the operator's own networks, everywhere, or `addresses` alone."
        " It says nothing of rights."
    ),
]
Addresses = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]],
    Meta(
        max_length=256,
        description="With `custom`: addresses and ranges, IPv4 or IPv6.",
        examples=[["203.0.113.7", "2001:db8::/32"]],
    ),
]
Ownership = Annotated[
    Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"],
    Meta(description="Who owns what others put into a bucket, and whether ACLs count."),
]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Search = Annotated[str, Meta(max_length=255, description="A part of the name, whatever its case.")]
Key = Annotated[
    str,
    Meta(min_length=1, max_length=1024, description="An object's name.", examples=["a/b.txt"]),
]
VersionId = Annotated[str, Meta(max_length=128, description="A version; empty: the current one.")]
BucketRole = Literal["reader", "writer", "maintainer", "write-only"]


class InStore(Struct, kw_only=True):
    """What is about a store."""

    store: StoreName


class InBucket(Struct, kw_only=True):
    """What is about a bucket."""

    store: StoreName
    bucket: BucketName


class StorePage(InStore, kw_only=True):
    """Of what the operation pages itself."""

    after: str = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class Deleted(Struct):
    """It is gone."""

    name: str
    deleted: bool


class Checked(Struct):
    """Whether a name is one (`valid`) and free (`available`); `problem` says why not."""

    name: str
    valid: bool
    available: bool
    problem: str
