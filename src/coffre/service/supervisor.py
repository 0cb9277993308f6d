"""The supervisor: starts committer, steward, workers, console, what searches the audit and the
follower, each again if it ends.

It holds the folder's lock and the listening sockets, serves nothing itself, never touches data. A
committer that rebuilt the catalog file has all others replaced: they would keep reading the file
that is gone. One that does not end when told to is killed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from coffre.config import CONSOLE_PORT, Settings
from coffre.service.child import NO_DOORS, Child, ChildDied, Doors, start_child
from coffre.service.layout import StartRefused

log = logging.getLogger("coffre.supervisor")

BACKLOG = 1024
# A store that was made lately is in the local authority's certificate that much later.
_CERTIFY_EVERY_S = 60.0
_QUICK_DEATH_S = 1.0
_FIRST_BACKOFF_S = 0.1
_MAX_BACKOFF_S = 5.0
# How long who reads the catalog file that is gone may finish what is under way: all that it answers
# is as things were.
REPLACE_GRACE_S = 5.0
# What SIGKILL takes: a process that is stuck in the kernel is not waited for any longer.
KILL_GRACE_S = 10.0
# Those that accept connections, and own chunks that others leave alone while they live.
_SERVING = ("worker", "console")


def listen(host: str, port: int, count: int, setting: str = "COFFRE_PORT") -> list[socket.socket]:
    """`count` listening sockets on one TCP port (0: any free one): the kernel spreads connections
    over them, and each outlives the worker that accepts from it, with whatever waits in its queue.

    Raises StartRefused when somebody else listens there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listeners: list[socket.socket] = []
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without SO_REUSEPORT, so that even somebody who would share is noticed.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        for _ in range(count):
            listeners.append(socket.socket(family, socket.SOCK_STREAM))
            listeners[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listeners[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listeners[-1].bind((host, port))
            listeners[-1].listen(BACKLOG)
            listeners[-1].setblocking(False)
    except OSError as error:
        for listener in listeners:
            listener.close()
        advice = (
            "choose one above 1023"
            if isinstance(error, PermissionError)
            else "stop what uses it or choose another"
        )
        raise StartRefused(
            f"port {port} on {host} cannot be had ({error.strerror}): {advice} with {setting}"
        ) from None
    return listeners


def open_doors(settings: Settings, count: int) -> list[Doors]:
    """Listen for `count` workers as the settings say. Raises StartRefused."""
    if not settings.serves_plain:
        return [Doors(None, one) for one in listen(settings.host, settings.port, count)]
    plain = listen(settings.host, settings.port, count)
    try:
        secure = _listen_for_https(settings, plain[0].getsockname()[1] + 1, count)
    except StartRefused:
        for one in plain:
            one.close()
        raise
    return [Doors(*both) for both in zip(plain, secure, strict=True)]


def open_console(settings: Settings) -> Doors | None:
    """Listen for the console, if there is to be one; where the default port is taken, on any other:
    the ready line says which. Raises StartRefused."""
    if not settings.console:
        return None
    try:
        listening = listen(settings.host, settings.console_port, 1, "COFFRE_CONSOLE_PORT")
    except StartRefused:
        if settings.console_port != CONSOLE_PORT:
            raise
        listening = listen(settings.host, 0, 1)
    return Doors(None, listening[0])


def open_observer(settings: Settings) -> Doors | None:
    """Listen for the observer, if there is to be one. Raises StartRefused."""
    if not settings.metrics_port:
        return None
    listening = listen(settings.metrics_host, settings.metrics_port, 1, "COFFRE_METRICS_PORT")
    return Doors(listening[0], None)


def _listen_for_https(settings: Settings, following: int, count: int) -> list[socket.socket]:
    if settings.https_port:
        return listen(settings.host, settings.https_port, count, "COFFRE_HTTPS_PORT")
    if settings.port:
        try:
            return listen(settings.host, following, count)
        except (StartRefused, OverflowError):
            pass  # No port was asked for: the ready line says which it is.
    return listen(settings.host, 0, count)


class Supervisor:
    """Runs one node's processes until stopped."""

    def __init__(
        self,
        settings: Settings,
        doors: list[Doors],
        *,
        console: Doors | None = None,
        observer: Doors | None = None,
        accept_less: bool = False,
        certify: Callable[[], None] = lambda: None,
    ) -> None:
        """`console` and `observer` are what these accept from (None: there is none); `certify` has
        a certificate stand that will not soon end (it blocks; StartRefused)."""
        self._settings = settings
        self._accept_less = accept_less
        self._certify = certify
        self._boot_settings: dict[str, Any] = msgspec.to_builtins(settings)
        self._workers = {f"worker-{index}": both for index, both in enumerate(doors)}
        self._doors = dict(self._workers)
        if console is not None:
            self._doors["console"] = console
        if observer is not None:
            self._doors["observer"] = observer
        self._children: dict[str, Child] = {}
        self._keepers: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._zone: dict[str, Any] = {}
        self._certificate_looked = asyncio.Event()
        self._failed: StartRefused | None = None

    async def start(self) -> dict[str, Any]:
        """Start everything; the committer's facts once all workers serve. Raises StartRefused."""
        if "observer" in self._doors:
            # First of all: a catalog that is made again takes long, and that can be seen.
            await self._start("observer", "observer")
        facts = await self._start("committer", "committer")
        self._certify()
        await asyncio.gather(*(self._start(name, "worker") for name in self._workers))
        await self._start("steward", "steward")
        if "console" in self._doors:
            await self._start("console", "console")
        for name in ("committer", "steward", *self._doors):
            task = asyncio.create_task(self._keep(name))
            self._keepers.add(task)
        self._keepers.add(asyncio.create_task(self._keep_certificate()))
        # Nobody waits for these: a node serves without.
        self._keepers.add(asyncio.create_task(self._keep_beside("audit")))
        if self._settings.follower:
            self._keepers.add(asyncio.create_task(self._keep_beside("follower")))
        return facts

    async def stop(self) -> None:
        """Drain what serves, then stop the steward, then the committer, which ends clean."""
        self._stopping.set()
        for child in self._children.values():
            if child.role == "follower":
                # At its priority a farewell could take long, and it has nothing to lose.
                child.signal(signal.SIGKILL)
        told: set[Child] = set()
        for roles in (_SERVING, ("steward", "audit"), ("committer",), ("observer",)):
            ending = [child for child in self._children.values() if child.role in roles]
            told.update(ending)
            await self._end(ending)
        for task in self._keepers:
            task.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        # Those that were being started again when their turn to end came.
        late = [child for child in self._children.values() if child not in told]
        await self._end([child for child in late if child.role != "follower"])

    async def wait_failed(self) -> StartRefused:
        """Returns when a child can no longer be kept: its refusal to start again. Raises what a
        keeper failed with."""
        while self._failed is None:
            done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
            self._keepers -= done
            for keeper in done:
                keeper.result()  # A keeper that failed keeps nothing: the node ends, loudly.
        return self._failed

    def reload(self) -> None:
        """Look at the certificate now, and have the workers look at it."""
        self._certificate_looked.set()

    async def _keep_certificate(self) -> None:
        """Workers see by themselves that there is another one."""
        while True:
            try:
                await asyncio.wait_for(self._certificate_looked.wait(), _CERTIFY_EVERY_S)
            except TimeoutError:
                pass
            asked = self._certificate_looked.is_set()
            self._certificate_looked.clear()
            try:
                await asyncio.to_thread(self._certify)
            except Exception as error:
                # The one that stands serves on; the catalog may be made again just now.
                log.error("the certificate is not renewed: %s", error)
            for child in self._children.values():
                if asked and child.role in _SERVING:
                    child.signal(signal.SIGHUP)

    async def _start(self, name: str, role: str) -> dict[str, Any]:
        serving = role in _SERVING
        owner = f"{name}-{secrets.token_hex(4)}" if serving else name
        gone = self._children.get(name)
        zone = {} if role == "committer" else self._zone
        live = tuple(c.owner for c in self._children.values() if c.role in _SERVING)
        child, ready = await start_child(
            role,
            self._told_ports() if role == "console" else self._boot_settings,
            zone=zone,
            owner=owner,
            live_owners=live,
            accept_less=self._accept_less,
            gone_owner=gone.owner if serving and gone is not None else "",
            doors=self._doors.get(name, NO_DOORS),
        )
        if ready.refused is not None:
            raise StartRefused(ready.refused)
        self._children[name] = child
        if role == "committer":
            self._zone = ready.facts["zone"]
        elif zone is not self._zone and self._zone["rebuilt"]:
            # The committer came back meanwhile: this one may have opened the file that is gone.
            self._replace(child)
        return ready.facts

    def _told_ports(self) -> dict[str, Any]:
        """The settings with the ports that S3 has, which may have been any free ones."""
        plain, secure = next(iter(self._workers.values())).ports()
        return {**self._boot_settings, "port": plain or secure, "https_port": secure or 0}

    def _replace(self, child: Child) -> None:
        """Have a child end, and so be started again, in its own time or after the grace."""
        self._keepers.add(asyncio.create_task(self._see_out(child)))

    async def _see_out(self, child: Child) -> None:
        child.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(REPLACE_GRACE_S):
                await child.ended()
        except TimeoutError:
            log.warning("%s reads a catalog that is gone, and does not end: killed", child.owner)
            child.signal(signal.SIGKILL)

    async def _keep(self, name: str) -> None:
        """Start a child again whenever it ends: at once, slower if it keeps dying."""
        loop = asyncio.get_running_loop()
        backoff = 0.0
        while not self._stopping.is_set():
            child = self._children[name]
            born = loop.time()
            code = await child.ended()
            if self._stopping.is_set():
                return
            log.error("%s ended with code %d; starting it again", child.owner, code)
            quick = loop.time() - born < _QUICK_DEATH_S
            backoff = min(_MAX_BACKOFF_S, max(_FIRST_BACKOFF_S, backoff * 2)) if quick else 0.0
            if backoff:
                await asyncio.sleep(backoff)
            if not await self._again(name, child.role):
                return

    async def _keep_beside(self, role: str) -> None:
        if await self._again(role, role):
            await self._keep(role)

    async def _again(self, name: str, role: str) -> bool:
        pause = _FIRST_BACKOFF_S
        while not self._stopping.is_set():
            try:
                await self._start(name, role)
            except StartRefused as refusal:
                # One that died may start next time; workers go on reading meanwhile.
                if role == "committer" and not isinstance(refusal, ChildDied):
                    log.critical("the committer does not start again: %s", refusal)
                    self._failed = refusal
                    return False
                log.error("%s does not start: %s", name, refusal)
                await asyncio.sleep(pause)
                pause = min(_MAX_BACKOFF_S, pause * 2)
                continue
            if role == "committer" and self._zone["rebuilt"]:
                for other in self._children.values():
                    if other.role != "committer":
                        self._replace(other)
            return True
        return False

    async def _end(self, children: list[Child]) -> None:
        for child in children:
            child.signal(signal.SIGTERM)
        endings = [asyncio.ensure_future(child.ended()) for child in children]
        if not endings:
            return
        _, late = await asyncio.wait(endings, timeout=self._settings.drain_timeout)
        if late:
            for child in children:
                child.signal(signal.SIGKILL)
            _, stuck = await asyncio.wait(late, timeout=KILL_GRACE_S)
            for ending in stuck:
                log.error("a process that was killed is stuck in the kernel: not waited for")
                ending.cancel()
