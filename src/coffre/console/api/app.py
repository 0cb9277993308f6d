"""The management API over HTTP: the table's rows as paths, and what each answer has in common."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as PathRoute

from coffre.console.api import paging
from coffre.console.api.activities import Activities
from coffre.console.api.etags import check_match, etag_of, matches
from coffre.console.api.idempotency import HEADER, Remembered, Repetitions
from coffre.console.api.problem import MEDIA_TYPE, Problem
from coffre.console.api.rates import Rates
from coffre.console.api.route import Access, Arguments, Route
from coffre.console.management import Management, checked
from coffre.console.parts import Parts
from coffre.console.signed import Signed
from coffre.console.web import CSRF_HEADER, Doorman, check_csrf

log = logging.getLogger("coffre.console")

PREFIX: Final = "/api/v1"
BODY_LIMIT: Final = 1 << 20
_PAGE_FIELDS: Final = ("limit", "cursor")
_encode = msgspec.json.Encoder().encode


class Api:
    """Answers requests by the table."""

    def __init__(
        self, parts: Parts, management: Management, doorman: Doorman, activities: Activities
    ) -> None:
        self._management = management
        self._doorman = doorman
        self._activities = activities
        self._repetitions = Repetitions(parts.memory, parts.sealer, parts.clock)
        self._rates = Rates(parts.limits.rate, parts.clock.monotonic)

    def routes(self, table: tuple[Route, ...]) -> list[BaseRoute]:
        """One for each path, and one for all others."""
        by_path: dict[str, dict[str, Route]] = {}
        for row in table:
            by_path.setdefault(row.path, {})[row.method] = row
        # `/x/new` before `/x/{name}`: a word stands before what any word may stand for.
        ordered = sorted(by_path, key=lambda path: [part[:1] == "{" for part in path.split("/")])
        found: list[BaseRoute] = [_path(path, _Answers(self, by_path[path])) for path in ordered]
        return [*found, _path("/{rest:path}", _Answers(self, {}))]

    async def answer(self, request: Request, rows: Mapping[str, Route]) -> Response:
        """One request; problems become answers here."""
        where = self._doorman.where(request)
        try:
            response = await self._answer(request, rows)
        except Problem as problem:
            response = problem_response(problem, where.request_id)
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception:
            log.exception("request %s failed", where.request_id)
            response = problem_response(Problem("InternalError"), where.request_id)
        response.headers["X-Request-Id"] = where.request_id
        return response

    async def _answer(self, request: Request, rows: Mapping[str, Route]) -> Response:
        where = self._doorman.where(request)
        self._rates.take(b"address " + where.client.encode())
        if not rows:
            raise Problem("NotFound")
        method = "GET" if request.method == "HEAD" else request.method
        route = rows.get(method)
        if method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": _allow(rows)})
        if route is None:
            raise Problem("MethodNotAllowed", headers={"Allow": _allow(rows)})
        signed = self._doorman.signed(request)
        check_csrf(request, signed, request.headers.get(CSRF_HEADER))
        if signed is None and route.access is not Access.OPEN:
            raise Problem("NotSignedIn", headers={"WWW-Authenticate": "Bearer"})
        if signed is not None:
            self._rates.take(b"person " + signed.person.id + signed.via.encode())
        given = await _arguments(request, route)
        if route.handler is not None:
            return await self._handled(request, route, signed, given)
        assert signed is not None, "whatever is open answers by itself"
        key = request.headers.get(HEADER)
        if method == "POST" and key is not None:
            return await self._once(request, route, signed, given, key)
        return await self._called(request, route, signed, given)

    async def _handled(
        self, request: Request, route: Route, signed: Signed | None, given: Arguments
    ) -> Response:
        assert route.handler is not None, "the caller looked"
        text = not _is_json(route)
        if signed is None:
            given = checked(route, given, text=text)
        else:
            given = self._management.check(signed, route, given, text=text)
        return await route.handler(request, signed, given)

    async def _once(
        self, request: Request, route: Route, signed: Signed, given: Arguments, key: str
    ) -> Response:
        """A POST that may come again."""
        owner = signed.person.id
        whole = _encode([request.url.path, given])
        known = self._repetitions.begin(owner, key, whole)
        if isinstance(known, Remembered):
            return Response(known.body, known.status, dict(known.headers))
        try:
            response = await self._called(request, route, signed, given)
        except BaseException:
            self._repetitions.give_up(known)
            raise
        headers = tuple(
            (name, value)
            for name, value in response.headers.items()
            if name in ("content-type", "location", "etag")
        )
        answer = Remembered(response.status_code, headers, bytes(response.body))
        self._repetitions.end(owner, known, whole, answer)
        return response

    async def _called(
        self, request: Request, route: Route, signed: Signed, given: Arguments
    ) -> Response:
        page = {name: given.pop(name) for name in _PAGE_FIELDS if name in given and _pages(route)}
        limit = paging.read_limit(page.get("limit"))
        if route.pages is not None:
            given[route.pages.limit] = limit
            if "cursor" in page:
                given[route.pages.after] = paging.read_cursor(page["cursor"])
        arguments = self._management.check(signed, route, given, text=not route.has_body)
        if route.edits:
            await self._check_unchanged(request, route, signed, arguments)
        if route.long:
            work = self._management.run(signed, route, arguments)
            activity = self._activities.begin(signed, route.operation, work)
            location = f"{PREFIX}/activities/{activity.id}"
            return _json(activity, 202, {"Location": location})
        answer = await self._management.run(signed, route, arguments)
        return self._response(request, route, answer, limit, page.get("cursor"))

    async def _check_unchanged(
        self, request: Request, route: Route, signed: Signed, arguments: Arguments
    ) -> None:
        header = request.headers.get("if-match")
        if header is None and not route.must_match:
            return
        reading = self._management.route(route.edits)
        names = () if reading.arguments is None else reading.arguments.__struct_fields__
        about = {name: one for name, one in arguments.items() if name in names}
        stands = await self._management.call(signed, route.edits, about)
        check_match(header, etag_of(stands), required=route.must_match)

    def _response(
        self, request: Request, route: Route, answer: Any, limit: int, cursor: str | None
    ) -> Response:
        if route.answer is None:
            return Response(status_code=204)
        headers: dict[str, str] = {}
        following: str | None = None
        if route.pages is not None:
            place = answer.pop(route.pages.next)
            following = None if place is None else paging.write_cursor(place)
            answer = {"items": answer.pop(route.pages.items), "next": following, **answer}
        elif route.rows is not None and not _pages(route):
            answer = {"items": answer, "next": None}
        elif route.rows is not None:
            items, following = paging.page_of(answer, route.rows.key, limit, cursor)
            answer = {"items": items, "next": following}
        if following is not None:
            query = {name: one for name, one in request.query_params.items() if name != "cursor"}
            headers["Link"] = paging.link(request.url.path, query, following)
        if request.method in ("GET", "HEAD"):
            headers["ETag"] = etag_of(answer)
            known = request.headers.get("if-none-match")
            if known is not None and matches(known, headers["ETag"]):
                return Response(status_code=304, headers=headers)
        return _json(answer, route.status, headers)


class _Answers:
    """The ASGI application of one path."""

    def __init__(self, api: Api, rows: Mapping[str, Route]) -> None:
        self._api = api
        self._rows = rows

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = await self._api.answer(Request(scope, receive, send), self._rows)
        await response(scope, receive, send)


def problem_response(problem: Problem, request_id: str) -> Response:
    """As `application/problem+json`."""
    body = _encode(problem.document(request_id))
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


def _path(path: str, answers: _Answers) -> BaseRoute:
    return PathRoute(path, answers)


def _allow(rows: Mapping[str, Route]) -> str:
    head = ["HEAD"] if "GET" in rows else []
    return ", ".join(sorted([*rows, *head, "OPTIONS"]))


def _pages(route: Route) -> bool:
    """A list that something changed comes whole: who asks again would change it again."""
    return route.method == "GET" and (route.rows is not None or route.pages is not None)


def _is_json(route: Route) -> bool:
    return route.has_body and route.body == "application/json"


async def _arguments(request: Request, route: Route) -> Arguments:
    """What the path, the query and the body say, before anybody looks at it. Raises Problem."""
    given: Arguments = {}
    if not _is_json(route):
        given |= _from_query(request, route)
    elif request.url.query:
        name = next(iter(request.query_params), None)
        raise Problem("UnknownField", "its fields go into the body", name)
    else:
        given |= await _from_body(request)
    for name, value in request.path_params.items():
        if name in given:
            raise Problem("UnknownField", "the path says it already", name)
        given[name] = value
    return given


def _from_query(request: Request, route: Route) -> Arguments:
    lists = _list_fields(route)
    found: Arguments = {}
    for name, value in request.query_params.multi_items():
        if name in lists:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Problem("InvalidArgument", "it is given twice", name)
        else:
            found[name] = value
    return found


def _list_fields(route: Route) -> frozenset[str]:
    """Those that may be repeated in a query."""
    if route.arguments is None:
        return frozenset()
    fields = msgspec.structs.fields(route.arguments)
    lists = (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)
    return frozenset(
        one.name for one in fields if isinstance(msgspec.inspect.type_info(one.type), lists)
    )


async def _from_body(request: Request) -> Arguments:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise Problem("BodyTooLarge", f"at most {BODY_LIMIT} bytes")
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem("UnsupportedMediaType")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("InvalidRequest", f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Problem("InvalidRequest", "the body is no JSON object")
    return found


def _json(value: Any, status: int, headers: Mapping[str, str]) -> Response:
    return Response(_encode(value), status, dict(headers), "application/json")
