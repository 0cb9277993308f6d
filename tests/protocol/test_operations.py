"""The table of operations: every row is reached, all else is refused, the page is current."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest

from coffre.s3 import reference
from coffre.s3.operation import On, Operation
from coffre.s3.operations import TABLE
from coffre.s3.router import Router
from coffre.s3.sub_resources import KNOWN
from coffre.wire.errors import S3Error
from coffre.wire.request import RequestHead
from tests.protocol.wire_client import WireClient

ROUTER = Router(TABLE)
PATHS = {On.SERVICE: "/", On.BUCKET: "/bucket", On.OBJECT: "/bucket/key"}


def head(method: str, query: str = "", *, copy: bool = False) -> RequestHead:
    headers = ((b"x-amz-copy-source", b"a/b"),) if copy else ()
    return RequestHead(method, b"/", query.encode(), headers)


def test_the_page_of_operations_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "operations.md"
    assert page.read_text() == reference.render()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_is_found_by_what_recognises_it(row: Operation) -> None:
    query = row.selector.sub_resource
    query = "list-type=2" if query == "list-type" else query
    found = ROUTER.find(head(row.method, query, copy=row.selector.copy), row.target)
    assert found is row


def test_names_are_unique() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)


def test_unknown_parameters_change_nothing() -> None:
    assert ROUTER.find(head("GET", "x-id=GetObject&cache=1"), On.OBJECT).name == "GetObject"


def test_another_list_type_is_the_first_one() -> None:
    assert ROUTER.find(head("GET", "list-type=1"), On.BUCKET).name == "ListObjects"


def test_every_sub_resource_of_s3_that_is_not_built_says_so() -> None:
    rows = {(row.method, row.target, row.selector.sub_resource) for row in TABLE}
    missing = [
        (method, target, name)
        for (target, name), methods in KNOWN.items()
        for method in methods
        # Whatever is no list of annotations is about one of them.
        if (method, target, name) not in rows and name != "annotation"
    ]
    assert missing
    for method, target, name in missing:
        with pytest.raises(S3Error) as refused:
            ROUTER.find(head(method, name), target)
        assert refused.value.code == "NotImplemented", (method, target, name)


# Addressed in ways of their own: at another host, and with a bucket's own endpoint.
_ELSEWHERE = {"WriteGetObjectResponse", "ListDirectoryBuckets"}


def test_every_sub_resource_that_clients_know_is_known() -> None:
    """What is unknown is taken for a plain request: `PUT key?annotation` would be an object."""
    model = botocore.session.get_session().get_service_model("s3")
    for name in set(model.operation_names) - _ELSEWHERE:
        operation = model.operation_model(name)
        http, asked = operation.http, operation.input_shape
        path, _, query = http["requestUri"].partition("?")
        target = On.OBJECT if "{Key+}" in path else On.BUCKET if "{Bucket}" in path else On.SERVICE
        sub = query.partition("&")[0].partition("=")[0].replace("x-id", "")
        if asked is not None and "UploadId" in asked.required_members:
            sub = "uploadId"
        assert http["method"] in KNOWN[target, sub], name


def test_a_sub_resource_of_another_target_is_not_taken_for_a_plain_request() -> None:
    with pytest.raises(S3Error) as refused:
        ROUTER.find(head("PUT", "policy"), On.OBJECT)
    assert refused.value.code == "NotImplemented"


def test_two_sub_resources_conflict() -> None:
    with pytest.raises(S3Error) as refused:
        ROUTER.find(head("GET", "acl&versioning"), On.BUCKET)
    assert refused.value.code == "InvalidArgument"
    assert "acl, versioning" in refused.value.message


@pytest.mark.parametrize(
    ("method", "target", "kind"),
    [
        ("POST", "/bucket/key", "OBJECT"),
        ("PATCH", "/bucket", "BUCKET"),
        ("DELETE", "/", "SERVICE"),
        ("FROBNICATE", "/bucket/key", "OBJECT"),
    ],
)
def test_a_method_that_s3_does_not_have_is_not_allowed(
    wire: WireClient, method: str, target: str, kind: str
) -> None:
    answer = wire.send(method, target)
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    assert (answer.field("Method"), answer.field("ResourceType")) == (method, kind)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("sub", ["renameObject"])
def test_an_unbuilt_sub_resource_never_overwrites_the_object(
    wire: WireClient,
    s3: Any,
    bucket: str,
    sub: str,
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"kept")
    assert wire.send("PUT", f"/{bucket}/key?{sub}", b"<x/>").status == 501
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"kept"
