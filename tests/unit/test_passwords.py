"""Passwords: which are taken, and how they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.iam import passwords
from coffre.iam.passwords import (
    WeakPassword,
    check_password,
    hash_password,
    is_dated,
    new_password,
    password_matches,
)
from coffre.system.entropy import SeededEntropy

ENTROPY = SeededEntropy(1)


def test_a_hash_is_argon2id_with_64_mib_and_three_passes() -> None:
    stored = hash_password("a password of mine", ENTROPY)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert password_matches("a password of mine", stored)
    assert not password_matches("a password of mina", stored)
    assert not is_dated(stored)


@pytest.mark.parametrize("stored", ["", "plain", "$argon2id$v=19$m=65536,t=3,p=1$", "$2b$12$x"])
def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    assert not password_matches("", stored)
    assert is_dated(stored) or not password_matches("x", stored)


def test_weaker_hashes_of_before_are_dated(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(passwords, "MEMORY_KIB", 1024)
        stored = hash_password("a password of mine", ENTROPY)
    assert password_matches("a password of mine", stored)
    assert is_dated(stored)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "aaaaaaaaaaaaaaaa",
        "passwordpassword",
        "P@ssw0rd123456!",
        "123456789012345",
        "qwertyuiop123",
        "abcdefghijklmnop",
        "motdepasse2026!",
        "x" * 1025,
        "é" * 600,
        "annette1234567",
    ],
)
def test_what_is_guessed_first_is_no_password(password: str) -> None:
    with pytest.raises(WeakPassword):
        check_password(password, "annette", "annette@example.com")


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "Tr0ub4dor&3 is old", "ein sehr langer Satz", "пароль-из-слов"],
)
def test_a_sentence_is_a_password(password: str) -> None:
    check_password(password, "ann", "")


@given(st.integers(0, 10**6))
def test_what_is_made_here_is_taken_here(seed: int) -> None:
    made = new_password(SeededEntropy(seed))
    assert len(made) == 24
    check_password(made, "operator")
