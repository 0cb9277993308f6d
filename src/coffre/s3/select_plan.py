"""A parsed query as a statement of DuckDB's: built from the tree, every value of a client's bound.

What comes out of a CSV file or of JSON has no type; what it stands beside decides how it is read.
Source: AWS "SQL reference for Amazon S3 Select".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from coffre.s3.select_formats import time_format
from coffre.wire.errors import S3Error
from coffre.wire.select_tree import (
    Aggregate,
    Case,
    Cast,
    Every,
    Expr,
    Is,
    Item,
    Literal,
    Name,
    Operation,
    Path,
    Query,
    Step,
)

# Kinds of values: `field` is text without a type, `json` a JSON value, `nested` a column that is no
# scalar; `null` fits everything.
_NUMERIC: Final = "('BIGINT', 'UBIGINT', 'DOUBLE')"
_ISO: Final = "%Y-%m-%dT%H:%M:%SZ"
_BOUND: Final = re.compile(r"\$(v[0-9]+)")
_SIGNS: Final = frozenset({"=", "<>", "<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Shape:
    """What rows are like. `names` are a CSV file's headers (None: it has none) or a Parquet file's
    columns, whose `kinds` are then known; JSON has neither. `width` is a CSV file's first record's.

    The statement reads CSV rows from columns n (how many fields the record has), c1 … cN and x (a
    JSON list of the fields behind them), JSON from column j, Parquet from p1 … pN.
    """

    format: str
    names: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ()
    width: int = 0


@dataclass(frozen=True, slots=True)
class Value:
    sql: str
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`columns` are (name, kind) of what the statement gives; empty: whole rows."""

    sql: str
    values: dict[str, object]
    columns: tuple[tuple[str, str], ...]


@dataclass
class Planner:
    """Turns one query over rows of `shape`, found in `table`, into a statement."""

    shape: Shape
    table: str
    now_ms: int
    _values: dict[str, object] = field(default_factory=dict)

    def plan(self, query: Query) -> Plan:
        """Raises MissingHeaders, AmbiguousFieldName, UnsupportedSyntax, InvalidDataSource."""
        source = self._source(query.source)
        items = [(self._name(at, item), self._value(item.value)) for at, item in _numbered(query)]
        shown = ", ".join(self._shown(value) for _, value in items) or self._whole()
        sql = f"SELECT {shown} FROM {source}"  # noqa: S608  (no text of a client's is in it)
        if query.where is not None:
            sql += f" WHERE {self._boolean(self._value(query.where))}"
        if query.limit is not None:
            sql += f" LIMIT {query.limit}"
        columns = tuple((name, value.kind) for name, value in items)
        used = set(_BOUND.findall(sql))
        values = {name: value for name, value in self._values.items() if name in used}
        return Plan(sql, values, columns)

    def _source(self, steps: tuple[Step, ...]) -> str:
        if not steps:
            return self.table
        if self.shape.format != "JSON":
            raise S3Error("UnsupportedSyntax", "Only JSON has paths in FROM.")
        table = self.table
        for step in steps:
            if isinstance(step, Every):
                rows = "unnest(CASE json_type(j) WHEN 'ARRAY' THEN json_extract(j, '$[*]') END)"
            else:
                rows = self._member("j", step)
            table = f"(SELECT {rows} AS j FROM {table} WHERE j IS NOT NULL)"  # noqa: S608
        return f"(SELECT j FROM {table} WHERE j IS NOT NULL)"  # noqa: S608

    def _whole(self) -> str:
        if self.shape.format == "CSV":
            return ", ".join(("n", *(f"c{at}" for at in range(1, self.shape.width + 1)), "x"))
        if self.shape.format == "JSON":
            return "CAST(j AS VARCHAR)"
        kinds = enumerate(self.shape.kinds, 1)
        return ", ".join(self._shown(Value(f"p{at}", kind)) for at, kind in kinds)

    def _shown(self, value: Value) -> str:
        if value.kind == "time":
            return self._text(value)
        if value.kind == "json":
            return f"CAST({value.sql} AS VARCHAR)"
        return f"CAST(to_json({value.sql}) AS VARCHAR)" if value.kind == "nested" else value.sql

    def _name(self, number: int, item: Item) -> str:
        if item.alias is not None:
            return item.alias
        value = item.value
        if isinstance(value, Path) and value.steps and isinstance(value.steps[-1], Name):
            last, names = value.steps[-1], self.shape.names or ()
            found = self._position(last) if names and len(value.steps) == 1 else None
            return last.text if found is None or found >= len(names) else names[found]
        return f"_{number}"

    def _bind(self, value: object) -> str:
        name = f"v{len(self._values)}"
        self._values[name] = value
        return f"${name}"

    # Values.

    def _value(self, value: Expr) -> Value:
        match value:
            case Literal():
                return self._literal(value)
            case Path():
                return self._path(value.steps)
            case Cast():
                return self._cast(value)
            case Is():
                return self._is(value)
            case Case():
                return self._case(value)
            case Aggregate():
                return self._aggregate(value)
        return self._operation(value)

    def _literal(self, literal: Literal) -> Value:
        value = literal.value
        if value is None:
            return Value("NULL", "null")
        if isinstance(value, bool):
            return Value("TRUE" if value else "FALSE", "bool")
        if isinstance(value, str):
            return Value(f"CAST({self._bind(value)} AS VARCHAR)", "string")
        kind = "DOUBLE" if isinstance(value, Decimal) else "BIGINT"
        bound = self._bind(float(value) if isinstance(value, Decimal) else value)
        return Value(f"CAST({bound} AS {kind})", "number")

    def _path(self, steps: tuple[Step, ...]) -> Value:
        if self.shape.format == "JSON":
            sql = "j"
            for at, step in enumerate(steps):
                sql = self._member(sql, step, first=at == 0)
            return Value(sql, "json")
        if len(steps) != 1 or not isinstance(steps[0], Name):
            raise S3Error("UnsupportedSyntax", "Only JSON has values inside of values.")
        found = self._position(steps[0])
        if self.shape.format == "Parquet":
            if found is None:
                raise S3Error("MissingHeaders", f"There is no column {steps[0].text}.")
            return Value(f"p{found + 1}", self.shape.kinds[found])
        if found is None:
            raise S3Error("MissingHeaders", f"There is no header {steps[0].text}.")
        if found < self.shape.width:
            return Value(f"c{found + 1}", "field")
        rest = f"json_extract_string(x, '$[{found - self.shape.width}]')"
        return Value(f"(CASE WHEN n > {found} THEN {rest} END)", "field")

    def _position(self, name: Name) -> int | None:
        """Which column is meant, from 0. `_1` counts them, in CSV files that have headers too."""
        names = self.shape.names or ()
        if name.exact:
            found = [at for at, one in enumerate(names) if one == name.text]
        else:
            wanted = name.text.casefold()
            found = [at for at, one in enumerate(names) if one.casefold() == wanted]
        if len(found) > 1:
            raise S3Error("AmbiguousFieldName")
        if found:
            return found[0]
        digits = name.text.removeprefix("_")
        if name.text.startswith("_") and digits.isascii() and digits.isdigit() and len(digits) < 6:
            at = int(digits) - 1
            known = self.shape.format == "CSV" or at < len(names)
            return at if at >= 0 and known else None
        return None

    def _member(self, sql: str, step: Step, *, first: bool = False) -> str:
        """A step into JSON. The first name of a path counts in any case unless it was quoted."""
        if isinstance(step, int):
            return f"json_extract({sql}, '$[{step}]')"
        assert isinstance(step, Name), "the parser lets [*] stand in FROM alone"
        exact = f"json_extract({sql}, {self._bind(_pointer(step.text))})"
        if step.exact or not first:
            return exact
        wanted = self._bind(step.text.lower())
        key = f"list_filter(json_keys({sql}), lambda k: lower(k) = {wanted})[1]"
        pointer = f"'/' || replace(replace({key}, '~', '~0'), '/', '~1')"
        return f"coalesce({exact}, json_extract({sql}, {pointer}))"

    def _cast(self, cast: Cast) -> Value:
        value = self._value(cast.value)
        if cast.type == "STRING":
            return Value(self._text(value), "string")
        if cast.type == "TIMESTAMP":
            return Value(self._time(value, strict=True), "time")
        plain = value.sql if value.kind in ("number", "bool") else self._text(value)
        if cast.type == "BOOL":
            return Value(f"CAST({plain} AS BOOLEAN)", "bool")
        size = f"({', '.join(str(one) for one in cast.size)})" if cast.size else ""
        kind = {"INT": "BIGINT", "FLOAT": "DOUBLE"}.get(cast.type) or (
            f"DECIMAL{size}" if size else "DOUBLE"
        )
        return Value(f"CAST({plain} AS {kind})", "number")

    def _is(self, test: Is) -> Value:
        value = self._value(test.value)
        sql = f"({value.sql} IS NULL)"
        if value.kind == "json" and test.what == "NULL":
            sql = f"(coalesce(json_type({value.sql}), 'NULL') = 'NULL')"
        return Value(f"(NOT {sql})" if test.negated else sql, "bool")

    def _case(self, case: Case) -> Value:
        conditions = [self._value(one) for one, _ in case.whens]
        operand = ""
        if case.operand is None:
            tests = [self._boolean(one) for one in conditions]
        else:
            operand, *tests = self._alike(self._value(case.operand), *conditions)
        results = [self._value(one) for _, one in case.whens]
        if case.otherwise is not None:
            results.append(self._value(case.otherwise))
        kind, told = self._unified(results)
        whens = " ".join(f"WHEN {a} THEN {b}" for a, b in zip(tests, told, strict=False))
        otherwise = f" ELSE {told[-1]}" if case.otherwise is not None else ""
        return Value(f"(CASE {operand} {whens}{otherwise} END)", kind)

    def _aggregate(self, aggregate: Aggregate) -> Value:
        if aggregate.value is None:
            return Value("count(*)", "number")
        value = self._value(aggregate.value)
        name = aggregate.name.lower()
        if name == "count":
            counted = self._text(value) if value.kind == "json" else value.sql
            return Value(f"count({counted})", "number")
        if name in ("min", "max") and value.kind in ("string", "time", "number"):
            return Value(f"{name}({value.sql})", value.kind)
        return Value(f"{name}({self._number(value, strict=True)})", "number")

    def _operation(self, one: Operation) -> Value:
        op = one.op
        if op in ("AND", "OR"):
            parts = (self._boolean(self._value(arg)) for arg in one.args)
            return Value(f"({f' {op} '.join(parts)})", "bool")
        if op == "NOT":
            return Value(f"(NOT {self._boolean(self._value(one.args[0]))})", "bool")
        if op == "EXTRACT":
            return self._extract(one)
        if op in ("DATE_ADD", "DATE_DIFF"):
            return self._date(one)
        if op == "TO_STRING":
            return self._to_string(one)
        args = [self._value(arg) for arg in one.args]
        if op in _SIGNS:
            return Value(self._compare(op, *args), "bool")
        if op in ("BETWEEN", "IN"):
            first, *rest = self._alike(*args)
            rows = " AND ".join(rest) if op == "BETWEEN" else f"({', '.join(rest)})"
            return Value(f"({first} {op} {rows})", "bool")
        if op == "LIKE":
            return self._like(args, one.args[-1])
        if op in ("+", "-", "*", "/", "%"):
            left, right = (self._number(arg, strict=True) for arg in args)
            return Value(f"({left} {op} {right})", "number")
        if op == "NEGATE":
            return Value(f"(-{self._number(args[0], strict=True)})", "number")
        return self._function(op, args, one.args)

    def _function(self, op: str, args: list[Value], given: tuple[Expr, ...]) -> Value:
        match op:
            case "||":
                return Value(f"({self._text(args[0])} || {self._text(args[1])})", "string")
            case "LOWER" | "UPPER":
                return Value(f"{op.lower()}({self._text(args[0])})", "string")
            case "CHAR_LENGTH" | "CHARACTER_LENGTH":
                return Value(f"length({self._text(args[0])})", "number")
            case "COALESCE":
                kind, told = self._unified(args)
                return Value(f"coalesce({', '.join(told)})", kind)
            case "NULLIF":
                kind, told = self._unified(args)
                return Value(f"nullif({', '.join(told)})", kind)
            case "UTCNOW":
                now = datetime.fromtimestamp(self.now_ms / 1000, UTC).strftime(_ISO)
                return Value(f"CAST({self._bind(now)} AS TIMESTAMPTZ)", "time")
            case "TO_TIMESTAMP":
                return Value(self._time(args[0], strict=True), "time")
            case "TRIM":
                side = given[0].value if isinstance(given[0], Literal) else ""
                name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(side), "trim")
                return Value(f"{name}({self._text(args[2])}, {self._text(args[1])})", "string")
        assert op == "SUBSTRING", "the parser lets no other function through"
        return self._substring(args, given)

    def _substring(self, args: list[Value], given: tuple[Expr, ...]) -> Value:
        """Letters before the first count too, as in standard SQL: SUBSTRING('abc', 0, 2) is 'a'."""
        start, length = self._number(args[1]), "NULL"
        if len(args) > 2:
            length = f"greatest(CAST({self._number(args[2])} AS BIGINT), 0)"
        first = given[1]
        before = 0
        if isinstance(first, Literal) and isinstance(first.value, int) and first.value < 1:
            before, start = 1 - first.value, "1"
        text = f"{self._text(args[0])}, greatest(CAST({start} AS BIGINT), 1)"
        if len(args) > 2:
            text += f", greatest({length} - {before}, 0)"
        return Value(f"substring({text})", "string")

    def _like(self, args: list[Value], escape: Expr) -> Value:
        texts = [self._text(arg) for arg in args]
        if len(texts) == 2:
            return Value(f"({texts[0]} LIKE {texts[1]})", "bool")
        if (
            not (isinstance(escape, Literal) and isinstance(escape.value, str))
            or len(escape.value) != 1
        ):
            raise S3Error("UnsupportedSyntax", "ESCAPE needs one character.")
        return Value(f"like_escape({', '.join(texts)})", "bool")

    def _extract(self, one: Operation) -> Value:
        part = _word(one.args[0])
        time = self._time(self._value(one.args[1]), strict=True)
        return Value(f"extract('{part.lower()}' FROM {time})", "number")

    def _date(self, one: Operation) -> Value:
        part = _word(one.args[0]).lower()
        first, second = (self._value(arg) for arg in one.args[1:])
        if one.op == "DATE_DIFF":
            times = f"{self._time(first, strict=True)}, {self._time(second, strict=True)}"
            return Value(f"date_sub('{part}', {times})", "number")
        step = f"to_{part}s(CAST({self._number(first, strict=True)} AS INTEGER))"
        return Value(f"({self._time(second, strict=True)} + {step})", "time")

    def _to_string(self, one: Operation) -> Value:
        pattern = one.args[1]
        if not (isinstance(pattern, Literal) and isinstance(pattern.value, str)):
            raise S3Error("EvaluatorTimestampFormatPatternSyntaxError")
        time = self._time(self._value(one.args[0]), strict=True)
        shown = self._bind(time_format(pattern.value))
        return Value(f"strftime({time} AT TIME ZONE 'UTC', {shown})", "string")

    # Reading a value as another kind. `strict`: what is none fails, instead of being nothing.

    def _text(self, value: Value) -> str:
        match value.kind:
            case "string" | "field":
                return value.sql
            case "json":
                return f"json_extract_string({value.sql}, '$')"
            case "time":
                return f"strftime({value.sql} AT TIME ZONE 'UTC', '{_ISO}')"
        return f"CAST({value.sql} AS VARCHAR)"

    def _number(self, value: Value, *, strict: bool = False) -> str:
        if value.kind in ("number", "null"):
            return value.sql
        cast = "CAST" if strict else "TRY_CAST"
        return f"{cast}({self._text(value)} AS DOUBLE)"

    def _boolean(self, value: Value) -> str:
        if value.kind in ("bool", "null"):
            return value.sql
        return f"TRY_CAST({self._text(value)} AS BOOLEAN)"

    def _time(self, value: Value, *, strict: bool = False) -> str:
        if value.kind in ("time", "null"):
            return value.sql
        cast = "CAST" if strict else "TRY_CAST"
        return f"{cast}({self._text(value)} AS TIMESTAMPTZ)"

    def _compare(self, sign: str, left: Value, right: Value) -> str:
        if left.kind == right.kind == "json":
            both = f"json_type({left.sql}) IN {_NUMERIC} AND json_type({right.sql}) IN {_NUMERIC}"
            numbers = f"{self._number(left)} {sign} {self._number(right)}"
            texts = f"{self._text(left)} {sign} {self._text(right)}"
            return f"(CASE WHEN {both} THEN {numbers} ELSE {texts} END)"
        return f"({f' {sign} '.join(self._alike(left, right))})"

    def _alike(self, *values: Value) -> list[str]:
        """The values as they can be compared: by what has a type among them, else as text."""
        kinds = {value.kind for value in values}
        if "number" in kinds:
            return [self._number(value) for value in values]
        if "time" in kinds:
            return [self._time(value) for value in values]
        if "bool" in kinds:
            return [self._boolean(value) for value in values]
        return [self._text(value) for value in values]

    def _unified(self, values: list[Value]) -> tuple[str, list[str]]:
        """The kind of what is one of the values, and each as it."""
        kinds = {value.kind for value in values} - {"null"}
        if len(kinds) == 1 and kinds <= {"number", "bool", "time"}:
            return kinds.pop(), [value.sql for value in values]
        return "string", [
            value.sql if value.kind == "null" else self._text(value) for value in values
        ]


def _numbered(query: Query) -> list[tuple[int, Item]]:
    return list(enumerate(query.items, 1))


def _pointer(name: str) -> str:
    """A JSON pointer (RFC 6901) to one member."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _word(value: Expr) -> str:
    assert isinstance(value, Literal), "the parser puts date parts as literals"
    return str(value.value)
