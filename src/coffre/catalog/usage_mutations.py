"""Mutations of metering and prices. They are part of `coffre.catalog.mutations`, which says what a
mutation is."""

from __future__ import annotations

from msgspec import Struct

from coffre.catalog.usage_records import Flow, Price


class Requests(Struct, frozen=True, array_like=True):
    """What was asked of a bucket, or (`bucket_id` is b"") of a store beside any."""

    store_id: bytes
    bucket_id: bytes
    flow: Flow


class CountRequests(Struct, frozen=True, tag=True):
    """Count requests in the period of the group that takes them. Those of a bucket that is gone are
    its store's; those of a store that is gone are nobody's."""

    counted: tuple[Requests, ...]


class CloseUsage(Struct, frozen=True, tag=True):
    """Keep what was counted in periods that are over, `limit_rows` meters at most. Once none is
    left, all that ended so far is closed. Answers `Reaped`."""

    limit_rows: int = 200


class PruneUsage(Struct, frozen=True, tag=True):
    """Forget samples and hours that began before `samples_ms` and `hours_ms`, of one meter, and
    `limit_rows` of each at most. Answers `Reaped`."""

    scope_id: bytes
    storage_class: str
    samples_ms: int
    hours_ms: int
    limit_rows: int = 500


class SetPrices(Struct, frozen=True, tag=True):
    """Prices from a month on, replacing such as were set for that same month; "" takes one away.
    Refused: PriceInForce, where a month that is over has a price already."""

    prices: tuple[Price, ...]


UsageMutation = CountRequests | CloseUsage | PruneUsage | SetPrices
