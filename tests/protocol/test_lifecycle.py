"""Lifecycle configurations: every rule of them kept and told back, every wrong one refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocol.boto_client import refused
from tests.protocol.wire_client import WireClient

DAYS = {"Expiration": {"Days": 3}}
ALL = {"Filter": {}, "Status": "Enabled"}


def put(s3: Any, bucket: str, *rules: dict[str, Any], **more: Any) -> Any:
    return s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)}, **more
    )


def told(s3: Any, bucket: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    return rules


@pytest.mark.parametrize(
    "rule",
    [
        {"Filter": {"Prefix": "reports/"}, **DAYS},
        {"Filter": {"Prefix": ""}, **DAYS},
        {"Filter": {}, **DAYS},
        {"Prefix": "", **DAYS},
        {"Prefix": "reports/ü", **DAYS},
        {"Filter": {"Tag": {"Key": "k", "Value": ""}}, **DAYS},
        {"Filter": {"ObjectSizeGreaterThan": 0}, **DAYS},
        {"Filter": {"ObjectSizeLessThan": 5}, **DAYS},
        {
            "Filter": {
                "And": {
                    "Prefix": "a",
                    "Tags": [{"Key": "k" * 128, "Value": "v" * 256}, {"Key": "l", "Value": "w"}],
                    "ObjectSizeGreaterThan": 1,
                    "ObjectSizeLessThan": 3,
                }
            },
            **DAYS,
        },
        {"Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        {
            "Filter": {},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 100},
        },
        {"Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
        {
            "Filter": {"Prefix": "x"},
            **DAYS,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ],
)
@pytest.mark.parametrize("status", ["Enabled", "Disabled"])
def test_a_rule_is_kept_as_it_was_put(
    s3: Any, bucket: str, rule: dict[str, Any], status: str
) -> None:
    rule = {"ID": "i" * 255, "Status": status, **rule}
    put(s3, bucket, rule)
    assert told(s3, bucket) == [rule]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    code = refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    assert code == "NoSuchLifecycleConfiguration"
    s3.delete_bucket_lifecycle(Bucket=bucket)


def test_a_date_is_a_midnight(s3: Any, bucket: str) -> None:
    put(s3, bucket, {**ALL, "Expiration": {"Date": "2031-02-03T00:00:00Z"}})
    (rule,) = told(s3, bucket)
    assert rule["Expiration"]["Date"].isoformat() == "2031-02-03T00:00:00+00:00"


def test_rules_without_an_id_are_given_one(s3: Any, bucket: str) -> None:
    put(s3, bucket, {**ALL, **DAYS}, {**ALL, **DAYS}, {"ID": "mine", **ALL, **DAYS})
    ids = [rule["ID"] for rule in told(s3, bucket)]
    assert len(set(ids)) == 3
    assert all(ids)
    assert ids[2] == "mine"


def test_a_thousand_rules_are_kept(s3: Any, bucket: str) -> None:
    rules = [
        {"ID": str(at), "Filter": {"Prefix": f"{at}/"}, "Status": "Enabled", **DAYS}
        for at in range(1001)
    ]
    assert refused(put, s3, bucket, *rules) == "MalformedXML"
    put(s3, bucket, *rules[:1000])
    assert told(s3, bucket) == rules[:1000]


def test_the_least_size_of_a_transition_is_told_back(s3: Any, bucket: str) -> None:
    name = "TransitionDefaultMinimumObjectSize"
    assert put(s3, bucket, {**ALL, **DAYS})[name] == "all_storage_classes_128K"
    put(s3, bucket, {**ALL, **DAYS}, **{name: "varies_by_storage_class"})
    found = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert found[name] == "varies_by_storage_class"


AND = {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}]}
TAG = {"Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Status": "Enabled"}
ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no rule": ([], "MalformedXML"),
    "long id": ([{"ID": "i" * 256, **ALL, **DAYS}], "InvalidArgument"),
    "same id": ([{"ID": "i", **ALL, **DAYS}] * 2, "InvalidArgument"),
    "status in small": ([{"Filter": {}, "Status": "enabled", **DAYS}], "MalformedXML"),
    "no filter, no prefix": ([{"Status": "Enabled", **DAYS}], "MalformedXML"),
    "filter and prefix": ([{"Prefix": "", **ALL, **DAYS}], "MalformedXML"),
    "no action": ([ALL], "InvalidRequest"),
    "an empty expiration": ([{**ALL, "Expiration": {}}], "MalformedXML"),
    "no days": ([{**ALL, "Expiration": {"Days": 0}}], "InvalidArgument"),
    "days below none": ([{**ALL, "Expiration": {"Days": -1}}], "InvalidArgument"),
    "days without end": ([{**ALL, "Expiration": {"Days": 1 << 31}}], "MalformedXML"),
    "noon": ([{**ALL, "Expiration": {"Date": "2031-02-03T12:00:00Z"}}], "InvalidArgument"),
    "days and date": (
        [{**ALL, "Expiration": {"Days": 1, "Date": "2031-02-03T00:00:00Z"}}],
        "MalformedXML",
    ),
    "marker and days": (
        [{**ALL, "Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}],
        "MalformedXML",
    ),
    "marker and date": (
        [
            {
                **ALL,
                "Expiration": {
                    "Date": "2031-02-03T00:00:00Z",
                    "ExpiredObjectDeleteMarker": False,
                },
            }
        ],
        "MalformedXML",
    ),
    "markers by tag": (
        [{**TAG, "Expiration": {"ExpiredObjectDeleteMarker": True}}],
        "InvalidRequest",
    ),
    "uploads by tag": ([{**TAG, **ABORT}], "InvalidRequest"),
    "uploads by size": (
        [{"Filter": {"ObjectSizeLessThan": 5}, "Status": "Enabled", **ABORT}],
        "InvalidRequest",
    ),
    "no days of uploads": (
        [{**ALL, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}}],
        "InvalidArgument",
    ),
    "uploads without days": ([{**ALL, "AbortIncompleteMultipartUpload": {}}], "MalformedXML"),
    "no noncurrent days": (
        [{**ALL, "NoncurrentVersionExpiration": {"NoncurrentDays": 0}}],
        "InvalidArgument",
    ),
    "noncurrent without days": (
        [{**ALL, "NoncurrentVersionExpiration": {"NewerNoncurrentVersions": 1}}],
        "MalformedXML",
    ),
    "no newer": (
        [
            {
                **ALL,
                "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 0},
            }
        ],
        "InvalidArgument",
    ),
    "too many newer": (
        [
            {
                **ALL,
                "NoncurrentVersionExpiration": {
                    "NoncurrentDays": 1,
                    "NewerNoncurrentVersions": 101,
                },
            }
        ],
        "InvalidArgument",
    ),
    "two conditions beside each other": (
        [
            {
                "Filter": {"Prefix": "a", "Tag": {"Key": "k", "Value": "v"}},
                "Status": "Enabled",
                **DAYS,
            }
        ],
        "MalformedXML",
    ),
    "one condition of many": (
        [{"Filter": {"And": {"Prefix": "a"}}, "Status": "Enabled", **DAYS}],
        "MalformedXML",
    ),
    "the same tag twice": (
        [
            {
                "Filter": {"And": {"Tags": [{"Key": "k", "Value": v} for v in "vw"]}},
                "Status": "Enabled",
                **DAYS,
            }
        ],
        "InvalidRequest",
    ),
    "a long tag key": (
        [{"Filter": {"Tag": {"Key": "k" * 129, "Value": ""}}, "Status": "Enabled", **DAYS}],
        "InvalidTag",
    ),
    "a long tag value": (
        [{"Filter": {"Tag": {"Key": "k", "Value": "v" * 257}}, "Status": "Enabled", **DAYS}],
        "InvalidTag",
    ),
    "a long prefix": (
        [{"Filter": {"Prefix": "p" * 1025}, "Status": "Enabled", **DAYS}],
        "InvalidRequest",
    ),
    "sizes that nothing has": (
        [
            {
                "Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}},
                "Status": "Enabled",
                **DAYS,
            }
        ],
        "InvalidRequest",
    ),
    "a size below none": (
        [{"Filter": {"ObjectSizeGreaterThan": -1}, "Status": "Enabled", **DAYS}],
        "InvalidRequest",
    ),
}
MOVE = {"Days": 40, "StorageClass": "STANDARD_IA"}
MOVES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "an unknown class": ([{**MOVE, "StorageClass": "LUKEWARM"}], {}, "MalformedXML"),
    "no class": ([{"Days": 3}], {}, "MalformedXML"),
    "no time": ([{"StorageClass": "GLACIER"}], {}, "MalformedXML"),
    "days below none": ([{"Days": -1, "StorageClass": "GLACIER"}], {}, "InvalidArgument"),
    "too soon": ([{**MOVE, "Days": 29}], {}, "InvalidArgument"),
    "after the end": ([MOVE], {"Expiration": {"Days": 40}}, "InvalidArgument"),
    "the same class twice": ([MOVE, {**MOVE, "Days": 50}], {}, "InvalidRequest"),
    "days and date": (
        [MOVE],
        {"Expiration": {"Date": "2031-02-03T00:00:00Z"}},
        "InvalidRequest",
    ),
    "the colder class first": (
        [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}, {"Days": 2, "StorageClass": "GLACIER"}],
        {},
        "InvalidArgument",
    ),
    "both at once": (
        [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}, {"Days": 1, "StorageClass": "GLACIER"}],
        {},
        "InvalidArgument",
    ),
    "too soon after infrequent access": (
        [MOVE, {"Days": 69, "StorageClass": "GLACIER"}],
        {},
        "InvalidArgument",
    ),
    "dates in the wrong order": (
        [
            {"Date": "2031-02-03T00:00:00Z", "StorageClass": "DEEP_ARCHIVE"},
            {"Date": "2031-02-04T00:00:00Z", "StorageClass": "STANDARD_IA"},
        ],
        {},
        "InvalidArgument",
    ),
    "no midnight": (
        [{"Date": "2031-02-03T00:00:01Z", "StorageClass": "GLACIER"}],
        {},
        "InvalidArgument",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_rule_that_says_nothing_clear_is_refused(s3: Any, bucket: str, what: str) -> None:
    rules, code = REFUSED[what]
    put(s3, bucket, {"ID": "before", **ALL, **DAYS})
    assert refused(put, s3, bucket, *rules) == code
    assert [rule["ID"] for rule in told(s3, bucket)] == ["before"]


@pytest.mark.parametrize("what", MOVES)
def test_a_transition_is_refused(s3: Any, bucket: str, what: str) -> None:
    moves, more, code = MOVES[what]
    assert refused(put, s3, bucket, {**ALL, "Transitions": moves, **more}) == code


def test_a_noncurrent_transition_is_refused(s3: Any, bucket: str) -> None:
    for days, class_name in ((29, "ONEZONE_IA"), (-1, "GLACIER"), (9, "GLACIER")):
        move = {"NoncurrentDays": days, "StorageClass": class_name}
        rule = {**ALL, "NoncurrentVersionTransitions": [move]}
        if days == 9:
            rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": 9}
        assert refused(put, s3, bucket, rule) == "InvalidArgument"


def test_transitions_are_told_back(s3: Any, bucket: str) -> None:
    noncurrent = {"NoncurrentDays": 0, "NewerNoncurrentVersions": 2, "StorageClass": "GLACIER"}
    rule = {
        "ID": "cold",
        **ALL,
        "Transitions": [MOVE, {"Days": 70, "StorageClass": "GLACIER"}],
        "NoncurrentVersionTransitions": [noncurrent],
    }
    put(s3, bucket, rule)
    assert told(s3, bucket) == [rule]


def document(*inner: str) -> bytes:
    rules = "".join(f"<Rule>{one}</Rule>" for one in inner)
    return f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>".encode()


PLAIN = "<Status>Enabled</Status><Expiration><Days>1</Days></Expiration>"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<x/>", "MalformedXML"),
        (b"", "MissingRequestBodyError"),
        (document("<Prefix/><Surprise/>" + PLAIN), "MalformedXML"),
        (document("<Prefix>a</Prefix><Prefix>b</Prefix>" + PLAIN), "MalformedXML"),
        (document("<Prefix><x/></Prefix>" + PLAIN), "MalformedXML"),
        (
            document("<Filter><Prefix>a</Prefix><Prefix>b</Prefix></Filter>" + PLAIN),
            "MalformedXML",
        ),
        (
            document("<Filter><And><Prefix>a</Prefix><Prefix>b</Prefix></And></Filter>" + PLAIN),
            "MalformedXML",
        ),
        (document("<Filter><Tag><Key>k</Key></Tag></Filter>" + PLAIN), "MalformedXML"),
        (document("<Prefix/>" + PLAIN.replace("1", "one")), "MalformedXML"),
        (document("<Prefix/>" + PLAIN.replace("Days>", "Date>")), "MalformedXML"),
    ],
)
def test_a_document_that_fits_no_schema_is_refused(
    wire: WireClient, bucket: str, body: bytes, code: str
) -> None:
    headers = {"content-md5": md5(body)}
    assert wire.send("PUT", f"/{bucket}?lifecycle", body, headers).code == code


def md5(body: bytes) -> str:
    import base64
    import hashlib

    return base64.b64encode(hashlib.md5(body).digest()).decode()


def test_the_earliest_form_of_the_call_works(wire: WireClient, bucket: str) -> None:
    body = document("<ID>old</ID><Prefix>logs/</Prefix>" + PLAIN)
    answer = wire.send("PUT", f"/{bucket}?lifecycle", body, {"content-md5": md5(body)})
    assert answer.status == 200
    assert b"<ID>old</ID><Prefix>logs/</Prefix>" in wire.send("GET", f"/{bucket}?lifecycle").body
    assert wire.send("DELETE", f"/{bucket}?lifecycle").status == 204


def test_a_digest_must_be_declared(wire: WireClient, bucket: str) -> None:
    body = document("<Prefix/>" + PLAIN)
    assert wire.send("PUT", f"/{bucket}?lifecycle", body).code == "InvalidRequest"
    wrong = {"content-md5": md5(b"other")}
    assert wire.send("PUT", f"/{bucket}?lifecycle", body, wrong).code == "BadDigest"
