"""Keys: derived or wrapped by one root key whose id tells a wrong one at once."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.system.entropy import SeededEntropy
from coffre.testing.disk import RecordingDisk
from coffre.vault.keys import (
    RootKey,
    RootKeyFile,
    UnknownRootKey,
    WrongKey,
    create_root_key,
    decode_root_keys,
    encode_root_keys,
    unwrap_key,
    wrap_key,
    write_root_keys,
)


def test_a_root_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    made = create_root_key(str(path), SeededEntropy(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert RootKeyFile(str(path)).all() == (made,)
    assert len(made.id) == 8


def test_a_root_key_is_never_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "root.key")
    made = create_root_key(path, SeededEntropy(1))
    with pytest.raises(FileExistsError):
        create_root_key(path, SeededEntropy(2))
    assert RootKeyFile(path).current == made


def test_the_file_of_one_key_is_read() -> None:
    key = RootKey(b"a" * 32)
    line = f"coffre-root-key-1 {key.secret.hex()} {key.id.hex()}\n".encode()
    assert decode_root_keys(line) == (key,)
    with pytest.raises(WrongKey):
        decode_root_keys(line[:60] + (b"1" if line[60:61] != b"1" else b"2") + line[61:])


@given(st.integers(1, 5), st.data())
def test_a_key_file_is_read_whole_or_not_at_all(count: int, data: st.DataObject) -> None:
    keys = tuple(RootKey(bytes([number]) * 32) for number in range(count))
    text = encode_root_keys(keys)
    assert decode_root_keys(text) == keys
    cut = data.draw(st.integers(0, len(text) - 2))
    bit = data.draw(st.integers(0, 8 * len(text) - 9))
    flipped = bytearray(text)
    flipped[bit // 8] ^= 1 << bit % 8
    for altered in (text[:cut], bytes(flipped)):
        with pytest.raises(WrongKey):
            decode_root_keys(altered)


def test_a_new_key_is_written_with_and_older_ones_still_open(tmp_path: Path) -> None:
    path = str(tmp_path / "root.key")
    old = create_root_key(path, SeededEntropy(1))
    file, elsewhere, another = RootKeyFile(path), RootKeyFile(path), RootKeyFile(path)
    new = RootKey(b"n" * 32)
    file.add(new)
    assert file.current == new
    assert file.by_id(old.id) == old
    assert stat.S_IMODE((tmp_path / "root.key").stat().st_mode) == 0o600
    # Another process, which read the file before: it finds the new key when something names it,
    # and when it writes.
    assert elsewhere.all() == (old,)
    assert elsewhere.by_id(new.id) == new
    assert another.current == new
    file.remove(old.id)
    assert RootKeyFile(path).all() == (new,)
    with pytest.raises(UnknownRootKey, match=old.id.hex()):
        file.by_id(old.id)
    with pytest.raises(ValueError, match="current"):
        file.remove(new.id)


def test_a_file_that_was_put_in_the_place_of_another_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    own = create_root_key(str(path), SeededEntropy(1))
    file = RootKeyFile(str(path))
    for content in (encode_root_keys((RootKey(b"x" * 32),)), b"", b"rubbish"):
        path.write_bytes(content)
        assert file.current == own
        with pytest.raises(UnknownRootKey):
            file.by_id(RootKey(b"x" * 32).id)
    path.unlink()
    assert file.current == own


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_change_of_the_file_leaves_all_of_the_old_one_or_all_of_the_new(seed: int) -> None:
    disk = RecordingDisk(["/data"])
    old, new = create_root_key("/data/root.key", SeededEntropy(1), disk), RootKey(b"n" * 32)
    made = len(disk.journal)
    RootKeyFile("/data/root.key", disk).add(new)
    chance = random.Random(seed)
    for at in range(made, len(disk.journal) + 1):
        found = RootKeyFile("/data/root.key", disk.image(at, chance)).all()
        assert found in ([(old,), (new, old)] if at < len(disk.journal) else [(new, old)])


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_restore_leaves_no_file_or_all_of_it(seed: int) -> None:
    disk, keys = RecordingDisk(["/data"]), (RootKey(b"n" * 32), RootKey(b"o" * 32))
    write_root_keys("/data/root.key", keys, disk)
    with pytest.raises(FileExistsError):
        write_root_keys("/data/root.key", keys, disk)
    chance = random.Random(seed)
    for at in range(len(disk.journal) + 1):
        left = disk.image(at, chance)
        if left.exists("/data/root.key"):
            assert RootKeyFile("/data/root.key", left).all() == keys
        else:
            assert at < len(disk.journal)
            write_root_keys("/data/root.key", keys, left)


def test_derived_keys_differ_by_root_purpose_and_context() -> None:
    root, other = RootKey(b"a" * 32), RootKey(b"b" * 32)
    keys = {
        root.derive("log", b"chunk-1"),
        root.derive("log", b"chunk-2"),
        root.derive("superblock"),
        other.derive("log", b"chunk-1"),
        root.secret,
    }
    assert len(keys) == 5
    assert root.derive("log", b"chunk-1") == RootKey(b"a" * 32).derive("log", b"chunk-1")


def test_a_wrapped_key_opens_with_its_own_root_key_alone() -> None:
    root = RootKey(b"a" * 32)
    wrapped = root.wrap(b"data-key" * 4)
    assert b"data-key" not in wrapped
    assert root.unwrap(wrapped) == b"data-key" * 4
    with pytest.raises(WrongKey):
        RootKey(b"b" * 32).unwrap(wrapped)
    with pytest.raises(WrongKey):
        root.unwrap(wrapped[:-1] + b"\0")


def test_wrapping_is_aes_kwp_of_rfc_5649() -> None:
    # RFC 5649, section 6: a 192-bit key encryption key and 20 bytes.
    kek = bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
    key = bytes.fromhex("c37b7e6492584340bed12207808941155068f738")
    wrapped = "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"
    assert wrap_key(kek, key).hex() == wrapped
    assert unwrap_key(kek, bytes.fromhex(wrapped)) == key


def test_a_root_key_does_not_show_itself() -> None:
    assert (b"a" * 32).hex() not in repr(RootKey(b"a" * 32))
    assert "aaaa" not in repr(RootKey(b"a" * 32))
