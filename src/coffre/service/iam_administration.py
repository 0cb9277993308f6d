"""What a store's account has in IAM, as an operator sees it: counts and rows; IAM's own API changes
it. All operations raise Invalid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, get_args

from coffre.catalog.iam_records import IamEntity, IamKind
from coffre.catalog.interface import Reader
from coffre.catalog.records import Store
from coffre.service.invalid import Invalid
from coffre.service.named import check_choice, check_whole, store_named
from coffre.service.node import Node

Answer = dict[str, Any]
_PAGE: Final = 1000
_KINDS: Final[dict[str, IamKind]] = {kind: kind for kind in get_args(IamKind)}


class IamAdministration:
    """Count and list users, groups, roles and managed policies."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def operations(self) -> Mapping[str, Callable[..., Awaitable[Any]]]:
        return {"iam.summary": self.summary, "iam.list": self.list_kind}

    async def summary(self, store: str) -> Answer:
        """How many of each kind a store has, and how many object users beside them."""
        reader, found = self._node.reader, store_named(self._node.reader, store)
        users = reader.users(found.id)
        return {
            "store": found.name,
            "object_users": sum(one.kind == "object" for one in users),
            **{f"{_many(kind)}": _count(reader, found, kind) for kind in get_args(IamKind)},
        }

    async def list_kind(self, store: str, kind: str, after: str = "", limit: int = 100) -> Answer:
        """A page of one kind by name, behind `after`; `next` is where to go on (None: the end)."""
        check_choice("kind", kind, tuple(_KINDS))
        check_whole("limit", limit, 1, _PAGE, "rows")
        found = store_named(self._node.reader, store)
        reader = self._node.reader
        try:
            rows = reader.iam_entities(
                found.id, _KINDS[kind], after=after, path="", limit=limit + 1
            )
        except UnicodeEncodeError as error:
            raise Invalid("InvalidArgument", "after is text", "after") from error
        page = rows[:limit]
        more = len(rows) > limit
        return {
            "items": [self._row(one) for one in page],
            "next": page[-1].name if more else None,
        }

    def _row(self, one: IamEntity) -> Answer:
        reader = self._node.reader
        policies = len(reader.iam_targets(one.id, "policy")) + (
            0 if one.kind == "policy" else len(reader.iam_documents(one.id))
        )
        return {
            "id": one.id,
            "name": one.name,
            "path": one.path,
            "description": one.facts.description,
            "policies": policies,
            "created_ms": one.created_ms,
        }


def _many(kind: IamKind) -> str:
    return "policies" if kind == "policy" else f"{kind}s"


def _count(reader: Reader, store: Store, kind: IamKind) -> int:
    number, after = 0, ""
    while page := reader.iam_entities(store.id, kind, after=after, path="", limit=_PAGE):
        number, after = number + len(page), page[-1].name
    return number
