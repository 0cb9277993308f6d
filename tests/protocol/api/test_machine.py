"""What an operator sees to, and what is counted, billed and recorded, by the management API."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.browser.people import STORE
from tests.browser.served import Person, Served
from tests.protocol.api.api_client import Api
from tests.protocol.api.waiting import until


def test_the_machine_is_shown(operator: Api) -> None:
    status = operator("GET", "/status")
    drives = operator("GET", "/drives", limit=1000)["items"]
    nodes = operator("GET", "/nodes")["items"]
    assert status["engine"] == "drives"
    assert len(drives) == sum(row["drives"] for row in nodes)
    stewards = {row["name"] for row in operator("GET", "/stewards")["items"]}
    assert {"repairer", "emptier", "expirer"} <= stewards
    assert operator("GET", "/repair")["paused"] is False
    assert operator("GET", "/root-keys")["ok"]
    assert operator("GET", "/tls")["local"]
    assert "BEGIN CERTIFICATE" in operator("GET", "/tls/authority")["pem"]
    assert operator("GET", "/clock")["pending"] is None
    assert operator("GET", "/follower")["differs"] in (None, "")
    assert operator("GET", "/metrics")["metrics"]
    alerts = operator("GET", "/alerts")["items"]
    assert all(row["says"] and row["severity"] in ("bad", "warn") for row in alerts)
    checks = operator("GET", "/doctor")["checks"]
    assert "drives" in {check["name"] for check in checks}


def _done(operator: Api, path: str, body: Any = None) -> Any:
    """What an activity came to."""
    begun = operator.send("POST", path, body)
    assert begun.status == 202, begun.body
    at = begun.headers["location"].removeprefix("/api/v1")
    ended = until(lambda: (one := operator("GET", at))["status"] != "running" and one)
    assert ended["status"] == "done", ended
    return ended["result"]


def test_what_takes_long_is_an_activity(operator: Api) -> None:
    assert _done(operator, "/seal")["sealed"] >= 0
    taken = _done(operator, "/snapshots")
    assert taken["id"] in {row["id"] for row in operator("GET", "/snapshots")["items"]}
    assert _done(operator, "/stewards/gauge/run")["name"] == "gauge"
    verdict = _done(operator, "/verify", {})
    assert (verdict["ok"], verdict["deep"]) == (True, False)
    assert _done(operator, "/audit/verify", {})["verdict"] == "whole"


def test_stewards_pause_and_resume(operator: Api) -> None:
    assert operator("POST", "/stewards/scrubber/pause")["state"] == "paused"
    assert operator("POST", "/stewards/scrubber/resume")["state"] != "paused"
    assert operator.refused("POST", "/stewards/gardener/pause")[:2] == (404, "NoSuchSteward")


def test_drives_are_named_in_refusals(operator: Api) -> None:
    said = operator.refused("POST", "/drives/drain", {"drive": "/nowhere"})
    assert said == (404, "NoSuchDrive", "drive")
    drives = operator("GET", "/drives")["items"]
    drained = operator("POST", "/drives/drain", {"drive": drives[0]["id"], "accept_less": True})
    assert [row["intent"] for row in drained["items"]] == ["drain"]
    back = operator("POST", "/drives/cancel", {"drive": drives[0]["id"]})
    assert [row["intent"] for row in back["items"]] == [""]


def test_root_keys_are_backed_up_by_who_gave_the_password_lately(
    node: Served, operator: Api
) -> None:
    said = operator("POST", "/root-keys/backup", {"passphrase": "correct horse"})
    assert base64.b64decode(said["content"]).startswith(b"{")
    assert operator("GET", "/root-keys")["backup_made_ms"] == said["made_ms"]
    assert operator.refused("POST", "/root-keys/backup", {"passphrase": "short"}) == (
        422,
        "InvalidArgument",
        "passphrase",
    )
    records = operator("GET", "/audit", operation="key.backup")["items"]
    assert "correct horse" not in json.dumps(records)


def test_usage_and_bills_are_of_ones_own(apis: dict[str, Api], owner: Api) -> None:
    owner("POST", f"/stores/{STORE}/buckets", {"name": "metered"})
    content = f"/stores/{STORE}/buckets/metered/object/content"
    assert owner.send("PUT", content, b"x" * 500, {"key": "k"}).status == 201
    rows = owner("GET", "/usage/now", store=STORE, bucket="metered")["rows"]
    assert [row["bytes"] for row in rows] == [500]
    assert {row["store"] for row in owner("GET", "/usage/now")["rows"]} == {STORE}
    assert "rows" in owner("GET", "/usage", step="day")
    assert owner.refused("GET", "/usage/now", bucket="metered") == (422, "MissingField", "store")
    assert owner.refused("GET", "/usage/now", tenant="umbrella")[:2] == (404, "NoSuchTenant")
    assert owner.refused("GET", "/usage", tenant="umbrella", store=STORE)[0] == 404
    assert apis["stranger"]("GET", "/usage/now")["rows"] == []
    statement = owner("GET", "/bills/statement")
    assert (statement["tenant"], statement["final"]) == ("acme", statement["final"])
    assert owner("GET", "/bills")["next"] is None
    assert "<" in owner("GET", "/bills/page", language="fr")["html"]


def test_prices_are_the_operators(owner: Api, operator: Api) -> None:
    shown = operator("PATCH", "/prices", {"performance": "0.02", "currency": "EUR"})
    assert shown["prices"]["performance"] == "0.02"
    assert owner("GET", "/prices")["currency"] == "EUR"
    assert operator.refused("PATCH", "/prices", {"performance": "much"})[2] == "performance"
    assert operator("GET", "/prices/history")["items"]


def test_a_buckets_quota_refuses_writes(owner: Api) -> None:
    bucket = f"/stores/{STORE}/buckets/bounded"
    owner("POST", f"/stores/{STORE}/buckets", {"name": "bounded"})
    assert owner("PATCH", f"{bucket}/quota", {"hard_bytes": 10})["quota"] == {"hard_bytes": 10}
    said = owner.send("PUT", f"{bucket}/object/content", b"x" * 11, {"key": "k"})
    assert said.problem[1] == "QuotaExceeded"
    assert owner("GET", bucket)["quota"] == {"hard_bytes": 10}


def test_availability_is_of_a_store(owner: Api, operator: Api) -> None:
    assert owner("GET", "/availability", store=STORE)["stores"] == []
    assert owner.refused("GET", "/availability")[:2] == (422, "MissingField")
    assert operator("GET", "/availability")["target"] == "99.99"


def test_the_audit_names_who_did_what(apis: dict[str, Api], owner: Api, operator: Api) -> None:
    owner("POST", f"/stores/{STORE}/buckets", {"name": "audited"})
    content = f"/stores/{STORE}/buckets/audited/object/content"
    assert owner.send("PUT", content, b"x", {"key": "k"}).status == 201

    def records(**what: Any) -> list[Any]:
        found: list[Any] = owner("GET", "/audit", store=STORE, bucket="audited", **what)["items"]
        return found

    until(lambda: {"bucket.create", "PutObject"} <= {row["operation"] for row in records()})
    assert {row["via"] for row in records(operation="bucket.create")} == {"console"}
    assert all("odile" in row["principal"] for row in records(outcome="ok"))
    assert apis["stranger"]("GET", "/audit", bucket="audited")["items"] == []
    lines = owner.send("GET", "/audit/export", query={"store": STORE, "bucket": "audited"})
    assert 'filename="audit.jsonl"' in lines.headers["content-disposition"]
    assert {json.loads(line)["bucket"] for line in lines.body.splitlines()} == {"audited"}
    table = owner.send("GET", "/audit/export", query={"store": STORE, "format": "csv"})
    assert table.body.startswith(b"id,at_ms,")
    columns = owner.send("GET", "/audit/export", query={"store": STORE, "format": "parquet"})
    assert columns.body[:4] == columns.body[-4:] == b"PAR1"
    assert operator("GET", "/audit/status")["recording"]


def test_an_endpoint_is_one_that_answers(node: Served, owner: Api) -> None:
    urls = [row["url"] for row in owner("GET", f"/stores/{STORE}/endpoints")["items"]]
    assert any(url.endswith(node.endpoint.rpartition(":")[2].rstrip("/")) for url in urls)


def test_a_link_in_an_accounts_name_is_the_operators(node: Served, operator: Api) -> None:
    asked = {
        "access_key": node.facts["access_key"],
        "method": "GET",
        "endpoint": node.endpoint,
        "bucket": "b",
        "key": "k",
        "region": node.facts["region"],
        "expires_s": 60,
    }
    assert "X-Amz-Signature=" in operator("POST", "/presign", asked)["url"]
    wrong = {**asked, "access_key": "CFNOBODY"}
    assert operator.refused("POST", "/presign", wrong) == (404, "NoSuchKey", "access_key")


def test_the_last_password_counts_for_what_cannot_be_undone(node: Served) -> None:
    made = node.operate("person.create", name="otto", first_password=True, role="operator")
    api = Api(node, Person("otto", made["password"]))
    assert api.refused("POST", "/clock/cancel", {})[:2] == (409, "OperationAborted")
    assert api.refused("POST", "/clock/accept", {})[1] == "ClockNotBehind"
    api.close()
