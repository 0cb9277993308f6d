"""The command line from elsewhere: a door that takes operations by name and asks the management API
for them, in the name of whoever's token it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from coffre.cli.complaint import Complaint, Unusable
from coffre.client.operations import Operation, operations
from coffre.client.transport import ApiError, NotReached, Transport, located

_LONG_S: Final = 24 * 3600.0


class HttpDoor:
    """A `coffre.cli.client.Door` over HTTPS."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """See `Door`."""
        row = operations().get(operation)
        if row is None:
            raise Unusable(
                f"{operation} is only done on the node's own machine: leave out --server"
            )
        try:
            return self._asked(row, self._named(operation, row, arguments))
        except ApiError as error:
            again = "" if error.retry_after_s is None else f", try again in {error.retry_after_s} s"
            raise Complaint(f"{error}{again}") from error
        except NotReached as error:
            raise Complaint(str(error)) from error

    def _asked(self, row: Operation, given: dict[str, Any]) -> Any:
        parts = [
            given.pop(part[1:-1]) if part.startswith("{") else part
            for part in row.path.strip("/").split("/")
        ]
        asked = (row.method, located(*parts))
        if row.answer == "nothing":
            return self._transport.nothing(*asked, given)
        if row.answer == "rows":
            return list(self._transport.rows(*asked, dict[str, Any], given))
        if row.answer == "pages":
            return self._page(row, given, asked)
        answer: Any = self._transport.value(*asked, Any, given)
        return self._awaited(answer) if row.answer == "long" else answer

    def _page(self, row: Operation, given: dict[str, Any], asked: tuple[str, str]) -> Any:
        """One page, as the operation itself answers it."""
        after, limit = given.pop(row.after, None), given.pop(row.limit, None)
        if limit is not None:
            given["limit"] = limit
        if after is not None:
            given["cursor"] = after
        answer: Any = self._transport.value(*asked, dict[str, Any], given)
        return {row.items: answer.pop("items"), row.next: answer.pop("next"), **answer}

    def _awaited(self, activity: dict[str, Any]) -> Any:
        ended = self._transport.ended(activity["id"], _LONG_S)
        if ended["status"] != "done":
            raise Complaint(
                "the console was started again meanwhile: the node goes on with it, and"
                " `coffre status` tells more"
            )
        return ended["result"]

    def _named(
        self, operation: str, row: Operation, arguments: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The arguments as the API calls them, with those of the path that were left out."""
        given = {row.renamed.get(name, name): value for name, value in arguments.items()}
        unknown = [name for name in given if name not in row.names]
        if unknown:
            raise Unusable(f"{operation} takes no {unknown[0]} from elsewhere")
        if "{user}" in row.path and "user" not in given and "access_key" in given:
            given["user"] = given["access_key"]
        if "{store}" in row.path and given.get("store") is None:
            given["store"] = self._store_of(given)
        for part in row.path.split("/"):
            if part.startswith("{") and given.get(part[1:-1]) is None:
                raise Unusable(f"say which {part[1:-1]}")
        return given

    def _store_of(self, given: Mapping[str, Any]) -> str:
        """The store that is meant, where none is named. Raises Complaint where several may be."""
        stores = [row["name"] for row in self.call("store.list", {})]
        if len(stores) > 1 and "bucket" in given:
            rows = self.call("bucket.list", {})
            stores = [row["store"] for row in rows if row["name"] == given["bucket"]]
        elif len(stores) > 1 and "user" in given:
            stores = [one for one in stores if self._has_user(one, given["user"])]
        if len(stores) != 1:
            raise Complaint("say which store with --store")
        found: str = stores[0]
        return found

    def _has_user(self, store: str, user: str) -> bool:
        try:
            self._transport.value("GET", located("stores", store, "accounts", user), Any)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True


@contextmanager
def remote(server: str, token_file: str, ca_file: str | None) -> Iterator[HttpDoor]:
    """A door to the node whose console is at `server`. Raises Unusable."""
    try:
        transport = Transport(server, token_file=token_file, ca_file=ca_file)
    except (OSError, ValueError) as error:
        raise Unusable(f"the server cannot be asked: {error}") from error
    try:
        yield HttpDoor(transport)
    finally:
        transport.close()
