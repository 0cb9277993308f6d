"""Seeds run one after the other in this process, or by several processes."""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO

from msgspec import Struct
from msgspec.json import decode

from coffre.testing.disk import PowerLost
from coffre.testing.simulation.bugs import BUGS
from coffre.testing.simulation.scenario import Scenario
from coffre.testing.simulation.switchboard import in_one_process

# A seed takes a second or two; one that takes this long goes round in circles.
MOST_SECONDS = 60
_TAIL = 60


class Outcome(Struct):
    """How one seed went. `digest` is of everything that happened to the disk."""

    seed: int
    seconds: float
    digest: str
    failure: str = ""
    steps: list[str] = []

    def report(self) -> str:
        """For whoever is to find the fault."""
        return "\n".join(
            [
                f"seed {self.seed} failed; `make sim SEED={self.seed}` plays it again with a trace",
                *self.steps[-_TAIL:],
                self.failure,
            ]
        )


def run_seed(seed: int, *, trace: bool = False) -> Outcome:
    """One seed in this process. Its catalog is in a folder of memory where there is one."""
    shm = Path("/dev/shm")  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="coffre-sim-", dir=shm if shm.is_dir() else None))
    began = time.process_time()
    scenario = Scenario(seed, folder, _print if trace else None)
    failure = ""
    stewards = logging.getLogger("coffre.steward")
    try:
        stewards.addHandler(scenario.process.stewards_log)
        # What is left of a life that was cut short has nobody to complain to.
        sys.unraisablehook = lambda unraisable: None
        with in_one_process(scenario.process.switchboard), _at_most(MOST_SECONDS):
            scenario.run()
    except (Exception, PowerLost):
        failure = traceback.format_exc()
    finally:
        stewards.removeHandler(scenario.process.stewards_log)
        os.chdir("/")
        shutil.rmtree(folder)
        gc.collect()
        sys.unraisablehook = sys.__unraisablehook__
    seconds = round(time.process_time() - began, 3)
    digest = hashlib.sha256("\n".join(scenario.steps).encode()).hexdigest()[:16]
    return Outcome(seed, seconds, digest, failure, scenario.steps)


def run_seeds(
    seeds: Sequence[int], *, processes: int = 1, bug: str = ""
) -> Generator[Outcome, None, None]:
    """Seeds in processes of their own, each of which takes its share in order."""
    command = [sys.executable, "-m", "coffre.testing.simulation"]
    if bug:
        command += ["--bug", bug]
    running = [
        subprocess.Popen(
            [*command, *map(str, seeds[first::processes])],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        for first in range(min(processes, len(seeds)))
    ]
    try:
        outputs = [process.stdout for process in running if process.stdout is not None]
        for line in as_they_come(outputs):
            yield decode(line, type=Outcome)
    finally:
        for process in running:
            process.kill()
            process.wait()


def as_they_come(outputs: Sequence[IO[bytes]]) -> Iterator[bytes]:
    """Lines of several pipes until all have ended. Each is read all the time, so that whoever
    writes to it never waits for the others to be done."""
    lines: SimpleQueue[bytes | None] = SimpleQueue()

    def read(output: IO[bytes]) -> None:
        for line in output:
            lines.put(line)
        lines.put(None)

    for output in outputs:
        Thread(target=read, args=(output,), daemon=True).start()
    left = len(outputs)
    while left:
        line = lines.get()
        if line is None:
            left -= 1
        else:
            yield line


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="simulation")
    parser.add_argument("seeds", type=int, nargs="+")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--bug", default="", choices=["", *BUGS])
    chosen = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if chosen.trace else logging.ERROR,
        format="    %(name)s: %(message)s",
        stream=sys.stdout,
    )
    if not chosen.trace:
        logging.getLogger().handlers[:] = [logging.NullHandler()]
    # Work that was cut before it began is never awaited.
    warnings.simplefilter("ignore", RuntimeWarning)
    if chosen.bug:
        BUGS[chosen.bug]()
    failed = False
    for seed in chosen.seeds:
        outcome = run_seed(seed, trace=chosen.trace)
        failed = failed or bool(outcome.failure)
        if chosen.trace:
            _print(
                outcome.report() if outcome.failure else f"seed {seed} is well: {outcome.digest}"
            )
        else:
            if not outcome.failure:
                outcome.steps = []
            _print(json.dumps({name: getattr(outcome, name) for name in outcome.__struct_fields__}))
    return int(failed)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Of the processor's time, whoever else wants it."""

    def over(number: int, frame: object) -> None:
        raise TimeoutError(f"still not done after {seconds} s")

    signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
