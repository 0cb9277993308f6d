"""Usage in the shape of the ECS billing service."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from coffre.catalog.usage_records import Flow, Level
from coffre.ledger.ecs_billing import (
    BadBillingRequest,
    BucketStanding,
    bucket_info,
    check_times,
    check_unit,
    info,
    sample,
    to_xml,
)

UNTIL_MS = 1_793_491_500_000  # 2026-11-01T00:05
BOX = BucketStanding(
    "box", Level(3, 4, 3 << 29, 2, 1 << 29), Level(1, 1, 1 << 29), Flow(4, 1, 9, 9, 0, 0, 70, 90)
)
BIN = BucketStanding("bin", Level(0, 1, 1), tags={"team": "a&b"})


def test_a_namespace_is_the_sum_of_its_buckets() -> None:
    found = info("shop", [BOX, BIN], "GB", UNTIL_MS, detail=True)
    assert (found["namespace"], found["total_size"], found["total_size_unit"]) == (
        "shop",
        "2",
        "GB",
    )
    assert (found["total_objects"], found["total_mpu_parts"], found["total_mpu_size"]) == (
        *(5, 2),
        "0.5",
    )
    assert found["uptodate_till"] == "2026-11-01T00:05Z"
    assert [one["name"] for one in found["bucket_billing_info"]] == ["box", "bin"]


def test_a_sample_tells_what_changed() -> None:
    times = check_times("2026-11-01T00:00", "2026-11-01T00:05Z")
    found = sample("shop", [BOX, BIN], "KB", times, UNTIL_MS, detail=False)
    assert (found["objects_created"], found["objects_deleted"]) == (4, 1)
    assert found["bytes_delta"] == (1 << 31) + 1 - (1 << 29)
    assert (found["ingress"], found["egress"]) == (70, 90)
    assert found["sample_start_time"] == "2026-11-01T00:00Z"
    assert sample("empty", [], "KB", times, UNTIL_MS, detail=True)["total_size"] == "0"


def test_the_same_is_told_as_xml() -> None:
    tree = ElementTree.fromstring(to_xml("bucket_billing_info", bucket_info("s", BIN, "KB", 0)))
    assert tree.findtext("total_size") == "0.000977"
    assert tree.findtext("TagSet/Tag/Value") == "a&b"


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2026-11-01T00:01", "2026-11-01T00:05", "start_time"),
        ("yesterday", "2026-11-01T00:05", "start_time"),
        ("2026-11-01T00:05", "2026-11-01T00:05", "end_time"),
    ],
)
def test_times_that_are_no_samples_are_refused(start: str, end: str, field: str) -> None:
    with pytest.raises(BadBillingRequest) as refused:
        check_times(start, end)
    assert refused.value.field == field


def test_units_are_three() -> None:
    assert check_unit("MB") == "MB"
    with pytest.raises(BadBillingRequest):
        check_unit("TB")
