"""What Coffre is made of: licences, a bill of materials, known vulnerabilities.

`python -m tools.supply` reads requirements/runtime.txt and the installed packages' own metadata,
checks every licence against the list below, writes `build/coffre.cdx.json` (CycloneDX 1.5), and
asks for known vulnerabilities where the advisory service can be reached (it says so if not).
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from coffre import __version__

LOCK = Path("requirements/runtime.txt")
BILL = Path("build/coffre.cdx.json")
# SPDX identifiers that may stand in a program under Apache-2.0.
ALLOWED = {
    "Apache-2.0", "MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "PSF-2.0", "Zlib",
    "Unlicense", "0BSD", "blessing",
}  # fmt: skip
# What older metadata writes in place of an SPDX expression.
SPELLED = {
    "apache": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0", "mit license": "MIT", "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause", "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
}  # fmt: skip
# Metadata that names no licence, read by a person in the package's own licence file.
READ = {
    "apsw": "MIT",  # "any-OSI": whichever licence the OSI approves, at the user's choice
}
# Files of others that lie in the package: name -> (version, licence, where).
VENDORED = {
    "htmx.org": ("4.0.1", "0BSD", Path("src/coffre/console/static/htmx.min.js")),
}
AUDIT_SECONDS = 60


def locked() -> dict[str, tuple[str, list[str]]]:
    """name -> (version, SHA-256 hashes) of everything that an installation brings."""
    found: dict[str, tuple[str, list[str]]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", LOCK.read_text()):
        head = re.match(r"([A-Za-z0-9._-]+)==([^\s\\]+)", entry)
        if head:
            found[head[1]] = (head[2], re.findall(r"sha256:([0-9a-f]{64})", entry))
    return found


def licence(name: str) -> str:
    """A package's SPDX expression as its metadata gives it, "" if it gives none we know."""
    if name in READ:
        return READ[name]
    facts = cast(Message, metadata.metadata(name))
    if facts["License-Expression"]:
        return str(facts["License-Expression"])
    trove = [
        value.rpartition(" :: ")[2]
        for value in facts.get_all("Classifier", [])
        if value.startswith("License :: ")
    ]
    # Several classifiers mean that one may choose, several lines of text mean that one must read.
    spelled = [*trove, str(facts["License"] or "").strip()]
    known = [SPELLED.get(text.lower(), text) for text in spelled if "\n" not in text and text]
    allowed = [text for text in known if text in ALLOWED]
    return (allowed or known or [""])[0]


def refused(expression: str) -> bool:
    """Whether an expression asks for a licence that is not on the list.

    With AND every part counts, with OR one is enough.
    """
    if not expression:
        return True
    alternatives = re.split(r"\s+OR\s+", expression)
    return all(
        any(
            re.sub(r"\s+WITH\s.*", "", part.strip("() ")) not in ALLOWED
            for part in re.split(r"\s+AND\s+", alternative)
        )
        for alternative in alternatives
    )


def component(name: str, version: str, hashes: list[str]) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": [{"expression": licence(name)}],
        "properties": [{"name": "coffre:locked-sha256", "value": value} for value in hashes],
    }


def vendored(name: str) -> dict[str, Any]:
    version, expression, path = VENDORED[name]
    return {
        "type": "library",
        "bom-ref": f"pkg:npm/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:npm/{name}@{version}",
        "licenses": [{"expression": expression}],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
    }


def write_bill(packages: dict[str, tuple[str, list[str]]]) -> None:
    """A bill of materials that is the same for the same lock: no date, no serial number."""
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "coffre",
                "version": __version__,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": [
            *(component(name, *packages[name]) for name in sorted(packages)),
            *(vendored(name) for name in sorted(VENDORED)),
        ],
    }
    BILL.parent.mkdir(exist_ok=True)
    BILL.write_text(json.dumps(bill, indent=2) + "\n")


def licence_faults(packages: dict[str, tuple[str, list[str]]]) -> Iterator[str]:
    for name in packages:
        expression = licence(name)
        if refused(expression):
            yield f"licence of {name}: {expression or 'not stated'} is not on the list"
    for name, (_, expression, _) in VENDORED.items():
        if refused(expression):
            yield f"licence of {name}: {expression} is not on the list"


def audit() -> list[str]:
    """Vulnerabilities for which a mended version exists; an unreachable service is only said."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes",
        "--disable-pip", "--progress-spinner", "off", "--timeout", "10", "--format", "json",
    ]  # fmt: skip
    try:
        run = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=AUDIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        print(f"audit: left out, no answer from the advisory service in {AUDIT_SECONDS} s")
        return []
    try:
        report = json.loads(run.stdout)
    except json.JSONDecodeError:
        why = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"audit: left out, the advisory service gives no answer here ({why[:200]})")
        return []
    faults = []
    for package in report["dependencies"]:
        for found in package.get("vulns", []):
            line = f"{package['name']} {package['version']}: {found['id']}"
            if found["fix_versions"]:
                faults.append(f"{line}, mended in {', '.join(found['fix_versions'])}")
            else:
                print(f"audit: {line}, not mended anywhere yet")
    print(f"audit: {len(report['dependencies'])} packages asked about")
    return faults


def main() -> int:
    packages = locked()
    faults = [*licence_faults(packages), *audit()]
    write_bill(packages)
    print("\n".join(faults) or f"supply: {len(packages)} packages, listed in {BILL}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
