"""The entry of every child process: read the boot message, bind to the parent, run the role."""

from __future__ import annotations

import asyncio
import faulthandler
import importlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

import msgspec
import uvloop

from coffre.config import Settings
from coffre.service.child import Boot, Ready, say_ready
from coffre.service.journal import configure_logging
from coffre.service.layout import StartRefused
from coffre.service.lineage import die_with_parent
from coffre.service.machine import no_core_dumps

log = logging.getLogger("coffre.process")

Role = Callable[[Boot, Callable[[dict[str, object]], None], asyncio.Event], Awaitable[None]]


_ROLES = {
    "committer": "committing",
    "worker": "working",
    "steward": "stewarding",
    "follower": "following",
    "audit": "audit_process",
    "observer": "observing.process",
    "console": "console_process",
}
_LOWEST = 19


def _role(name: str) -> Role:
    # Each process imports only what its role needs: start-up time and memory are per process.
    module = importlib.import_module(f"coffre.service.{_ROLES[name]}")
    role: Role = module.run
    return role


async def _run(boot: Boot) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    told = False

    def ready(facts: dict[str, object]) -> None:
        nonlocal told
        told = True
        say_ready(boot, Ready(facts=facts))

    try:
        await _role(boot.role)(boot, ready, stop)
    except StartRefused as refusal:
        if told:
            raise
        say_ready(boot, Ready(refused=str(refusal)))
        sys.exit(2)


def main() -> None:
    """Run one role until told to stop."""
    faulthandler.enable()  # A crash in foreign code says where each thread was.
    # "Look at the certificate": for a worker, once it serves.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    boot = msgspec.json.decode(sys.stdin.buffer.read(), type=Boot)
    no_core_dumps()
    os.umask(0o077)  # What SQLite makes is the owner's alone, in whatever folder it lies.
    die_with_parent(boot.parent)
    if boot.role == "follower":
        os.nice(_LOWEST)  # Before the imports that its role needs: they are work too.
    settings = msgspec.convert(boot.settings, Settings, strict=False)
    process = boot.owner or boot.role
    configure_logging(settings.log_level, process=process, form=settings.log_format)
    try:
        uvloop.run(_run(boot))
    except Exception:
        log.exception("the %s process failed", boot.role)
        _leave(1)
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End without waiting for threads: one may be stuck on a drive that does not answer."""
    logging.shutdown()
    os._exit(code)


if __name__ == "__main__":
    main()
