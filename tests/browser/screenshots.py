"""Pictures of every page: `python -m tests.browser.screenshots`, which `make screenshots` runs.

All of them, in both languages, both themes and two widths, go to build/screenshots; those that the
guides show go to docs/images/console as well. With the word `guides` only those are made.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.clients.server import find

from .conftest import OPTIONS, Opening
from .demo import Demo
from .served import served

ALL, SHOWN = Path("build/screenshots"), Path("docs/images/console")
WIDTHS = {"desktop": (1280, 832), "phone": (390, 844)}
# The guides show the first.
LOOKS = [(theme, width) for theme in ("light", "dark") for width in WIDTHS]
# name of a page -> role
GUIDES = {
    "home": "owner",
    "buckets": "owner",
    "bucket-new": "owner",
    "files": "owner",
    "file": "owner",
    "policies": "owner",
    "bucket-settings": "owner",
    "accounts": "owner",
    "usage": "owner",
    "audit": "owner",
    "operator-drives": "operator",
    "operator-zones": "operator",
}
MOST_BYTES = 3_000_000


def main(only_guides: bool) -> None:
    for folder in (ALL, SHOWN):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="coffre-") as data, served(Path(data)) as node:
        demo = Demo(node)
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=find("chromium"), args=list(OPTIONS)
            )
            opening = Opening(chromium, node, {})
            for lang in ("en", "fr"):
                for theme, width in LOOKS[:1] if only_guides else LOOKS:
                    picture_all(opening, demo, (lang, theme, width), only_guides)
            chromium.close()
    size = sum(one.stat().st_size for one in SHOWN.iterdir())
    print(f"{len(list(ALL.iterdir()))} pictures in {ALL}; {size} bytes in {SHOWN}")
    if size > MOST_BYTES:
        raise SystemExit(f"more than {MOST_BYTES} bytes in {SHOWN}")


def picture_all(
    opening: Opening, demo: Demo, look: tuple[str, str, str], only_guides: bool
) -> None:
    lang, theme, width = look
    wide, high = WIDTHS[width]
    view = {"width": wide, "height": high}
    for role in ("operator", "owner"):
        page = opening(demo.people[role], lang, color_scheme=theme, viewport=view)
        pages = demo.pages(role)
        guides = [one for one in pages if GUIDES.get(one) == role]
        names = list(pages) if role == "operator" and not only_guides else guides
        for name in names:
            page.goto(pages[name], wait_until="networkidle")
            path = ALL / f"{name}-{role}-{lang}-{theme}-{width}.png"
            page.screenshot(path=path, full_page=width == "phone")
            if GUIDES.get(name) == role and (theme, width) == LOOKS[0]:
                shutil.copy(path, SHOWN / f"{name}-{lang}.png")
        page.context.close()
        opening.contexts.pop()


if __name__ == "__main__":
    main(sys.argv[1:] == ["guides"])
