"""The process that runs one query: it reads a job and an object from a pipe, writes frames to
another, and can do nothing else.

In: the length of a job (4 bytes, big-endian), the job as JSON, the object's bytes. Out: frames of a
letter, a length (4 bytes) and a payload: R records; P bytes scanned, processed and returned (three
times 8 bytes), in between; S the same, at the end; E the code of an error, NUL, its message.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from struct import pack, unpack
from time import monotonic
from typing import Final

import duckdb
import msgspec

from coffre.s3.select_job import Job
from coffre.s3.select_output import Output
from coffre.s3.select_plan import Planner, Shape
from coffre.s3.select_records import (
    COLUMN_LIMIT,
    NULL_TEXT,
    RECORD_LIMIT,
    Input,
    canonical,
    csv_rows,
    lines,
)
from coffre.s3.select_sandbox import die_with_parent, limit, lock_in
from coffre.wire.errors import S3Error
from coffre.wire.select import CsvInput
from coffre.wire.select_sql import parse_sql

MEMORY: Final = "512MB"
ADDRESS_SPACE: Final = 4 << 30
CPU_S: Final = 120
PARQUET_LIMIT: Final = 512 << 20
"""Bytes of a Parquet object: its end is read first, so it must lie in memory."""
_ROWS: Final = 512
_PROGRESS_S: Final = 1.0
_DOCUMENT_LIMIT: Final = 64 << 20
_NUMBERS: Final = frozenset(
    {
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    }
)


def main() -> None:
    """Run the one query of this process."""
    die_with_parent()
    size = unpack(">I", _exactly(4))[0]
    job = msgspec.json.decode(_exactly(size), type=Job)
    try:
        _Worker(job).run()
    except S3Error as error:
        _fail(error)
    except duckdb.Error as error:
        _fail(_as_s3(error))
    except MemoryError:
        _fail(S3Error("InternalError", "The query needs more memory than it may have."))
    except BrokenPipeError:
        pass  # Nobody wants the rest.
    # The thread that fills the pipe may wait for ever: this process ends all the same.
    os._exit(0)


class _Worker:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._request = job.request
        self._query = parse_sql(job.request.expression)
        self._input = Input(lambda most: os.read(0, most), job.request.compression)
        self._failure: BaseException | None = None
        self._db = duckdb.connect(
            ":memory:",
            config={
                "threads": "1",
                "memory_limit": MEMORY,
                "temp_directory": "",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )

    def run(self) -> None:
        request = self._request
        if request.csv is None and request.json is None:
            file = os.memfd_create("object")
            path = f"/proc/self/fd/{file}"
            self._shut_in(path)
            self._fill(file)
            table, shape = self._parquet(path)
        else:
            read, write = os.pipe()
            path = f"/proc/self/fd/{read}"
            self._shut_in(path)
            if request.csv is not None:
                table, shape = self._csv(request.csv, path, write)
            else:
                table, shape = self._json(path, write)
        plan = Planner(shape, table, self._job.now_ms).plan(self._query)
        form = request.to_csv or request.to_json
        assert form is not None, "a request names what it wants"
        output = Output(plan, shape, form, lambda piece: _send(b"R", piece))
        found = self._db.execute(plan.sql, plan.values)
        told = monotonic()
        while rows := found.fetchmany(_ROWS):
            for row in rows:
                output.row(row)
            if request.progress and monotonic() - told >= _PROGRESS_S:
                told = monotonic()
                self._count(b"P", output)
        if self._failure is not None:
            raise self._failure
        output.flush()
        self._count(b"S", output)

    def _shut_in(self, path: str) -> None:
        """From here on there is one path that the query engine may open, and nothing else."""
        self._db.execute(f"SET allowed_paths = ['{path}']")
        for setting in (
            "SET enable_external_access = false",
            "SET TimeZone = 'UTC'",
            "SET lock_configuration = true",
        ):
            self._db.execute(setting)
        limit(memory_bytes=ADDRESS_SPACE, cpu_s=CPU_S, file_bytes=PARQUET_LIMIT)
        lock_in()

    def _fill(self, file: int) -> None:
        size = 0
        for chunk in self._input.chunks():
            size += len(chunk)
            if size > PARQUET_LIMIT:
                raise S3Error("OverMaxParquetBlockSize")
            os.write(file, chunk)

    def _records(self, delimiter: str) -> Iterator[bytes]:
        job = self._job
        return lines(
            self._input.chunks(), delimiter.encode(), job.base, partial=job.partial, end=job.end
        )

    def _csv(self, form: CsvInput, path: str, write: int) -> tuple[str, Shape]:
        def rows_of(records: Iterator[bytes]) -> Iterator[list[str]]:
            return csv_rows(
                records,
                record=form.record,
                quote=form.quote,
                escape=form.escape,
                field=form.field,
                comment=form.comment,
                goes_on=form.quoted_records,
            )

        rows = rows_of(self._records(form.record))
        names = None
        if form.header != "NONE":
            header = self._job.header
            first = next(rows if header is None else rows_of(iter([header.encode()])), [])
            names = tuple(first) if form.header == "USE" else None
        sample = next(rows, None)
        width = max(len(names or ()), len(sample or ()), 1)
        if width > COLUMN_LIMIT:
            raise S3Error("OverMaxColumn")

        def feed() -> None:
            all_rows = rows if sample is None else _behind(sample, rows)
            canonical(all_rows, width, lambda data: _write(write, data))

        self._start(feed, write)
        columns = ", ".join(
            [
                "'n': 'BIGINT'",
                *(f"'c{at}': 'VARCHAR'" for at in range(1, width + 1)),
                "'x': 'VARCHAR'",
            ]
        )
        options = (
            "auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"',"
            f" new_line = '\\r\\n', nullstr = '{NULL_TEXT}', parallel = false,"
            f" max_line_size = {8 * RECORD_LIMIT}, columns = {{{columns}}}"
        )
        return f"read_csv('{path}', {options})", Shape("CSV", names, width=width)

    def _json(self, path: str, write: int) -> tuple[str, Shape]:
        assert self._request.json is not None, "the caller looked"
        if self._request.json.lines:
            form, most = "newline_delimited", RECORD_LIMIT

            def feed() -> None:
                for record in self._records("\n"):
                    _write(write, record + b"\n")
        else:
            form, most = "unstructured", _DOCUMENT_LIMIT

            def feed() -> None:
                for chunk in self._input.chunks():
                    _write(write, chunk)

        self._start(feed, write)
        options = f"format = '{form}', maximum_object_size = {most}"
        return f"(SELECT json AS j FROM read_json_objects('{path}', {options}))", Shape("JSON")  # noqa: S608

    def _parquet(self, path: str) -> tuple[str, Shape]:
        found = self._db.execute(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()  # noqa: S608
        names = tuple(str(row[0]) for row in found)
        kinds = tuple(_kind(str(row[1])) for row in found)
        columns = ", ".join(f"p{at}" for at in range(1, len(names) + 1))
        return f"read_parquet('{path}') AS t({columns})", Shape("Parquet", names, kinds)

    def _start(self, feed: Callable[[], None], write: int) -> None:
        """Fill the pipe beside the query that reads it."""

        def run() -> None:
            try:
                feed()
            except BrokenPipeError:
                pass  # The query has read enough.
            except BaseException as failure:
                self._failure = failure
            finally:
                os.close(write)

        threading.Thread(target=run, daemon=True).start()

    def _count(self, letter: bytes, output: Output) -> None:
        counted = (self._input.scanned, self._input.processed, output.returned)
        _send(letter, pack(">QQQ", *counted))


def _behind(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def _kind(name: str) -> str:
    """A Parquet column's type as the planner has kinds."""
    base = name.partition("(")[0]
    if base in _NUMBERS or base == "DECIMAL":
        return "number" if not name.endswith("]") else "nested"
    if name.startswith("TIMESTAMP"):
        return "time"
    return {"VARCHAR": "string", "BOOLEAN": "bool", "DATE": "string", "BLOB": "string"}.get(
        name, "nested"
    )


def _as_s3(error: duckdb.Error) -> S3Error:
    """The query engine's words are for us; a client learns the kind of its mistake."""
    text = str(error)
    if isinstance(error, duckdb.ConversionException):
        return S3Error("CastFailed")
    if isinstance(error, duckdb.OutOfRangeException):
        return S3Error("IntegerOverflow")
    if "maximum_object_size" in text:
        return S3Error("OverMaxRecordSize")
    if "JSON" in text:
        return S3Error("JSONParsingError")
    if "Parquet" in text or "parquet" in text or "magic bytes" in text:
        return S3Error("ParquetParsingError")
    if isinstance(error, duckdb.OutOfMemoryException):
        return S3Error("InternalError", "The query needs more memory than it may have.")
    print(text, file=sys.stderr, flush=True)  # noqa: T201  (the parent logs it)
    return S3Error("InternalError")


def _fail(error: S3Error) -> None:
    with suppress(BrokenPipeError):
        _send(b"E", f"{error.code}\0{error.message}".encode())


def _send(letter: bytes, payload: bytes) -> None:
    _write(1, letter + pack(">I", len(payload)) + payload)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _exactly(size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        piece = os.read(0, size - len(found))
        if not piece:
            raise SystemExit(0)  # Whoever started this is gone.
        found += piece
    return bytes(found)


if __name__ == "__main__":
    main()
