"""A node with a console for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.protocol.console.page_world import World, open_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("pages")) as world:
        yield world
