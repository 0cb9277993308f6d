"""From method, target and query to the one operation: two dictionary look-ups."""

from __future__ import annotations

from collections.abc import Iterable

from coffre.s3.operation import On, Operation
from coffre.s3.sub_resources import IDENTIFIED, KNOWN, NAMES
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead

_RESOURCE_TYPE = {On.SERVICE: "SERVICE", On.BUCKET: "BUCKET", On.OBJECT: "OBJECT"}


class Router:
    """The table of operations, turned so that a request finds its row."""

    def __init__(self, table: Iterable[Operation]) -> None:
        self._rows: dict[tuple[str, On, str, bool], Operation] = {}
        for row in table:
            known = KNOWN.get((row.target, row.selector.sub_resource))
            assert known is not None, f"{row.name}: S3 has no such sub-resource"
            key = (row.method, row.target, row.selector.sub_resource, row.selector.copy)
            assert key not in self._rows, f"{row.name} is recognised like {self._rows[key].name}"
            self._rows[key] = row

    def find(self, head: RequestHead, target: On) -> Operation:
        """The operation of a request. Raises NotImplemented, MethodNotAllowed, InvalidArgument."""
        # A preflight asks about the resource, whatever the request that it goes before will do.
        plain = not head.raw_query or head.method == "OPTIONS"
        name = "" if plain else _sub_resource(head, target)
        copy = head.method == "PUT" and b"x-amz-copy-source" in head.by_name
        row = self._rows.get((head.method, target, name, copy))
        return row if row is not None else self._refuse(head.method, target, name)

    def _refuse(self, method: str, target: On, name: str) -> Operation:
        methods = KNOWN.get((target, name))
        if methods is None or method in methods:
            raise S3Error("NotImplemented", "This operation is not implemented")
        raise S3Error(
            "MethodNotAllowed",
            headers=((b"allow", ", ".join(sorted(methods)).encode()),),
            Method=method,
            ResourceType=_RESOURCE_TYPE[target],
        )


def _sub_resource(head: RequestHead, target: On) -> str:
    named = [name for name in head.query if name in NAMES]
    if "list-type" in named and (target is not On.BUCKET or len(named) > 1):
        named.remove("list-type")
    if "query" in named and "attributes" in named:
        named.remove("attributes")  # which attributes a search tells of
    if len(named) > 1:
        raise S3Error(
            "InvalidArgument",
            f"Conflicting query string parameters: {', '.join(sorted(named))}",
            ArgumentName="ResourceType",
            ArgumentValue=named[0],
        )
    if not named:
        return ""
    if named[0] == "list-type" and head.query["list-type"] != "2":
        return ""
    identity = IDENTIFIED.get(named[0])
    # Nothing but a list is about all annotations.
    one = named[0] == "annotation" and head.method != "GET"
    if identity is not None and (one or identity in head.query):
        return f"{named[0]}&{identity}"
    return named[0]
