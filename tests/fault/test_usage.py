"""Usage on real processes: requests of every worker are counted, a stop flushes them, a lost
catalog comes back with the same figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .node import Node, wait_until
from .test_expiry import client

OBJECTS = 12


def test_requests_and_bytes_come_through_stops_and_a_lost_catalog(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(workers="2").start()
    s3 = client(node)
    s3.create_bucket(Bucket="metered")
    for at in range(OBJECTS):
        s3.put_object(Bucket="metered", Key=str(at), Body=bytes(1000))
    for at in range(OBJECTS):
        s3.get_object(Bucket="metered", Key=str(at))["Body"].read()
    wait_until(lambda: asked(node)["requests"]["read"] == OBJECTS, "reads are counted")
    # This one is counted by the stop.
    s3.get_object(Bucket="metered", Key="0")["Body"].read()
    node.stop()
    before = happened(node)
    for path in node.data.glob("catalog.sqlite*"):
        path.unlink()
    node.start()
    row = asked(node)
    assert (row["requests"]["read"], row["bytes_out"]) == (OBJECTS + 1, 1000 * (OBJECTS + 1))
    assert (row["requests"]["write"], row["bytes_in"]) == (OBJECTS + 1, 1000 * OBJECTS)
    (stands,) = node.command("usage", "--now", "--bucket", "metered")["rows"]
    assert (stands["objects"], stands["bytes"]) == (OBJECTS, 1000 * OBJECTS)
    assert happened(node) == before
    node.command("price", "set", "--performance", "0.02")
    month = node.command("price", "show")["month"]
    bill = node.command("bill", "show", "--month", month)
    assert [line["storage_class"] for line in bill["lines"]] == ["STANDARD"]
    assert not bill["final"]
    node.command("bucket", "set", "metered", "--quota-objects", str(OBJECTS))
    refused = ""
    try:
        client(node).put_object(Bucket="metered", Key="more", Body=b"")
    except s3.exceptions.ClientError as error:
        refused = error.response["Error"]["Code"]
    assert refused == "QuotaExceeded"
    assert [one["bucket"] for one in node.ask("status")["over_quota"]] == ["metered"]
    assert node.command("verify")["findings"] == []
    node.stop()


def asked(node: Node) -> dict[str, Any]:
    """What was asked of the bucket, all hours together."""
    rows = node.command("usage", "--bucket", "metered", "--step", "month")["rows"]
    nothing: dict[str, Any] = {"requests": {"read": 0, "write": 0}, "bytes_in": 0, "bytes_out": 0}
    return next((one for one in rows if one["storage_class"] is None), nothing)


def happened(node: Node) -> list[Any]:
    """What only the log can bring back: rows of objects do not tell it."""
    rows = node.command("usage", "--bucket", "metered", "--step", "month")["rows"]
    return [(one["storage_class"], one["created"], one["requests"]) for one in rows]
