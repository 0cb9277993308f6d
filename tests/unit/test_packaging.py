"""The packaged service: HTTPS on 443, as a user that may do little else."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from coffre.config import load

PACKAGING = Path(__file__).parents[2] / "packaging"


def test_its_configuration_serves_https_alone_on_443() -> None:
    settings = load({}, {}, str(PACKAGING / "coffre.toml"))
    assert (settings.port, settings.serves_plain) == (443, False)


def test_the_unit_runs_as_no_root_and_may_bind_low_ports_alone() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((PACKAGING / "coffre.service").read_text())
    service = unit["Service"]
    assert service["User"] == "coffre"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"]
    assert service["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ExecReload"].startswith("/bin/kill -HUP")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_every_line_of_it(tmp_path: Path) -> None:
    unit = (PACKAGING / "coffre.service").read_text()
    # The program need not be installed here.
    (tmp_path / "coffre.service").write_text(unit.replace("/opt/coffre/bin/coffre", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "coffre.service"], capture_output=True, check=False
    )
    mine = [line for line in done.stderr.decode().splitlines() if "coffre.service" in line]
    assert not [line for line in mine if "Unknown" in line or "Failed to parse" in line], mine
