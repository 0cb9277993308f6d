"""Where a run took place."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("coffre", "granian", "uvloop", "apsw", "cryptography", "pyeclib", "botocore")


def describe(folder: Path) -> dict[str, str]:
    """Date, processor, versions and disk, as rows of a table."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": f"{cores()}, shared with the load generator",
        "processor": _processor(),
        "system": f"Linux {platform.release()}, Python {platform.python_version()}",
        "file system": _file_system(folder),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "wrk": _wrk_version(),
        "commit": _commit(),
    }


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def load_average() -> float:
    """Processes that wanted to run over the last minute."""
    return os.getloadavg()[0]


def free_bytes(folder: Path) -> int:
    """What the disk of a folder still takes."""
    return shutil.disk_usage(folder).free


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the mount with the longest path above the folder."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, found, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def _commit() -> str:
    answer = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"


def _wrk_version() -> str:
    """wrk prints its version as part of its usage, and fails."""
    if shutil.which("wrk") is None:
        return "not installed"
    answer = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join(answer.stdout.split()[1:2]) or "unknown"
