"""The API's rows about a bucket's S3 documents: read and put through the S3 service, in the name of
who asks, so that what is right, who may and what is recorded are S3's own."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from typing import Any, Final

import msgspec
from msgspec import Struct

from coffre.console.api.asking import objects_of, problems
from coffre.console.api.bucket_documents import (
    Cors,
    Encryption,
    Inventories,
    LockDefault,
    Logging,
    Notifications,
    ObjectOwnership,
    PublicAccess,
    Tags,
    Versioning,
    Website,
)
from coffre.console.api.fields import BucketName, InBucket, StoreName
from coffre.console.api.lifecycle_document import Lifecycle, read_lifecycle, write_lifecycle
from coffre.console.api.problem import Problem
from coffre.console.api.route import Access, Arguments, Own, Route
from coffre.console.api.xml_values import read_xml, write_xml
from coffre.console.bucket_objects import S3Refused
from coffre.console.data import Data
from coffre.console.signed import Signed
from coffre.wire.errors import S3Error


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A document: `sub` names it to S3, `missing` is S3's code where there is none, `write` is
    None for one that is only read here, and gives None for a value that is no document at all."""

    name: str
    sub: str
    kind: type[Struct]
    what: str
    missing: str = ""
    read: Callable[[bytes], Struct]
    write: Callable[[Any], bytes | None] | None = None

    def routes(self) -> Iterator[Route]:
        path = f"/stores/{{store}}/buckets/{{bucket}}/{self.name}"
        yield Route(
            operation=f"bucket.{self.operation}.show",
            method="GET",
            path=path,
            access=Access.SCOPED,
            scope="buckets:read",
            arguments=InBucket,
            answer=self.kind,
            summary=f"The bucket's {self.what}.",
        )
        if self.write is None:
            return
        arguments = msgspec.defstruct(
            f"{self.kind.__name__}Change",
            [("store", StoreName), ("bucket", BucketName)],
            bases=(self.kind,),
            kw_only=True,
            forbid_unknown_fields=True,
        )
        yield Route(
            operation=f"bucket.{self.operation}.set",
            method="PUT",
            path=path,
            access=Access.SCOPED,
            scope="buckets:write",
            arguments=arguments,
            answer=self.kind,
            edits=f"bucket.{self.operation}.show",
            summary=f"Put the bucket's {self.what} in the place of what was.",
        )

    @property
    def operation(self) -> str:
        return self.name.replace("-", "_")


def _document(
    name: str,
    sub: str,
    root: str,
    kind: type[Struct],
    what: str,
    missing: str = "",
    *,
    goes: bool = False,
    put: bool = True,
) -> Setting:
    """`goes`: a value that says nothing is no document."""

    def read(body: bytes) -> Struct:
        return read_xml(kind, body, root)

    def write(value: Struct) -> bytes | None:
        return None if goes and value == kind() else write_xml(value, root)

    writing = write if put else None
    return Setting(
        name=name, sub=sub, kind=kind, what=what, missing=missing, read=read, write=writing
    )


SETTINGS: Final = (
    _document("versioning", "versioning", "VersioningConfiguration", Versioning, "versioning"),
    _document("tags", "tagging", "Tagging", Tags, "tags", "NoSuchTagSet", goes=True),
    _document(
        "cors",
        "cors",
        "CORSConfiguration",
        Cors,
        "CORS rules",
        "NoSuchCORSConfiguration",
        goes=True,
    ),
    _document(
        "encryption",
        "encryption",
        "ServerSideEncryptionConfiguration",
        Encryption,
        "default encryption",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    _document(
        "public-access",
        "publicAccessBlock",
        "PublicAccessBlockConfiguration",
        PublicAccess,
        "block of public access",
        "NoSuchPublicAccessBlockConfiguration",
        goes=True,
    ),
    _document(
        "ownership",
        "ownershipControls",
        "OwnershipControls",
        ObjectOwnership,
        "object ownership",
        "OwnershipControlsNotFoundError",
    ),
    _document(
        "website",
        "website",
        "WebsiteConfiguration",
        Website,
        "website",
        "NoSuchWebsiteConfiguration",
        goes=True,
    ),
    _document("logging", "logging", "BucketLoggingStatus", Logging, "access log"),
    _document(
        "lock",
        "object-lock",
        "ObjectLockConfiguration",
        LockDefault,
        "Object Lock and its default",
        "ObjectLockConfigurationNotFoundError",
    ),
    _document(
        "notifications",
        "notification",
        "NotificationConfiguration",
        Notifications,
        "notifications",
    ),
    _document(
        "inventories",
        "inventory",
        "ListInventoryConfigurationsResult",
        Inventories,
        "inventories",
        put=False,
    ),
    Setting(
        name="lifecycle",
        sub="lifecycle",
        kind=Lifecycle,
        what="lifecycle",
        missing="NoSuchLifecycleConfiguration",
        read=read_lifecycle,
        write=write_lifecycle,
    ),
)
ROUTES: Final = tuple(route for one in SETTINGS for route in one.routes())


def setting_operations(data: Data) -> dict[str, Own]:
    """The operations of `ROUTES`, by name."""
    found: dict[str, Own] = {}
    for one in SETTINGS:
        found[f"bucket.{one.operation}.show"] = partial(_show, data, one)
        if one.write is not None:
            found[f"bucket.{one.operation}.set"] = partial(_set, data, one)
    return found


async def _show(data: Data, setting: Setting, signed: Signed, arguments: Arguments) -> Any:
    bucket = objects_of(data, signed, arguments["store"], arguments["bucket"])
    with problems():
        try:
            answer = await bucket.request("GET", query={setting.sub: ""})
        except S3Refused as refused:
            if not setting.missing or refused.code != setting.missing:
                raise
            return msgspec.to_builtins(_nothing(setting))
    try:
        return msgspec.to_builtins(setting.read(answer.body))
    except msgspec.ValidationError as error:
        # Put by an S3 client, which may say more than this API has words for.
        words = f"the bucket's {setting.what} can only be told by S3: {error}"
        raise Problem("Conflict", words) from None


def _nothing(setting: Setting) -> Struct:
    # A bucket without Object Lock has no document that says so.
    return LockDefault(None) if setting.kind is LockDefault else setting.kind()


async def _set(data: Data, setting: Setting, signed: Signed, arguments: Arguments) -> Any:
    assert setting.write is not None, "what is only read has no such operation"
    said = {name: one for name, one in arguments.items() if name not in ("store", "bucket")}
    try:
        body = setting.write(msgspec.convert(said, setting.kind))
    except S3Error as error:
        raise Problem(error.code, error.message) from None
    bucket = objects_of(data, signed, arguments["store"], arguments["bucket"])
    with problems():
        if body is None:
            await bucket.request("DELETE", query={setting.sub: ""})
        else:
            digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
            headers = {"content-md5": digest}
            await bucket.request("PUT", query={setting.sub: ""}, headers=headers, body=body)
    return await _show(data, setting, signed, arguments)
