"""Rows of a result as CSV or JSON, in pieces that fit a message. Runs in the worker process."""

from __future__ import annotations

import csv
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from coffre.s3.select_plan import Plan, Shape
from coffre.s3.select_records import RECORD_LIMIT
from coffre.wire.errors import S3Error
from coffre.wire.select import CsvOutput, JsonOutput

# Characters that fit a message whatever they are in UTF-8.
_LONG: Final = RECORD_LIMIT // 4
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Field = tuple[str, str | None]
"""A name, and a value as JSON text (None: absent)."""


class Output:
    """Takes rows, gives pieces of at most `RECORD_LIMIT` bytes to `send`."""

    def __init__(
        self, plan: Plan, shape: Shape, form: CsvOutput | JsonOutput, send: Callable[[bytes], None]
    ) -> None:
        self._plan = plan
        self._shape = shape
        self._form = form
        self._send = send
        self._kept: list[str] = []
        self._size = 0
        self._names = [_JSON(name) for name, _ in plan.columns]
        self._sink = _Sink()
        self._writer = _writer(self._sink, form if isinstance(form, CsvOutput) else CsvOutput())
        self.returned = 0

    def row(self, row: Sequence[Any]) -> None:
        """One row. OverMaxRecordSize."""
        if isinstance(self._form, CsvOutput):
            record = self._csv(row)
        else:
            record = self._json(row) + self._form.record
        size = len(record)
        if size > _LONG and len(record.encode("utf-8", "replace")) > RECORD_LIMIT:
            raise S3Error("OverMaxRecordSize")
        if self._size + size > _LONG:
            self.flush()
        self._kept.append(record)
        self._size += size

    def flush(self) -> None:
        if self._kept:
            piece = "".join(self._kept).encode("utf-8", "replace")
            self.returned += len(piece)
            self._send(piece)
            self._kept, self._size = [], 0

    def _csv(self, row: Sequence[Any]) -> str:
        self._writer.writerow(self._texts(row))
        return self._sink.text

    def _texts(self, row: Sequence[Any]) -> list[str]:
        if self._plan.columns:
            kinds = (kind for _, kind in self._plan.columns)
            return [_as_text(value, kind) for value, kind in zip(row, kinds, strict=True)]
        if self._shape.format == "CSV":
            return self._fields(row)
        if self._shape.format == "JSON":
            found = json.loads(row[0])
            values = list(found.values()) if isinstance(found, dict) else [found]
            return [_of_json(value) for value in values]
        kinds_of_file = self._shape.kinds
        return [_as_text(value, kind) for value, kind in zip(row, kinds_of_file, strict=True)]

    def _json(self, row: Sequence[Any]) -> str:
        if self._plan.columns:
            kinds = [kind for _, kind in self._plan.columns]
            return _members(self._names, row, kinds)
        if self._shape.format == "JSON":
            text: str = row[0]
            return text if text.lstrip().startswith("{") else f'{{"_1":{text}}}'
        names = self._shape.names or ()
        if self._shape.format == "CSV":
            fields = self._fields(row)
            named = [names[at] if at < len(names) else f"_{at + 1}" for at in range(len(fields))]
            return _JSON(dict(zip(named, fields, strict=True)))
        return _members([_JSON(name) for name in names], row, list(self._shape.kinds))

    def _fields(self, row: Sequence[Any]) -> list[str]:
        """A whole CSV record: as many fields as it had."""
        count, *fields, rest = row
        told = [field or "" for field in fields[:count]]
        return told + json.loads(rest) if rest else told


class _Sink:
    """What the CSV writer wrote last: one record."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _writer(sink: _Sink, form: CsvOutput) -> Any:
    doubled = form.escape in ("", form.quote)
    quoting: Any = csv.QUOTE_ALL if form.always_quote else csv.QUOTE_MINIMAL
    return csv.writer(
        sink,
        delimiter=form.field,
        lineterminator=form.record,
        quotechar=form.quote or None,
        doublequote=doubled and bool(form.quote),
        escapechar=(form.escape or "\\") if not (doubled and form.quote) else None,
        quoting=quoting if form.quote else csv.QUOTE_NONE,
    )


def _members(names: Sequence[str], row: Sequence[Any], kinds: Sequence[str]) -> str:
    """A JSON object. What a record lacks is left out, as on AWS."""
    told = []
    for name, value, kind in zip(names, row, kinds, strict=True):
        if value is None and kind in ("json", "field"):
            continue
        text = value if kind in ("json", "nested") and value is not None else _JSON(_plain(value))
        told.append(f"{name}:{text}")
    return f"{{{','.join(told)}}}"


def _plain(value: Any) -> Any:
    """A value of the query engine's as JSON has it."""
    match value:
        case float():
            return (
                int(value)
                if value.is_integer() and abs(value) < 1 << 53
                else float(f"{value:.15g}")
            )
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes() | bytearray() | memoryview():
            return b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
    return value


def _as_text(value: Any, kind: str) -> str:
    if type(value) is str and kind != "json":
        return value
    if value is None:
        return ""
    if kind == "json":
        return _of_json(json.loads(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    plain = _plain(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain if isinstance(plain, str) else str(plain)


def _of_json(value: Any) -> str:
    """A JSON value as a CSV field."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _JSON(value)
