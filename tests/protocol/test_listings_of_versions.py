"""ListObjectVersions: order, pages that end anywhere, prefixes, markers, owners."""

from __future__ import annotations

from typing import Any

import pytest

from coffre.testing.server import Credentials, MemoryServer
from tests.protocol.boto_client import boto, refused
from tests.protocol.wire_client import WireClient


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    """`a` with a null version, two later ones and a marker on top; `b/1`, `b/2`; `c c` twice."""
    s3.put_object(Bucket=bucket, Key="a", Body=b"null")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"three"):
        s3.put_object(Bucket=bucket, Key="a", Body=body)
    s3.delete_object(Bucket=bucket, Key="a")
    for key in ("b/1", "b/2", "c c", "c c"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def entries(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """(key, version id) of all versions and markers, the versions first."""
    return [
        (one["Key"], one["VersionId"])
        for one in (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ()))
    ]


def test_versions_and_markers_come_by_key_the_newest_first(
    s3: Any, server: MemoryServer, versioned: str
) -> None:
    answer = s3.list_object_versions(Bucket=versioned)
    shown = [(one["Key"], one["Size"], one["IsLatest"]) for one in answer["Versions"]]
    assert shown == [
        ("a", 5, False),
        ("a", 3, False),
        ("a", 4, False),
        ("b/1", 3, True),
        ("b/2", 3, True),
        ("c c", 3, True),
        ("c c", 3, False),
    ]
    owner = {"ID": server.user.id, "DisplayName": server.user.label}
    for one in answer["Versions"]:
        assert (one["Owner"], one["StorageClass"]) == (owner, "STANDARD")
        assert (one["ChecksumAlgorithm"], one["ChecksumType"]) != ([], "")
    assert answer["Versions"][2]["VersionId"] == "null"
    (marker,) = answer["DeleteMarkers"]
    assert (marker["Key"], marker["IsLatest"], marker["Owner"]) == ("a", True, owner)
    assert (answer["IsTruncated"], answer["Name"], answer["MaxKeys"]) == (False, versioned, 1000)
    assert (answer["KeyMarker"], answer["VersionIdMarker"], answer["Prefix"]) == ("", "", "")
    assert not answer.keys() & {"NextKeyMarker", "NextVersionIdMarker", "Delimiter"}


def test_a_version_stands_in_the_document_before_what_is_older_than_it(
    wire: WireClient, versioned: str
) -> None:
    page = wire.send("GET", f"/{versioned}?versions&max-keys=2").body.decode()
    assert page.index("<DeleteMarker>") < page.index("<Version>")


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_of_any_size_add_up_to_the_whole(s3: Any, versioned: str, size: int) -> None:
    whole = entries(s3.list_object_versions(Bucket=versioned))
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=versioned, PaginationConfig={"PageSize": size}
    )
    found = []
    for page in pages:
        some = entries(page)
        assert len(some) == size or not page["IsTruncated"]
        found += some
    assert sorted(found) == sorted(whole)
    assert len(found) == 8


def test_a_page_ends_inside_a_key_and_says_where(s3: Any, versioned: str) -> None:
    first = s3.list_object_versions(Bucket=versioned, MaxKeys=2)
    assert first["NextKeyMarker"] == "a"
    assert first["NextVersionIdMarker"] == first["Versions"][0]["VersionId"]
    second = s3.list_object_versions(
        Bucket=versioned,
        KeyMarker="a",
        VersionIdMarker=first["NextVersionIdMarker"],
        MaxKeys=2,
    )
    assert [one["Size"] for one in second["Versions"]] == [3, 4]
    assert (second["NextKeyMarker"], second["NextVersionIdMarker"]) == ("a", "null")
    third = s3.list_object_versions(
        Bucket=versioned, KeyMarker="a", VersionIdMarker="null", MaxKeys=1
    )
    assert entries(third)[0][0] == "b/1"


def test_a_key_marker_alone_passes_all_versions_of_its_key(s3: Any, versioned: str) -> None:
    answer = s3.list_object_versions(Bucket=versioned, KeyMarker="a")
    assert [key for key, _ in entries(answer)] == ["b/1", "b/2", "c c", "c c"]


def test_a_page_resumes_behind_a_version_that_was_deleted_meanwhile(
    s3: Any, versioned: str
) -> None:
    whole = s3.list_object_versions(Bucket=versioned)["Versions"]
    gone = whole[0]["VersionId"]
    s3.delete_object(Bucket=versioned, Key="a", VersionId=gone)
    answer = s3.list_object_versions(Bucket=versioned, KeyMarker="a", VersionIdMarker=gone)
    assert [one["VersionId"] for one in answer["Versions"]] == [
        one["VersionId"] for one in whole[1:]
    ]


def test_the_versions_of_a_key_whose_null_version_is_gone_are_listed_again(
    s3: Any, versioned: str
) -> None:
    s3.delete_object(Bucket=versioned, Key="a", VersionId="null")
    answer = s3.list_object_versions(Bucket=versioned, KeyMarker="a", VersionIdMarker="null")
    assert [key for key, _ in entries(answer)].count("a") == 3


def test_keys_beneath_a_prefix_count_as_one(s3: Any, versioned: str) -> None:
    answer = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert answer["CommonPrefixes"] == [{"Prefix": "b/"}]
    assert {key for key, _ in entries(answer)} == {"a", "c c"}
    page = s3.list_object_versions(Bucket=versioned, Delimiter="/", KeyMarker="a", MaxKeys=1)
    assert (page["CommonPrefixes"], page["IsTruncated"]) == ([{"Prefix": "b/"}], True)
    assert page["NextKeyMarker"] == "b/"
    assert "NextVersionIdMarker" not in page
    rest = s3.list_object_versions(Bucket=versioned, Delimiter="/", KeyMarker="b/")
    assert [key for key, _ in entries(rest)] == ["c c", "c c"]
    inside = s3.list_object_versions(Bucket=versioned, Delimiter="/", Prefix="b/")
    assert [key for key, _ in entries(inside)] == ["b/1", "b/2"]


def test_a_version_marker_outside_the_prefix_brings_nothing_in(s3: Any, versioned: str) -> None:
    newest = s3.list_object_versions(Bucket=versioned)["DeleteMarkers"][0]["VersionId"]
    answer = s3.list_object_versions(
        Bucket=versioned, Prefix="b", KeyMarker="a", VersionIdMarker=newest
    )
    assert [key for key, _ in entries(answer)] == ["b/1", "b/2"]


def test_names_are_encoded_where_that_is_asked_for(wire: WireClient, versioned: str) -> None:
    page = wire.send(
        "GET", f"/{versioned}?versions&encoding-type=url&prefix=c%20&key-marker=%2B"
    ).body
    assert b"<Key>c%20c</Key>" in page
    assert b"<Prefix>c%20</Prefix><KeyMarker>%2B</KeyMarker>" in page
    assert b"<EncodingType>url</EncodingType>" in page


def test_no_keys_are_asked_for_and_none_come(s3: Any, versioned: str) -> None:
    answer = s3.list_object_versions(Bucket=versioned, MaxKeys=0)
    assert (entries(answer), answer["IsTruncated"], answer["MaxKeys"]) == ([], False, 0)


def test_a_bucket_without_versioning_lists_null_versions(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    (only,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert (only["VersionId"], only["IsLatest"]) == ("null", True)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("key-marker=a&version-id-marker=", "version-id-marker"),
        ("version-id-marker=null", "version-id-marker"),
        ("key-marker=a&version-id-marker=x", "version-id-marker"),
        ("max-keys=-1", "max-keys"),
        ("max-keys=many", "max-keys"),
        ("encoding-type=base64", "encoding-type"),
    ],
)
def test_bad_pages_are_refused(wire: WireClient, bucket: str, query: str, name: str) -> None:
    answer = wire.send("GET", f"/{bucket}?versions&{query}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert answer.field("ArgumentName") == name


def test_a_stranger_sees_no_versions(
    server: MemoryServer, stranger: Credentials, bucket: str
) -> None:
    client = boto(server, stranger)
    assert refused(client.list_object_versions, Bucket=bucket) == "AccessDenied"
