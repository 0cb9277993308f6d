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
_COMMON: Final = (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428, 429, 500, 503)


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """All of it, as plain values."""
    kinds = [_schema_of(one) for one in routes if one.answer is not None]
    kinds += [one.arguments for one in routes if one.arguments is not None]
    found, components = msgspec.json.schema_components(
        [*kinds, ProblemDocument, Activity], ref_template=_REF
    )
    schemas = dict(zip(map(_mark, [*kinds, ProblemDocument, Activity]), found, strict=True))
    paths: dict[str, Any] = {}
    for one in routes:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas, components)
    for path, methods in paths.items():
        methods["parameters"] = [_path_parameter(name) for name in _in(path)]
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
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"A personal API token. Scopes: {', '.join(SCOPES)}.",
                },
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-coffre"},
            },
        },
    }


def _in(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _mark(kind: Any) -> str:
    return repr(kind)


def _schema_of(route: Route) -> Any:
    return route.answer


def _operation(route: Route, schemas: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    fields = _fields(route, components)
    required = _required(route)
    beside = {name: one for name, one in fields.items() if name not in route.in_path}
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.operation.partition(".")[0]],
        "description": _description(route),
        "parameters": [],
        "responses": _responses(route, schemas),
    }
    if route.access is not Access.OPEN:
        found["security"] = [{"session": []}] + ([] if route.session_only else [{"token": []}])
    else:
        found["security"] = []
    if not route.has_body or route.body != _JSON:
        found["parameters"] += [
            {"name": name, "in": "query", "required": name in required, "schema": one}
            for name, one in beside.items()
        ]
    if route.rows is not None or route.pages is not None:
        found["parameters"] += [
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT},
            },
            {"name": "cursor", "in": "query", "schema": _TEXT},
        ]
    if route.has_body:
        found |= _body(route, beside, required)
    if route.method == "POST" and route.handler is None:
        found["parameters"].append(
            {"name": "Idempotency-Key", "in": "header", "schema": _key_schema()}
        )
    if route.edits:
        found["parameters"].append(
            {
                "name": "If-Match",
                "in": "header",
                "required": route.must_match,
                "schema": _TEXT,
            }
        )
    return found


def _key_schema() -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[!-~]+$"}


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


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if route.long:
        found["202"] = {
            "description": "It is under way: poll the activity.",
            "headers": {"Location": {"schema": _TEXT}},
            "content": {_JSON: {"schema": schemas[_mark(Activity)]}},
        }
    elif route.answer is None:
        found["204"] = {"description": "Done."}
    else:
        schema: dict[str, Any] = schemas[_mark(_schema_of(route))]
        if route.rows is not None or route.pages is not None:
            schema = _list(schema)
        content = {"schema": schema if route.media == _JSON else {"type": "string"}}
        found[str(route.status)] = {
            "description": HTTPStatus(route.status).phrase,
            "content": {route.media: content},
        }
    if route.method == "GET" and route.handler is None:
        found["304"] = {"description": "It is as If-None-Match says."}
    problem = {MEDIA_TYPE: {"schema": schemas[_mark(ProblemDocument)]}}
    for status in _COMMON:
        found[str(status)] = {"description": HTTPStatus(status).phrase, "content": problem}
    return found


def _list(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": row},
            "next": {"anyOf": [_TEXT, {"type": "null"}]},
        },
    }


def _fields(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    if route.arguments is None:
        return {}
    found = dict(components[route.arguments.__name__].get("properties", {}))
    if route.pages is not None:
        for name in (route.pages.after, route.pages.limit):
            found.pop(name, None)
    return found


def _required(route: Route) -> frozenset[str]:
    if route.arguments is None:
        return frozenset()
    return frozenset(one.name for one in msgspec.structs.fields(route.arguments) if one.required)


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {**_TEXT, "minLength": 1}}


def _description(route: Route) -> str:
    who = {
        Access.OPEN: "Without signing in.",
        Access.ANYONE: "Whoever is signed in.",
        Access.SCOPED: "People of the store's tenant; scoped ones, on their buckets.",
        Access.TENANT_READER: "Owners and readers of the tenant, operators.",
        Access.TENANT_OWNER: "Owners of the tenant, operators.",
        Access.OPERATOR: "Operators.",
    }[route.access]
    parts = [who]
    if route.session_only:
        parts.append("Not with a token.")
    elif route.scope:
        parts.append(f"A token needs the scope `{route.scope}`.")
    if route.sudo:
        parts.append("In a session, only soon after the password was given.")
    if route.long:
        parts.append("Answers 202 with an activity to poll.")
    return " ".join(parts)
