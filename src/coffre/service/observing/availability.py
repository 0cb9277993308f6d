"""DATA/availability.db: minute by minute, whether the node served, and how well.

A minute that nobody wrote down is a minute in which the node did not serve: a crash, a power loss
and maintenance look alike, and count alike. Times are UTC.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import apsw
from msgspec import Struct

MINUTE_MS: Final = 60_000
KEPT_MINUTES: Final = 60 * 24 * 400
TARGET: Final = "99.99"
_VERSION: Final = 1
_TABLES: Final = (
    "CREATE TABLE minutes (minute INTEGER PRIMARY KEY, serving INTEGER NOT NULL) STRICT",
    "CREATE TABLE outcomes (minute INTEGER NOT NULL, store TEXT NOT NULL, requests INTEGER NOT"
    " NULL, failed INTEGER NOT NULL, PRIMARY KEY (minute, store)) STRICT, WITHOUT ROWID",
    "CREATE TABLE probes (at_ms INTEGER NOT NULL, origin TEXT NOT NULL, store TEXT NOT NULL,"
    " micros INTEGER NOT NULL, failed TEXT NOT NULL, PRIMARY KEY (at_ms, origin, store))"
    " STRICT, WITHOUT ROWID",
    "CREATE TABLE incidents (at_ms INTEGER NOT NULL, kind TEXT NOT NULL, what TEXT NOT NULL,"
    " PRIMARY KEY (at_ms, kind, what)) STRICT, WITHOUT ROWID",
)
_ADD_OUTCOME: Final = (
    "INSERT INTO outcomes (minute, store, requests, failed) VALUES (?, ?, ?, ?) ON CONFLICT DO"
    " UPDATE SET requests = requests + excluded.requests, failed = failed + excluded.failed"
)


class Outcome(Struct, frozen=True):
    """Finished requests of a store in a minute, and those of them that failed."""

    requests: int
    failed: int


class Probe(Struct, frozen=True):
    """One outside probe: a PUT, a GET and a DELETE at `at_ms`, from `origin`, in a bucket of
    `store`; `failed` says what went wrong, empty for nothing."""

    at_ms: int
    origin: str
    store: str
    micros: int
    failed: str = ""


class Incident(Struct, frozen=True):
    """`lost`: blocks of acknowledged data are gone. `unreadable`: more is away than can be made up
    for; it can be read again once drives return."""

    at_ms: int
    kind: str
    what: str


class Availability:
    """The record. Each call is one short transaction, synced: use it on a thread of your own."""

    def __init__(self, path: Path) -> None:
        """Open the file, made (mode 0600) if it is missing. Raises OSError, apsw.Error."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._db = apsw.Connection(str(path))
        try:
            self._db.set_busy_timeout(5000)
            self._db.pragma("journal_mode", "wal")
            self._db.pragma("synchronous", "full")
            with self._db:
                if self._db.pragma("user_version") != _VERSION:
                    for table in _TABLES:
                        self._db.execute(table).fetchall()
                    self._db.pragma("user_version", _VERSION)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def record(self, first: int, last: int, serving: bool, outcomes: Mapping[str, Outcome]) -> None:
        """The minutes `first` to `last` were alike; what finished counts to the last."""
        with self._db:
            for minute in range(first, last + 1):
                self._db.execute(
                    "INSERT INTO minutes (minute, serving) VALUES (?, ?) ON CONFLICT DO UPDATE SET"
                    " serving = min(serving, excluded.serving)",
                    (minute, int(serving)),
                ).fetchall()
            rows = [
                (last, store, one.requests, one.failed)
                for store, one in outcomes.items()
                if one.requests
            ]
            self._db.executemany(_ADD_OUTCOME, rows)
            old = (last - KEPT_MINUTES,)
            self._db.execute("DELETE FROM minutes WHERE minute < ?", old).fetchall()
            self._db.execute("DELETE FROM outcomes WHERE minute < ?", old).fetchall()
            old_ms = ((last - KEPT_MINUTES) * MINUTE_MS,)
            self._db.execute("DELETE FROM probes WHERE at_ms < ?", old_ms).fetchall()

    def add_probe(self, probe: Probe) -> None:
        """Write down a probe; the same one told again changes nothing."""
        self._db.execute(
            "INSERT OR IGNORE INTO probes (at_ms, origin, store, micros, failed)"
            " VALUES (?, ?, ?, ?, ?)",
            (probe.at_ms, probe.origin, probe.store, probe.micros, probe.failed),
        ).fetchall()

    def add_incident(self, incident: Incident) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO incidents (at_ms, kind, what) VALUES (?, ?, ?)",
            (incident.at_ms, incident.kind, incident.what),
        ).fetchall()

    def last_probes(self, since_ms: int) -> list[Probe]:
        """The newest probe of each origin, of those since."""
        rows = self._db.execute(
            "SELECT max(at_ms), origin, store, micros, failed FROM probes WHERE at_ms >= ?"
            " GROUP BY origin",
            (since_ms,),
        )
        return [Probe(*row) for row in rows]

    def incidents(self, start_ms: int, stop_ms: int) -> list[Incident]:
        rows = self._db.execute(
            "SELECT at_ms, kind, what FROM incidents WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms",
            (start_ms, stop_ms),
        )
        return [Incident(*row) for row in rows]

    def last_incident_ms(self, kind: str) -> int:
        """When the newest of a kind was; 0: never."""
        at_ms: int | None = self._db.execute(
            "SELECT max(at_ms) FROM incidents WHERE kind = ?", (kind,)
        ).get
        return at_ms or 0

    def month(self, month: str, now_ms: int) -> dict[str, Any]:
        """How a month ("2026-11") was, as far as it has gone: all stores, and each.

        Of a minute that was written down as one in which the node served, the part that was bad is
        the greatest of: the share of a store's requests that failed, the share of its probes that
        failed. Of any other it is the whole. Raises ValueError for what is no month.
        """
        start, stop = _minutes_of(month)
        first: int | None = self._db.execute("SELECT min(minute) FROM minutes").get
        start = max(start, first) if first is not None else stop
        stop = min(stop, now_ms // MINUTE_MS)
        serving: set[int] = {
            row[0]
            for row in self._db.execute(
                "SELECT minute FROM minutes WHERE serving AND minute >= ? AND minute < ?",
                (start, stop),
            )
        }
        bad = self._bad(start, stop)
        gone = max(0, stop - start) - len(serving)
        stores = self._stores(start, stop)
        total = _verdict(start, stop, gone, serving, bad.get("", {}))
        incidents = self.incidents(start * MINUTE_MS, stop * MINUTE_MS + MINUTE_MS)
        return {
            "month": month,
            "target": TARGET,
            **total,
            "incidents": [
                {"at_ms": one.at_ms, "kind": one.kind, "what": one.what} for one in incidents
            ],
            "stores": [
                {
                    "store": store,
                    "requests": counted.requests,
                    "failed": counted.failed,
                    **_verdict(start, stop, gone, serving, bad.get(store, {})),
                }
                for store, counted in sorted(stores.items())
            ],
        }

    def _stores(self, start: int, stop: int) -> dict[str, Outcome]:
        rows: Any = self._db.execute(
            "SELECT store, sum(requests), sum(failed) FROM outcomes"
            " WHERE minute >= ? AND minute < ? GROUP BY store",
            (start, stop),
        )
        return {store: Outcome(requests, failed) for store, requests, failed in rows}

    def _bad(self, start: int, stop: int) -> dict[str, dict[int, float]]:
        """By store ("": all together) the minutes that were bad, and how much of each was."""
        bad: dict[str, dict[int, float]] = {}
        rows: Any = self._db.execute(
            "SELECT minute, store, requests, failed FROM outcomes AS one WHERE minute >= ?1 AND"
            " minute < ?2 AND failed > 0 UNION ALL SELECT minute, '', sum(requests), sum(failed)"
            " FROM outcomes WHERE minute >= ?1 AND minute < ?2 GROUP BY minute"
            " HAVING sum(failed) > 0",
            (start, stop),
        )
        for minute, store, requests, failed in rows:
            bad.setdefault(store, {})[minute] = failed / requests
        probed: Any = self._db.execute(
            "SELECT at_ms / ?3, store, avg(failed <> '') FROM probes"
            " WHERE at_ms >= ?1 * ?3 AND at_ms < ?2 * ?3 GROUP BY 1, 2"
            " HAVING avg(failed <> '') > 0",
            (start, stop, MINUTE_MS),
        )
        for minute, store, share in probed:
            for whose in {store, ""}:
                minutes = bad.setdefault(whose, {})
                minutes[minute] = max(minutes.get(minute, 0.0), share)
        return bad


def _verdict(
    start: int, stop: int, gone: int, serving: set[int], bad: Mapping[int, float]
) -> dict[str, Any]:
    minutes = max(0, stop - start)
    down = gone + sum(share for minute, share in bad.items() if minute in serving)
    # Cut, not rounded: a target that was missed by a hair was missed.
    millionths = 1_000_000 if not minutes else int((1 - down / minutes) * 1_000_000)
    return {
        "availability": f"{millionths // 10_000}.{millionths % 10_000:04d}",
        "minutes": minutes,
        "minutes_down": round(down, 3),
        "met": millionths >= float(TARGET) * 10_000,
    }


def month_of(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m")


def _minutes_of(month: str) -> tuple[int, int]:
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    after = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return int(start.timestamp()) // 60, int(after.timestamp()) // 60
