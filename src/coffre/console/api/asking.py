"""How the console's own operations ask others: the node at its door, the S3 service in this
process. What either refuses is a Problem."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final

from coffre.console.api.problem import Problem
from coffre.console.bucket_objects import Body, Objects, S3Refused
from coffre.console.data import Data, S3Response
from coffre.console.names import key_bytes
from coffre.console.parts import Parts
from coffre.console.refused import Away, Refused
from coffre.console.signed import Signed

# What a HEAD cannot say.
_CODES: Final = {
    403: "AccessDenied",
    404: "NoSuchKey",
    405: "MethodNotAllowed",
    412: "PreconditionFailed",
}


async def ask_node(parts: Parts, signed: Signed, operation: str, arguments: dict[str, Any]) -> Any:
    """An operation of the node, in a person's name. Raises Problem."""
    try:
        return await parts.node.ask(operation, arguments, signed.caller())
    except Refused as refused:
        raise Problem(refused.code, refused.message, refused.field) from None
    except Away:
        raise Problem("Unavailable", headers={"Retry-After": "1"}) from None


def objects_of(data: Data, signed: Signed, store: str, bucket: str) -> Objects:
    """A bucket, as a person reaches it through S3."""

    def ask(
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Body,
    ) -> AbstractAsyncContextManager[S3Response]:
        name = key_bytes(key) if key else None
        return data.request(signed, store, method, bucket, name, query, headers, body)

    return Objects(ask)


@contextmanager
def problems(field: str | None = None) -> Iterator[None]:
    """S3's refusals as Problems: its code, its words."""
    try:
        yield
    except S3Refused as refused:
        code = refused.code or _CODES.get(refused.status, "InvalidRequest")
        words = str(refused) if str(refused) != refused.code else ""
        raise Problem(code, words, field) from None
