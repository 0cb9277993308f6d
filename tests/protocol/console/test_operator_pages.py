"""What an operator sees of the platform, and what nobody else does."""

from __future__ import annotations

import pytest

from tests.protocol.console.page_world import STORE, World, new_name
from tests.protocol.console.test_pages_every import check_safe, check_usable

PAGES = (
    "/operator/zones",
    "/operator/drives",
    "/operator/stewards",
    "/operator/stores",
    f"/operator/stores?q={STORE}&sort=-bytes",
    "/operator/people",
    "/operator/alerts",
    "/operator/keys",
    "/operator/doctor",
)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_the_platform_answers_in_the_language_of_its_operator(
    world: World, language: str, path: str
) -> None:
    page = world.visitor("operator", language).get(path)
    assert (page.status, page.headers["content-language"]) == (200, language)
    assert len(page.all("h1")) == 1
    check_safe(page)
    check_usable(page)


@pytest.mark.parametrize("role", ["owner", "reader", "scoped"])
@pytest.mark.parametrize("path", [path for path in PAGES if "people" not in path])
def test_nobody_else_sees_the_platform(world: World, role: str, path: str) -> None:
    if path.startswith("/operator/stores"):
        return  # Shown below: of one's own tenant alone.
    assert world.visitor(role).get(path).status == 403


def test_drives_are_shown_in_their_racks(world: World) -> None:
    page = world.visitor("operator").get("/operator/drives")
    told = world.node.operate("drive.list")
    for drive in told:
        assert drive["path"] in page.html
        assert f"Rack {drive['rack']}" in page.html
    assert page.html.count("Healthy") >= len(told)


def test_a_steward_is_paused_and_let_work_again(world: World) -> None:
    visitor, path = world.visitor("operator"), "/operator/stewards"
    paused = visitor.post(f"{path}/pause", {"name": "scrubber"}, path)
    assert paused.path == path
    assert "scrubber begins nothing more" in paused.html

    def state() -> str:
        found = {one["name"]: one["state"] for one in world.node.operate("steward.list")}
        return str(found["scrubber"])

    assert state() == "paused"
    visitor.post(f"{path}/resume", {"name": "scrubber"}, path)
    assert state() != "paused"


def test_a_tenant_is_made_and_its_limit_set(world: World) -> None:
    visitor, path, name = world.visitor("operator"), "/operator/stores", new_name("tenant")
    made = visitor.post(f"{path}/tenants", {"name": name, "bucket_limit": "7"}, path)
    assert made.path == path
    refused = visitor.post(f"{path}/tenants", {"name": name, "bucket_limit": "7"}, path)
    assert refused.status == 422
    assert f'value="{name}"' in refused.html
    visitor.post(f"{path}/limit", {"tenant": name, "new_limit": "9"}, path)
    limits = {one["name"]: one["bucket_limit"] for one in world.node.operate("tenant.list")}
    assert limits[name] == 9


def test_somebody_is_invited_locked_and_deleted(world: World) -> None:
    visitor, name = world.fresh("operator"), new_name("person")
    tenant = world.node.operate("store.show", name=STORE)["tenant"]
    form = {"person": name, "role": "reader", "tenant": tenant, "email": ""}
    invited = visitor.post("/operator/new-person", form, "/operator/new-person")
    assert "/welcome?invitation=" in invited.html
    assert "/welcome?invitation=" not in visitor.get("/operator/people").html
    address = f"/operator/people/{name}"
    password = "a-password-nobody-else-has"
    start = invited.html.index("/welcome?invitation=")
    invitation = invited.html[start:].partition("=")[2].partition("<")[0]
    entered = world.stranger().post(
        "/welcome",
        {"invitation": invitation, "new": password, "again": password},
        f"/welcome?invitation={invitation}",
    )
    assert entered.status == 200
    assert "Locked" in visitor.post(f"{address}/lock", {}, address).html
    assert "Active" in visitor.post(f"{address}/unlock", {}, address).html
    gone = visitor.post(f"{address}/delete", {}, address)
    assert gone.path == "/operator/people"
    assert visitor.get(address).status == 404


def test_a_person_bound_to_buckets_needs_lines_that_say_which(world: World) -> None:
    visitor = world.fresh("operator")
    tenant = world.node.operate("store.show", name=STORE)["tenant"]
    form = {"person": new_name("person"), "role": "scoped", "tenant": tenant, "scopes": "nothing"}
    refused = visitor.post("/operator/new-person", form, "/operator/new-person")
    assert refused.status == 422
    assert "store/bucket" in refused.html


def test_an_owner_sees_the_people_of_the_own_tenant_alone(world: World) -> None:
    page = world.visitor("owner").get("/operator/people")
    assert page.status == 200
    assert "operator</a>" not in page.html
    assert world.visitor("reader").get("/operator/people").status == 403
