"""What needs an operator's attention, in one list."""

from __future__ import annotations

from coffre.service.alerts import alerts

FINE = {"name": "drives", "verdict": "ok", "says": "16 are there", "do": ""}


def test_where_all_is_well_there_is_none() -> None:
    stewards = [{"name": "sealer", "last_error": ""}]
    assert alerts({"over_quota": []}, [FINE], stewards) == []


def test_the_bad_come_first_whatever_found_them() -> None:
    over = {"what": "bytes", "held": 11, "limit": 10, "store": "shop"}
    status = {"over_quota": [{**over, "kind": "warning"}, {**over, "bucket": "b", "kind": "quota"}]}
    checks = [FINE, {"name": "clock", "verdict": "bad", "says": "it is behind", "do": "accept"}]
    found = alerts(status, checks, [{"name": "sealer", "last_error": "no room"}])
    assert [(row["severity"], row["kind"], row["about"]) for row in found] == [
        ("bad", "check", "clock"),
        ("bad", "quota", "shop/b"),
        ("warn", "quota", "shop"),
        ("warn", "steward", "sealer"),
    ]
    assert found[1]["says"] == "it holds 11 bytes: the limit is 10"
    assert all(row["do"] for row in found)
