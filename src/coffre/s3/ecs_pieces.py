"""Objects that were written to in places: their bytes as pieces of other manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from coffre.catalog.records import Manifest, Piece

MOST_PIECES: Final = 10_000
MANY_PIECES: Final = 1000


def pieces_of(manifest: Manifest) -> tuple[Piece, ...]:
    """The object's bytes as pieces; one of itself, where it was never written to."""
    if manifest.pieces or not manifest.size:
        return manifest.pieces
    return (Piece(manifest.id, 0, manifest.size),)


def cut(pieces: Iterable[Piece], start: int, end: int) -> tuple[Piece, ...]:
    """Bytes start..end (end exclusive) of an object's pieces, as pieces."""
    return tuple(piece for piece, _ in placed(pieces, start, end))


def placed(pieces: Iterable[Piece], start: int, end: int) -> Iterator[tuple[Piece, int]]:
    """As `cut`, each with where it begins in the object."""
    at = 0
    for piece in pieces:
        low, high = max(start, at), min(end, at + piece.size)
        if low < high:
            yield Piece(piece.manifest_id, piece.start + low - at, high - low), low
        at += piece.size


def run_to_join(pieces: tuple[Piece, ...], most_bytes: int) -> tuple[int, int] | None:
    """First and last+1 of neighbours that are worth joining into one; None: none are.

    From the end back, a run takes in the piece before it while that is no larger than the run is
    by then: each byte is so copied once for every doubling, and what stays is in pieces that grow
    towards the front. No run is longer than `most_bytes`. Where that joins nothing and the pieces
    are many all the same, the run of that length with the most of them.
    """
    for last in range(len(pieces), 1, -1):
        first, size = last - 1, pieces[last - 1].size
        while (
            first and pieces[first - 1].size <= size and size + pieces[first - 1].size <= most_bytes
        ):
            first -= 1
            size += pieces[first].size
        if last - first > 1:
            return first, last
    return _longest_run(pieces, most_bytes) if len(pieces) > MANY_PIECES else None


def _longest_run(pieces: tuple[Piece, ...], most_bytes: int) -> tuple[int, int] | None:
    best, first, size = (0, 0), 0, 0
    for last, piece in enumerate(pieces, 1):
        size += piece.size
        while size > most_bytes:
            size -= pieces[first].size
            first += 1
        best = max(best, (first, last), key=lambda run: run[1] - run[0])
    return best if best[1] - best[0] > 1 else None
