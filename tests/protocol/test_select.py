"""SelectObjectContent over CSV, JSON and Parquet, its answers parsed by botocore."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import EventStreamError
from hypothesis import given
from hypothesis import strategies as st

from coffre.s3 import select_process
from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto
from tests.protocol.select_client import LINES, PEOPLE, TO_CSV, USE, Selecting


@pytest.fixture
def data(s3: Any, bucket: str) -> Selecting:
    return Selecting(s3, bucket)


def test_a_whole_csv_file_comes_back_as_it_was(data: Selecting) -> None:
    data.put(PEOPLE)
    told = data.ask("SELECT * FROM S3Object", {"CSV": {}}, TO_CSV)
    assert told == PEOPLE
    assert data.stats["BytesScanned"] == data.stats["BytesProcessed"] == len(PEOPLE)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SELECT s.name FROM S3Object s WHERE s.age > 20", [{"name": "ann"}, {"name": "Carl"}]),
        ("SELECT name FROM S3Object WHERE city = 'Rome'", [{"name": "Carl"}]),
        ('SELECT s."name" n, s._2 FROM S3Object[*] s LIMIT 1', [{"n": "ann", "age": "30"}]),
        ("select S.NAME from s3object as S where s.age between 4 and 5", [{"name": "bob"}]),
        ("SELECT COUNT(*) FROM S3Object s", [{"_1": 3}]),
        ("SELECT SUM(s.age) AS total, AVG(CAST(s.age AS INT)) FROM S3Object s",
         [{"total": 59, "_2": 19.6666666666667}]),
        ("SELECT MIN(CAST(s.age AS INT)), MAX(CAST(s.age AS INT)) FROM S3Object s",
         [{"_1": 4, "_2": 30}]),
        ("SELECT s.name FROM S3Object s WHERE s.name LIKE '%n%'", [{"name": "ann"}]),
        ("SELECT s.name FROM S3Object s WHERE s.name NOT LIKE 'a!n_' ESCAPE '!' AND s.age < 30",
         [{"name": "bob"}, {"name": "Carl"}]),
        ("SELECT s.name FROM S3Object s WHERE s.name IN ('bob', 'x')", [{"name": "bob"}]),
        ("SELECT s.name FROM S3Object s WHERE s._4 IS NOT MISSING", [{"name": "Carl"}]),
        ("SELECT UPPER(s.name) || '!' AS u FROM S3Object s WHERE NOT s.age <= 25",
         [{"u": "ANN!"}]),
        ("SELECT CHAR_LENGTH(TRIM(BOTH 'a' FROM s.name)) AS n FROM S3Object s LIMIT 1", [{"n": 2}]),
        ("SELECT SUBSTRING(s.name FROM 2 FOR 2) AS n FROM S3Object s LIMIT 1", [{"n": "nn"}]),
        ("SELECT SUBSTRING('hello', 0, 3) AS n FROM S3Object s LIMIT 1", [{"n": "he"}]),
        ("SELECT CASE WHEN s.age > 20 THEN 'old' ELSE 'young' END AS a FROM S3Object s",
         [{"a": "old"}, {"a": "young"}, {"a": "old"}]),
        ("SELECT CASE s.name WHEN 'bob' THEN 1 END AS a FROM S3Object s LIMIT 2",
         [{"a": None}, {"a": 1}]),
        ("SELECT COALESCE(NULLIF(s.city, ''), 'none') AS c FROM S3Object s WHERE s.age = 4",
         [{"c": "none"}]),
        ("SELECT s.age * 2 + 1 AS a, s.age / 4 AS q, s.age % 7 AS r FROM S3Object s LIMIT 1",
         [{"a": 61, "q": 7.5, "r": 2}]),
        ("SELECT -s.age AS a, 1e2 AS b, 0.1 + 0.2 AS c FROM S3Object s LIMIT 1",
         [{"a": -30, "b": 100, "c": 0.3}]),
        ("SELECT CAST(s.age AS DECIMAL(5,2)) d, CAST('true' AS BOOL) AS b FROM S3Object s LIMIT 1",
         [{"d": 30, "b": True}]),
        ("SELECT DATE_DIFF(day, TO_TIMESTAMP('2020-01-01T23:00Z'), "
         "TO_TIMESTAMP('2020-01-02T01:00Z')) AS d FROM S3Object s LIMIT 1", [{"d": 0}]),
        ("SELECT EXTRACT(year FROM DATE_ADD(month, 2, CAST('2019-12-05T00:00:00Z' AS TIMESTAMP)))"
         " AS y FROM S3Object s LIMIT 1", [{"y": 2020}]),
        ("SELECT TO_STRING(CAST('2019-02-05T03:04:05Z' AS TIMESTAMP), 'MMMM d, yyyy h:mm a') AS t"
         " FROM S3Object s LIMIT 1", [{"t": "February 5, 2019 3:04 AM"}]),
        ("SELECT UTCNOW() > CAST('2020-01-01T00:00:00Z' AS TIMESTAMP) AS t FROM S3Object s LIMIT 1",
         [{"t": True}]),
        ("SELECT * FROM S3Object s WHERE s.name = 'nobody'", []),
        ("SELECT * FROM S3Object s LIMIT 0", []),
    ],
)  # fmt: skip
def test_queries_of_csv(data: Selecting, expression: str, expected: list[Any]) -> None:
    data.put(PEOPLE)
    assert data.rows(expression, USE) == expected


def test_a_record_has_as_many_fields_as_it_has(data: Selecting) -> None:
    data.put(PEOPLE)
    rows = data.rows("SELECT * FROM S3Object s", USE)
    assert rows[1] == {"name": "bob", "age": "4", "city": ""}
    assert rows[2] == {"name": "Carl", "age": "25", "city": "Rome", "_4": "extra"}
    data.put(b"a,b,c\nd\n")
    assert data.rows("SELECT s._1, s._3, s._9 FROM S3Object s", {"CSV": {}}) == [
        {"_1": "a", "_3": "c"},
        {"_1": "d"},
    ]


@pytest.mark.parametrize(
    ("body", "form", "expected"),
    [
        (b"h\na\n", {"FileHeaderInfo": "IGNORE"}, [["a"]]),
        (b"a|b\nc|d\n", {"FieldDelimiter": "|"}, [["a", "b"], ["c", "d"]]),
        (b"a,b;c\nd,e;", {"RecordDelimiter": ";"}, [["a", "b"], ["c\nd", "e"]]),
        (b"a,b!\nc\n,d!\n", {"RecordDelimiter": "!\n"}, [["a", "b"], ["c\n", "d"]]),
        (b"a,b\r\nc,d\r\n", {}, [["a", "b"], ["c", "d"]]),
        (b"'a,b',c\n", {"QuoteCharacter": "'"}, [["a,b", "c"]]),
        (b'"a""b",c\n', {}, [['a"b', "c"]]),
        (b'"a\\"b",c\n', {"QuoteEscapeCharacter": "\\"}, [['a"b', "c"]]),
        (b"#no\na\n#\nb\n", {"Comments": "#"}, [["a"], ["b"]]),
        (b'"a\nb",c\n', {"AllowQuotedRecordDelimiter": True}, [["a\nb", "c"]]),
        (b'"a\nb,c\n', {}, [['"a'], ["b", "c"]]),
        (b"\na\n\n\nb\n", {}, [["a"], ["b"]]),
        ("é,\u4e2d\n".encode(), {}, [["é", "\u4e2d"]]),
        (b"NULL,,\\N\n", {}, [["NULL", "", "\\N"]]),
        (b"", {}, []),
    ],
)
def test_forms_of_csv(data: Selecting, body: bytes, form: Any, expected: list[Any]) -> None:
    data.put(body)
    rows = data.rows("SELECT * FROM S3Object", {"CSV": form})
    assert [list(row.values()) for row in rows] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({}, b'ann,"Paris, 5"\n'),
        ({"QuoteFields": "ALWAYS"}, b'"ann","Paris, 5"\n'),
        ({"FieldDelimiter": "|", "RecordDelimiter": "!\n"}, b"ann|Paris, 5!\n"),
        ({"QuoteCharacter": "'"}, b"ann,'Paris, 5'\n"),
    ],
)
def test_forms_of_csv_that_come_back(data: Selecting, form: Any, expected: bytes) -> None:
    data.put(PEOPLE)
    told = data.ask("SELECT s.name, s.city FROM S3Object s LIMIT 1", USE, {"CSV": form})
    assert told == expected


DOCUMENTS = (
    b'{"a": 1, "b": {"c": [1, 2, {"d": "x"}]}, "n": null, "t": true}\n'
    b'{"a": "2", "B": 5, "big": 9007199254740993}\n[1, 2]\n'
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("SELECT s.a FROM S3Object s", [{"a": 1}, {"a": "2"}, {}]),
        ("SELECT s.b.c[2].d FROM S3Object s LIMIT 1", [{"d": "x"}]),
        ("SELECT s['b']['c'][0] AS c FROM S3Object s LIMIT 1", [{"c": 1}]),
        ("SELECT s.n, s.zz FROM S3Object s LIMIT 1", [{"n": None}]),
        ("SELECT s.big FROM S3Object s WHERE s.b = 5", [{"big": 9007199254740993}]),
        ("SELECT s.a FROM S3Object s WHERE s.\"B\" IS NOT MISSING", [{"a": "2"}]),
        ("SELECT s.a FROM S3Object s WHERE s.t", [{"a": 1}]),
        ("SELECT s.a FROM S3Object s WHERE s.n IS NULL AND s.n IS NOT MISSING", [{"a": 1}]),
        ("SELECT * FROM S3Object[*].b.c[*] s", [{"_1": 1}, {"_1": 2}, {"d": "x"}]),
        ("SELECT COUNT(s.n), COUNT(*) FROM S3Object s", [{"_1": 0, "_2": 3}]),
        ("SELECT SUM(s.a) FROM S3Object s", [{"_1": 3}]),
    ],
)  # fmt: skip
def test_queries_of_json(data: Selecting, expression: str, expected: list[Any]) -> None:
    data.put(DOCUMENTS)
    assert data.rows(expression, LINES) == expected


def test_json_documents_follow_one_another(data: Selecting) -> None:
    data.put(b'{"v":\n {"w": [1,\n2]}}\n\n{"v": 3}')
    document = {"JSON": {"Type": "DOCUMENT"}}
    assert data.ask("SELECT s.v FROM S3Object s", document, TO_CSV) == b'"{""w"":[1,2]}"\n3\n'
    assert data.rows("SELECT * FROM S3Object[*].v.w[*] s", document) == [{"_1": 1}, {"_1": 2}]


def _parquet() -> bytes:
    table = pa.table(
        {
            "name": ["ann", "bob", None],
            "age": [30, 4, 25],
            "born": pa.array([0, 1_500_000, None], pa.timestamp("ms")),
            "tags": [["a"], [], None],
        }
    )
    target = io.BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


def test_queries_of_parquet(data: Selecting) -> None:
    body = _parquet()
    data.put(body)
    parquet: dict[str, Any] = {"Parquet": {}}
    assert data.rows("SELECT * FROM S3Object s LIMIT 2", parquet) == [
        {"name": "ann", "age": 30, "born": "1970-01-01T00:00:00Z", "tags": ["a"]},
        {"name": "bob", "age": 4, "born": "1970-01-01T00:25:00Z", "tags": []},
    ]
    assert data.stats["BytesScanned"] == len(body)
    told = data.rows("SELECT s.NAME FROM S3Object s WHERE s.age > 20 AND s.name = 'ann'", parquet)
    assert told == [{"name": "ann"}]
    assert data.rows("SELECT SUM(s.age) FROM S3Object s WHERE s.name IS NULL", parquet) == [
        {"_1": 25}
    ]
    assert data.code("SELECT s.nothing FROM S3Object s", parquet) == "MissingHeaders"


@pytest.mark.parametrize(("name", "pack"), [("GZIP", gzip.compress), ("BZIP2", bz2.compress)])
def test_compressed_objects_are_expanded(data: Selecting, name: str, pack: Any) -> None:
    packed = pack(PEOPLE) + pack(b"dora,9,Oslo\n")
    data.put(packed)
    source = {"CSV": {"FileHeaderInfo": "USE"}, "CompressionType": name}
    assert data.rows("SELECT COUNT(*) FROM S3Object s", source) == [{"_1": 4}]
    assert data.stats["BytesScanned"] == len(packed)
    assert data.stats["BytesProcessed"] == len(PEOPLE) + 12
    data.put(packed[:-5])
    assert data.code("SELECT COUNT(*) FROM S3Object s", source) == "TruncatedInput"
    data.put(PEOPLE)
    assert data.code("SELECT COUNT(*) FROM S3Object s", source) == "TruncatedInput"


@given(cuts=st.lists(st.integers(0, 60), max_size=4))
def test_ranges_that_meet_find_every_record_once(cuts: list[int]) -> None:
    from coffre.s3.select_records import lines

    body = b"".join(b"%d,%s\n" % (at, b"x" * (at % 7)) for at in range(8))
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    found: list[bytes] = []
    for start, end in pairwise(edges):
        base = max(start - 1, 0)
        found += lines([body[base:]], b"\n", base, partial=start > 0, end=end)
    assert b"".join(one + b"\n" for one in found) == body


def test_a_scan_range_takes_the_records_that_begin_in_it(data: Selecting) -> None:
    data.put(PEOPLE)
    second = PEOPLE.index(b"bob")
    everything = "SELECT s.name FROM S3Object s"
    ranges = {"Start": 0, "End": second}, {"Start": second, "End": len(PEOPLE)}
    first, rest = (data.rows(everything, USE, ScanRange=one) for one in ranges)
    assert (first, rest) == ([{"name": "ann"}], [{"name": "bob"}, {"name": "Carl"}])
    assert data.rows(everything, USE, ScanRange={"End": 22}) == [{"name": "Carl"}]
    assert data.rows("SELECT * FROM S3Object", LINES, ScanRange={"Start": len(PEOPLE) - 1}) == []
    code = data.code(everything, USE, ScanRange={"Start": len(PEOPLE)})
    assert code == "InvalidScanRange"


def test_a_large_object_streams_through(data: Selecting) -> None:
    line = b'{"n": %d, "text": "' + b"x" * 80 + b'"}\n'
    body = b"".join(line % number for number in range(60_000))
    data.put(body)
    told = data.ask("SELECT * FROM S3Object s", LINES, RequestProgress={"Enabled": True})
    assert len(told.splitlines()) == 60_000
    assert json.loads(told.splitlines()[-1])["n"] == 59_999
    assert data.kinds.count("Records") > 4
    assert data.rows("SELECT s.n FROM S3Object s LIMIT 1", LINES) == [{"n": 0}]


def test_an_error_behind_the_first_records_ends_the_stream(data: Selecting) -> None:
    rows = b"".join(b"%d,xxxxxxxxxx\n" % number for number in range(130_000))
    data.put(rows + b"x,y\n")
    answer = data.s3.select_object_content(
        Bucket=data.bucket,
        Key="data",
        Expression="SELECT CAST(s._1 AS INT), s._2 FROM S3Object s",
        ExpressionType="SQL",
        InputSerialization={"CSV": {}},
        OutputSerialization=TO_CSV,
    )
    with pytest.raises(EventStreamError) as ended:
        list(answer["Payload"])
    assert ended.value.response["Error"]["Code"] == "CastFailed"


@pytest.mark.parametrize(
    ("body", "source", "code"),
    [
        (b"\xff\xfe,a\n", {"CSV": {}}, "InvalidTextEncoding"),
        (b"a" * ((1 << 20) + 1) + b"\n", {"CSV": {}}, "OverMaxRecordSize"),
        (b"a," * 1100 + b"\n", {"CSV": {}}, "OverMaxColumn"),
        (b'{"a": 1}\n{"a"', LINES, "JSONParsingError"),
        (b"not json", LINES, "JSONParsingError"),
        (b"not parquet", {"Parquet": {}}, "ParquetParsingError"),
        (b"", {"Parquet": {}}, "ParquetParsingError"),
        (b"a,A\n1,2\n", USE, "AmbiguousFieldName"),
    ],
)
def test_objects_that_are_not_what_they_are_said_to_be(
    data: Selecting, body: bytes, source: Any, code: str
) -> None:
    data.put(body)
    assert data.code("SELECT s.a FROM S3Object s", source) == code or code == data.code(
        "SELECT * FROM S3Object s", source
    )


def test_what_one_may_not_read_one_may_not_query(
    data: Selecting, server: MemoryServer, stranger: Credentials
) -> None:
    data.put(PEOPLE)
    other = Selecting(boto(server, stranger), data.bucket)
    assert other.code("SELECT * FROM S3Object", USE) == "AccessDenied"
    data.s3.delete_object(Bucket=data.bucket, Key="data")
    assert data.code("SELECT * FROM S3Object", USE) == "NoSuchKey"


def test_parts_and_customers_keys_are_read_like_any_other(data: Selecting) -> None:
    key = {"SSECustomerKey": "k" * 32, "SSECustomerAlgorithm": "AES256"}
    data.s3.put_object(Bucket=data.bucket, Key="data", Body=PEOPLE, **key)
    assert data.code("SELECT * FROM S3Object", USE) == "InvalidRequest"
    told = data.rows("SELECT COUNT(*) FROM S3Object s", USE, **key)
    assert told == [{"_1": 3}]


def test_too_many_queries_at_once_are_asked_to_wait(
    data: Selecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.put(PEOPLE)
    monkeypatch.setattr(select_process, "AT_ONCE", 0)
    assert data.code("SELECT * FROM S3Object", USE) == "Busy"


def test_no_query_leaves_a_process_behind(data: Selecting) -> None:
    data.put(PEOPLE)
    data.ask("SELECT * FROM S3Object", USE)
    assert select_process._running == 0
