"""What the console answers itself about objects: S3 requests in the name of who asks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import md5
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from coffre.catalog.records import Store
from coffre.console.api.asking import objects_of, problems
from coffre.console.api.bucket_documents import Tag, Tags
from coffre.console.api.entrance import role_on
from coffre.console.api.object_bytes import check_parts
from coffre.console.api.problem import Problem
from coffre.console.api.route import Arguments, Own
from coffre.console.api.xml_values import named, read_xml, write_xml
from coffre.console.bucket_objects import Objects, of_version
from coffre.console.data import Data
from coffre.console.endpoints import origins
from coffre.console.links import Purpose, Shared, drawing, share_link
from coffre.console.names import key_text
from coffre.console.parts import Parts
from coffre.console.signed import Signed
from coffre.wire.dates import iso_second
from coffre.wire.errors import S3Error

_VERSIONS: Final = 100
_REPLACES: Final = "whoever has it may replace the object"


class _Lock(Struct):
    mode: str
    retain_until_date: str


class _Hold(Struct):
    status: str


class _Thaw(Struct):
    days: int
    tier: Annotated[str, named("GlacierJobParameters/Tier")]


class _Listed(Struct):
    key: str
    upload_id: str
    initiated: datetime
    storage_class: str = "STANDARD"


class _Uploads(Struct):
    next_key_marker: str = ""
    next_upload_id_marker: str = ""
    is_truncated: bool = False
    upload: list[_Listed] = []


Asked = Callable[[Objects, Arguments], Awaitable[Any]]


def object_operations(parts: Parts, data: Data) -> dict[str, Own]:
    """By name."""

    def through(ask: Asked) -> Own:
        async def own(signed: Signed, arguments: Arguments) -> Any:
            objects = objects_of(data, signed, arguments["store"], arguments["bucket"])
            try:
                with problems():
                    return await ask(objects, arguments)
            except S3Error as error:
                raise Problem(error.code, error.message) from None

        return own

    limit = parts.limits.web_upload
    asked: dict[str, Asked] = {
        "object.list": _list,
        "object.versions": _versions,
        "object.show": _show,
        "object.delete": _delete,
        "object.delete_many": _delete_many,
        "object.restore": _restore,
        "object.thaw": _thaw,
        "object.tags.set": _set_tags,
        "object.retention.set": _set_retention,
        "object.hold.set": _set_hold,
        "upload.list": _uploads,
        "upload.begin": partial(_begin, limit),
        "upload.abort": _abort,
        "upload.complete": _complete,
    }
    found = {name: through(one) for name, one in asked.items()}
    return {**found, "object.share": partial(_share, parts)}


async def _list(objects: Objects, asked: Arguments) -> Any:
    after = {"after": asked["after"]} if asked.get("after") else {}
    page = await objects.page(
        asked.get("prefix", ""), after, asked.get("limit", 100), asked.get("delimiter", "/")
    )
    told = msgspec.to_builtins(page.entries)
    return {"items": told, "next": page.following.get("after"), "folders": page.folders}


async def _versions(objects: Objects, asked: Arguments) -> Any:
    place = asked.get("after") or {}
    following = {"after": place["key"], "version": place.get("version", "")} if place else {}
    page = await objects.versions(
        asked.get("prefix", ""), following, asked.get("limit", 100), asked.get("delimiter", "/")
    )
    at = page.following
    behind = {"key": at["after"], "version": at.get("version", "")} if at else None
    told = msgspec.to_builtins(page.entries)
    return {"items": told, "next": behind, "folders": page.folders}


async def _show(objects: Objects, asked: Arguments) -> Any:
    key, version = asked["key"], asked.get("version", "")
    facts = msgspec.to_builtins(await objects.head(key, version))
    tagged = await objects.tags(key, version) if facts["tags"] else {}
    versions = await objects.versions_of(key, _VERSIONS)
    tags = [{"key": name, "value": value} for name, value in tagged.items()]
    return {"key": key, **facts, "tags": tags, "versions": msgspec.to_builtins(versions)}


async def _delete(objects: Objects, asked: Arguments) -> None:
    await objects.request("DELETE", asked["key"], of_version(asked.get("version", "")))


async def _delete_many(objects: Objects, asked: Arguments) -> Any:
    names = [(one["key"], one.get("version", "")) for one in asked["objects"]]
    return {"failures": msgspec.to_builtins(await objects.delete(names))}


async def _restore(objects: Objects, asked: Arguments) -> Any:
    await objects.restore(asked["bucket"], asked["key"], asked["version"])
    facts = await objects.head(asked["key"])
    return {"key": asked["key"], "etag": facts.etag, "version": facts.version}


async def _thaw(objects: Objects, asked: Arguments) -> None:
    wanted = _Thaw(asked["days"], asked.get("tier", "Standard"))
    await _put(objects, asked, "restore", write_xml(wanted, "RestoreRequest"), method="POST")


async def _set_tags(objects: Objects, asked: Arguments) -> None:
    tags = Tags([Tag(one["key"], one.get("value", "")) for one in asked.get("tags", ())])
    if tags.tags:
        await _put(objects, asked, "tagging", write_xml(tags, "Tagging"))
    else:
        query = {"tagging": "", **of_version(asked.get("version", ""))}
        await objects.request("DELETE", asked["key"], query)


async def _set_retention(objects: Objects, asked: Arguments) -> None:
    mode, until_ms = asked["mode"], asked.get("until_ms")
    if (mode is None) != (until_ms is None):
        raise Problem("InvalidArgument", "mode and until_ms go together", "until_ms")
    body = b"<Retention/>"
    if mode is not None and until_ms is not None:
        try:
            until = iso_second(until_ms)
        except (OverflowError, ValueError):
            raise Problem("InvalidArgument", "no date is so far away", "until_ms") from None
        body = write_xml(_Lock(mode, until), "Retention")
    headers = {}
    if asked.get("bypass_governance"):
        headers["x-amz-bypass-governance-retention"] = "true"
    await _put(objects, asked, "retention", body, headers)


async def _set_hold(objects: Objects, asked: Arguments) -> None:
    hold = _Hold("ON" if asked["held"] else "OFF")
    await _put(objects, asked, "legal-hold", write_xml(hold, "LegalHold"))


async def _put(
    objects: Objects,
    asked: Arguments,
    sub: str,
    body: bytes,
    headers: dict[str, str] | None = None,
    method: str = "PUT",
) -> None:
    digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
    query = {sub: "", **of_version(asked.get("version", ""))}
    sent = {"content-md5": digest, **(headers or {})}
    await objects.request(method, asked["key"], query, sent, body)


async def _uploads(objects: Objects, asked: Arguments) -> Any:
    limit = str(asked.get("limit", 100))
    query = {"uploads": "", "max-uploads": limit, "encoding-type": "url"}
    query |= {"prefix": asked["prefix"]} if asked.get("prefix") else {}
    if place := asked.get("after"):
        query |= {"key-marker": place["key"], "upload-id-marker": place.get("version", "")}
    answer = await objects.request("GET", query=query)
    found = read_xml(_Uploads, answer.body, "ListMultipartUploadsResult")
    behind = {"key": _plain(found.next_key_marker), "version": found.next_upload_id_marker}
    items = [
        {
            "key": _plain(one.key),
            "upload": one.upload_id,
            "begun_ms": int(one.initiated.astimezone(UTC).timestamp() * 1000),
            "storage_class": one.storage_class,
        }
        for one in found.upload
    ]
    return {"items": items, "next": behind if found.is_truncated else None}


def _plain(key: str) -> str:
    """A key as it is, of one that was told as in a URL."""
    return key_text(unquote_to_bytes(key))


async def _begin(limit: int, objects: Objects, asked: Arguments) -> Any:
    check_parts(limit)
    headers = {"content-type": asked.get("content_type", "application/octet-stream")}
    upload = await objects.begin_upload(asked["key"], headers)
    return {"key": asked["key"], "upload": upload}


async def _abort(objects: Objects, asked: Arguments) -> None:
    await objects.request("DELETE", asked["key"], {"uploadId": asked["upload"]})


async def _complete(objects: Objects, asked: Arguments) -> Any:
    headers = {} if asked.get("replace") else {"if-none-match": "*"}
    await objects.complete(asked["key"], asked["upload"], asked["etags"], headers)
    facts = await objects.head(asked["key"])
    return {"key": asked["key"], "etag": facts.etag, "version": facts.version}


async def _share(parts: Parts, signed: Signed, asked: Arguments) -> Any:
    store = parts.reader.store_named(asked["store"])
    assert store is not None, "the entrance saw it"
    purpose: Purpose = "PUT" if asked.get("purpose") == "PUT" else "GET"
    _check_may(parts, signed, store, asked["bucket"], purpose)
    version, expires_s = asked.get("version", ""), asked.get("expires_s", 86_400)
    if version and purpose == "PUT":
        raise Problem("InvalidArgument", "an upload makes a version of its own", "version")
    now_ms = parts.clock.now_ms()
    shared = Shared(
        store=store,
        bucket=asked["bucket"],
        key=asked["key"],
        version=version,
        purpose=purpose,
        expires_s=expires_s,
        endpoint=origins(parts, store.name)[0].url,
        region=parts.region,
    )
    try:
        url = share_link(parts.sessions, signed.person.name, shared, now_ms)
    except (ValueError, UnicodeEncodeError):
        raise Problem("InvalidArgument", "a name that is not UTF-8 has no link", "key") from None
    return {
        "url": url,
        "method": purpose,
        "expires_ms": now_ms // 1000 * 1000 + expires_s * 1000,
        "warning": _REPLACES if purpose == "PUT" else "",
        "drawing": drawing(url),
    }


def _check_may(parts: Parts, signed: Signed, store: Store, bucket: str, purpose: Purpose) -> None:
    """A link can do no more than who gives it. Raises Problem."""
    person = signed.person
    if purpose == "GET" or person.role in ("operator", "owner"):
        return
    role = role_on(person, parts.reader, store, bucket) if person.role == "scoped" else None
    if role not in ("maintainer", "writer"):
        raise Problem("AccessDenied", "you may not upload here, so no link of yours may", "purpose")
