"""The console's whole story, as its users tell it: an account, its keys, a bucket, a role, a file,
days, settings, other keys, the end. Told in both languages; and who sees what."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Page, expect

from coffre.console.i18n import Language, language
from tests.clients.server import find

from .conftest import Opening
from .people import STORE
from .served import Person, Served
from .watching import violations

NETWORKS = "127.0.0.0/8\n::1/128\n2001:db8::/32"


class Teller:
    """One reader of one language, at the console."""

    def __init__(self, page: Page, said: Language, shots: Path) -> None:
        self.page = page
        self.said = said
        self._shots = shots
        self._steps = 0

    def goes(self, path: str) -> None:
        self.page.goto(path)

    def presses(self, words: str, **values: object) -> None:
        """The one button of these words on the page."""
        main = self.page.get_by_role("main")
        main.get_by_role("button", name=self.said(words, **values), exact=True).click()

    def sees(self, words: str, **values: object) -> None:
        expect(self.page.get_by_text(self.said(words, **values)).first).to_be_visible()

    def is_well(self) -> None:
        """The page speaks the reader's language and has no fault that axe knows."""
        self.page.wait_for_load_state()
        expect(self.page.locator("html")).to_have_attribute("lang", self.said.code)
        self._steps += 1
        self.page.screenshot(path=self._shots / f"{self._steps:02}.png", full_page=True)
        assert violations(self.page) == []

    def keys(self) -> tuple[str, str]:
        """The keys that are shown once."""
        access, secret = (
            self.page.locator(f"#{one}-key code").inner_text() for one in ("access", "secret")
        )
        self.is_well()
        self.page.reload()
        assert secret not in self.page.content()
        return access, secret


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_from_a_new_account_to_a_deleted_bucket(
    open_page: Opening,
    node: Served,
    people: dict[str, Person],
    shots: Path,
    tmp_path: Path,
    lang: str,
) -> None:
    page = open_page(people["owner"], lang)
    teller = Teller(page, language(lang), shots)
    open_page.watch(page).expect("422")
    bucket, label = f"story-{lang}", f"night {lang}"

    keys = has_an_account(teller, label)
    has_a_bucket(teller, bucket)
    gives_a_role(teller, bucket, label)
    uploads_by_mc(node, keys, bucket, tmp_path)
    browses(teller, bucket)
    sets_days(teller, node.s3(*keys), bucket)
    changes_settings(teller, bucket)
    resets_the_key(teller, node, keys, bucket, label)
    deletes_the_bucket(teller, bucket)
    with pytest.raises(ClientError, match=r"NoSuchBucket|AccessDenied"):
        node.s3(*keys).list_objects_v2(Bucket=bucket)


def has_an_account(teller: Teller, label: str) -> tuple[str, str]:
    teller.goes(f"/stores/{STORE}/accounts")
    teller.is_well()
    teller.goes(f"/stores/{STORE}/accounts/new")
    teller.is_well()
    teller.page.fill("[name=label]", label)
    teller.presses("Create Storage Account")
    return teller.keys()


def has_a_bucket(teller: Teller, bucket: str) -> None:
    page = teller.page
    teller.goes(f"/buckets/new?store={STORE}")
    page.locator("[name=name]").press_sequentially("No Name")
    expect(page.locator("#name-state .problem")).to_be_visible()
    page.fill("[name=name]", bucket)
    expect(page.locator("#name-state .fine")).to_be_visible()
    page.check("[name=network][value=custom]", force=True)
    page.fill("[name=addresses]", "127.0.0.0/8\n300.1.2.3")
    teller.is_well()
    teller.presses("Create bucket")
    # What is wrong is said at its field, and what was typed is kept.
    expect(page.locator("#addresses-problem")).to_contain_text("300.1.2.3")
    expect(page.locator("[name=name]")).to_have_value(bucket)
    teller.is_well()
    page.fill("[name=addresses]", NETWORKS)
    teller.presses("Create bucket")
    page.wait_for_url(f"**/buckets/{bucket}/policies")


def gives_a_role(teller: Teller, bucket: str, label: str) -> None:
    page = teller.page
    teller.is_well()
    row = page.locator("#roles tr", has_text=label)
    row.locator("select").select_option("maintainer")
    teller.presses("Save roles")
    expect(row.locator("select")).to_have_value("maintainer")


def uploads_by_mc(node: Served, keys: tuple[str, str], bucket: str, folder: Path) -> None:
    program = find("mc")
    (folder / "report.txt").write_text("by mc")
    for words in (
        ("alias", "set", "coffre", node.endpoint, *keys, "--api", "S3v4", "--path", "on"),
        ("cp", "report.txt", f"coffre/{bucket}/2026/report.txt"),
    ):
        command = [program, "--config-dir", str(folder / "mc"), "--quiet", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()


def browses(teller: Teller, bucket: str) -> None:
    page = teller.page
    teller.goes("/buckets")
    teller.is_well()
    page.get_by_role("link", name=bucket, exact=True).click()
    page.get_by_role("link", name="2026", exact=True).click()
    teller.is_well()
    page.get_by_role("link", name="report.txt", exact=True).click()
    expect(page.get_by_text("by mc", exact=True)).to_be_visible()
    teller.is_well()


def sets_days(teller: Teller, s3: Any, bucket: str) -> None:
    page = teller.page
    teller.goes(f"/stores/{STORE}/buckets/{bucket}/settings")
    teller.is_well()
    form = page.locator("#lifecycle form").first
    expect(form.locator("[name=days]")).to_have_value("0")
    for days in ("30", "0"):
        form.locator("[name=days]").fill(days)
        with page.expect_navigation():
            form.locator("button").click()
        expect(form.locator("[name=days]")).to_have_value(days)
        if days == "30":
            rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
            assert [rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule] == [30]
        else:
            with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
                s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def changes_settings(teller: Teller, bucket: str) -> None:
    page = teller.page
    page.locator("#versioning [value=enabled]").check(force=True)
    with page.expect_navigation():
        page.locator("#versioning footer button").click()
    expect(page.locator("#versioning [value=enabled]")).to_be_checked()
    page.locator("#access [value=private]").check(force=True)
    with page.expect_navigation():
        page.locator("#access footer button").click()
    expect(page.locator("#access [value=private]")).to_be_checked()


def resets_the_key(
    teller: Teller, node: Served, keys: tuple[str, str], bucket: str, label: str
) -> None:
    page = teller.page
    teller.goes(f"/stores/{STORE}/accounts")
    page.get_by_role("link", name=label, exact=True).click()
    teller.is_well()
    page.get_by_role("main").get_by_role("link", name=teller.said("Reset Access Key")).first.click()
    teller.is_well()
    page.locator("[name=grace]").select_option("3600")
    teller.presses("Reset Access Key")
    new = teller.keys()
    assert new[0] == keys[0]
    assert new[1] != keys[1]
    # Within the grace period both work.
    for one in (keys, new):
        assert node.s3(*one).list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def deletes_the_bucket(teller: Teller, bucket: str) -> None:
    page = teller.page
    teller.goes(f"/stores/{STORE}/buckets/{bucket}/delete")
    teller.is_well()
    page.fill("[name=confirm]", "another")
    teller.presses("Delete the bucket")
    expect(page.locator("#confirm-problem")).to_be_visible()
    page.fill("[name=confirm]", bucket)
    teller.presses("Delete the bucket")
    teller.sees("“%(name)s” is deleted, with all that was in it.", name=bucket)
    teller.is_well()


@pytest.fixture
def foreign(node: Served) -> str:
    """A bucket of the first store, which is no matter of the tenant's."""
    s3 = node.s3()
    if "foreign" not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket="foreign")
    return "foreign"


@pytest.mark.parametrize("role", ["owner", "reader", "scoped"])
def test_each_sees_only_their_own(
    open_page: Opening,
    people: dict[str, Person],
    shared_bucket: dict[str, Any],
    foreign: str,
    role: str,
) -> None:
    page = open_page(people[role])
    open_page.watch(page).expect("404")
    open_page.watch(page).expect("403")
    page.goto("/buckets")
    main = page.get_by_role("main")
    expect(main.get_by_role("link", name="shared", exact=True)).to_be_visible()
    assert main.get_by_text(foreign, exact=True).count() == 0
    assert violations(page) == []
    page.goto("/stores")
    assert main.get_by_text("default", exact=True).count() == 0
    for missing in ("/stores/default", f"/stores/default/buckets/{foreign}/files"):
        answer = page.goto(missing)
        assert answer is not None
        assert answer.status == 404
    for platform in ("zones", "drives", "stewards", "keys", "doctor"):
        assert page.locator(f"a[href='/operator/{platform}']").count() == 0
        assert page.request.get(f"/operator/{platform}").status == 403
    page.goto("/buckets")
    assert page.locator("a[href^='/buckets/new']").count() == (1 if role == "owner" else 0)
    page.goto(shared_bucket["files"])
    offers = page.get_by_role("button", name="Upload files").count()
    assert offers == (0 if role == "reader" else 1)


def test_the_operator_sees_every_store(
    open_page: Opening, people: dict[str, Person], shared_bucket: dict[str, Any], foreign: str
) -> None:
    page = open_page(people["operator"])
    page.goto("/buckets")
    for name in ("shared", foreign):
        expect(page.get_by_role("main").get_by_role("link", name=name, exact=True)).to_be_visible()
