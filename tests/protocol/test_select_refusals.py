"""What SelectObjectContent refuses: SQL that is not in the dialect, bad requests; and the locks of
the process that runs a query."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.s3.select_formats import time_format
from coffre.s3.select_plan import Planner, Shape
from coffre.s3.select_records import Input, csv_rows, lines
from coffre.wire.errors import S3Error
from coffre.wire.select import parse_select
from coffre.wire.select_sql import parse_sql
from tests.protocol.select_client import PEOPLE, USE, Selecting
from tests.protocol.wire_client import WireClient


@pytest.fixture
def data(s3: Any, bucket: str) -> Selecting:
    return Selecting(s3, bucket)


BAD_SQL = [
    ("SELECT 1e99999999999999999999 FROM S3Object", "IntegerOverflow"),
    (f"SELECT 1{' IS NULL' * 5000} FROM S3Object", "UnsupportedSyntax"),
    (f"SELECT 1 FROM S3Object WHERE 'a'{' LIKE 1' * 5000}", "UnsupportedSyntax"),
    ("", "ParseExpectedKeyword"),
    ("DELETE FROM S3Object", "ParseExpectedKeyword"),
    ("SELECT FROM S3Object", "ParseEmptySelect"),
    ("SELECT *", "ParseSelectMissingFrom"),
    ("SELECT * FROM", "InvalidDataSource"),
    ("SELECT * FROM other", "InvalidDataSource"),
    ("SELECT * FROM read_csv('/etc/passwd')", "InvalidDataSource"),
    ("SELECT * FROM S3Object s, S3Object t", "MultipleDataSourcesUnsupported"),
    ("SELECT * FROM S3Object; DROP TABLE x", "LexerInvalidChar"),
    ("SELECT * FROM S3Object s JOIN S3Object t", "UnsupportedSyntax"),
    ("SELECT * FROM S3Object s ORDER BY s.a", "UnsupportedSyntax"),
    ("SELECT s.a FROM S3Object s GROUP BY s.a", "UnsupportedSyntax"),
    ("SELECT DISTINCT s.a FROM S3Object s", "UnsupportedSyntax"),
    ("SELECT (SELECT * FROM S3Object) FROM S3Object", "ParseUnsupportedSelect"),
    ("SELECT *, s.a FROM S3Object s", "ParseAsteriskIsNotAloneInSelectList"),
    ("SELECT s.a, COUNT(*) FROM S3Object s", "UnsupportedSyntax"),
    ("SELECT SUM(*) FROM S3Object s", "ParseUnsupportedCallWithStar"),
    ("SELECT SUM(COUNT(*)) FROM S3Object s", "UnsupportedSyntax"),
    ("SELECT * FROM S3Object s WHERE COUNT(*) > 1", "UnsupportedSyntax"),
    ("SELECT getenv('HOME') FROM S3Object s", "UnsupportedFunction"),
    ("SELECT LOWER() FROM S3Object s", "EvaluatorInvalidArguments"),
    ("SELECT CAST(s.a AS BLOB) FROM S3Object s", "ParseExpectedTypeName"),
    ("SELECT CAST s.a AS INT FROM S3Object s", "ParseExpectedLeftParenAfterCast"),
    ("SELECT CAST(s.a AS DECIMAL(39)) FROM S3Object s", "ParseInvalidTypeParam"),
    ("SELECT CASE END FROM S3Object s", "ParseUnexpectedToken"),
    ("SELECT s.a AS FROM S3Object s", "ParseExpectedIdentForAlias"),
    ("SELECT s.[0] FROM S3Object s", "ParseInvalidPathComponent"),
    ("SELECT s.a[*] FROM S3Object s", "ParseInvalidContextForWildcardInSelectList"),
    ("SELECT EXTRACT(week FROM s.a) FROM S3Object s", "ParseExpectedDatePart"),
    ("SELECT * FROM S3Object s LIMIT x", "ParseExpectedNumber"),
    ("SELECT s.a = FROM S3Object s", "ParseUnexpectedToken"),
    ("SELECT s.a FROM S3Object s WHERE", "ParseExpectedExpression"),
    ("SELECT 'open FROM S3Object s", "LexerInvalidChar"),
    ("SELECT " + "(" * 200 + "1" + ")" * 200 + " FROM S3Object s", "UnsupportedSyntax"),
    ("SELECT " + "+".join("1" * 300) + " FROM S3Object s", "UnsupportedSyntax"),
    ("SELECT " + "9" * 50 + " FROM S3Object s", "IntegerOverflow"),
    ("SELECT '" + "x" * (256 << 10) + "' FROM S3Object s", "ExpressionTooLong"),
    ("SELECT s.nothing FROM S3Object s", "MissingHeaders"),
    ("SELECT s.a.b FROM S3Object s", "UnsupportedSyntax"),
    ("SELECT s.a FROM S3Object[*].b s", "UnsupportedSyntax"),
    ("SELECT CAST(s.name AS INT) FROM S3Object s", "CastFailed"),
    ("SELECT TO_STRING(UTCNOW(), 'qq') FROM S3Object s",
     "EvaluatorTimestampFormatPatternSyntaxError"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "code"), BAD_SQL)
def test_sql_that_is_not_in_the_dialect(data: Selecting, expression: str, code: str) -> None:
    data.put(PEOPLE)
    assert data.code(expression, USE) == code


_HEAD = "<Expression>SELECT * FROM S3Object</Expression><ExpressionType>SQL</ExpressionType>"
_CSV = "<InputSerialization><CSV/></InputSerialization>"
_OUT = "<OutputSerialization><CSV/></OutputSerialization>"
BAD_XML = [
    ("", "MissingRequestBodyError"),
    ("<x/>", "MalformedXML"),
    (_HEAD, "MissingRequiredParameter"),
    (_HEAD + _CSV, "MissingRequiredParameter"),
    (_HEAD + _CSV + _OUT + "<X/>", "MalformedXML"),
    (_HEAD.replace("SQL", "XPATH") + _CSV + _OUT, "InvalidExpressionType"),
    (_HEAD + "<InputSerialization/>" + _OUT, "InvalidDataSource"),
    (_HEAD + _CSV.replace("<CSV/>", "<CSV/><Parquet/>") + _OUT, "ObjectSerializationConflict"),
    (_HEAD + _CSV + _OUT.replace("<CSV/>", "<CSV/><JSON/>"), "ObjectSerializationConflict"),
    (
        _HEAD + _CSV.replace("<CSV/>", "<CSV/><CompressionType>ZSTD</CompressionType>") + _OUT,
        "InvalidCompressionFormat",
    ),
    (
        _HEAD
        + _CSV.replace("<CSV/>", "<Parquet/><CompressionType>GZIP</CompressionType>")
        + _OUT,
        "InvalidCompressionFormat",
    ),
    (
        _HEAD + _CSV.replace("<CSV/>", "<CSV><FileHeaderInfo>X</FileHeaderInfo></CSV>") + _OUT,
        "InvalidFileHeaderInfo",
    ),
    (
        _HEAD + _CSV.replace("<CSV/>", "<CSV><FieldDelimiter>ab</FieldDelimiter></CSV>") + _OUT,
        "InvalidRequestParameter",
    ),
    (_HEAD + _CSV.replace("<CSV/>", "<JSON/>") + _OUT, "InvalidJsonType"),
    (
        _HEAD + _CSV + _OUT.replace("<CSV/>", "<CSV><QuoteFields>X</QuoteFields></CSV>"),
        "InvalidQuoteFields",
    ),
    (
        _HEAD + _CSV + _OUT + "<ScanRange><Start>5</Start><End>4</End></ScanRange>",
        "InvalidScanRange",
    ),
    (
        _HEAD
        + _CSV.replace("CSV", "Parquet")
        + _OUT
        + "<ScanRange><Start>5</Start></ScanRange>",
        "UnsupportedScanRangeInput",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("inner", "code"), BAD_XML)
def test_a_bad_request_is_refused(wire: WireClient, data: Selecting, inner: str, code: str) -> None:
    data.put(b"a\n")
    body = (
        inner
        if inner in ("", "<x/>")
        else f"<SelectObjectContentRequest>{inner}</SelectObjectContentRequest>"
    )
    answer = wire.send("POST", f"/{data.bucket}/data?select&select-type=2", body.encode())
    assert (answer.status, answer.code) == (400, code)


def test_only_one_type_of_query_is_known(wire: WireClient, data: Selecting) -> None:
    answer = wire.send("POST", f"/{data.bucket}/data?select&select-type=1", b"<x/>")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


_TRIED = """
import os, socket, threading
from coffre.s3.select_sandbox import limit, lock_in
limit(memory_bytes=1 << 32, cpu_s=60, file_bytes=1 << 20)
held = lock_in()
def attempt(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"
print(*held, "|", attempt(lambda: open("/etc/passwd")), attempt(lambda: open("/tmp/x", "w")),
      attempt(lambda: os.listdir("/")), attempt(socket.socket),
      attempt(lambda: os.execv("/bin/true", ["true"])), attempt(os.fork))
thread = threading.Thread(target=print, args=("thread",))
thread.start()
"""


def test_the_process_that_runs_a_query_is_locked_in() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TRIED], capture_output=True, text=True, check=True
    )
    told, thread = done.stdout.splitlines()
    assert thread == "thread"
    held, _, tried = told.partition(" | ")
    if held != "landlock seccomp":
        pytest.skip(f"this kernel offers {held or 'neither lock'}")
    assert tried.split() == ["PermissionError"] * 6


_WORDS = (
    *("SELECT", "FROM", "S3Object", "s", "WHERE", "s.a", "'x'", "1", "+", "-", "*", "/", "(", ")"),
    *("[", "]", ",", ".", "=", "<", "LIKE", "IN", "CAST", "AS", "INT", "CASE", "WHEN", "THEN"),
    *("END", "NOT", "IS", "NULL", "MISSING", "LIMIT", "COUNT", "TRIM", "SUBSTRING", '"'),
)
_SHAPES = (
    Shape("CSV", ("a",), width=1),
    Shape("JSON"),
    Shape("Parquet", ("a",), ("string",)),
)


@given(st.lists(st.sampled_from(_WORDS), max_size=30).map(" ".join) | st.text(max_size=50))
def test_any_text_is_planned_or_refused(text: str) -> None:
    for start in ("", "SELECT ", "SELECT s.a FROM S3Object s WHERE "):
        for shape in _SHAPES:
            with suppress(S3Error):
                Planner(shape, "rows", 0).plan(parse_sql(start + text))


_ELEMENTS = (
    *("Expression", "ExpressionType", "InputSerialization", "OutputSerialization", "CSV", "JSON"),
    *("Parquet", "CompressionType", "Type", "FieldDelimiter", "RecordDelimiter", "ScanRange"),
    *("Start", "End", "RequestProgress", "Enabled", "QuoteFields", "X"),
)
_XML = st.recursive(
    st.sampled_from(["", "SQL", "NONE", "GZIP", "LINES", "true", "1", "-1", ",", "ab", "SELECT 1"]),
    lambda inner: st.lists(
        st.tuples(st.sampled_from(_ELEMENTS), inner).map(lambda one: "<{0}>{1}</{0}>".format(*one)),
        max_size=5,
    ).map("".join),
    max_leaves=12,
)


@given(_XML)
def test_any_request_is_read_or_refused(inner: str) -> None:
    name = "SelectObjectContentRequest"
    with suppress(S3Error):
        parse_select(f"<{name}>{inner}</{name}>".encode())


@given(
    st.binary(max_size=200) | st.text(alphabet="ab,;\"'\\\r\n#é", max_size=80).map(str.encode),
    st.sampled_from(["\n", ";", "!\n", "\r\n"]),
    st.sampled_from(['"', "'", ""]),
    st.sampled_from(['"', "\\", ""]),
    st.booleans(),
)
def test_any_bytes_are_records_or_refused(
    body: bytes, record: str, quote: str, escape: str, goes_on: bool
) -> None:
    chunks = [body[:50], body[50:]]
    found = lines(chunks, record.encode())
    with suppress(S3Error):
        for row in csv_rows(
            found,
            record=record,
            quote=quote,
            escape=escape,
            field=",",
            comment="#",
            goes_on=goes_on,
        ):
            assert all(isinstance(field, str) for field in row)


@given(
    st.lists(
        st.lists(st.text("ab,\"'\né", max_size=5), min_size=2, max_size=4), min_size=1, max_size=5
    )
)
def test_what_csv_writers_write_is_read_as_it_was(rows: list[list[str]]) -> None:
    target = io.StringIO()
    csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    found = csv_rows(
        lines([target.getvalue().encode()], b"\n"),
        record="\n",
        quote='"',
        escape='"',
        field=",",
        comment="",
        goes_on=True,
    )
    assert list(found) == rows


def _read(source: io.BytesIO, step: int, _: int) -> bytes:
    return source.read(step)


@given(st.binary(max_size=100), st.sampled_from(["GZIP", "BZIP2"]), st.integers(1, 40))
def test_what_is_compressed_comes_back_and_anything_else_is_refused(
    body: bytes, kind: str, step: int
) -> None:
    packed = gzip.compress(body) if kind == "GZIP" else bz2.compress(body)
    for data in (packed, packed[:-3], body):
        source = io.BytesIO(data)
        read = partial(_read, source, step)
        if data is packed:
            assert b"".join(Input(read, kind).chunks()) == body
        else:
            with pytest.raises(S3Error, match="TruncatedInput"):
                b"".join(Input(read, kind).chunks())


@given(st.text("yMdHhmsaXxT-:/ 'q%", max_size=20))
def test_any_time_pattern_is_read_or_refused(pattern: str) -> None:
    with suppress(S3Error):
        datetime(2020, 1, 2, tzinfo=UTC).strftime(time_format(pattern))


def test_no_text_of_a_clients_stands_in_a_statement() -> None:
    secret = "x'); DROP TABLE t; --"
    quoted = secret.replace("'", "''")
    query = parse_sql(
        f"SELECT '{quoted}', s.\"{secret}\", s['{quoted}'] AS \"{secret}\" FROM S3Object s"
        f" WHERE s.a LIKE '{quoted}' ESCAPE 'q'"
    )
    plan = Planner(Shape("JSON"), "rows", 0).plan(query)
    assert "DROP" not in plan.sql
    assert secret in plan.values.values()
