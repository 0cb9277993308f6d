"""Websites of buckets: their configuration, and what their own host names answer.

A website's host serves GET and HEAD to everybody, signs nothing, and tells of errors in HTML. What
may be read is decided as for any unsigned request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from coffre.access.principals import ANONYMOUS
from coffre.catalog.interface import Reader
from coffre.catalog.mutations import PutBucketDocument
from coffre.catalog.records import Bucket, Store
from coffre.s3.context import Context
from coffre.s3.funnel import as_error
from coffre.s3.object_read import get_object, head_object
from coffre.s3.request_payment import is_charged
from coffre.s3.response import Response
from coffre.s3.unbuilt import check_expected_owner, refuse_unbuilt
from coffre.wire.errors import S3Error
from coffre.wire.metadata import REDIRECT
from coffre.wire.request import RequestHead
from coffre.wire.target import key_of
from coffre.wire.website import (
    DOCUMENT_LIMIT,
    Website,
    error_page,
    moved_page,
    parse_website,
    read_website,
)

WEBSITE: Final = "website"
_PORT: Final = re.compile(r":[0-9]*\Z")
_HTML: Final = (b"content-type", b"text/html; charset=utf-8")
# What asks for a part of the object or for an object that changed: not meant for error documents.
_CONDITIONAL: Final = frozenset(
    {
        *(b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"),
        b"if-range",
    }
)


async def put_bucket_website(context: Context) -> Response:
    """PutBucketWebsite."""
    refuse_unbuilt(context.head)
    check_expected_owner(context.head, context.bucket)
    kept = parse_website(await context.body.document(DOCUMENT_LIMIT))
    await context.committer.commit(PutBucketDocument(context.bucket.id, WEBSITE, kept))
    return Response(200)


def site_forms(bases: tuple[str, ...], region: str) -> tuple[str, ...]:
    """What follows a bucket's name in the host of its website, as AWS has it: with the region
    behind a dash, behind a dot, or without."""
    forms = ("s3-website.{base}", "s3-website-{region}.{base}", "s3-website.{region}.{base}")
    made = (form.format(base=base, region=region.lower()) for base in bases for form in forms)
    return tuple(dict.fromkeys(made))


@lru_cache(maxsize=1024)
def _label(authority: bytes, forms: tuple[str, ...]) -> str | None:
    host = _PORT.sub("", authority.decode("latin-1").strip().lower()).removesuffix(".")
    form = max((one for one in forms if host.endswith(f".{one}")), key=len, default=None)
    return None if form is None else host[: -len(form) - 1]


def site_label(head: RequestHead, forms: tuple[str, ...]) -> str | None:
    """What stands before a website's host name; None for every other host."""
    hosts = head.by_name.get(b"host", ())
    if len(hosts) != 1 or len(hosts[0]) > 320:
        return None
    return _label(hosts[0], forms)


def site_bucket(reader: Reader, label: str) -> Bucket:
    """The bucket that a website's host names: `<bucket>.<store>`, or `<bucket>` where only one
    store has one of that name. Raises NoSuchBucket."""
    name, _, store_name = label.rpartition(".")
    store = reader.store_named(store_name) if name else None
    found = None if store is None else reader.bucket(store.id, name)
    found = found or reader.only_bucket_named(label)
    if found is None:
        raise S3Error("NoSuchBucket", BucketName=label)
    return found


Visit = Callable[[RequestHead, bytes], Context]
"""Makes the context of a read of a key, by nobody in particular."""


@dataclass(frozen=True, slots=True)
class Site:
    """One request to a website. `visit` makes contexts of reads in its bucket."""

    head: RequestHead
    bucket: Bucket
    store: Store
    reader: Reader
    visit: Visit

    async def answer(self, request_id: str, host_id: str) -> Response:
        """The answer, an error's too."""
        try:
            return await self._answer()
        except Exception as failure:
            return await self._failed(as_error(failure, request_id), request_id, host_id)

    async def _answer(self) -> Response:
        head = self.head
        site, key = self._site(), key_of(head) or b""
        if head.method not in ("GET", "HEAD"):
            raise S3Error("MethodNotAllowed", Method=head.method, ResourceType="OBJECT")
        if site.all_to is not None:
            protocol, host = site.all_to
            query = b"?" + head.raw_query if head.raw_query else b""
            path = (head.raw_path + query).decode("latin-1")
            return moved(301, f"{protocol or head.scheme}://{host}{path}")
        is_charged(self.reader, ANONYMOUS, head, self.bucket)
        rule = site.rule(key, None)
        if rule is not None:
            return moved(rule.status, rule.location(key, head.scheme, self._host))
        folder = not key or key.endswith(b"/")
        wanted = key + site.index.encode() if folder else key
        try:
            return await self._read(self._bare(head.headers), wanted)
        except S3Error as error:
            if error.code == "NoSuchKey" and not folder:
                below = key + b"/" + site.index.encode()
                if self._stands(below):
                    return moved(302, f"{head.raw_path.decode('latin-1')}/")
            raise

    async def _failed(self, error: S3Error, request_id: str, host_id: str) -> Response:
        """What the bucket wants to be told of an error, or our own page."""
        if error.status == 304:
            return Response(304, list(error.headers))
        missing = None
        kept = self.reader.bucket_document(self.bucket.id, WEBSITE)
        if kept is not None and error.code != "MethodNotAllowed":
            site = read_website(kept)
            key = _key_or_none(self.head)
            rule = None if key is None else site.rule(key, error.status)
            if rule is not None and key is not None:
                return moved(rule.status, rule.location(key, self.head.scheme, self._host))
            if site.error is not None and 400 <= error.status < 500:
                try:
                    return await self._error_document(site.error, error.status)
                except Exception as failure:
                    missing = (site.error, as_error(failure, request_id))
        body = error_page(error, request_id, host_id, missing)
        return html(error, body, self.head)

    async def _error_document(self, key: str, status: int) -> Response:
        plain = tuple(one for one in self.head.headers if one[0] not in _CONDITIONAL)
        response = await self._read(self._bare(plain), key.encode())
        response.status = status
        return response

    async def _read(self, head: RequestHead, key: bytes) -> Response:
        """The object as GetObject has it, or where it redirects to."""
        context = self.visit(head, key)
        if not context.permits("s3:GetObject", self.bucket, key):
            raise S3Error("AccessDenied")
        found = context.look(self.bucket, key, None)
        to = None if found is None or found.marker else found.metadata.get(REDIRECT)
        if to is not None:
            return moved(301, to)
        return await (head_object if head.method == "HEAD" else get_object)(context)

    def _stands(self, key: bytes) -> bool:
        found = self.reader.current(self.bucket, key)
        return found is not None and not found.marker

    def _site(self) -> Website:
        kept = self.reader.bucket_document(self.bucket.id, WEBSITE)
        if kept is None:
            raise S3Error("NoSuchWebsiteConfiguration", BucketName=self.bucket.name)
        return read_website(kept)

    @property
    def _host(self) -> str:
        return self.head.header(b"host") or ""

    def _bare(self, headers: tuple[tuple[bytes, bytes], ...]) -> RequestHead:
        """The request without its query, which a website does not read."""
        head = self.head
        return RequestHead(
            head.method, head.raw_path, b"", headers, scheme=head.scheme, client=head.client
        )


def moved(status: int, location: str) -> Response:
    """A redirect."""
    where = location.encode("utf-8", "surrogateescape")
    return Response(status, [(b"location", where), _HTML], moved_page(status))


def html(error: S3Error, body: bytes, head: RequestHead) -> Response:
    """An error as a page; HEAD has no body, but says in headers what went wrong."""
    told = [
        *error.headers,
        (b"x-amz-error-code", error.code.encode()),
        (b"x-amz-error-message", error.message.encode("latin-1", "replace")),
        _HTML,
    ]
    return Response(error.status, told, b"" if head.method == "HEAD" else body)


def _key_or_none(head: RequestHead) -> bytes | None:
    try:
        return key_of(head) or b""
    except S3Error:
        return None
