"""The one way to an operation, for the API and the pages: arguments checked, access decided, the
node asked, and of its answer what the person may see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from coffre.console.api.entrance import admit, visible
from coffre.console.api.problem import Problem
from coffre.console.api.route import Arguments, Own, Route
from coffre.console.parts import Parts
from coffre.console.refused import Away, Refused
from coffre.console.signed import Signed

_PLACE: Final = re.compile(r"(.*) - at `\$((?:\.\w+|\[[^\]]*\])*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


class Management:
    """Operations by name, for somebody who is signed in."""

    def __init__(self, parts: Parts, routes: Sequence[Route], own: Mapping[str, Own]) -> None:
        """`own` are the operations that the console answers itself."""
        self._parts = parts
        self.routes = tuple(routes)
        self._routes = {one.operation: one for one in routes}
        self._own = own

    def route(self, operation: str) -> Route:
        """The row of an operation. Raises KeyError for one that has none."""
        return self._routes[operation]

    async def call(self, signed: Signed, operation: str, arguments: Arguments) -> Any:
        """What the operation answers, as plain JSON values. Raises Problem."""
        route = self._routes[operation]
        return await self.run(signed, route, self.check(signed, route, arguments))

    def check(
        self, signed: Signed, route: Route, arguments: Arguments, *, text: bool = False
    ) -> Arguments:
        """The arguments, if they are right and the person may. `text`: numbers may be words, as
        they are in a query. Raises Problem."""
        return admit(self._parts.reader, route, signed, checked(route, arguments, text=text))

    async def run(self, signed: Signed, route: Route, arguments: Arguments) -> Any:
        """Do what `check` let through."""
        own = self._own.get(route.operation)
        if own is not None:
            answer = await own(signed, arguments)
        else:
            answer = await self._ask(signed, route, arguments)
        if isinstance(answer, list):
            return visible(self._parts.reader, route, signed, answer)
        return answer

    async def _ask(self, signed: Signed, route: Route, arguments: Arguments) -> Any:
        named = {route.renamed.get(name, name): one for name, one in arguments.items()}
        named.pop("", None)
        fields = {after: before for before, after in route.renamed.items()}
        try:
            return await self._parts.node.ask(route.operation, named, signed.caller())
        except Refused as refused:
            field = refused.field
            raise Problem(refused.code, refused.message, fields.get(field or "", field)) from None
        except Away:
            raise Problem("Unavailable", headers={"Retry-After": "1"}) from None


def checked(route: Route, arguments: Arguments, *, text: bool = False) -> Arguments:
    """The arguments that were given, in their own types. Raises Problem with the field."""
    kind = route.arguments
    names = () if kind is None else kind.__struct_fields__
    for name in arguments:
        if name not in names:
            raise Problem("UnknownField", f"there is no field {name!r}", name)
    if kind is None:
        return {}
    try:
        found: Struct = msgspec.convert(arguments, kind, strict=not text)
    except msgspec.ValidationError as error:
        raise _problem(str(error)) from None
    return {name: msgspec.to_builtins(getattr(found, name)) for name in arguments}


def _problem(words: str) -> Problem:
    """msgspec's words, with the field that they are about."""
    placed = _PLACE.fullmatch(words)
    what, place = (placed[1], placed[2].lstrip(".")) if placed else (words, "")
    if missing := _MISSING.fullmatch(what):
        return Problem("MissingField", what, _joined(place, missing[1]))
    if unknown := _UNKNOWN.fullmatch(what):
        return Problem("UnknownField", what, _joined(place, unknown[1]))
    return Problem("InvalidArgument", what, place or None)


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
