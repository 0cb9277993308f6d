"""What a process that answers S3 counts of every finished request: a handful of additions in its
page, at places that are looked up once."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from coffre.s3.services import Event, Ledger
from coffre.service.observing.page import Page
from coffre.service.observing.table import OTHER, REQUEST_BOUNDS

# More operations and codes than there are: what a client makes up does not make series.
_MOST_OPERATIONS: Final = 512
_MOST_CODES: Final = 512
_HUNDREDS: Final = 10
OK: Final = 0
REFUSED: Final = 1
FAILED: Final = 2
OUTCOMES: Final = ("ok", "refused", "failed")


def outcome_of(status: int, error: str) -> int:
    """Whose the fault is: a `SlowDown` is the caller's own pace, and 5xx is the node's; so is an
    answer that broke off."""
    if status >= 500:
        return REFUSED if error == "SlowDown" else FAILED
    if error == "ResponseInterrupted":
        return FAILED
    return REFUSED if status >= 400 else OK


class Counting:
    """The `Ledger` of one process. Called on its loop alone."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._cells = page.cells
        self._received = page.place("coffre_received_bytes_total")
        self._sent = page.place("coffre_sent_bytes_total")
        self._operations: dict[str, tuple[list[int], int]] = {}
        self._codes: dict[str, int] = {}
        self._stores: dict[str, tuple[int, ...]] = {}
        self._buckets: dict[tuple[str, str], tuple[int, ...]] = {}

    def __call__(self, event: Event) -> None:
        cells, status, received, sent = self._cells, event.status, event.bytes_in, event.bytes_out
        known = self._operations.get(event.operation)
        classes, first = self._operation(event.operation) if known is None else known
        cells[classes[status // 100] or self._status(event.operation, status)] += 1.0
        cells[first + bisect_left(REQUEST_BOUNDS, event.seconds)] += 1.0
        cells[first + len(REQUEST_BOUNDS) + 1] += event.seconds
        cells[self._received] += received
        cells[self._sent] += sent
        code = event.error
        outcome = OK if status < 400 and not code else outcome_of(status, code)
        if code:
            cells[self._codes.get(code) or self._code(code)] += 1.0
        store = event.store
        if not store:
            return
        places = self._stores.get(store) or self._store(store)
        cells[places[outcome]] += 1.0
        cells[places[3]] += received
        cells[places[4]] += sent
        bucket = event.bucket
        if not bucket:
            return
        at = self._buckets.get((store, bucket)) or self._bucket(store, bucket, outcome)
        if at:
            cells[at[outcome]] += 1.0
            cells[at[3]] += received
            cells[at[4]] += sent

    def _operation(self, name: str) -> tuple[list[int], int]:
        shown = self._named(name)
        # By the status' hundreds, each made when there is one: 0 is no place for one of these.
        made = [0] * _HUNDREDS, self._page.place("coffre_request_seconds", shown)
        if shown is name:
            self._operations[name] = made
        return made

    def _status(self, operation: str, status: int) -> int:
        """The place of an operation's answers with so many hundreds; a status of 0 was never sent,
        for its client had left."""
        hundred = status // 100
        told = f"{hundred}xx" if hundred else "none"
        cell = self._page.place("coffre_requests_total", self._named(operation), told)
        if operation in self._operations:
            self._operations[operation][0][hundred] = cell
        return cell

    def _named(self, operation: str) -> str:
        few = len(self._operations) < _MOST_OPERATIONS
        return operation if few or operation in self._operations else OTHER

    def _code(self, code: str) -> int:
        shown = code if len(self._codes) < _MOST_CODES else OTHER
        cell = self._page.place("coffre_errors_total", shown)
        if shown is code:
            self._codes[code] = cell
        return cell

    def _store(self, store: str) -> tuple[int, ...]:
        shown = OTHER if self._page.is_full() else store
        made = self._places("store", shown)
        self._stores[store] = made
        return made

    def _bucket(self, store: str, bucket: str, outcome: int) -> tuple[int, ...]:
        """Only a request that went well makes series for a bucket: anybody can name one that is
        not there."""
        if outcome != OK:
            return ()
        full = self._page.is_full()
        made = self._places("bucket", *((OTHER, OTHER) if full else (store, bucket)))
        if not full:
            self._buckets[store, bucket] = made
        return made

    def _places(self, per: str, *labels: str) -> tuple[int, ...]:
        place = self._page.place
        return (
            *(place(f"coffre_{per}_requests_total", *labels, outcome) for outcome in OUTCOMES),
            place(f"coffre_{per}_received_bytes_total", *labels),
            place(f"coffre_{per}_sent_bytes_total", *labels),
        )


def all_told(*ledgers: Ledger) -> Ledger:
    """One `Ledger` that tells each of these."""
    if len(ledgers) == 1:
        return ledgers[0]

    def tell(event: Event) -> None:
        for ledger in ledgers:
            ledger(event)

    return tell
