"""The bytes of an object as records: expanded, cut at delimiters, CSV read into fields.

Runs in the worker process alone, over bytes that a stranger chose: everything is bounded by the
record's limit.
"""

from __future__ import annotations

import bz2
import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from coffre.wire.errors import S3Error

RECORD_LIMIT: Final = 1 << 20
"""Bytes of one record (AWS)."""
COLUMN_LIMIT: Final = 1024
_CHUNK: Final = 256 * 1024
NULL_TEXT: Final = "\x1a\x1a\x1a"
"""What an absent field is written as."""
# Line breaks that end no record, where the CSV reader would take them for the end of one.
_HIDDEN: Final = {ord("\n"): "\ue00a", ord("\r"): "\ue00d"}
_SHOWN: Final = {ord(hidden): chr(plain) for plain, hidden in _HIDDEN.items()}


class Input:
    """The object's bytes as they come off a pipe; counts what was read and what it expanded to."""

    def __init__(self, read: Callable[[int], bytes], compression: str) -> None:
        self._read = read
        self._compression = compression
        self.scanned = 0
        self.processed = 0

    def chunks(self) -> Iterator[bytes]:
        """Expanded bytes. TruncatedInput for what is not compressed as it was said."""
        for piece in self._expanded():
            self.processed += len(piece)
            yield piece

    def _raw(self) -> Iterator[bytes]:
        while piece := self._read(_CHUNK):
            self.scanned += len(piece)
            yield piece

    def _expanded(self) -> Iterator[bytes]:
        if self._compression == "NONE":
            return self._raw()
        return self._gunzipped() if self._compression == "GZIP" else self._bunzipped()

    def _gunzipped(self) -> Iterator[bytes]:
        stream = zlib.decompressobj(wbits=31)
        for raw in self._raw():
            data = raw
            while data:
                if stream.eof:  # another member follows
                    stream = zlib.decompressobj(wbits=31)
                try:
                    yield stream.decompress(data, _CHUNK)
                except zlib.error:
                    raise S3Error("TruncatedInput") from None
                data = stream.unused_data if stream.eof else stream.unconsumed_tail
        if not stream.eof:
            raise S3Error("TruncatedInput")

    def _bunzipped(self) -> Iterator[bytes]:
        stream = bz2.BZ2Decompressor()
        for raw in self._raw():
            data = raw
            while data or not (stream.eof or stream.needs_input):
                if stream.eof:
                    stream = bz2.BZ2Decompressor()
                try:
                    yield stream.decompress(data, _CHUNK)
                except (OSError, ValueError):
                    raise S3Error("TruncatedInput") from None
                data = stream.unused_data if stream.eof else b""
        if not stream.eof:
            raise S3Error("TruncatedInput")


def lines(
    chunks: Iterable[bytes],
    delimiter: bytes,
    base: int = 0,
    *,
    partial: bool = False,
    end: int | None = None,
) -> Iterator[bytes]:
    """Records without their delimiters. `base` is where the first chunk lies in the object;
    `partial`: what comes before the first delimiter belongs to another range; records that begin at
    `end` or behind it are not wanted. OverMaxRecordSize."""
    rest = b""
    at = base
    skip = partial
    for chunk in chunks:
        pieces = (rest + chunk).split(delimiter)
        rest = pieces.pop()
        if len(rest) > RECORD_LIMIT:
            raise S3Error("OverMaxRecordSize")
        for piece in pieces:
            if not skip:
                if end is not None and at >= end:
                    return
                yield piece
            skip = False
            at += len(piece) + len(delimiter)
    if rest and not skip and (end is None or at < end):
        yield rest


class _Feed:
    """Records for the CSV reader: one at a time, and further ones only where a field may go on."""

    def __init__(
        self, records: Iterator[bytes], delimiter: str, comment: str, goes_on: bool
    ) -> None:
        self._records = records
        self._delimiter = delimiter
        self._comment = comment.encode()
        self._goes_on = goes_on
        self._fresh = False
        self.last = ""

    def begin(self) -> None:
        self._fresh = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not (self._fresh or self._goes_on):
            raise _Unclosed
        for record in self._records:
            if len(record) > RECORD_LIMIT:
                raise S3Error("OverMaxRecordSize")
            if self._fresh and (
                (self._comment and record.startswith(self._comment)) or record in (b"", b"\r")
            ):
                continue
            try:
                text = record.decode()
            except UnicodeDecodeError:
                raise S3Error("InvalidTextEncoding") from None
            self.last = text = text if self._fresh else self._delimiter + text
            self._fresh = False
            return text if self._delimiter == "\n" else text.translate(_HIDDEN)
        raise StopIteration


class _Unclosed(Exception):
    """A quote is open at the end of a record that may not go on."""


def csv_rows(
    records: Iterator[bytes],
    *,
    record: str,
    quote: str,
    escape: str,
    field: str,
    comment: str,
    goes_on: bool,
) -> Iterator[list[str]]:
    """Fields of each record. CSVParsingError, InvalidTextEncoding, OverMaxRecordSize."""
    csv.field_size_limit(RECORD_LIMIT)
    feed = _Feed(records, record, comment, goes_on)
    doubled = escape in ("", quote)

    def reader() -> Iterator[list[str]]:
        return csv.reader(
            feed,
            delimiter=field,
            quotechar=quote or None,
            escapechar=None if doubled else escape,
            doublequote=doubled,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )

    rows = reader()
    while True:
        feed.begin()
        try:
            row = next(rows)
            yield row if record == "\n" else [one.translate(_SHOWN) for one in row]
        except StopIteration:
            return
        except _Unclosed:
            # AWS ends the record here all the same.
            yield feed.last.removesuffix("\r").split(field)
            rows = reader()
        except csv.Error as error:
            raise S3Error("CSVParsingError", f"A record is no CSV: {error}.") from None


def canonical(rows: Iterable[list[str]], width: int, write: Callable[[bytes], None]) -> None:
    """Write rows as the statement reads them: n, `width` fields, and a list of the rest."""
    buffer = _Buffer(write)
    writer = csv.writer(buffer, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    for row in rows:
        count = len(row)
        if count == width:
            writer.writerow([count, *row, ""])
        elif count < width:
            writer.writerow([count, *row, *(NULL_TEXT,) * (width - count), ""])
        else:
            rest = json.dumps(row[width:], ensure_ascii=False)
            writer.writerow([count, *row[:width], rest])
    buffer.flush()


class _Buffer:
    """Text for a pipe, some hundred rows at a time."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._kept: list[str] = []
        self._size = 0

    def write(self, text: str) -> None:
        self._kept.append(text)
        self._size += len(text)
        if self._size >= _CHUNK:
            self.flush()

    def flush(self) -> None:
        self._write("".join(self._kept).encode())
        self._kept, self._size = [], 0
