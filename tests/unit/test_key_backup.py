"""Backups of root keys: one file under a passphrase, which says what it is without it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coffre.system.entropy import SeededEntropy
from coffre.vault.key_backup import BackupDamaged, open_backup, read_head, seal_backup
from coffre.vault.keys import RootKey, WrongKey

KEYS = (RootKey(b"n" * 32), RootKey(b"o" * 32))
CHEAP = 16


def sealed(passphrase: str = "pass", seed: int = 1) -> bytes:
    entropy = SeededEntropy(seed)
    return seal_backup(KEYS, passphrase, region="r", zone="z", made_ms=7, entropy=entropy, n=CHEAP)


BACKUP = sealed()


def test_a_backup_says_what_it_is_and_opens_with_its_passphrase() -> None:
    head = read_head(BACKUP)
    assert (head.region, head.zone, head.made_ms) == ("r", "z", 7)
    assert head.keys == tuple(key.id.hex() for key in KEYS)
    assert open_backup(BACKUP, "pass") == KEYS
    with pytest.raises(WrongKey):
        open_backup(BACKUP, "Pass")


def test_equal_keys_and_passphrases_make_unequal_backups() -> None:
    assert sealed(seed=1).splitlines()[1] != sealed(seed=2).splitlines()[1]


def test_no_key_stands_in_it() -> None:
    for key in KEYS:
        assert key.secret not in BACKUP
        assert key.secret.hex().encode() not in BACKUP


@settings(max_examples=60)
@given(st.integers(0, 8 * len(BACKUP) - 9))
def test_a_flipped_bit_is_noticed(bit: int) -> None:
    flipped = bytearray(BACKUP)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises((BackupDamaged, WrongKey)):
        open_backup(bytes(flipped), "pass")


@pytest.mark.parametrize("change", [{"n": 1 << 30}, {"n": 3}, {"p": 1 << 20}, {"r": 0}])
def test_a_cost_that_nobody_sets_is_refused_at_once(change: dict[str, int]) -> None:
    line, _, rest = BACKUP.partition(b"\n")
    head = msgspec.json.encode({**msgspec.json.decode(line), **change})
    with pytest.raises((BackupDamaged, WrongKey)):
        open_backup(head + b"\n" + rest, "pass")
