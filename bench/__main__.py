"""`python -m bench`: measure Coffre beside its references; see docs/performance.md."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import machine
from bench.auditing import audit_costs
from bench.deciding import decision_costs
from bench.disk import sync_costs
from bench.listing import page_costs
from bench.measure import COFFRE, summarise
from bench.overhead import overheads
from bench.rebuild import rebuilds
from bench.repair import repairs
from bench.report import Outcome, publish, tables
from bench.restart import restarts
from bench.run import Bench
from bench.scenarios import FULL, KIB, QUICK, Scale, Scenario, chosen
from bench.servers import bare_answer, coffre
from bench.wrk import NoWrk, require_wrk

_ROOT = Path(__file__).resolve().parent.parent
_BUILD = _ROOT / "build" / "bench"
_DOCUMENT = _ROOT / "docs" / "performance.md"
_SYNCED_SIZES = (4 * KIB, 256 * KIB)
_ENOUGH_BYTES = 30 << 30


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    scale = QUICK if options.quick else FULL
    scenarios, extras = chosen(options.only)
    if not scenarios and not extras:
        return _complain(f"nothing is called {options.only!r}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _BUILD.mkdir(parents=True, exist_ok=True)
    if machine.free_bytes(_BUILD) < _ENOUGH_BYTES:
        return _complain(f"a run writes up to {_ENOUGH_BYTES >> 30} GiB: {_BUILD} has less")
    outcome = Outcome(machine.describe(_BUILD), machine.cores(), machine.load_average())
    with tempfile.TemporaryDirectory(dir=_BUILD, prefix="run-") as folder:
        try:
            _run(Path(folder), scale, scenarios, extras, outcome)
        except NoWrk as missing:
            return _complain(str(missing))
    outcome.load_after = machine.load_average()
    print("\n" + tables(outcome))
    (_BUILD / "latest.json").write_text(outcome.to_json())
    if not options.only and not options.quick:
        publish(_DOCUMENT, outcome)
    faults = outcome.faults()
    return _complain(f"requests failed: {faults}") if faults else 0


def _run(
    folder: Path, scale: Scale, scenarios: list[Scenario], extras: list[str], outcome: Outcome
) -> None:
    if "sync-cost" in extras:
        print("sync-cost", flush=True)
        outcome.syncs = sync_costs(folder, _SYNCED_SIZES, scale.syncs)
    if "list-steps" in extras:
        print("list-steps", flush=True)
        outcome.pages = page_costs(folder, scale.listed)
    if "restart" in extras:
        print("restart", flush=True)
        outcome.restarts = restarts(folder, scale.restarted)
    if "rebuild" in extras:
        print("rebuild", flush=True)
        outcome.rebuilds = rebuilds(folder, scale.restarted)
    if "repair" in extras:
        print("repair", flush=True)
        outcome.repairs = repairs(folder, *scale.repaired)
    if "overhead" in extras:
        print("overhead", flush=True)
        outcome.overheads = overheads(folder, *scale.stored)
    if "decision" in extras:
        print("decision", flush=True)
        outcome.decisions = decision_costs(scale.decided)
    if "audit" in extras:
        require_wrk()
        print("audit", flush=True)
        outcome.audits = audit_costs(folder, _BUILD, scale)
    if not scenarios:
        return
    require_wrk()
    with (
        coffre(folder / "data", _BUILD / "coffre.log") as node,
        bare_answer(node.workers) as bare,
    ):
        bench = Bench(node, bare, folder, scale)
        for scenario in scenarios:
            rounds = bench.measure(scenario)
            outcome.scenarios.append((scenario, rounds))
            found = summarise(rounds)
            ratios = ", ".join(f"{r.middle:.0%} of {r.reference}" for r in found.ratios)
            print(f"{scenario.name}: {COFFRE} {found.middle:.0f}/s ({ratios})", flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second a round; nothing published")
    parser.add_argument("--only", default="", metavar="PATTERN", help="such as put-4KiB-*")
    return parser.parse_args(arguments)


def _complain(message: str) -> int:
    print(f"bench: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
