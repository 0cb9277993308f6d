"""A query of SelectObjectContent as a tree of values: what the parser makes and a runner reads."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from coffre.wire.errors import S3Error


@dataclass(frozen=True, slots=True)
class Name:
    """A step to a member; `exact`: it was quoted, so that its case counts."""

    text: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Every:
    """A step to each element: `[*]`."""


Step = Name | int | Every


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Path:
    """A value in the row: steps from it, the table's alias taken off."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator or a function: `op` is its sign or name in upper case."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Is:
    """IS [NOT] NULL, IS [NOT] MISSING."""

    value: Expr
    what: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Cast:
    value: Expr
    type: str
    size: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """`operand` None: each WHEN is a condition of its own."""

    operand: Expr | None
    whens: tuple[tuple[Expr, Expr], ...]
    otherwise: Expr | None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`value` None: COUNT(*)."""

    name: str
    value: Expr | None


Expr = Literal | Path | Operation | Is | Cast | Case | Aggregate


@dataclass(frozen=True, slots=True)
class Item:
    value: Expr
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """`items` empty: `*`. `source` are the steps from a record to the rows in it."""

    items: tuple[Item, ...]
    source: tuple[Step, ...]
    where: Expr | None
    limit: int | None

    @property
    def aggregates(self) -> bool:
        return any(has_aggregate(item.value) for item in self.items)


def children(value: Expr) -> tuple[Expr, ...]:
    """What an expression is made of."""
    match value:
        case Operation():
            return value.args
        case Is() | Cast():
            return (value.value,)
        case Case():
            pairs = tuple(one for pair in value.whens for one in pair)
            return tuple(one for one in (value.operand, *pairs, value.otherwise) if one is not None)
        case Aggregate():
            return () if value.value is None else (value.value,)
    return ()


def has_aggregate(value: Expr) -> bool:
    return isinstance(value, Aggregate) or any(has_aggregate(one) for one in children(value))


def require_aggregated(value: Expr) -> None:
    """UnsupportedSyntax where a row's own value stands beside aggregates: there is no grouping."""
    if isinstance(value, Path):
        raise S3Error("UnsupportedSyntax", "Columns cannot stand beside aggregate functions.")
    if not isinstance(value, Aggregate):
        for one in children(value):
            require_aggregated(one)
