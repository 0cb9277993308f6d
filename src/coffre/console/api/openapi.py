"""The OpenAPI 3.1 document of the table."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from coffre import __version__
from coffre.console.api.activities import Activity
from coffre.console.api.paging import LIMIT, MOST
from coffre.console.api.problem import MEDIA_TYPE, ProblemDocument
from coffre.console.api.route import Access, Route
from coffre.iam.person_secrets import SCOPES

_JSON: Final = "application/json"
_REF: Final = "#/components/schemas/{name}"
_TEXT: Final = {"type": "string"}
_PROBLEMS: Final = (400, 401, 403, 404, 405, 409, 412, 413, 415, 416, 422, 428, 429, 500, 503)
_WHO: Final = {
    Access.OPEN: "Without signing in.",
    Access.ANYONE: "Whoever is signed in.",
    Access.SCOPED: "People of the store's tenant; scoped ones, on their buckets.",
    Access.TENANT_READER: "Owners and readers of the tenant, operators.",
    Access.TENANT_OWNER: "Owners of the tenant, operators.",
    Access.OPERATOR: "Operators.",
}
_PAGES: Final = (
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT},
    },
    {"name": "cursor", "in": "query", "schema": _TEXT},
)
_ONCE: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]+$"},
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """All of it, as plain values."""
    return _Document(routes).whole()


class _Document:
    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        kinds = [one.answer for one in routes if one.answer is not None]
        kinds += [one.arguments for one in routes if one.arguments is not None]
        kinds += [ProblemDocument, Activity]
        found, self._components = msgspec.json.schema_components(kinds, ref_template=_REF)
        self._schemas = dict(zip(map(repr, kinds), found, strict=True))

    def whole(self) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for one in self._routes:
            fields = self._fields(one)
            place = paths.setdefault(one.path, {})
            place["parameters"] = [_in_path(name, fields.get(name, _TEXT)) for name in one.in_path]
            place[one.method.lower()] = self._operation(one)
        security = f"A personal API token. Scopes: {', '.join(SCOPES)}."
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Coffre management API",
                "version": __version__,
                "description": "What the console and the command line do, for programs.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/api/v1"}],
            "paths": paths,
            "components": {
                "schemas": self._components,
                "responses": self._problems(),
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer", "description": security},
                    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-coffre"},
                },
            },
        }

    def _schema(self, kind: Any) -> dict[str, Any]:
        return self._schemas[repr(kind)]

    def _problems(self) -> dict[str, Any]:
        content = {MEDIA_TYPE: {"schema": self._schema(ProblemDocument)}}
        return {
            f"Problem{status}": {"description": HTTPStatus(status).phrase, "content": content}
            for status in _PROBLEMS
        }

    def _operation(self, route: Route) -> dict[str, Any]:
        required = _required(route)
        beside = {
            name: one for name, one in self._fields(route).items() if name not in route.in_path
        }
        found: dict[str, Any] = {
            "operationId": route.name,
            "summary": route.summary,
            "tags": [route.operation.partition(".")[0]],
            "description": _description(route),
            "security": _security(route),
            "parameters": _parameters(route, beside, required),
            "responses": self._responses(route),
        }
        if route.has_body:
            found |= _body(route, beside, required)
        return found

    def _responses(self, route: Route) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if route.long:
            found["202"] = {
                "description": "It is under way: poll the activity.",
                "headers": {"Location": {"schema": _TEXT}},
                "content": {_JSON: {"schema": self._schema(Activity)}},
            }
        elif route.answer is None:
            found["204"] = {"description": "Done."}
        else:
            schema = self._schema(route.answer) if route.media == _JSON else _TEXT
            if route.rows is not None or route.pages is not None:
                schema = _list(schema)
            found[str(route.status)] = {
                "description": HTTPStatus(route.status).phrase,
                "content": {route.media: {"schema": schema}},
            }
        if route.media != _JSON:
            found["206"] = {**found[str(route.status)], "description": "Partial Content"}
        if route.method == "GET" and (route.handler is None or route.media != _JSON):
            found["304"] = {"description": "It is as If-None-Match says."}
        for status in _PROBLEMS:
            found[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        return found

    def _fields(self, route: Route) -> dict[str, Any]:
        """Schemas of the arguments, but those that `limit` and `cursor` stand for."""
        if route.arguments is None:
            return {}
        name = self._schema(route.arguments)["$ref"].rpartition("/")[2]
        paged = () if route.pages is None else (route.pages.after, route.pages.limit)
        properties = self._components[name].get("properties", {})
        return {field: one for field, one in properties.items() if field not in paged}


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access is Access.OPEN:
        return []
    return [{"session": []}] if route.session_only else [{"session": []}, {"token": []}]


def _parameters(
    route: Route, beside: dict[str, Any], required: frozenset[str]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if not route.has_body or route.body != _JSON:
        found += [
            {"name": name, "in": "query", "required": name in required, "schema": one}
            for name, one in beside.items()
        ]
    if route.method == "GET" and (route.rows is not None or route.pages is not None):
        found += _PAGES
    if route.method == "POST" and route.handler is None:
        found.append(_ONCE)
    if route.edits:
        must = {"required": True} if route.must_match else {}
        found.append({"name": "If-Match", "in": "header", **must, "schema": _TEXT})
    return found


def _body(route: Route, beside: dict[str, Any], required: frozenset[str]) -> dict[str, Any]:
    if route.body != _JSON:
        schema: dict[str, Any] = {"type": "string", "format": "binary"}
    elif not beside:
        return {}
    else:
        schema = {"type": "object", "properties": beside, "additionalProperties": False}
        needed = [name for name in beside if name in required]
        if needed:
            schema["required"] = needed
    must = route.body != _JSON or any(name in required for name in beside)
    return {"requestBody": {"required": must, "content": {route.body: {"schema": schema}}}}


def _list(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": row},
            "next": {"anyOf": [_TEXT, {"type": "null"}]},
        },
    }


def _required(route: Route) -> frozenset[str]:
    if route.arguments is None:
        return frozenset()
    return frozenset(one.name for one in msgspec.structs.fields(route.arguments) if one.required)


def _in_path(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    least = {"minLength": 1} if schema.get("type") == "string" else {}
    return {"name": name, "in": "path", "required": True, "schema": {**least, **schema}}


def _description(route: Route) -> str:
    parts = [_WHO[route.access]]
    if route.session_only:
        parts.append("Not with a token.")
    elif route.scope:
        parts.append(f"A token needs the scope `{route.scope}`.")
    if route.sudo:
        parts.append("In a session, only soon after the password was given.")
    if route.long:
        parts.append("Answers 202 with an activity to poll.")
    return " ".join(parts)
