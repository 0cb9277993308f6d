"""A bucket's objects as the console handles them: S3 requests, made as the person who is signed in.

Every request goes through the gateway, which decides and keeps record as for any client. Keys are
text with the bytes that are no UTF-8 as lone surrogates (`names`).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from hashlib import md5
from typing import Final
from urllib.parse import quote, unquote_to_bytes
from xml.etree.ElementTree import Element

from msgspec import Struct

from coffre.console.data import S3Response
from coffre.console.names import key_bytes, key_text
from coffre.wire import xml
from coffre.wire.errors import S3Error
from coffre.wire.escape import escape

_LISTING_BYTES: Final = 16 << 20
_CHECKSUMS: Final = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
_META: Final = "x-amz-meta-"
# What XML 1.0 has no way to write.
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Body = AsyncIterable[bytes] | bytes
# method, key ("": the bucket itself), query, headers, body
Ask = Callable[
    [str, str, Mapping[str, str], Mapping[str, str], Body], AbstractAsyncContextManager[S3Response]
]


class Answer(Struct, frozen=True):
    """A whole answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Opened(Struct, frozen=True):
    """An answer whose body is still to come: `held` is closed by whoever has it."""

    status: int
    headers: dict[str, str]
    body: AsyncIterator[bytes]
    held: AsyncExitStack


class S3Refused(Exception):
    """The gateway's refusal: its status, S3's code of it, its own words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code


class Entry(Struct, frozen=True):
    """An object of a listing, a version of one, or the mark that one was deleted."""

    key: str
    modified_ms: int
    size: int = 0
    storage_class: str = "STANDARD"
    version: str = ""
    latest: bool = True
    marker: bool = False


class Page(Struct, frozen=True):
    """`following`: the query's fields that ask for the next page, none after the last."""

    folders: list[str]
    entries: list[Entry]
    following: dict[str, str]


class Facts(Struct, frozen=True):
    """What HeadObject tells. `lock_until_ms` 0: no retention."""

    size: int
    modified_ms: int
    type: str
    etag: str
    version: str
    storage_class: str
    metadata: dict[str, str]
    kept: dict[str, str]
    checksums: dict[str, str]
    encryption: str
    lock_mode: str
    lock_until_ms: int
    held: bool
    restore: str
    tags: int
    parts: int


class Failure(Struct, frozen=True):
    """What was not deleted, and why."""

    key: str
    code: str
    message: str


class Objects:
    """One bucket's objects, for one person."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def request(
        self,
        method: str,
        key: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
    ) -> Answer:
        """A request whose answer is good and no file. Raises S3Refused."""
        async with self._ask(method, key, query or {}, headers or {}, body) as begun:
            said = await begun.read(_LISTING_BYTES)
        if begun.status >= 300:
            raise _told(begun.status, said)
        return Answer(begun.status, _headers(begun), said)

    async def open(self, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Opened:
        """Begin to read an object. Raises S3Refused."""
        held = AsyncExitStack()
        begun = await held.enter_async_context(self._ask("GET", key, query, headers, b""))
        if begun.status >= 300:
            async with held:
                raise _told(begun.status, await begun.read(_LISTING_BYTES))
        return Opened(begun.status, _headers(begun), _pieces(begun.body), held)

    async def page(
        self, prefix: str, following: Mapping[str, str], limit: int, delimiter: str = "/"
    ) -> Page:
        """Folders and current objects below a prefix, by name; all objects without a delimiter."""
        query = {"list-type": "2", "prefix": prefix, "delimiter": delimiter, "max-keys": str(limit)}
        token = following.get("after")
        query |= {"encoding-type": "url"} | ({"continuation-token": token} if token else {})
        root = await self._document("GET", "", query, "ListBucketResult")
        after = root.findtext("NextContinuationToken") or ""
        return Page(_folders(root), [_entry(one) for one in root.iter("Contents")], _some(after))

    async def versions(
        self, prefix: str, following: Mapping[str, str], limit: int, delimiter: str = "/"
    ) -> Page:
        """Folders, versions and delete markers below a prefix; the newest of a name first."""
        query = {"versions": "", "prefix": prefix, "delimiter": delimiter, "max-keys": str(limit)}
        query["encoding-type"] = "url"
        if following.get("after"):
            query["key-marker"] = following["after"]
            if following.get("version"):
                query["version-id-marker"] = following["version"]
        root = await self._document("GET", "", query, "ListVersionsResult")
        entries = [_entry(one) for one in root if one.tag in ("Version", "DeleteMarker")]
        after = _decoded(root.findtext("NextKeyMarker"))
        version = root.findtext("NextVersionIdMarker") or ""
        more = root.findtext("IsTruncated") == "true"
        return Page(_folders(root), entries, _some(after, version) if more else {})

    async def versions_of(self, key: str, limit: int) -> list[Entry]:
        """The newest versions of one object, its delete markers too."""
        query = {"versions": "", "prefix": key, "max-keys": str(limit), "encoding-type": "url"}
        root = await self._document("GET", "", query, "ListVersionsResult")
        found = [_entry(one) for one in root if one.tag in ("Version", "DeleteMarker")]
        return [one for one in found if one.key == key]

    async def head(self, key: str, version: str = "") -> Facts:
        """Raises S3Refused, whose words a HEAD does not have."""
        headers = {"x-amz-checksum-mode": "ENABLED"}
        answer = await self.request("HEAD", key, of_version(version), headers)
        return _facts(answer.headers)

    async def tags(self, key: str, version: str = "") -> dict[str, str]:
        query = {"tagging": "", **of_version(version)}
        root = await self._document("GET", key, query, "Tagging")
        return {one.findtext("Key") or "": one.findtext("Value") or "" for one in root.iter("Tag")}

    async def beginning(self, key: str, version: str, limit: int) -> bytes:
        """At most `limit` bytes from the start of an object."""
        headers = {"range": f"bytes=0-{limit - 1}"}
        answer = await self.request("GET", key, of_version(version), headers)
        return answer.body[:limit]

    async def delete(self, names: Iterable[tuple[str, str]]) -> list[Failure]:
        """Delete at most 1000 objects: key and version ("": of a kept history, the mark of it)."""
        written: list[str] = []
        failures: list[Failure] = []
        for key, version in names:
            if _UNWRITABLE.search(key):  # DeleteObjects cannot name it: one request by its path
                failures += await self._delete_one(key, version)
            else:
                named = f"<VersionId>{escape(version)}</VersionId>" if version else ""
                written.append(f"<Object><Key>{escape(key)}</Key>{named}</Object>")
        if not written:
            return failures
        body = f"<Delete><Quiet>true</Quiet>{''.join(written)}</Delete>".encode()
        digest = b64encode(md5(body, usedforsecurity=False).digest()).decode()
        answer = await self.request("POST", "", {"delete": ""}, {"content-md5": digest}, body)
        root = xml.parse(answer.body, "DeleteResult", limit=_LISTING_BYTES)
        return failures + [
            Failure(one.findtext("Key") or "", one.findtext("Code") or "", _message(one))
            for one in root.iter("Error")
        ]

    async def _delete_one(self, key: str, version: str) -> list[Failure]:
        try:
            await self.request("DELETE", key, of_version(version))
        except S3Refused as refused:
            return [Failure(key, refused.code, str(refused))]
        return []

    async def restore(self, bucket: str, key: str, version: str) -> None:
        """Make an old version the current one, by a copy within the bucket."""
        source = f"{quote(bucket, safe='')}/{quote(key_bytes(key), safe='/')}"
        headers = {"x-amz-copy-source": f"{source}?versionId={quote(version, safe='')}"}
        answer = await self.request("PUT", key, {}, headers)
        # A copy that fails on its way says so in an answer that began as a good one.
        if b"<Error>" in answer.body:
            raise _told(answer.status, answer.body)

    async def begin_upload(self, key: str, headers: Mapping[str, str]) -> str:
        answer = await self.request("POST", key, {"uploads": ""}, headers)
        root = xml.parse(answer.body, "InitiateMultipartUploadResult")
        return root.findtext("UploadId") or ""

    async def complete(
        self, key: str, upload: str, etags: list[str], headers: Mapping[str, str]
    ) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        answer = await self.request("POST", key, {"uploadId": upload}, headers, body)
        if b"<Error>" in answer.body:
            raise _told(answer.status, answer.body)

    async def _document(
        self, method: str, key: str, query: Mapping[str, str], root: str
    ) -> Element:
        answer = await self.request(method, key, query)
        return xml.parse(answer.body, root, limit=_LISTING_BYTES)


def of_version(version: str) -> dict[str, str]:
    """The query that names one version, or the current one."""
    return {"versionId": version} if version else {}


async def _pieces(body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The gateway's pieces, of which some are views or arrays, as HTTP servers take them."""
    async for piece in body:
        yield bytes(piece)


def _headers(begun: S3Response) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in begun.headers
    }


def _told(status: int, body: bytes) -> S3Refused:
    if not body.strip():
        return S3Refused(status, {404: "NoSuchKey", 403: "AccessDenied"}.get(status, ""), "")
    try:
        root = xml.parse(body, "Error")
    except S3Error:
        # It tells what was asked, and no XML can say a character such as NUL.
        code = re.search(rb"<Code>(\w+)</Code>", body)
        return S3Refused(status, code[1].decode() if code else "", "")
    return S3Refused(status, root.findtext("Code") or "", _message(root))


def _message(element: Element) -> str:
    return element.findtext("Message") or ""


def _decoded(text: str | None) -> str:
    return key_text(unquote_to_bytes(text or ""))


def _folders(root: Element) -> list[str]:
    return [_decoded(one.findtext("Prefix")) for one in root.iter("CommonPrefixes")]


def _some(after: str, version: str = "") -> dict[str, str]:
    given = {"after": after, "version": version}
    return {name: value for name, value in given.items() if value}


def _entry(one: Element) -> Entry:
    modified = datetime.fromisoformat(one.findtext("LastModified") or "1970-01-01T00:00:00Z")
    return Entry(
        _decoded(one.findtext("Key")),
        int(modified.timestamp() * 1000),
        int(one.findtext("Size") or 0),
        one.findtext("StorageClass") or "STANDARD",
        one.findtext("VersionId") or "",
        one.findtext("IsLatest") != "false",
        one.tag == "DeleteMarker",
    )


def _facts(headers: Mapping[str, str]) -> Facts:
    until = headers.get("x-amz-object-lock-retain-until-date")
    modified = headers.get("last-modified")
    named = ("cache-control", "content-disposition", "content-encoding", "content-language")
    return Facts(
        size=int(headers.get("content-length", 0)),
        modified_ms=int(parsedate_to_datetime(modified).timestamp() * 1000) if modified else 0,
        type=headers.get("content-type", ""),
        etag=headers.get("etag", ""),
        version=headers.get("x-amz-version-id", ""),
        storage_class=headers.get("x-amz-storage-class", "STANDARD"),
        metadata={
            name.removeprefix(_META): _unfolded(value)
            for name, value in headers.items()
            if name.startswith(_META)
        },
        kept={name: headers[name] for name in (*named, "expires") if name in headers},
        checksums={
            name.upper(): headers[f"x-amz-checksum-{name}"]
            for name in _CHECKSUMS
            if f"x-amz-checksum-{name}" in headers
        },
        encryption=headers.get("x-amz-server-side-encryption", ""),
        lock_mode=headers.get("x-amz-object-lock-mode", ""),
        lock_until_ms=int(datetime.fromisoformat(until).timestamp() * 1000) if until else 0,
        held=headers.get("x-amz-object-lock-legal-hold") == "ON",
        restore=headers.get("x-amz-restore", ""),
        tags=int(headers.get("x-amz-tagging-count", 0)),
        parts=int(headers.get("x-amz-mp-parts-count", 0)),
    )


def _unfolded(value: str) -> str:
    """Metadata that is not ASCII comes back as RFC 2047 writes it."""
    return str(make_header(decode_header(value))) if value.startswith("=?") else value
