"""Signing in by an issuer's word: begun here, for somebody who is known, once."""

from __future__ import annotations

import pytest

from coffre.console.api.problem import Problem
from coffre.console.console import Console
from coffre.console.signed import Where
from coffre.console.signin import local_path
from tests.unit.console.world import World

BACK = "https://console.example:9001/signin/issuer/back"
WHERE = Where("192.0.2.1", "tests", "0")


def console(world: World) -> Console:
    found: Console = world.app._app.state.console  # type: ignore[attr-defined]
    return found


async def known(world: World) -> None:
    await world.operate(
        "person.create",
        name="ann",
        tenant="one",
        issuer="https://id.example",
        subject="somebody",
    )


async def test_whom_an_issuer_vouches_for_is_signed_in_and_goes_where_they_wanted(
    world: World,
) -> None:
    await known(world)
    sign_in = console(world).sign_in
    address, half = await sign_in.ask_issuer("house", BACK, "/stores/one")
    assert address.startswith("https://id.example/")
    whole, then = await sign_in.by_issuer(half, half, "right", BACK, WHERE)
    assert (whole.person.name, then) == ("ann", "/stores/one")
    assert console(world).sessions.find(whole.token, WHERE) is not None


async def test_an_answer_is_taken_once_from_the_browser_that_asked(world: World) -> None:
    await known(world)
    sign_in = console(world).sign_in
    _, half = await sign_in.ask_issuer("house", BACK)
    for other, state in ((half, "another"), ("another", half), ("", "")):
        with pytest.raises(Problem, match="NotSignedIn"):
            await sign_in.by_issuer(other, state, "right", BACK, WHERE)
    await sign_in.by_issuer(half, half, "right", BACK, WHERE)
    with pytest.raises(Problem, match="NotSignedIn"):
        await sign_in.by_issuer(half, half, "right", BACK, WHERE)


@pytest.mark.parametrize("what", ["code", "nonce", "subject", "locked"])
async def test_nobody_else_is_signed_in(world: World, what: str) -> None:
    await known(world)
    sign_in = console(world).sign_in
    _, half = await sign_in.ask_issuer("house", BACK)
    if what == "nonce":
        world.issuer.nonce = "of another asking"
    elif what == "subject":
        world.issuer.subject = "somebody else"
    elif what == "locked":
        await world.operate("person.set", name="ann", status="locked")
    code = "wrong" if what == "code" else "right"
    with pytest.raises(Problem, match="WrongPassword"):
        await sign_in.by_issuer(half, half, code, BACK, WHERE)


async def test_an_issuer_that_is_away_or_unknown_is_told(world: World) -> None:
    with pytest.raises(Problem, match="Unavailable"):
        await console(world).sign_in.ask_issuer("other", BACK)


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "", "/a b"],
)
def test_nobody_is_sent_to_another_site(path: str) -> None:
    assert local_path(path) == "/"
