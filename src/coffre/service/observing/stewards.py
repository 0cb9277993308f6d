"""What the stewards' process shows: stewards, what is below target, what stores hold, lags."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from coffre.catalog.interface import Reader
from coffre.service.observing.publishing import Gauge, Observed, gauge
from coffre.stewards.expirer import behind_s, lag_s
from coffre.stewards.repairer import Repairer
from coffre.stewards.runner import Runner
from coffre.system.clock import Clock
from coffre.vault.records import ChunkState

_LOOK_EVERY_S = 5.0
_ROWS_EVERY_S = 30.0
_AUDIT_EVERY_S = 10.0


def show_stewards(
    observed: Observed,
    runner: Runner,
    repairer: Repairer,
    clock: Clock,
    reader: Reader,
    own_reader: Callable[[], Reader],
) -> None:
    """Have the stewards' gauges shown from now on; `own_reader` opens one for a thread."""
    observed.collect(lambda: _standings(runner, clock))
    observed.collect(lambda: _lags(reader, clock))
    observed.collect_apart(lambda: _below(repairer), _LOOK_EVERY_S)
    # One look at a time: of each the reader is one thread's at a time.
    stores, audit = own_reader(), own_reader()
    observed.collect_apart(lambda: _rows(stores), _ROWS_EVERY_S)
    observed.collect_apart(lambda: _audit(audit, clock), _AUDIT_EVERY_S)


def _standings(runner: Runner, clock: Clock) -> Iterator[Gauge]:
    now_ms = clock.now_ms()
    for one in runner.standings():
        yield gauge(1, "coffre_steward_state", one.name, one.state)
        yield gauge(one.rate, "coffre_steward_bytes_per_second", one.name)
        yield gauge(one.rounds, "coffre_steward_rounds", one.name)
        if one.left is not None:
            yield gauge(one.left, "coffre_steward_left", one.name, one.unit)
        if one.last_round_ms is not None:
            age = max(0, now_ms - one.last_round_ms) / 1000
            yield gauge(age, "coffre_steward_round_age_seconds", one.name)


def _below(repairer: Repairer) -> Iterator[Gauge]:
    look = repairer.look
    if look is None:
        return
    yield gauge(len(look.below), "coffre_below_target_chunks")
    yield gauge(len(look.jobs), "coffre_below_target_segments")
    yield gauge(len(repairer.stuck), "coffre_stuck_segments")
    unreadable = {job.chunk.id for job in look.jobs if job.spare < 0}
    yield gauge(len(unreadable), "coffre_unreadable_chunks")


def _lags(reader: Reader, clock: Clock) -> Iterator[Gauge]:
    yield gauge(lag_s(reader, clock), "coffre_expiry_lag_seconds")
    yield gauge(behind_s(reader, clock), "coffre_clock_behind_seconds")
    waiting = reader.unsealed_chunks()
    for state in (ChunkState.OPEN, ChunkState.SEALING, ChunkState.CONDEMNED):
        count = sum(chunk.state is state for chunk in waiting)
        yield gauge(count, "coffre_unsealed_chunks", state.value)
    behind = sum(chunk.length for chunk in waiting if chunk.state is ChunkState.SEALING)
    yield gauge(behind, "coffre_sealing_backlog_bytes")


def _rows(reader: Reader) -> Iterator[Gauge]:
    for store in reader.stores():
        buckets, objects, size = reader.store_usage(store.id)
        yield gauge(buckets, "coffre_store_buckets", store.name)
        yield gauge(objects, "coffre_store_objects", store.name)
        yield gauge(size, "coffre_store_bytes", store.name)


def _audit(reader: Reader, clock: Clock) -> Iterator[Gauge]:
    head, horizon, trail = reader.audit_head(), reader.audit_horizon(), reader.audit_trail()
    packed = sum(segment.records for segment in trail.segments)
    yield gauge(head.sequence, "coffre_audit_sequence")
    yield gauge(head.records - horizon.records - packed, "coffre_audit_unpacked_records")
    oldest_ms = trail.batches[0].first_ms if trail.batches else clock.now_ms()
    age = max(0, clock.now_ms() - oldest_ms) / 1000
    yield gauge(age, "coffre_audit_unpacked_seconds")
    for target in reader.audit_targets():
        behind = head.sequence - target.sequence
        yield gauge(behind, "coffre_audit_target_behind_batches", target.name)
