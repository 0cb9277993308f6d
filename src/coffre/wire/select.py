"""SelectObjectContentRequest: what is asked of which format, as values.

Source: AWS API reference of SelectObjectContent, its list of error codes, and botocore's model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element

from msgspec import Struct

from coffre.wire.errors import S3Error
from coffre.wire.xml import boolean, integer, leaves, malformed, parse

REQUEST_LIMIT: Final = 512 * 1024  # bytes: an expression of 256 KiB, and as much again for markup
_COMPRESSIONS: Final = ("NONE", "GZIP", "BZIP2")
_FORMATS: Final = ("CSV", "JSON", "Parquet")


class CsvInput(Struct, frozen=True):
    """`header`: NONE, USE or IGNORE the first record. Delimiters and quotes are single characters
    (a record's may be two); an empty `comment` or `quote` means there is none."""

    header: str = "NONE"
    comment: str = ""
    quote: str = '"'
    escape: str = '"'
    record: str = "\n"
    field: str = ","
    quoted_records: bool = False


class JsonInput(Struct, frozen=True):
    """`lines`: a value on each line, else values one behind the other."""

    lines: bool = True


class CsvOutput(Struct, frozen=True):
    always_quote: bool = False
    quote: str = '"'
    escape: str = '"'
    record: str = "\n"
    field: str = ","


class JsonOutput(Struct, frozen=True):
    record: str = "\n"


class SelectRequest(Struct, frozen=True):
    """One query. Of `csv` and `json` at most one is set; neither: Parquet. `start` and `end` are
    the scan range as it was sent."""

    expression: str
    compression: str
    csv: CsvInput | None
    json: JsonInput | None
    to_csv: CsvOutput | None
    to_json: JsonOutput | None
    progress: bool = False
    start: int | None = None
    end: int | None = None


def parse_select(body: bytes) -> SelectRequest:
    """The request. Raises MalformedXML, and the Invalid…, Missing… and Unsupported… codes of S3
    Select."""
    by_name = _children(
        parse(body, "SelectObjectContentRequest", limit=REQUEST_LIMIT),
        "Expression",
        "ExpressionType",
        "RequestProgress",
        "InputSerialization",
        "OutputSerialization",
        "ScanRange",
    )
    for name in ("Expression", "ExpressionType", "InputSerialization", "OutputSerialization"):
        if name not in by_name:
            raise S3Error("MissingRequiredParameter", f"{name} is missing from the request.")
    if (by_name["ExpressionType"].text or "").upper() != "SQL":
        raise S3Error("InvalidExpressionType")
    progress = by_name.get("RequestProgress")
    enabled = {} if progress is None else leaves(progress, ("Enabled",))
    compression, csv, json = _input(by_name["InputSerialization"])
    to_csv, to_json = _output(by_name["OutputSerialization"])
    start, end = _scan_range(by_name.get("ScanRange"))
    if start is not None or end is not None:
        _check_scan_range(compression, csv, json)
    return SelectRequest(
        by_name["Expression"].text or "",
        compression,
        csv,
        json,
        to_csv,
        to_json,
        boolean(enabled.get("Enabled", "false")),
        start,
        end,
    )


def _children(parent: Element, *known: str) -> dict[str, Element]:
    found = {child.tag: child for child in parent}
    if len(found) < len(parent) or not found.keys() <= set(known):
        raise malformed()
    return found


def _format(by_name: Mapping[str, Element], names: tuple[str, ...], side: str) -> str:
    found = [name for name in names if name in by_name]
    if not found:
        raise S3Error("InvalidDataSource", f"{side} names no format.")
    if len(found) > 1:
        raise S3Error("ObjectSerializationConflict")
    return found[0]


def _input(parent: Element) -> tuple[str, CsvInput | None, JsonInput | None]:
    by_name = _children(parent, "CompressionType", *_FORMATS)
    compression = "NONE"
    if "CompressionType" in by_name:
        compression = (by_name["CompressionType"].text or "").upper()
    if compression not in _COMPRESSIONS:
        raise S3Error("InvalidCompressionFormat")
    kind = _format(by_name, _FORMATS, "InputSerialization")
    if kind == "CSV":
        return compression, _csv_input(by_name[kind]), None
    if kind == "JSON":
        text = leaves(by_name[kind], ("Type",)).get("Type", "").upper()
        if text not in ("LINES", "DOCUMENT"):
            raise S3Error("InvalidJsonType")
        return compression, None, JsonInput(text == "LINES")
    if compression != "NONE":
        raise S3Error("InvalidCompressionFormat", "Parquet compresses its columns itself.")
    return compression, None, None


def _csv_input(parent: Element) -> CsvInput:
    found = leaves(
        parent,
        (
            *("FileHeaderInfo", "Comments", "QuoteEscapeCharacter", "RecordDelimiter"),
            *("FieldDelimiter", "QuoteCharacter", "AllowQuotedRecordDelimiter"),
        ),
    )
    header = (found.get("FileHeaderInfo") or "NONE").upper()
    if header not in ("NONE", "USE", "IGNORE"):
        raise S3Error("InvalidFileHeaderInfo")
    csv = CsvInput(
        header,
        _character(found, "Comments", "", least=0),
        _character(found, "QuoteCharacter", '"', least=0),
        _character(found, "QuoteEscapeCharacter", '"', least=0),
        _character(found, "RecordDelimiter", "\n", most=2),
        _character(found, "FieldDelimiter", ","),
        boolean(found.get("AllowQuotedRecordDelimiter", "false")),
    )
    if csv.field in (csv.quote, csv.record) or csv.record == csv.quote:
        raise _bad_character("FieldDelimiter")
    return csv


def _output(parent: Element) -> tuple[CsvOutput | None, JsonOutput | None]:
    by_name = _children(parent, "CSV", "JSON")
    kind = _format(by_name, ("CSV", "JSON"), "OutputSerialization")
    if kind == "JSON":
        found = leaves(by_name[kind], ("RecordDelimiter",))
        return None, JsonOutput(_character(found, "RecordDelimiter", "\n", most=2))
    found = leaves(
        by_name[kind],
        (
            *("QuoteFields", "QuoteEscapeCharacter", "RecordDelimiter"),
            *("FieldDelimiter", "QuoteCharacter"),
        ),
    )
    fields = (found.get("QuoteFields") or "ASNEEDED").upper()
    if fields not in ("ALWAYS", "ASNEEDED"):
        raise S3Error("InvalidQuoteFields")
    return CsvOutput(
        fields == "ALWAYS",
        _character(found, "QuoteCharacter", '"', least=0),
        _character(found, "QuoteEscapeCharacter", '"', least=0),
        _character(found, "RecordDelimiter", "\n", most=2),
        _character(found, "FieldDelimiter", ","),
    ), None


def _character(
    found: Mapping[str, str], name: str, default: str, *, least: int = 1, most: int = 1
) -> str:
    text = found.get(name)
    if text is None:
        return default
    if not least <= len(text) <= most or "\0" in text:
        raise _bad_character(name)
    return text


def _bad_character(name: str) -> S3Error:
    return S3Error("InvalidRequestParameter", f"The value of {name} is invalid.")


def _scan_range(parent: Element | None) -> tuple[int | None, int | None]:
    if parent is None:
        return None, None
    found = leaves(parent, ("Start", "End"))
    start, end = (integer(found[name]) if name in found else None for name in ("Start", "End"))
    if (
        (start or 0) < 0
        or (end or 0) < 0
        or (start is not None and end is not None and start > end)
    ):
        raise S3Error("InvalidScanRange")
    return start, end


def _check_scan_range(compression: str, csv: CsvInput | None, json: JsonInput | None) -> None:
    plain = compression == "NONE" and (csv is not None or (json is not None and json.lines))
    if not plain or (csv is not None and csv.quoted_records):
        raise S3Error("UnsupportedScanRangeInput")
