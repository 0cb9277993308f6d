"""Requests that botocore's model of S3 allows, drawn by Hypothesis: any member, with values that
are meant and values that are not, serialized as botocore sends them."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import botocore.serialize
import botocore.session
from hypothesis import strategies as st
from msgspec import Struct

MODEL = botocore.session.get_session().get_service_model("s3")
# Object Lambda's operation has a host of its own.
NAMES = sorted({*MODEL.operation_names} - {"WriteGetObjectResponse"})
_SERIALIZER = botocore.serialize.create_serializer("rest-xml", include_validation=False)
_DEPTH = 6
_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
_WORDS = st.sampled_from(
    [
        *("", "k", "k2", "*", "null", "0", "1", "-1", "a/b", "AES256", "aws:kms", "STANDARD"),
        *("uri=http://acs.amazonaws.com/groups/global/AllUsers", "bytes=0-0", "bytes=9-1"),
        *("arn:aws:s3:::other", "arn:aws:sns:us-east-1:1:t", "2099-01-01T00:00:00Z", "x" * 300),
        *('{"Version":"2012-10-17","Statement":[]}', "{", "select * from S3Object", "%00", "é"),
    ]
)
_NUMBERS = st.sampled_from([0, 1, 2, -1, 5, 1000, 10_000, 10_001, 2**31, 2**63, -(2**63) - 1])
_TIMES = st.sampled_from(
    [dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(2099, 12, 31, 23, tzinfo=dt.UTC)]
)
# What the service is asked about: most requests get past finding it.
_FIXED = {
    "Key": st.sampled_from(["k", "k", "gone", "a/b"]),
    "CopySource": st.sampled_from(["{bucket}/k", "{bucket}/k", "/{bucket}/k?versionId=null", "x"]),
    "UploadId": st.sampled_from(["{upload}", "{upload}", "x", ""]),
    "PartNumber": st.sampled_from([1, 1, 2, 0, 10_001]),
    "VersionId": st.sampled_from(["null", "x"]),
}


class Sent(Struct):
    """A request that is not signed yet."""

    operation: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@st.composite
def requests(draw: st.DrawFn, bucket: str, upload: str) -> Sent:
    """A request of any operation about this bucket; `upload` is one under way at `k`."""
    operation = MODEL.operation_model(draw(st.sampled_from(NAMES)))
    shape = operation.input_shape
    given = {} if shape is None else draw(_structure(shape, 0, top=True))
    if shape is not None and "Bucket" in shape.members:
        given["Bucket"] = bucket
    place = {"{bucket}": bucket, "{upload}": upload}
    for name in ("CopySource", "UploadId"):
        for mark, value in place.items():
            if name in given:
                given[name] = given[name].replace(mark, value)
    made = _SERIALIZER.serialize_to_request(given, operation)
    query = urlencode({name: _shown(value) for name, value in made["query_string"].items()})
    target = made["url_path"]
    if query:
        target += ("&" if "?" in target else "?") + query
    headers = {name: _header(value) for name, value in made["headers"].items()}
    body = made["body"]
    return Sent(operation.name, made["method"], target, headers, _bytes(body))


def _structure(shape: Any, depth: int, *, top: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}
    for name, member in shape.members.items():
        if name == "Bucket" and top:
            continue
        value = _FIXED[name] if name in _FIXED and top else _value(member, depth + 1)
        (required if name in shape.required_members else optional)[name] = value
    if depth >= _DEPTH:
        optional = {}
    few = st.sets(st.sampled_from(sorted(optional)), max_size=3) if optional else st.just(set())
    return few.flatmap(
        lambda chosen: st.fixed_dictionaries(
            {**required, **{name: optional[name] for name in sorted(chosen)}}
        )
    )


def _value(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    kind = shape.type_name
    if kind == "structure":
        return st.deferred(lambda: _structure(shape, depth))
    if kind == "list":
        most = 0 if depth >= _DEPTH else 3
        return st.deferred(lambda: st.lists(_value(shape.member, depth + 1), max_size=most))
    if kind == "map":
        names = st.sampled_from(["a", "b-c", "x_1"])
        return st.dictionaries(names, _TEXT, max_size=2)
    if kind == "string":
        listed = list(getattr(shape, "enum", ()))
        return st.sampled_from(listed) | _WORDS if listed else _WORDS | _TEXT
    return {
        "integer": _NUMBERS,
        "long": _NUMBERS,
        "boolean": st.booleans(),
        "timestamp": _TIMES,
        "blob": st.binary(max_size=20),
    }[kind]


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | bytes) else str(value)


def _header(value: Any) -> str:
    """As a client could send it: no control characters, no space around, Latin-1."""
    return str(value).strip().encode("latin-1", "replace").decode("latin-1")


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body or "").encode()
