"""Destinations of events: what they refuse tells no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from coffre.config import Destination
from coffre.service.delivery_routes import Destinations
from coffre.stewards.outages import Undelivered


@pytest.mark.parametrize("content", [b"", b"s3cr3t\nmore", b"s3cr3t\xff"])
async def test_a_token_that_no_header_may_hold_is_not_repeated(
    tmp_path: Path, content: bytes
) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)
    hook = Destination("ci", "webhook", "http://127.0.0.1:9/hook", token_file=str(token))
    with pytest.raises(Undelivered, match="does not hold one token") as refused:
        await Destinations([hook]).send("ci", b"{}")
    assert "s3cr3t" not in str(refused.value)
