"""`python -m coffre.testing.simulation SEED …`: run seeds; one line of JSON for each.

`--trace` tells every step. `--bug NAME` puts a fault into the engine first (`bugs`). The exit code
is 1 when a seed failed.
"""

from __future__ import annotations

import os
import sys

# Sets of bytes are walked in an order that this decides.
if os.environ.get("PYTHONHASHSEED") != "0":
    os.environ["PYTHONHASHSEED"] = "0"
    again = [sys.executable, "-m", "coffre.testing.simulation", *sys.argv[1:]]
    os.execv(sys.executable, again)  # noqa: S606

import coffre.testing.simulation.scale  # noqa: F401  (before everything that knows sizes)
from coffre.testing.simulation.running import main

sys.exit(main(sys.argv[1:]))
