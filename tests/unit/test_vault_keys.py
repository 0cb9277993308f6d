"""Keys: derived or wrapped by one root key whose id tells a wrong one at once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from coffre.system.entropy import SeededEntropy
from coffre.vault.keys import (
    RootKey,
    WrongKey,
    create_root_key,
    load_root_key,
    unwrap_key,
    wrap_key,
)


def test_a_root_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    made = create_root_key(str(path), SeededEntropy(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_root_key(str(path)) == made
    assert len(made.id) == 8


def test_a_root_key_is_never_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "root.key")
    made = create_root_key(path, SeededEntropy(1))
    with pytest.raises(FileExistsError):
        create_root_key(path, SeededEntropy(2))
    assert load_root_key(path) == made


@pytest.mark.parametrize("damage", ["digit", "short", "word", "empty"])
def test_an_altered_key_file_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "root.key"
    create_root_key(str(path), SeededEntropy(1))
    text = path.read_text()
    swapped = "1" if text[30] != "1" else "2"
    altered = {
        "digit": text[:30] + swapped + text[31:],
        "short": text[:60],
        "word": text.replace("coffre-root-key-1", "coffre-root-key-9"),
        "empty": "",
    }[damage]
    path.write_text(altered)
    with pytest.raises(WrongKey):
        load_root_key(str(path))


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
