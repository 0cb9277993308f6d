"""Operations of the management API by name, for doors that take them so: `operations.json`, which
`python -m tools.api_client` writes."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct


class Operation(Struct, frozen=True):
    """A row of the API. `names` are all arguments, `renamed` the API's name of those that the
    operation calls otherwise; `after`, `limit`, `items` and `next` are what a paged operation calls
    those of a page."""

    method: str
    path: str
    answer: Literal["value", "rows", "pages", "nothing", "long"]
    names: tuple[str, ...]
    renamed: dict[str, str]
    after: str = "after"
    limit: str = "limit"
    items: str = "items"
    next: str = "next"


@cache
def operations() -> dict[str, Operation]:
    """All of them."""
    text = files("coffre.client").joinpath("operations.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, Operation])
