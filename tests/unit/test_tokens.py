from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coffre.wire import tokens
from coffre.wire.errors import S3Error


@given(st.binary())
def test_a_token_gives_its_value_back(value: bytes) -> None:
    assert tokens.decode("objects", tokens.encode("objects", value)) == value


@given(st.binary())
def test_a_token_travels_in_a_query_as_it_is(value: bytes) -> None:
    token = tokens.encode("objects", value)
    assert token.replace("-", "").replace("_", "").isalnum()


@given(st.binary(max_size=40), st.data())
def test_a_token_changed_in_one_place_is_refused(value: bytes, data: st.DataObject) -> None:
    token = tokens.encode("objects", value)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABab01-_=+/ é").filter(lambda one: one != token[place]))
    with pytest.raises(S3Error) as caught:
        tokens.decode("objects", token[:place] + other + token[place + 1 :])
    assert caught.value.message == "The continuation token provided is incorrect"


@given(st.text())
def test_no_invented_token_is_taken(token: str) -> None:
    with pytest.raises(S3Error, match="InvalidArgument"):
        tokens.decode("objects", token)


def test_a_token_of_one_listing_is_refused_by_another() -> None:
    with pytest.raises(S3Error):
        tokens.decode("buckets", tokens.encode("objects", b"a"))


@pytest.mark.parametrize("change", [lambda t: t + "=", lambda t: t[:-1], lambda t: t + "AAAA"])
def test_a_token_padded_cut_or_grown_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(S3Error):
        tokens.decode("objects", change(tokens.encode("objects", b"key")))
