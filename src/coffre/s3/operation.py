"""What an operation is: how it is recognised, what it needs, who does it, what it is called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from coffre.wire.names import Dialect

if TYPE_CHECKING:
    from coffre.s3.context import Context
    from coffre.s3.response import Response

Handler = Callable[["Context"], Awaitable["Response"]]


class On(StrEnum):
    """What a request addresses, and what a permission is asked on."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"
    SOURCE = "source object"
    EACH_KEY = "each key"


class Metering(StrEnum):
    """How an operation is counted."""

    READ = "read"
    WRITE = "write"
    LIST = "list"
    DELETE = "delete"


class Entry(StrEnum):
    """What says who sends a request: signed, its headers or its query; form, the fields in its
    body; nobody, nothing (a browser's preflight); open, nothing, and it is about no store."""

    SIGNED = "signed"
    FORM = "form"
    NOBODY = "nobody"
    OPEN = "open"


class BodyKind(StrEnum):
    """none: a body is not looked at; document: read whole, up to a limit; stream: as it comes."""

    NONE = "none"
    DOCUMENT = "document"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Body:
    """`limit` is in bytes, for documents."""

    kind: BodyKind = BodyKind.NONE
    limit: int = 0


NO_BODY = Body()
STREAM = Body(BodyKind.STREAM)


def document(limit: int) -> Body:
    return Body(BodyKind.DOCUMENT, limit)


@dataclass(frozen=True, slots=True)
class Need:
    """A permission and what it is asked on. `versioned` takes its place when the request names a
    version; `header`: needed only when that header is sent. `by_body`: what the body says decides
    too, so that the handler asks for it, before all else that could tell a stranger anything."""

    permission: str
    on: On
    versioned: str | None = None
    header: bytes | None = None
    by_body: bool = False


@dataclass(frozen=True, slots=True)
class Selector:
    """What tells an operation from the plain one of its method: a sub-resource of the query, and
    whether `x-amz-copy-source` is sent."""

    sub_resource: str = ""
    copy: bool = False

    def __str__(self) -> str:
        words = [f"?{self.sub_resource}"] if self.sub_resource else []
        return " ".join([*words, "x-amz-copy-source"] if self.copy else words)


PLAIN = Selector()


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table. `name` is AWS's, and what audit, metering and metrics call it. `dialect`:
    only stores of that one have it."""

    name: str
    method: str
    target: On
    needs: tuple[Need, ...]
    handler: Handler
    metering: Metering
    selector: Selector = PLAIN
    body: Body = NO_BODY
    creates_bucket: bool = False
    entry: Entry = Entry.SIGNED
    dialect: Dialect | None = None
