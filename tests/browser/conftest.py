"""Chromium, a node that all tests share, and pages of those who are signed in."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.clients.server import find

from .people import BUCKET, STORE, seeded_people
from .served import Person, Served, served
from .watching import Watch

LOG_TAIL = 20_000
# No sandbox: tests may run as root. The name is ours, so that a proxy of the machine is not asked.
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server")
PATIENCE_MS = 20_000


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's own Chromium; tests are left out where there is none. It ends with this folder's
    tests: in its thread Playwright keeps a loop, beside which no other can run."""
    program = find("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The node that all tests share: a test keeps to buckets of its own."""
    with served(tmp_path_factory.mktemp("console")) as node:
        yield node


@pytest.fixture(scope="session")
def people(node: Served) -> dict[str, Person]:
    """One of each role, by role; made once."""
    return seeded_people(node)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A bucket name of the test's own."""
    plain = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
    return f"{plain[:50].strip('-')}-{random.randbytes(4).hex()}"


@pytest.fixture(scope="session")
def shared_bucket(node: Served, people: dict[str, Person]) -> dict[str, Any]:
    """The bucket of the people's own tenant, with one file in it."""
    assert people
    page = f"/stores/{STORE}/buckets/{BUCKET}"
    made = node.operate("user.create", store=STORE, label="seed")
    node.operate("bucket.role.grant", bucket=BUCKET, store=STORE, user=made["id"], role="writer")
    s3 = node.s3(made["access_key"], made["secret_key"])
    s3.put_object(Bucket=BUCKET, Key="kept.txt", Body=b"kept")
    return {"at": page, "files": f"{page}/files", "s3": s3}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure comes with a picture of the page and what the server logged."""
    report = yield
    given: dict[str, Any] = getattr(item, "funcargs", {})
    node = given.get("node")
    if report.failed and isinstance(node, Served):
        log = (node.data.parent / "stderr").read_text(errors="replace")
        report.sections.append(("the server's log", log[-LOG_TAIL:]))
        for context in given.get("open_page", _NONE).contexts:
            for page in context.pages:
                text = page.locator("body").inner_text()
                report.sections.append((f"the page {page.url}", text[:3000]))
    return report


class Opening:
    """Opens pages for people, each in a browser context of its own, and watches them."""

    def __init__(
        self, browser: Browser | None, node: Served | None, states: dict[str, Any]
    ) -> None:
        self._browser = browser
        self._node = node
        self._states = states
        self.contexts: list[BrowserContext] = []
        self.watches: list[Watch] = []

    def __call__(self, person: Person | None = None, lang: str = "en", **options: Any) -> Page:
        """A page of somebody who is signed in (None: of nobody), in a language."""
        assert self._browser is not None
        assert self._node is not None
        options = {"locale": {"en": "en-GB", "fr": "fr-FR"}[lang], **options}
        state = self._states.get(person.name) if person else None
        context = self._browser.new_context(
            base_url=self._node.origin, ignore_https_errors=True, storage_state=state, **options
        )
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        page = context.new_page()
        watch = Watch(page)
        watch.start()
        self.watches.append(watch)
        if person is not None and state is None:
            sign_in(page, person)
            self._states[person.name] = context.storage_state()
        return page

    def watch(self, page: Page) -> Watch:
        return next(watch for watch in self.watches if watch.page is page)


_NONE = Opening(None, None, {})


@pytest.fixture(scope="session")
def states() -> dict[str, Any]:
    """Cookies of those who signed in, by name: once is enough."""
    return {}


@pytest.fixture
def open_page(
    chromium: Browser, node: Served, states: dict[str, Any]
) -> Iterator[Callable[..., Page]]:
    """Open pages; at the end none may have had an error or broken its own policy."""
    opening = Opening(chromium, node, states)
    yield opening
    for context in opening.contexts:
        context.close()
    assert [wrong for watch in opening.watches for wrong in watch.wrong] == []


def sign_in(page: Page, person: Person) -> None:
    page.goto("/signin")
    page.fill("[name=name]", person.name)
    page.fill("[name=password]", person.password)
    page.click("main form .btn.primary")
    page.wait_for_url(lambda address: "/signin" not in address)


@pytest.fixture
def shots(request: pytest.FixtureRequest) -> Path:
    """Where a test may leave pictures of what it saw."""
    folder = Path("build", "browser", str(request.node.name))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
