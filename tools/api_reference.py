"""Writes `docs/api.md` from the management API's table: `python -m tools.api_reference`."""

from __future__ import annotations

from collections import defaultdict
from http import HTTPStatus

from coffre.console.api.problem import OWN
from coffre.console.api.route import Access, Route
from coffre.console.api.table import ROUTES
from coffre.iam.person_secrets import SCOPES

HEAD = """\
# Management API

What the console and the command line do, for programs: JSON over HTTPS, on the console's port
(`console` in the ready line), under `/api/v1`. [`openapi.json`](openapi.json) describes every call
(OpenAPI 3.1); a node serves it at `GET /api/v1/openapi.json` without sign-in. This page is
generated from the same table.

## To begin with

A program comes with a personal API token. Sign in to the console, or make one on the node's own
machine:

```sh
coffre token create --person operator --name ci --scope stores:read --scope buckets:write > token
curl --cacert data/tls/ca.pem -H "Authorization: Bearer $(cat token)" \\
    https://localhost:9001/api/v1/stores
```

The typed Python client comes with the package:

```python
from coffre.client import ApiError, Client

with Client("https://localhost:9001", token_file="token", ca_file="data/tls/ca.pem") as coffre:
    for bucket in coffre.bucket.list():
        print(bucket.store, bucket.name, bucket.bytes)
```

The command line works from elsewhere by the same API:
`coffre --server https://HOST:9001 --token-file token store list` (or `COFFRE_SERVER`,
`COFFRE_TOKEN_FILE`, `COFFRE_CA_FILE`).

## What all calls have in common

- **Who asks**: `Authorization: Bearer coffre_pat_…`, or the cookie that `POST /session` sets. With
  a cookie every change carries the session's CSRF token (`csrf_token` of `GET /me`) as
  `X-CSRF-Token`. What somebody may not see is answered like what is not there, 404.
- **Tokens** may what their person may, as far as their scopes go: {scopes}.
  `write` includes `read`. They end after 90 days unless another time is asked for, and are shown
  once.
- **Arguments**: those of the path; the others in the query of a GET or DELETE, else in a JSON
  body. A field that there is not is refused by name.
- **Lists** come in pages: `{{"items": […], "next": CURSOR or null}}`, with `limit` (1 to 1000, 100
  by default), `cursor`, and a `Link` header to the next one.
- **Edits**: a GET answers with an `ETag`. Sent as `If-Match`, it has a change refused (412) where
  somebody else was first.
- **Once**: a POST with an `Idempotency-Key` is answered as before if it comes again within 24
  hours, and done once.
- **What takes long** is answered 202 with an activity: poll `GET /activities/{{id}}` until its
  `status` is `done` or `failed`. `unknown`: the console was started again meanwhile; the node goes
  on with what was begun.
- **Rates**: beyond `console_rate` requests a second
  ([configuration](configuration.md#the-console)) the answer is 429 with `Retry-After`.
- **Sudo**: in a session, what is marked so is done only by whoever gave the password within ten
  minutes: `POST /session/proof`.

## Errors

`application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail` for people, `code` for
programs, `field` where it is about one, `request_id`. Beside the codes of operations
(`NoSuchStore`, `StoreNotEmpty`, …) these are the API's own:

| Status | Code | Meaning |
|---|---|---|
"""
WHO = {
    Access.OPEN: "anybody",
    Access.ANYONE: "whoever is signed in",
    Access.SCOPED: "reader; scoped",
    Access.TENANT_READER: "reader",
    Access.TENANT_OWNER: "owner",
    Access.OPERATOR: "operator",
}
CALLS = """
## Calls

*Who*: the least role; an operator may all, an owner what a reader may. *Token*: the scope that a
token needs; "–": none will do.
"""


def page() -> str:
    """The page."""
    parts = [HEAD.format(scopes=", ".join(f"`{one}`" for one in SCOPES))]
    for code, (status, words) in OWN.items():
        parts.append(f"| {status} {HTTPStatus(status).phrase} | `{code}` | {words} |\n")
    parts.append(CALLS)
    groups: dict[str, list[Route]] = defaultdict(list)
    for one in ROUTES:
        groups[one.operation.partition(".")[0]].append(one)
    for name, rows in groups.items():
        parts.append(f"\n### {name}\n\n| Call | What | Who | Token |\n|---|---|---|---|\n")
        parts += [_row(one) for one in rows]
    return "".join(parts)


def _row(route: Route) -> str:
    marks = [mark for mark, on in (("202", route.long), ("sudo", route.sudo)) if on]
    words = route.summary + (f" ({', '.join(marks)})" if marks else "")
    token = "–" if route.session_only else f"`{route.scope}`" if route.scope else ""
    call = f"`{route.method} {route.path}`"
    return f"| {call} | {words} | {WHO[route.access]} | {token} |\n"


if __name__ == "__main__":
    print(page(), end="")
