"""A request of the Files tab: who, which bucket, what they may do in it, and its objects.

Pages are made by `page_route`, as any page. What scripts and frames ask for (bytes, JSON) has
`data_route`: the same sign-in, the CSRF token in a header, refusals as problem documents.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from coffre.catalog.records import Store
from coffre.console.api.entrance import role_on, sees_store
from coffre.console.api.problem import MEDIA_TYPE, Problem
from coffre.console.bucket_objects import Body, Objects, S3Refused
from coffre.console.console import Console, console_of
from coffre.console.data import S3Response
from coffre.console.i18n import N_, Language
from coffre.console.links import Purpose, Shared, share_link
from coffre.console.names import key_bytes
from coffre.console.pages import shell
from coffre.console.pages.bucket_frame import show_bucket
from coffre.console.pages.endpoints import endpoints
from coffre.console.pages.file_place import Addresses, Chosen, asked
from coffre.console.pages.form import Form
from coffre.console.pages.words import said_of
from coffre.console.signed import Signed
from coffre.console.web import CSRF_HEADER, check_csrf

_WRITERS: Final = ("maintainer", "writer")
log = logging.getLogger("coffre.console")

FILES: Final = "/stores/{store}/buckets/{bucket}/files"
# S3's refusals, as the console words its own.
_SAID: Final[Mapping[str, str]] = {
    "AccessDenied": N_("Your role, a policy or a network rule does not allow it."),
    "NoSuchKey": N_("There is no such file."),
    "NoSuchVersion": N_("There is no such version."),
    "NoSuchBucket": N_("There is no such bucket, or you may not see it."),
    "MethodNotAllowed": N_("This version marks that the file was deleted."),
    "PreconditionFailed": N_("A file of this name is there."),
    "QuotaExceeded": N_("There is no room left: the quota is used up."),
    "EntityTooLarge": N_("This is more than one object may have."),
    "KeyTooLongError": N_("The name is longer than 1024 bytes."),
    "InvalidObjectState": N_("It is archived: restore it before it is read."),
    "SlowDown": N_("The store is busy. Try again in a moment."),
}


def is_text(name: str) -> bool:
    """Whether a script can say the name: it has no bytes that are no UTF-8."""
    return not any("\ud800" <= one <= "\udfff" for one in name)


class Tab:
    """One request."""

    def __init__(self, request: Request, signed: Signed) -> None:
        self.request = request
        self._signed = signed
        self._console: Console = console_of(request)
        self._place = (str(request.path_params["store"]), str(request.path_params["bucket"]))
        self.asked = asked(request)
        self.said: Language = shell.language_of(request)
        self.csrf = signed.csrf
        self.now_ms = self._console.parts.clock.now_ms()
        self.upload_limit: int = self._console.parts.limits.web_upload
        self.objects = Objects(self._ask)
        store, bucket = (quote(one, safe="") for one in self._place)
        self._at = f"/stores/{store}/buckets/{bucket}"
        self.addresses = Addresses(f"{self._at}/files")
        self.bucket: Mapping[str, Any] = {"name": self._place[1]}

    @cached_property
    def store(self) -> Store:
        found = self._console.parts.reader.store_named(self._place[0])
        if found is None or not sees_store(self._signed.person, found):
            raise Problem("NoSuchStore", f"there is no store {self._place[0]!r}", "store")
        return found

    @property
    def form(self) -> Form:
        return shell.form_of(self.request)

    @property
    def keeps_versions(self) -> bool:
        return self.bucket.get("versioning") == "enabled"

    @property
    def has_versions(self) -> bool:
        return self.bucket.get("versioning") != "never"

    @property
    def may_write(self) -> bool:
        """What the page offers; what is done is decided by the gateway."""
        person = self._signed.person
        if person.role == "scoped":
            role = role_on(person, self._console.parts.reader, self.store, self._place[1])
            return role in _WRITERS
        return person.role in ("operator", "owner")

    @property
    def endpoint(self) -> str:
        """The store's own origin, for programs and links."""
        found = [one.url for one in endpoints(self.request, self._place[0])]
        # What leaves this page goes to other machines: rather by HTTPS.
        return next((url for url in found if url.startswith("https:")), found[0])

    def values(self, name: str) -> list[str]:
        """A field of the form that may be there many times, or of the query."""
        sent = list(self.form.fields.get(name, ()))
        return sent or ([self.asked[name]] if name in self.asked else [])

    def share(self, named: Chosen, purpose: Purpose, expires_s: int) -> str:
        """A link. Raises ValueError for a name that none can have."""
        parts = self._console.parts
        shared = Shared(
            store=self.store,
            bucket=self._place[1],
            key=named.key,
            version=named.version,
            purpose=purpose,
            expires_s=expires_s,
            endpoint=self.endpoint,
            region=parts.region,
        )
        return share_link(parts.sessions, self._signed.person.name, shared, self.now_ms)

    def refusal(self, refused: S3Refused) -> str:
        """The gateway's refusal, for people."""
        known = _SAID.get(refused.code)
        return self.said(known) if known else str(refused)

    def problem(self, refused: S3Refused) -> Problem:
        """The gateway's refusal, as the console's own."""
        found = Problem(refused.code or "Conflict", self.refusal(refused))
        found.status = refused.status if refused.status >= 400 else found.status
        return found

    async def render(self, template: str, **values: Any) -> Response:
        shown = {"bucket": self.bucket, "may_write": self.may_write, "store": self._place[0]}
        return await show_bucket(self.request, template, "files", **{**shown, **values})

    def go_to(self, address: str, said: str = "") -> Response:
        return shell.go(address, said)

    def _ask(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Body,
    ) -> AbstractAsyncContextManager[S3Response]:
        raw = key_bytes(key) if key else None
        store, bucket = self._place
        return self._console.data.request(
            self._signed, store, method, bucket, raw, query, headers, body
        )


Handler = Callable[[Tab], Awaitable[Response]]


def tab_page(handler: Handler) -> shell.Page:
    """A handler as a page."""

    async def page(request: Request) -> Response:
        tab = Tab(request, shell.signed_of(request))
        store, bucket = (str(request.path_params[name]) for name in ("store", "bucket"))
        tab.bucket = await shell.call(request, "bucket.show", store=store, bucket=bucket)
        return await handler(tab)

    return page


def data_route(path: str, handlers: Mapping[str, Handler]) -> Route:
    """A path of the tab that scripts and frames ask, by method."""

    async def answer(request: Request) -> Response:
        console = console_of(request)
        try:
            signed = console.doorman.signed(request)
            if signed is None:
                raise Problem("NotSignedIn")
            check_csrf(request, signed, request.headers.get(CSRF_HEADER))
            method = "GET" if request.method == "HEAD" else request.method
            return await handlers[method](Tab(request, signed))
        except Problem as problem:
            return _told(request, problem)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            log.exception("request %s failed", console.doorman.where(request).request_id)
            return _told(request, Problem("InternalError"))

    return Route(path, answer, methods=list(handlers))


def _told(request: Request, problem: Problem) -> Response:
    """A refusal, in the reader's language, as a script takes it."""
    where = console_of(request).doorman.where(request)
    document = problem.document(where.request_id)
    document = replace(document, detail=said_of(problem, shell.language_of(request)))
    return Response(
        msgspec.json.encode(document), problem.status, dict(problem.headers), MEDIA_TYPE
    )
