"""Tokens of sessions: opened by whoever has the root key, and by nobody otherwise."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.iam.sessions import BadToken, Session, Sessions
from coffre.system.entropy import SeededEntropy
from coffre.vault.keys import RootKey, UnknownRootKey

SESSION = Session(
    b"store", "CFKEY", "AROAX", "name", 1000, 2000, (b"{}",), ("ANPAX",), (("aws:x", "y"),)
)


class SeveralKeys:
    """Root keys as `root.key` holds them: the current one first."""

    def __init__(self, *keys: RootKey) -> None:
        self.keys = list(keys)

    @property
    def current(self) -> RootKey:
        return self.keys[0]

    def by_id(self, key_id: bytes) -> RootKey:
        for key in self.keys:
            if key.id == key_id:
                return key
        raise UnknownRootKey(key_id)


OLD, NEW = RootKey(b"o" * 32), RootKey(b"n" * 32)


def sessions(*keys: RootKey) -> Sessions:
    return Sessions(SeveralKeys(*keys), SeededEntropy(1))


def test_a_session_is_opened_by_every_process_that_has_the_root_key() -> None:
    made = sessions(OLD).start(SESSION)
    assert sessions(OLD).open(made.access_key, made.token) == (SESSION, made.secret)
    assert len(made.access_key) == 20
    assert len(made.secret) == 40


def test_no_two_sessions_share_key_secret_or_token() -> None:
    ours = sessions(OLD)
    made = [ours.start(SESSION) for _ in range(100)]
    for field in ("access_key", "secret", "token"):
        assert len({getattr(one, field) for one in made}) == len(made)


def test_a_session_outlives_a_new_root_key_and_ends_when_its_own_is_removed() -> None:
    keys = SeveralKeys(OLD)
    made = Sessions(keys, SeededEntropy(1)).start(SESSION)
    assert sessions(NEW, OLD).open(made.access_key, made.token)[0] == SESSION
    with pytest.raises(BadToken):
        sessions(NEW).open(made.access_key, made.token)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_token_can_be_changed(at: int, bit: int) -> None:
    ours = sessions(OLD, NEW)
    made = ours.start(SESSION)
    raw = bytearray(base64.b64decode(made.token))
    raw[at % len(raw)] ^= 1 << bit
    with pytest.raises(BadToken):
        ours.open(made.access_key, base64.b64encode(raw).decode())


@given(token=st.one_of(st.text(max_size=300), st.binary(max_size=200).map(base64.b64encode)))
def test_whatever_is_no_token_is_told_apart(token: str | bytes) -> None:
    text = token.decode() if isinstance(token, bytes) else token
    with pytest.raises(BadToken):
        sessions(OLD).open("ASIAX", text)


def test_a_token_opens_with_its_own_access_key_alone() -> None:
    ours = sessions(OLD)
    one, two = ours.start(SESSION), ours.start(SESSION)
    with pytest.raises(BadToken):
        ours.open(two.access_key, one.token)


def test_what_is_kept_is_bounded_and_its_loss_is_not_noticed() -> None:
    ours = Sessions(SeveralKeys(OLD), SeededEntropy(1), limit=3)
    made = [ours.start(SESSION) for _ in range(10)]
    for _ in range(2):
        for one in made:
            assert ours.open(one.access_key, one.token) == (SESSION, one.secret)
    assert len(ours._opened) == 3
