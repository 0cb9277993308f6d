"""Who wants to know how groups are committed: told of each step as it ends."""

from __future__ import annotations

from typing import Final, Protocol


class GroupWatch(Protocol):
    """Called by the committer on its loop, so each call is short. One group is under way at a
    time; one that is refused or has to begin anew goes back to `begun`."""

    def begun(self, mutations: int, body_bytes: int) -> None:
        """A group was taken from the queue."""
        ...

    def applied(self) -> None:
        """Its rows are written in an open transaction."""
        ...

    def logged(self) -> None:
        """It is synced on every mirror."""
        ...

    def committed(self, changeset_bytes: int) -> None:
        """Its transaction is committed; what follows is to answer."""
        ...

    def refused(self, code: str, mutations: int) -> None:
        """Nothing of so many mutations happened, for a reason of the node's own."""
        ...


class Unwatched:
    """`GroupWatch` where nobody looks."""

    def begun(self, mutations: int, body_bytes: int) -> None: ...

    def applied(self) -> None: ...

    def logged(self) -> None: ...

    def committed(self, changeset_bytes: int) -> None: ...

    def refused(self, code: str, mutations: int) -> None: ...


UNWATCHED: Final = Unwatched()
