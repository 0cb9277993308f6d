"""The AWS SDK for JavaScript v3: `js/steps.mjs` does all the steps, each is a test here."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path

import pytest

from .server import PROGRAM_S, Server, find, find_sdk_for_javascript

SCRIPT = Path(__file__).with_name("js") / "steps.mjs"
STEPS = re.findall(r'^  "([^"]+)": async', SCRIPT.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def errors(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What went wrong in each step; None: nothing did."""
    node = find("node")
    installed = find_sdk_for_javascript()
    environment = {
        **server.environment(tmp_path_factory.mktemp("js")),
        "ENDPOINT": server.endpoint,
        "REGION": server.region,
        "BUCKET": f"js-{random.randbytes(4).hex()}",
    }
    # The script comes on standard input: then imports are found where node runs.
    done = subprocess.run(
        [node, "--input-type=module"],
        stdin=SCRIPT.open(),
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["step"]: line["error"] for line in lines}


@pytest.mark.parametrize("step", STEPS)
def test_step(server: Server, errors: dict[str, str | None], step: str) -> None:
    assert errors[step] is None, errors[step]
