"""Checks the documents against the code and against each other: `python -m tools.documents`.

Links inside the repository lead somewhere, generated pages are current, every setting that
`docs/configuration.md` promises is read by something. That every setting and every command is
documented, and no other, is asserted beside them in `tests/unit`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from coffre.config import KEYS
from tools.api_client import stale_files
from tools.api_reference import page as api_page
from tools.compatibility import page as compatibility_page
from tools.error_reference import page as error_page
from tools.iam_reference import PAGE as IAM_PAGE
from tools.iam_reference import page as iam_page
from tools.metrics_reference import page as metrics_page
from tools.openapi import page as openapi_page
from tools.storage_format import page as storage_page

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
HEADING = re.compile(r"^#+ +(.+)$", re.M)


def anchors(text: str) -> set[str]:
    """Headings as the anchors that hosts of Markdown make of them."""
    plain = (re.sub(r"[^\w\s-]", "", title.lower()) for title in HEADING.findall(text))
    return {title.strip().replace(" ", "-") for title in plain}


def broken_links(page: Path) -> Iterator[str]:
    text = FENCE.sub("", page.read_text())
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page.resolve()
        if not file.exists():
            yield f"{page}: the link to {target} leads nowhere"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            yield f"{page}: {name or page.name} has no heading #{anchor}"


def stale(page: Path, expected: str, command: str) -> Iterator[str]:
    if not page.exists() or page.read_text() != expected:
        yield f"{page} is not current: {command} > {page}"


def operations_page() -> str:
    command = [sys.executable, "-m", "coffre.s3.reference"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def unread_settings() -> Iterator[str]:
    """Settings that are documented although nothing looks at them."""
    source = "\n".join(
        path.read_text() for path in Path("src").rglob("*.py") if path.name != "config.py"
    )
    # These have properties of their own in config.py.
    through = {
        "geometry": "coding",
        "plain_http": "serves_plain",
        "workers": "worker_count",
    }
    for key in KEYS:
        if not re.search(rf"\.({key}|{through.get(key, key)})\b|[\"']{key}[\"']", source):
            yield f"config: nothing reads the setting {key!r}"


def unlisted_decisions() -> Iterator[str]:
    folder = Path("docs/decisions")
    index = (folder / "README.md").read_text()
    for note in sorted(folder.glob("[0-9]*.md")):
        if f"({note.name})" not in index:
            yield f"{folder / 'README.md'} does not list {note.name}"


def main() -> int:
    pages = [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]
    faults = [fault for page in pages for fault in broken_links(page)]
    faults += stale(Path("docs/errors.md"), error_page(), "python -m tools.error_reference")
    faults += stale(Path("docs/operations.md"), operations_page(), "python -m coffre.s3.reference")
    faults += stale(
        Path("docs/storage-format.md"), storage_page(), "python -m tools.storage_format"
    )
    faults += stale(
        Path("docs/compatibility.md"), compatibility_page(), "python -m tools.compatibility"
    )
    faults += stale(Path("docs/metrics.md"), metrics_page(), "python -m tools.metrics_reference")
    faults += stale(Path("docs/api.md"), api_page(), "python -m tools.api_reference")
    faults += stale(Path("docs/openapi.json"), openapi_page(), "python -m tools.openapi")
    faults += [f"coffre/client/{name} is not current: `make api`" for name in stale_files()]
    # Half of it is written by hand: the command writes the page itself.
    if iam_page() != IAM_PAGE.read_text():
        faults.append(f"{IAM_PAGE} is not current: python -m tools.iam_reference")
    faults += unread_settings()
    faults += unlisted_decisions()
    print("\n".join(faults) or f"documents: {len(pages)} pages are whole and current")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
