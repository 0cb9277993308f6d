"""Configurations that are kept and told: analytics, metrics, intelligent tiering, acceleration, and
who pays for requests."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.testing.server import Credentials, MemoryServer
from coffre.wire.configurations import (
    ANALYTICS,
    INTELLIGENT_TIERING,
    METRICS,
    Node,
    parse_acceleration,
    parse_configuration,
    parse_request_payment,
    render_configuration,
)
from coffre.wire.errors import S3Error
from coffre.wire.restore import parse_restore
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient

TAG = {"Key": "k", "Value": "v"}
AND = {"Prefix": "logs/", "Tags": [TAG, {"Key": "k2", "Value": ""}]}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "analytics": ("AnalyticsConfiguration", {"StorageClassAnalysis": {}}),
    "metrics": ("MetricsConfiguration", {}),
    "intelligent_tiering": (
        "IntelligentTieringConfiguration",
        {"Status": "Enabled", "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]},
    ),
}


def call(s3: Any, verb: str, kind: str, many: str = "") -> Any:
    return getattr(s3, f"{verb}_bucket_{kind}_configuration{many}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen", [None, {"Prefix": "a&b<"}, {"Tag": TAG}, {"And": AND}])
def test_a_configuration_is_told_as_it_was_put(
    s3: Any, bucket: str, kind: str, chosen: dict[str, Any] | None
) -> None:
    name, rest = KINDS[kind]
    sent = {"Id": "one", **rest, **({"Filter": chosen} if chosen else {})}
    about = {"Bucket": bucket, "Id": "one"}
    call(s3, "put", kind)(**about, **{name: sent})
    assert call(s3, "get", kind)(**about)[name] == sent
    listed = call(s3, "list", kind, "s")(Bucket=bucket)
    assert (listed[f"{name}List"], listed["IsTruncated"]) == ([sent], False)
    call(s3, "delete", kind)(**about)
    for verb in ("get", "delete"):
        assert refused(call(s3, verb, kind), **about) == "NoSuchConfiguration"


def test_a_list_comes_in_pages_of_a_hundred(s3: Any, bucket: str) -> None:
    names = sorted(f"m{number}" for number in range(101))
    for name in names:
        s3.put_bucket_metrics_configuration(
            Bucket=bucket, Id=name, MetricsConfiguration={"Id": name}
        )
    first = s3.list_bucket_metrics_configurations(Bucket=bucket)
    assert first["IsTruncated"] is True
    token = first["NextContinuationToken"]
    rest = s3.list_bucket_metrics_configurations(Bucket=bucket, ContinuationToken=token)
    assert (rest["IsTruncated"], rest["ContinuationToken"]) == (False, token)
    found = first["MetricsConfigurationList"] + rest["MetricsConfigurationList"]
    assert [one["Id"] for one in found] == names
    code = refused(s3.list_bucket_metrics_configurations, Bucket=bucket, ContinuationToken="é")
    assert code == "InvalidArgument"


def _tiering(days: int, tier: str = "ARCHIVE_ACCESS") -> bytes:
    inner = f"<Days>{days}</Days><AccessTier>{tier}</AccessTier>"
    return (
        "<IntelligentTieringConfiguration><Id>one</Id><Status>Enabled</Status>"
        f"<Tiering>{inner}</Tiering></IntelligentTieringConfiguration>"
    ).encode()


_EXPORT = (
    b"<AnalyticsConfiguration><Id>one</Id><StorageClassAnalysis><DataExport>"
    b"<OutputSchemaVersion>V_1</OutputSchemaVersion><Destination><S3BucketDestination>"
    b"<Format>CSV</Format><Bucket>arn:aws:s3:::b</Bucket></S3BucketDestination></Destination>"
    b"</DataExport></StorageClassAnalysis></AnalyticsConfiguration>"
)
BAD = [
    ("metrics", b"", 400, "MissingRequestBodyError"),
    ("metrics", b"<MetricsConfiguration/>", 400, "MalformedXML"),
    (
        "metrics",
        b"<MetricsConfiguration><Id>two</Id></MetricsConfiguration>",
        400,
        "InvalidArgument",
    ),
    (
        "metrics",
        b"<MetricsConfiguration><Id>one</Id><X/></MetricsConfiguration>",
        400,
        "MalformedXML",
    ),
    (
        "metrics",
        b"<MetricsConfiguration><Id>one</Id><Id>one</Id></MetricsConfiguration>",
        400,
        "MalformedXML",
    ),
    (
        "metrics",
        b"<MetricsConfiguration><Id>one</Id><Filter><Prefix>a</Prefix><Tag><Key>k</Key>"
        b"<Value>v</Value></Tag></Filter></MetricsConfiguration>",
        400,
        "MalformedXML",
    ),
    (
        "metrics",
        b"<MetricsConfiguration><Id>one</Id><Filter><And><Prefix>a</Prefix></And></Filter>"
        b"</MetricsConfiguration>",
        400,
        "MalformedXML",
    ),
    (
        "analytics",
        b"<AnalyticsConfiguration><Id>one</Id></AnalyticsConfiguration>",
        400,
        "MalformedXML",
    ),
    ("analytics", _EXPORT, 501, "NotImplemented"),
    ("intelligent-tiering", _tiering(89), 400, "InvalidArgument"),
    ("intelligent-tiering", _tiering(731), 400, "InvalidArgument"),
    ("intelligent-tiering", _tiering(90, "DEEP_ARCHIVE_ACCESS"), 400, "InvalidArgument"),
    ("intelligent-tiering", _tiering(90, "COLD"), 400, "MalformedXML"),
]


@pytest.mark.parametrize(("sub", "body", "status", "code"), BAD)
def test_a_bad_configuration_is_refused_and_not_kept(
    wire: WireClient, bucket: str, sub: str, body: bytes, status: int, code: str
) -> None:
    answer = wire.send("PUT", f"/{bucket}?{sub}&id=one", body)
    assert (answer.status, answer.code) == (status, code)
    assert wire.send("GET", f"/{bucket}?{sub}&id=one").code == "NoSuchConfiguration"


@pytest.mark.parametrize("identity", ["", "a%20b", "x" * 65, "a/b"])
def test_an_id_that_cannot_be_is_refused(wire: WireClient, bucket: str, identity: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = wire.send(method, f"/{bucket}?metrics&id={identity}", b"<MetricsConfiguration/>")
        assert (answer.status, answer.code) == (400, "InvalidArgument")


@pytest.mark.parametrize("state", ["Enabled", "Suspended"])
def test_acceleration_is_kept(s3: Any, bucket: str, state: str) -> None:
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": state})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == state


def test_acceleration_is_not_for_names_with_dots(s3: Any) -> None:
    s3.create_bucket(Bucket="with.dots")
    status = {"Status": "Enabled"}
    call = s3.put_bucket_accelerate_configuration
    code = refused(call, Bucket="with.dots", AccelerateConfiguration=status)
    assert code == "InvalidRequest"


@pytest.mark.parametrize(
    ("sub", "body"),
    [
        ("accelerate", b"<AccelerateConfiguration/>"),
        ("accelerate", b"<AccelerateConfiguration><Status>On</Status></AccelerateConfiguration>"),
        ("requestPayment", b"<RequestPaymentConfiguration/>"),
    ],
)
def test_what_says_nothing_known_is_malformed(
    wire: WireClient, bucket: str, sub: str, body: bytes
) -> None:
    assert wire.send("PUT", f"/{bucket}?{sub}", body).code == "MalformedXML"


def test_requesters_pay_only_when_they_know(
    s3: Any, server: MemoryServer, stranger: Credentials, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="public-read")
    other = boto(server, stranger)
    assert "RequestCharged" not in other.get_object(Bucket=bucket, Key="key")
    pays = {"Payer": "Requester"}
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration=pays)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    assert refused(other.get_object, Bucket=bucket, Key="key") == "AccessDenied"
    answer = other.get_object(Bucket=bucket, Key="key", RequestPayer="requester")
    assert answer["RequestCharged"] == "requester"
    assert "RequestCharged" not in s3.get_object(Bucket=bucket, Key="key")
    unsigned = WireClient(server.port, stranger).raw(
        "GET", f"/{bucket}/key", b"", {"Host": f"main.localhost:{server.port}"}
    )
    assert (unsigned.status, unsigned.code) == (403, "AccessDenied")
    owner_pays = {"Payer": "BucketOwner"}
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration=owner_pays)
    assert other.head_object(Bucket=bucket, Key="key")["ContentLength"] == 1


def test_a_copy_from_a_bucket_whose_requesters_pay(
    s3: Any, server: MemoryServer, stranger: Credentials, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="public-read")
    pays = {"Payer": "Requester"}
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration=pays)
    other = boto(server, stranger)
    other.create_bucket(Bucket=f"{bucket}-copies")
    about = {"Bucket": f"{bucket}-copies", "Key": "copy", "CopySource": f"{bucket}/key"}
    assert refused(other.copy_object, **about) == "AccessDenied"
    other.copy_object(**about, RequestPayer="requester")


SCHEMAS = [ANALYTICS, METRICS, INTELLIGENT_TIERING]


@st.composite
def like(draw: st.DrawFn, schema: Node) -> Element:
    """Elements that are nearly as a schema has them."""
    found = Element(schema.name)
    if not schema.inner:
        choice = st.sampled_from([*sorted(schema.values), "one", "90", "x"])
        found.text = draw(choice)
        return found
    for node in schema.inner:
        for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
            found.append(draw(like(node)))
    if draw(st.integers(0, 20)) == 0:
        SubElement(found, "Other")
    return found


@given(st.sampled_from(SCHEMAS).flatmap(lambda schema: st.tuples(st.just(schema), like(schema))))
def test_what_is_taken_reads_as_it_was_kept(drawn: tuple[Node, Element]) -> None:
    schema, sent = drawn
    with suppress(S3Error):
        kept = parse_configuration(tostring(sent), schema, "one")
        assert parse_configuration(render_configuration(kept, schema), schema, "one") == kept


@given(st.binary(max_size=80) | st.text("<>/RequestPaysTir", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for parse in (parse_acceleration, parse_request_payment, parse_restore):
        with suppress(S3Error):
            parse(body)
