"""Who may see what at /metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from coffre.config import Settings
from coffre.service.layout import DataFolder, StartRefused
from coffre.service.observing.app import Observing, observing
from coffre.service.observing.gathering import Gatherer
from coffre.service.observing.health import Health
from coffre.system.clock import ManualClock, SystemClock

HERE, THERE = ("127.0.0.1", 5), ("192.0.2.9", 5)


class Ill(Health):
    """A node with a problem, or without."""

    def __init__(self, *problems: str) -> None:
        self._problems = list(problems)

    async def problems(self) -> list[str]:
        return self._problems


async def ask(
    application: Observing,
    path: str,
    client: tuple[str, int] = HERE,
    headers: dict[str, str] | None = None,
    method: str = "GET",
) -> tuple[int, str, str]:
    """Status, content type and body of an answer."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    told = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "headers": told, "client": client}
    await application(scope, receive, send)
    kind = dict(sent[0]["headers"])[b"content-type"].decode()
    return sent[0]["status"], kind, sent[1]["body"].decode()


@pytest.fixture
def gatherer(tmp_path: Path) -> Gatherer:
    return Gatherer(tmp_path, ManualClock().monotonic, 10)


async def test_anybody_may_ask_whether_it_lives(gatherer: Gatherer) -> None:
    application = Observing(gatherer, Ill("drives are away"), b"")
    assert (await ask(application, "/healthz", THERE))[0] == 200


async def test_why_it_is_not_ready_is_for_who_may_know(gatherer: Gatherer) -> None:
    application = Observing(gatherer, Ill("drives are away"), b"t0ken")
    assert await ask(application, "/readyz", THERE) == (
        503,
        "text/plain; charset=utf-8",
        "not ready\n",
    )
    for client, headers in ((HERE, {}), (THERE, {"authorization": "Bearer t0ken"})):
        status, _, body = await ask(application, "/readyz", client, headers)
        assert (status, body) == (503, "not ready\ndrives are away\n")
    assert (await ask(Observing(gatherer, Ill(), b""), "/readyz", THERE))[0] == 200


@pytest.mark.parametrize(
    ("client", "headers", "status"),
    [
        (HERE, {}, 200),
        (("::1", 5), {}, 200),
        (THERE, {}, 401),
        (THERE, {"authorization": "Bearer t0ken"}, 200),
        (THERE, {"authorization": "bearer t0ken"}, 200),
        (THERE, {"authorization": "Bearer t0kem"}, 401),
        (THERE, {"authorization": "Basic t0ken"}, 401),
        # A proxy on this machine passes on what comes from anywhere.
        (HERE, {"x-forwarded-for": "192.0.2.9"}, 401),
        (HERE, {"forwarded": "for=192.0.2.9"}, 401),
        # A wrong token is not made right by where it comes from.
        (HERE, {"authorization": "Bearer t0kem"}, 401),
    ],
)
async def test_figures_are_for_this_machine_or_for_who_has_the_token(
    gatherer: Gatherer, client: tuple[str, int], headers: dict[str, str], status: int
) -> None:
    application = Observing(gatherer, Ill(), b"t0ken")
    assert (await ask(application, "/metrics", client, headers))[0] == status


async def test_without_a_token_no_token_opens(gatherer: Gatherer) -> None:
    application = Observing(gatherer, Ill(), b"")
    assert (await ask(application, "/metrics", THERE, {"authorization": "Bearer "}))[0] == 401


async def test_the_text_comes_as_it_is_asked_for(gatherer: Gatherer) -> None:
    application = Observing(gatherer, Ill(), b"")
    _, plain, body = await ask(application, "/metrics")
    assert plain.startswith("text/plain; version=0.0.4")
    assert not body.endswith("# EOF\n")
    accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    _, openmetrics, body = await ask(application, "/metrics", headers=accept)
    assert openmetrics.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


async def test_what_it_does_not_know_goes_to_who_stands_behind_it(gatherer: Gatherer) -> None:
    seen: list[str] = []

    async def inner(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"page"})

    before = Observing(gatherer, Ill(), b"", inner)
    assert (await ask(before, "/stores"))[2] == "page"
    assert (await ask(before, "/healthz"))[2] == "alive\n"
    assert seen == ["/stores"]
    alone = Observing(gatherer, Ill(), b"")
    assert (await ask(alone, "/stores"))[0] == 404
    assert (await ask(alone, "/metrics", method="POST"))[0] == 405


def test_a_token_file_that_says_nothing_starts_nothing(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    (tmp_path / "token").write_text(" \n")
    for name in ("token", "missing"):
        with pytest.raises(StartRefused, match="metrics_token_file"):
            observing(Settings(metrics_token_file=str(tmp_path / name)), folder, SystemClock())
