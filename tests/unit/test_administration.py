"""What an operator is told where no steward runs, or runs just now."""

from __future__ import annotations

from typing import Any

import pytest

from coffre.service.administration import Administration, Invalid
from coffre.service.node import Node, NoStewards


class Deserted(Node):
    """A node whose stewards are being started again."""

    def status(self) -> dict[str, Any]:
        return {}

    def drive_list(self) -> list[dict[str, Any]]:
        return []

    async def seal_now(self) -> dict[str, Any]:
        raise NoStewards


@pytest.mark.parametrize("operation", ["seal.now", "repair.start"])
async def test_what_takes_stewards_says_so_where_none_run(operation: str) -> None:
    with pytest.raises(Invalid, match="no steward runs") as refused:
        await Administration(Deserted()).call(operation, {})
    assert refused.value.code == "NoStewards"
