"""One row of the management API: a method and a path, and the operation behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from coffre.console.signed import Signed

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Arguments = dict[str, Any]
# A row that answers by itself (streams, cookies): who asks is known and admitted. `signed` is None
# on a row that is open.
Handler = Callable[[Request, Signed | None, Arguments], Awaitable[Response]]
# An operation of the console's own.
Own = Callable[[Signed, Arguments], Awaitable[Any]]


class Access(Enum):
    """Who may. A row that names a store is only seen by those who see the store."""

    OPEN = "open"  # without signing in
    ANYONE = "anyone"  # whoever is signed in, each sees their own
    SCOPED = "scoped"  # of the store's tenant; a scoped person: on their buckets
    TENANT_READER = "reader"  # owners and readers of the tenant
    TENANT_OWNER = "owner"  # owners of the tenant
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """An answer that is a list. `key` are the fields that name a row, in the order of the list;
    `store`, `bucket` and `tenant` the fields that say whose it is: others do not see it."""

    key: tuple[str, ...]
    store: str = ""
    bucket: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """An answer that the operation pages itself: the names of its argument that says where to go
    on, of its rows, and of what says that more follow."""

    after: str = "after"
    items: str = "items"
    next: str = "next"
    limit: str = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`arguments` are all that the operation takes: those of the path's braces, the others in the
    query of a GET or DELETE, else in the body. `renamed`: an argument's name at the operation,
    where it is another ("": the operation does not take it). `answer` is what a call returns (a
    row of it, where it is a list; None: nothing, 204).

    `store`, `bucket`, `tenant`, `person` and `key` (an access key, which must be of the store) name
    the arguments that say what it is about; `edits` is the operation that reads what this one
    changes: If-Match is held against its ETag, and must be sent where `must_match`. `sudo`: only
    soon after the password was given. `session_only`: not with a token. `long`: answered 202 with
    an activity. `scope`: what a token must have. `needs`: the role on the bucket that a scoped
    person must have; where it is "reader", readers may ("": what a GET asks is a reader's, anything
    else a maintainer's).
    """

    operation: str
    method: Method
    path: str
    access: Access
    scope: str = ""
    arguments: type[Struct] | None = None
    answer: Any = None
    status: int = 200
    long: bool = False
    summary: str = ""
    rows: Rows | None = None
    pages: Pages | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    store: str = "store"
    bucket: str = "bucket"
    tenant: str = "tenant"
    person: str = ""
    key: str = ""
    edits: str = ""
    needs: Literal["", "reader", "writer", "maintainer"] = ""
    must_match: bool = False
    sudo: bool = False
    session_only: bool = False
    handler: Handler | None = None
    body: str = "application/json"
    media: str = "application/json"

    @property
    def in_path(self) -> tuple[str, ...]:
        """The arguments that the path holds."""
        return tuple(
            part[1:-1].partition(":")[0] for part in self.path.split("/") if part.startswith("{")
        )

    @property
    def has_body(self) -> bool:
        """Whether the arguments beside the path's are in a body."""
        return self.method in ("POST", "PUT", "PATCH")

    @property
    def name(self) -> str:
        """What clients call it: the operation, as a Python name."""
        return self.operation.replace(".", "_").replace("-", "_")
