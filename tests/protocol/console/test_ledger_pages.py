"""Usage, bills and audit as a tenant sees them."""

from __future__ import annotations

import pytest

from tests.protocol.console.page_world import BUCKET, STORE, World
from tests.protocol.console.test_pages_every import check_safe, check_usable

PAGES = (
    "/usage",
    f"/usage?store={STORE}&bucket={BUCKET}&step=hour",
    "/usage?step=month",
    "/bills",
    f"/bills?store={STORE}",
    "/audit",
    "/audit?operation=CreateBucket&outcome=ok&since=2020-01-01T00:00",
)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("role", ["operator", "reader"])
def test_a_page_answers_in_the_language_of_its_reader(
    world: World, role: str, language: str, path: str
) -> None:
    page = world.visitor(role, language).get(path)
    assert (page.status, page.headers["content-language"]) == (200, language)
    assert len(page.all("h1")) == 1
    check_safe(page)
    check_usable(page)


def test_usage_shows_what_a_bucket_holds(world: World) -> None:
    bucket = world.bucket().rpartition("/")[2]
    made = world.node.operate("user.create", store=STORE, label="meter")
    world.node.operate(
        "bucket.role.grant", store=STORE, bucket=bucket, user=made["id"], role="writer"
    )
    s3 = world.node.s3(made["access_key"], made["secret_key"])
    s3.put_object(Bucket=bucket, Key="held", Body=bytes(12_345))
    page = world.visitor("reader").get(f"/usage?store={STORE}")
    assert bucket in page.html
    assert "12.3\N{NO-BREAK SPACE}kB" in page.html
    assert len(page.all("svg")) > 4


def test_this_month_has_a_statement_with_its_formula(world: World) -> None:
    visitor = world.visitor("owner")
    (month, *_) = (one["month"] for one in world.node.operate("bill.list", store=STORE))
    page = visitor.get(f"/bills/{month}?store={STORE}")
    assert page.status == 200
    assert "720" in page.html
    check_safe(page)
    sheet = visitor.get(f"/bills/{month}?store={STORE}&format=csv")
    assert sheet.headers["content-type"].startswith("text/csv")
    assert "subtotal" in sheet.html


def test_the_audit_tells_who_did_what(world: World) -> None:
    world.bucket()
    page = world.visitor("reader").get("/audit?operation=bucket.create")
    assert page.status == 200
    assert "bucket.create" in page.html
    older = [one.attributes["href"] for one in page.all("a") if one.attributes.get("rel") == "next"]
    for address in older:
        assert world.visitor("reader").get(address or "").status == 200


def test_a_time_that_is_none_is_said_at_its_field(world: World) -> None:
    page = world.visitor("reader").get("/audit?since=yesterday")
    assert page.status == 422
    assert 'value="yesterday"' in page.html


def test_another_tenants_store_is_not_there(world: World) -> None:
    for path in ("/usage?store=default", "/bills?store=default", "/audit?store=default"):
        page = world.visitor("reader").get(path)
        assert page.status in (404, 422)
        assert "default" not in page.html.partition("<main")[2].replace('value="default"', "")


def test_who_is_bound_to_buckets_has_no_ledger(world: World) -> None:
    for path in ("/usage", "/bills", "/audit"):
        assert world.visitor("scoped").get(path).status == 403
