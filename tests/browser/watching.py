"""What no page of the console may do, watched for while a test uses it; and axe's judgement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, Response

from tests.clients.server import CLIENTS

AXE = CLIENTS / "js" / "node_modules" / "axe-core" / "axe.min.js"
# WCAG 2.2, A and AA, and what axe holds to be good besides.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Watch:
    """Errors of a page's scripts, of its policies, of its server, in order."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"{self.page.url}: {error}"))
        self.page.on("response", self._answered)

    def expect(self, text: str) -> None:
        """A message that this test means to cause."""
        self.expected.append(text)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self._is_expected(message.text):
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.wrong.append(f"{response.status} {response.url}")

    def _is_expected(self, text: str) -> bool:
        return any(known in text for known in self.expected)


def find_axe() -> str:
    """axe-core's source; skips the test where it is not installed."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed")
    return AXE.read_text()


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is now: rule, and where."""
    if not page.evaluate("typeof axe === 'object'"):
        # The protocol's own door: a page's policy lets no script in.
        page.evaluate(find_axe())
    found: list[dict[str, Any]] = page.evaluate(
        "rules => axe.run({runOnly: rules}).then(told => told.violations)", RULES
    )
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node['html'][:200]}"
        for one in found
        for node in one["nodes"]
    ]
