"""Records handed over: pages of them, as they were asked for, become lines of JSON, CSV, or a
Parquet file. The command line and the management API make the same bytes of the same pages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, Protocol

import msgspec
import zstandard

from coffre.ledger.shown import FIELDS, csv_lines

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: Final = ("jsonl", "csv", "parquet")
_PIECE: Final = 1024 * 1024
_TYPES: Final = {
    "at_ms": "BIGINT",
    "status": "INTEGER",
    "bytes_in": "BIGINT",
    "bytes_out": "BIGINT",
    "duration_ms": "DOUBLE",
    "tls": "BOOLEAN",
}
Records = Sequence[dict[str, Any]]


class Export(Protocol):
    """Takes pages of records as `shown` has them; gives the bytes of the file, piece by piece."""

    def page(self, records: Records) -> bytes:
        """What a page adds."""
        ...

    def end(self) -> Iterator[bytes]:
        """What comes after the last page. Nothing is taken any more."""
        ...


class JsonLines:
    """A line for each record."""

    def page(self, records: Records) -> bytes:
        return b"".join(msgspec.json.encode(one) + b"\n" for one in records)

    def end(self) -> Iterator[bytes]:
        return iter(())


class Csv:
    """A heading, and a row for each record."""

    def __init__(self) -> None:
        self._begun = False

    def page(self, records: Records) -> bytes:
        heading, self._begun = not self._begun, True
        return csv_lines(records, heading=heading).encode()

    def end(self) -> Iterator[bytes]:
        return iter(()) if self._begun else iter((csv_lines([], heading=True).encode(),))


class Parquet:
    """One file, made at the end of compressed lines in memory: a Parquet file begins with what it
    knows last."""

    def __init__(self) -> None:
        self._lines = os.memfd_create("records")
        self._compressor = zstandard.ZstdCompressor().compressobj()

    def page(self, records: Records) -> bytes:
        self._keep(self._compressor.compress(JsonLines().page(records)))
        return b""

    def end(self) -> Iterator[bytes]:
        from coffre.ledger.segments import engine  # noqa: PLC0415  (slow to load, needed here alone)

        self._keep(self._compressor.flush())
        target = os.memfd_create("parquet")
        columns = ", ".join(f"{name}: '{_TYPES.get(name, 'VARCHAR')}'" for name in FIELDS)
        try:
            with engine() as db:
                db.execute(
                    "COPY (SELECT *, make_timestamp(at_ms * 1000) AS at"  # noqa: S608
                    f" FROM read_json('/proc/self/fd/{self._lines}', compression = 'zstd',"
                    f" format = 'newline_delimited', columns = {{{columns}}}))"
                    f" TO '/proc/self/fd/{target}'"
                    " (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"
                )
            with os.fdopen(os.dup(target), "rb") as file:
                file.seek(0)
                while piece := file.read(_PIECE):
                    yield piece
        finally:
            os.close(target)
            os.close(self._lines)

    def _keep(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            view = view[os.write(self._lines, view) :]


def exporting(form: Format) -> Export:
    """What makes a file of this format."""
    makers: dict[Format, type[JsonLines] | type[Csv] | type[Parquet]] = {
        "jsonl": JsonLines,
        "csv": Csv,
        "parquet": Parquet,
    }
    return makers[form]()
