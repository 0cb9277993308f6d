"""The arithmetic of durability, against closed forms that others use and against a simulation."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.nines import (
    HOURS,
    Zone,
    crossings,
    drive_losses,
    main,
    mirrored_losses,
    more_gone_than,
    nines,
    rack_losses,
    zone_losses,
)


def markov_losses(n: int, m: int, fail: float, repair: float) -> float:
    """1 / mean time to loss of a birth-death chain: (n-i) x fail up, i x repair down."""
    time, step = 0.0, 0.0
    for i in range(m + 1):
        up, down = (n - i) * fail, i * repair
        step = (1 + down * step) / up  # Mean time from i gone to i + 1 gone.
        time += step
    return 1 / time


@pytest.mark.parametrize(("k", "m"), [(1, 0), (1, 1), (2, 1), (4, 2), (8, 4), (12, 4)])
def test_it_is_the_markov_chain_when_repairs_are_quick(k: int, m: int) -> None:
    zone = Zone(k, m, afr=0.02, repair_hours=24)
    assert drive_losses(zone) == pytest.approx(markov_losses(k + m, m, 0.02, HOURS / 24), rel=1e-2)


def test_a_mirrored_pair_is_the_formula_of_the_books() -> None:
    # Patterson, Gibson, Katz (1988): MTTDL of a pair = MTTF^2 / (2 MTTR).
    zone = Zone(1, 1, afr=0.02, repair_hours=24)
    assert 1 / drive_losses(zone) == pytest.approx((1 / 0.02) ** 2 / (2 * 24 / HOURS), rel=1e-3)


def test_what_is_never_repaired_in_time_is_the_binomial_of_one_year() -> None:
    """Without repair the share that is gone is the share that failed."""
    assert more_gone_than(16, 4, 0.02) == pytest.approx(
        sum(math.comb(16, i) * 0.02**i * 0.98 ** (16 - i) for i in range(5, 17))
    )


@pytest.mark.parametrize(("k", "m", "repair"), [(2, 1, 2000.0), (4, 2, 3000.0), (3, 0, 100.0)])
def test_it_is_what_a_simulation_counts(k: int, m: int, repair: float) -> None:
    zone = Zone(k, m, afr=0.5, repair_hours=repair, rot=0.3, scrub_days=60)
    years = 60_000
    counted = simulated(zone, years, random.Random(7))
    expected = drive_losses(zone) * years
    assert abs(counted - expected) < 5 * math.sqrt(expected)


def simulated(zone: Zone, years: float, chance: random.Random) -> int:
    """Entries into the state of more than m segments gone, with repairs of fixed length and rot
    found at the next scrub."""
    scrub = zone.scrub_days * 24 / HOURS
    events: list[tuple[float, int, bool]] = []
    for segment in range(zone.n):
        heapq.heappush(events, (chance.expovariate(zone.rate), segment, False))
    gone = losses = 0
    while events:
        now, segment, back = heapq.heappop(events)
        if now > years:
            return losses
        if back:
            gone -= 1
            heapq.heappush(events, (now + chance.expovariate(zone.rate), segment, False))
            continue
        gone += 1
        losses += gone == zone.m + 1
        rotten = chance.random() < zone.rot / zone.rate
        wait = chance.uniform(0, scrub) if rotten else zone.repair_hours / HOURS
        heapq.heappush(events, (now + wait, segment, True))
    return losses


def test_destroyed_racks_are_what_a_walk_over_all_states_finds() -> None:
    zone = Zone(2, 2, 0.3, 400, racks=2, rack_afr=0.1, rack_hours=400, drives=4)
    # Two segments in each rack; a rack that is struck leaves two, of which none may be gone.
    both_whole = sum(
        zone.gone ** sum(state) * (1 - zone.gone) ** (2 - sum(state))
        for state in itertools.product((0, 1), repeat=2)
        if not any(state)
    )
    struck = 2 * 0.1 * (1 - both_whole)
    rebuilt = 2 * 0.1 * 400 / HOURS
    weakened = rebuilt * 2 * 0.3 * (1 - zone.gone) * (1 - zone.gone)
    assert rack_losses(zone) == pytest.approx(struck + weakened + rebuilt * 0.1)


rates = st.floats(1e-4, 0.3)


@given(rates, st.floats(1, 500), st.integers(1, 12), st.integers(1, 4))
def test_more_spare_fewer_failures_and_quicker_repair_lose_less(
    afr: float, hours: float, k: int, m: int
) -> None:
    zone = Zone(k, m, afr, hours)
    assert drive_losses(Zone(k, m + 1, afr, hours)) <= drive_losses(zone)
    assert drive_losses(Zone(k, m, afr * 1.1, hours)) > drive_losses(zone)
    assert drive_losses(Zone(k, m, afr, hours * 1.1)) >= drive_losses(zone)
    assert drive_losses(Zone(k, m, afr, hours, rot=0.1)) > drive_losses(zone)


def test_a_zone_of_as_many_drives_as_segments_loses_all_chunks_or_none() -> None:
    zone = Zone(12, 4, 0.02, 82, drives=16, chunks=10**6)
    assert zone_losses(zone) == pytest.approx(drive_losses(zone))
    wide = Zone(12, 4, 0.02, 82, drives=160, chunks=10**6)
    assert drive_losses(wide) < zone_losses(wide) <= 10**6 * drive_losses(wide)
    assert zone_losses(wide) == pytest.approx(crossings(160, 4, 0.02, wide.gone))


def test_rot_beside_lost_drives_counts_for_the_zone_as_for_its_chunks() -> None:
    few = Zone(12, 4, 0.02, 82, rot=1e-4, drives=16, chunks=1)
    assert drive_losses(few) == pytest.approx(zone_losses(few), rel=0.3)
    many = Zone(12, 4, 0.02, 82, rot=1e-4, drives=16, chunks=10**6)
    # Among so many chunks some are rotten: then four drives are enough.
    assert zone_losses(many) >= crossings(16, 3, 0.02, many.gone) * 0.9


def test_the_default_geometry_is_ten_nines_and_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--afr", "0.02", "--rebuild-hours", "24", "--replace-hours", "72"]) == 0
    said = capsys.readouterr().out
    (line,) = (line for line in said.splitlines() if line.startswith("a given chunk"))
    assert float(line.split()[-2]) >= 10
    assert nines(1e-10) == pytest.approx(10, abs=1e-6)
    assert nines(0) == math.inf
    assert mirrored_losses(3, 0.02, 1.0) < 1e-16


def test_what_the_page_shows_is_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "durability.md").read_text()
    shown = re.findall(r"^\$ python -m tools\.nines (.*)\n((?:.+\n)+?)```", page, re.M)
    assert len(shown) >= 3
    for arguments, printed in shown:
        main(arguments.split())
        assert capsys.readouterr().out == printed
