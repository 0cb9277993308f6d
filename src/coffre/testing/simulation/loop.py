"""Virtual time: an event loop without waiting, threads or sockets, so that a seed decides it all.

Nothing here sleeps. When no callback is ready, the clock jumps to the next timer. What a thread
would do (`run_in_executor`, the lanes of landing chunks) is done on the loop after a latency that
the seed draws: that is how work that runs side by side is interleaved.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from coffre.system.clock import ManualClock
from coffre.system.disk import File
from coffre.vault import landing, superblock
from coffre.vault.drives import Drive

T = TypeVar("T")
# Nothing that the engine does takes longer than this once it is asked for.
PATIENCE = 600.0
_LATENCIES = (0.0, 0.0, 0.0001, 0.001, 0.01)


class Stuck(Exception):
    """Somebody waits for what will never happen, or for longer than anybody should."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a time, moves the clock on by it."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.until = float("inf")

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("nothing is left that could happen")
        if timeout > 0:
            self._clock.advance(timeout)
        if self._clock.monotonic() > self.until:
            raise Stuck(f"not done after {PATIENCE} s")
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of one run of a process. `slowness` tells how many seconds a drive takes longer."""

    def __init__(
        self, clock: ManualClock, random: Random, slowness: Callable[[str], float]
    ) -> None:
        super().__init__()
        self.clock = clock
        self.slowness = slowness
        self.complaints: list[str] = []
        self._random = random
        self._extra = 0.0
        self._idle = _Selector(clock)
        # What asyncio calls on itself; a timer is due within a microsecond, for rounding's sake.
        self._selector = self._idle
        self._clock_resolution = 1e-6
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        return self.clock.monotonic()

    def do(self, work: Any) -> Any:
        """Run a coroutine to its end. Raises what it raises, Stuck, and a power loss."""
        self._idle.until = self.time() + PATIENCE
        return self.run_until_complete(work)

    def latency(self) -> float:
        return self._random.choice(_LATENCIES) * self._random.random()

    def linger(self, seconds: float) -> None:
        """Called inside a thread's work: its end shows so much later."""
        self._extra += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        self.call_later(self.latency(), self._work, future, func, args)
        return future

    def _work(self, future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any]) -> None:
        # As in a pool: work that was begun goes on, whether somebody still waits or not.
        self._extra = 0.0
        try:
            result = func(*args)
        except Exception as error:
            self.call_later(self._extra, _settle, future.set_exception, future, error)
        else:
            self.call_later(self._extra, _settle, future.set_result, future, result)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None:
            self.complaints.append(f"{context['message']}: {error!r}")

    def _process_events(self, event_list: object) -> None:
        """There are no sockets."""

    def _write_to_self(self) -> None:
        """Nobody sleeps: nobody is to be woken."""


def _settle(set_it: Callable[[Any], None], future: asyncio.Future[T], outcome: object) -> None:
    if not future.done():
        set_it(outcome)


def virtual_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


class _Lane:
    """A landing member's work in order, as its thread would do it, on the loop."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.file: File | None = None
        self._loop = virtual_loop()
        self._tasks: deque[Callable[[], None]] = deque()

    def put(self, task: Callable[[], None]) -> None:
        self._tasks.append(task)
        if len(self._tasks) == 1:
            self._go_on()

    def close(self) -> None:
        if not self._loop.is_closed():
            self.put(self._let_go)

    def _go_on(self) -> None:
        delay = self._loop.latency() + self._loop.slowness(self.drive.path)
        self._loop.call_later(delay, self._run)

    def _run(self) -> None:
        self._tasks[0]()
        self._tasks.popleft()
        if self._tasks:
            self._go_on()

    def _let_go(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def done_at_once(name: str, task: Callable[[], T]) -> Future[T]:
    """What a thread of its own would do, done before this returns."""
    future: Future[T] = Future()
    try:
        future.set_result(task())
    except Exception as error:
        future.set_exception(error)
    return future


@contextmanager
def without_threads() -> Iterator[None]:
    """Let landing lanes run on the loop, and superblocks be written one drive after the other."""
    lane, apart = landing._Lane, superblock.call_apart  # type: ignore[attr-defined]
    landing._Lane = _Lane  # type: ignore[assignment,misc]
    superblock.call_apart = done_at_once  # type: ignore[attr-defined]
    try:
        yield
    finally:
        landing._Lane = lane  # type: ignore[misc]
        superblock.call_apart = apart  # type: ignore[attr-defined]
