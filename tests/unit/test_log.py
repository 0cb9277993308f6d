"""The log's record: its bytes, its chain, its cipher."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.catalog.log import (
    GENESIS_HASH,
    Membership,
    Position,
    Record,
    RecordCipher,
    RecordDamaged,
    RecordKind,
    RecordTooNew,
    decode,
    decode_membership,
    encode,
    encode_membership,
)
from coffre.vault.keys import RootKey

ROOT = RootKey(bytes(range(32)))
CHUNK = bytes.fromhex("0001") + bytes(range(14))
GOLDEN = Path(__file__).parent.parent / "golden" / "log-record-1.bin"
EXAMPLE = Record(
    epoch=3,
    sequence=41,
    previous=hashlib.sha256(b"record 40").digest(),
    schema_version=1,
    kind=RecordKind.CHANGESET,
    columns={"versions": 18, "manifests": 6},
    changes=2,
    body=b"a changeset " * 1000,
)

records = st.builds(
    Record,
    epoch=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**64 - 1),
    previous=st.binary(min_size=32, max_size=32),
    schema_version=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([*RecordKind, "of a later version"]),
    columns=st.dictionaries(
        st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=60),
        st.integers(0, 2**16 - 1),
        max_size=20,
    ),
    changes=st.integers(0, 2**32 - 1),
    body=st.one_of(st.binary(max_size=300), st.binary(max_size=20).map(lambda b: b * 900)),
)


@given(records)
def test_a_record_reads_back_as_written(record: Record) -> None:
    encoded = encode(record)
    assert decode(encoded.plain) == record
    assert encoded.position == Position(record.sequence, hashlib.sha256(encoded.plain).digest())


@given(records, st.binary(min_size=16, max_size=16))
def test_a_sealed_record_opens_in_its_own_place_only(record: Record, chunk: bytes) -> None:
    encoded = encode(record)
    sealed = RecordCipher(ROOT, chunk).seal(encoded)
    cipher = RecordCipher(ROOT, chunk)
    place = record.epoch, record.sequence
    assert cipher.open(sealed, *place) == (record, encoded.position)
    assert cipher.link(sealed, *place) == (record.previous, encoded.position)
    other_place = (record.epoch ^ 1, record.sequence), (record.epoch, record.sequence ^ 1)
    for epoch, sequence in other_place:
        with pytest.raises(RecordDamaged):
            cipher.open(sealed, epoch, sequence)
    with pytest.raises(RecordDamaged):
        RecordCipher(ROOT, bytes(15) + b"x").open(sealed, record.epoch, record.sequence)
    with pytest.raises(RecordDamaged):
        RecordCipher(RootKey(bytes(32)), chunk).open(sealed, record.epoch, record.sequence)


@given(records, st.data())
def test_a_changed_or_cut_record_is_noticed(record: Record, data: st.DataObject) -> None:
    sealed = bytearray(RecordCipher(ROOT, CHUNK).seal(encode(record)))
    at = data.draw(st.integers(0, len(sealed) - 1))
    cut = bytes(sealed[:at])
    sealed[at] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(sealed), cut):
        with pytest.raises(RecordDamaged):
            RecordCipher(ROOT, CHUNK).open(damaged, record.epoch, record.sequence)


@given(records, st.data())
def test_plaintext_that_was_cut_does_not_parse(record: Record, data: st.DataObject) -> None:
    plain = encode(record).plain
    with pytest.raises(RecordDamaged):
        decode(plain[: data.draw(st.integers(0, len(plain) - 1))])


def test_a_record_that_ends_inside_its_kind_does_not_parse() -> None:
    plain = encode(Record(1, 1, bytes(32), 1, RecordKind.VOID)).plain
    with pytest.raises(RecordDamaged):
        decode(plain[:-1])


def test_a_body_that_expands_past_its_stated_length_is_damage() -> None:
    plain = bytearray(encode(EXAMPLE).plain)
    plain[64:68] = (100).to_bytes(4, "big")
    with pytest.raises(RecordDamaged):
        decode(bytes(plain))


def test_a_later_format_is_refused_by_name() -> None:
    plain = bytearray(encode(EXAMPLE).plain)
    plain[4] = 2
    with pytest.raises(RecordTooNew):
        decode(bytes(plain))


def test_the_hash_covers_the_head_so_a_chain_has_one_order() -> None:
    first = encode(Record(1, 1, GENESIS_HASH, 1, RecordKind.VOID))
    again = encode(Record(2, 1, GENESIS_HASH, 1, RecordKind.VOID))
    assert first.position.hash != again.position.hash


def test_large_bodies_are_stored_smaller() -> None:
    assert len(encode(EXAMPLE).plain) < len(EXAMPLE.body) / 10


def test_a_membership_says_who_left() -> None:
    membership = Membership("aa", "bb", ("cc",))
    assert decode_membership(encode_membership(membership)) == membership


def test_the_golden_record_of_format_1_is_read_for_ever() -> None:
    """The file was written by the first version: it is never written again."""
    record, position = RecordCipher(ROOT, CHUNK).open(GOLDEN.read_bytes(), 3, 41)
    assert record == EXAMPLE
    assert position.hash.hex() == (
        "385774413a53a3e06257fe74959711439d1bbca36c1ccbb0742b48b76c162700"
    )
