"""What `docs/compatibility.md` says of each operation of botocore's model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coffre.s3.operations import TABLE
from tools.compatibility import (
    ELSEWHERE,
    FULL,
    NONE,
    NOT_ALL,
    PARTIAL,
    REFUSED,
    SAME,
    count,
    names,
    page,
    state,
)

ROWS = {row.name for row in TABLE}
README = Path(__file__).parents[2] / "README.md"


def test_what_is_said_is_said_of_operations_of_the_model() -> None:
    assert set(names()) >= {*SAME, *SAME.values(), *ELSEWHERE, *NOT_ALL}
    assert not SAME.keys() & ROWS
    assert NOT_ALL.keys() <= ROWS


def test_every_operation_of_the_model_has_a_line() -> None:
    lines = page().splitlines()
    for name in names():
        assert sum(line.startswith(f"| {name} |") for line in lines) == 1, name


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("GetObject", FULL),
        ("PutObject", PARTIAL),
        ("SelectObjectContent", PARTIAL),
        ("GetBucketMetadataConfiguration", REFUSED),
        ("ListObjectAnnotations", FULL),
        ("GetBucketReplication", NONE),
        ("RenameObject", REFUSED),
        ("GetObjectTorrent", REFUSED),
        ("PutBucketMetricsConfiguration", PARTIAL),
    ],
)
def test_how_an_operation_is_answered(name: str, way: str) -> None:
    assert state(name)[0] == way


def test_a_refusal_names_its_error() -> None:
    assert "NotImplemented" in state("GetObjectTorrent")[1]
    assert "MetadataConfigurationNotFound" in state("GetBucketMetadataTableConfiguration")[1]


def test_the_count_is_of_all_that_are_about_general_purpose_buckets() -> None:
    assert count().startswith(f"of {len(names()) - len(ELSEWHERE)} operations")


def test_nearly_all_of_them_are_answered_as_aws_does_and_held_by_a_test() -> None:
    told = re.search(r"as AWS does, but for what is named, (\d+)$", count())
    assert told is not None
    assert int(told[1]) >= 95


def test_the_readme_tells_the_same_count() -> None:
    told = re.match(r"of (\d+) operations .* (\d+)$", count())
    assert told is not None
    readme = " ".join(README.read_text().split())
    assert f"Of {told[1]} operations {told[2]} are answered" in readme
