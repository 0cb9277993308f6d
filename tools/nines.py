"""How durable sealed data is, from drives' failure rate, repair time and geometry.

    python -m tools.nines --afr 0.02 --geometry 12+4 --rebuild-hours 10 --replace-hours 72

The model. A chunk has n = k + m segments on n drives, and is lost when more than m of them are gone
at one time. A segment goes with its drive (`afr`, failures a year) and comes back when it is made
anew on another; or it rots unseen (`rot`, a segment-year) and comes back when scrubbing meets it,
on average half of `scrub_days` later. Segments fail independently. Each is then gone for the share

    u = aD / (1 + aD),   a = afr + rot,   aD = afr x repair time + rot x scrub interval / 2

of the time, whatever the distribution of the repair times; and the chunk is lost as often as one
more segment goes while m others are gone, which for independent parts is exactly

    n a (1 - u) C(n-1, m) u^m (1 - u)^(n-1-m)        losses a year

A destroyed rack (`rack_afr`, a rack-year; nothing in it comes back) takes `per_rack` segments at
once and is rebuilt in its own time. Two at once, or one while more than m - `per_rack` of the other
segments are gone, lose the chunk.

What is counted is the yearly chance that a *given chunk* is lost: an object in it shares its fate.
Of the zone, that *anything* is lost, there is a bound: for every d, how often d drives of all are
gone together, times the chance that any chunk has m + 1 - d rotten segments beside these.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

HOURS = 8766.0  # of a year of 365.25 days


@dataclass(frozen=True)
class Zone:
    """Rates are a year, times in hours. `repair_hours`: from a drive's failure until what it held
    is whole elsewhere. `drives`: all of the zone; `chunks`: how many there are."""

    k: int
    m: int
    afr: float
    repair_hours: float
    rot: float = 0.0
    scrub_days: float = 30.0
    racks: int = 4
    rack_afr: float = 0.0
    rack_hours: float = 0.0
    drives: int = 16
    chunks: int = 1

    @property
    def n(self) -> int:
        return self.k + self.m

    @property
    def rate(self) -> float:
        """How often a segment that is whole goes, a year."""
        return self.afr + self.rot

    @property
    def gone(self) -> float:
        """The share of the time for which a segment is gone."""
        down = (self.afr * self.repair_hours + self.rot * self.scrub_days * 12) / HOURS
        return down / (1 + down)

    @property
    def per_rack(self) -> int:
        """Segments of a chunk in its fullest rack."""
        return min(self.m, -(-self.n // self.racks))


def crossings(parts: int, spare: int, rate: float, gone: float) -> float:
    """How often a year, of `parts` independent parts, one more goes while `spare` are gone."""
    if spare < 0 or spare >= parts:
        return 0.0
    here = math.comb(parts - 1, spare) * gone**spare * (1 - gone) ** (parts - 1 - spare)
    return parts * rate * (1 - gone) * here


def more_gone_than(parts: int, spare: int, gone: float) -> float:
    """The chance that of `parts` more than `spare` are gone at a moment."""
    return sum(
        math.comb(parts, some) * gone**some * (1 - gone) ** (parts - some)
        for some in range(max(0, spare + 1), parts + 1)
    )


def drive_losses(zone: Zone) -> float:
    """Losses of a given chunk a year by drives and rot alone."""
    return crossings(zone.n, zone.m, zone.rate, zone.gone)


def rack_losses(zone: Zone) -> float:
    """Losses of a given chunk a year in which a destroyed rack has a part."""
    if not zone.rack_afr:
        return 0.0
    rest, spare = zone.n - zone.per_rack, zone.m - zone.per_rack
    destroyed = zone.racks * zone.rack_afr
    being_rebuilt = destroyed * zone.rack_hours / HOURS
    struck = destroyed * more_gone_than(rest, spare, zone.gone)
    weakened = being_rebuilt * crossings(rest, spare, zone.rate, zone.gone)
    twice = being_rebuilt * (zone.racks - 1) * zone.rack_afr if 2 * zone.per_rack > zone.m else 0.0
    return struck + weakened + twice


def zone_losses(zone: Zone) -> float:
    """A bound of how often a year the zone loses anything at all to drives and rot."""
    away = zone.afr * zone.repair_hours / HOURS
    away /= 1 + away
    # Rotten before drives went, or while they are away.
    rotten = min(1.0, zone.rot * (zone.scrub_days * 12 + zone.repair_hours) / HOURS)
    found = zone.chunks * crossings(zone.n, zone.m, zone.rot, rotten)
    for drives in range(1, zone.m + 2):
        rest, more = zone.n - drives, zone.m + 1 - drives
        any_chunk = min(1.0, zone.chunks * more_gone_than(rest, more - 1, rotten)) if more else 1.0
        found += crossings(zone.drives, drives - 1, zone.afr, away) * any_chunk
    return min(found, zone.chunks * drive_losses(zone))


def nines(losses: float) -> float:
    """-log10 of the chance of at least one in a year."""
    return -math.log10(-math.expm1(-losses)) if losses > 0 else math.inf


def mirrored_losses(copies: int, afr: float, open_hours: float) -> float:
    """The chance that all mirrors of a chunk go within the time in which it is not sealed."""
    return float((-math.expm1(-afr * open_hours / HOURS)) ** copies)


def report(zone: Zone, mirrored: float) -> str:
    """What the command prints."""
    chunk, racks = drive_losses(zone), rack_losses(zone)
    lines = [
        f"geometry {zone.k}+{zone.m}, {zone.drives} drives in {zone.racks} racks,"
        f" {zone.chunks} chunks",
        f"drives fail {zone.afr:g} a year, repaired {zone.repair_hours:.1f} h later;"
        f" rot {zone.rot:g} a segment-year, scrubbed every {zone.scrub_days:g} days",
        f"a segment is gone {zone.gone:.2e} of the time",
        f"a given chunk is lost  {chunk:.1e} a year: {nines(chunk):.1f} nines",
        f"anything at all is lost at most {zone_losses(zone):.1e} a year:"
        f" {nines(zone_losses(zone)):.1f} nines",
        f"while not sealed yet, once: {mirrored:.1e}",
    ]
    if zone.rack_afr:
        lines.append(
            f"with racks destroyed {zone.rack_afr:g} a rack-year, rebuilt in {zone.rack_hours:.0f}"
            f" h: {chunk + racks:.1e} a year: {nines(chunk + racks):.1f} nines"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.nines", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--geometry", type=_geometry, default=(12, 4), metavar="K+M")
    parser.add_argument("--afr", type=float, default=0.02, help="drive failures a year")
    parser.add_argument("--drives", type=int, default=16, help="of the zone")
    parser.add_argument("--racks", type=int, default=4)
    parser.add_argument("--drive-tb", type=float, default=8.0, help="stored on a drive")
    parser.add_argument("--repair-mb-s", type=float, default=100.0, help="bytes made anew a second")
    parser.add_argument("--rebuild-hours", type=float, help="instead of the two above")
    parser.add_argument("--replace-hours", type=float, default=0.0, help="until there is a place")
    parser.add_argument("--rot", type=float, default=1e-5, help="of a segment, a year")
    parser.add_argument("--scrub-days", type=float, default=30.0)
    parser.add_argument("--rack-afr", type=float, default=0.0, help="racks destroyed a year")
    parser.add_argument("--copies", type=int, default=3, help="mirrors before sealing")
    parser.add_argument("--open-hours", type=float, default=1.0, help="from a byte to its seal")
    given = parser.parse_args(arguments)
    rebuild = given.rebuild_hours
    if rebuild is None:
        rebuild = given.drive_tb * 1e6 / given.repair_mb_s / 3600
    k, m = given.geometry
    drives_in_rack = -(-given.drives // given.racks)
    zone = Zone(
        k=k,
        m=m,
        afr=given.afr,
        repair_hours=given.replace_hours + rebuild,
        rot=given.rot,
        scrub_days=given.scrub_days,
        racks=given.racks,
        rack_afr=given.rack_afr,
        rack_hours=given.replace_hours + rebuild * drives_in_rack,
        drives=given.drives,
        chunks=max(1, round(given.drive_tb * 1e12 * given.drives / (k + m) * k / (128 << 20))),
    )
    print(report(zone, mirrored_losses(given.copies, given.afr, given.open_hours)))
    return 0


def _geometry(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)\+(\d+)", text)
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no geometry: write 12+4")
    return int(found[1]), int(found[2])


if __name__ == "__main__":
    raise SystemExit(main())
