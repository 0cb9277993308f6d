"""Calls that may never return: each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from coffre.system.starved import Starved

T = TypeVar("T")


def call_apart(name: str, task: Callable[[], T]) -> Future[T]:
    """Call in a thread of its own, which a stuck drive may hold without holding up our exit. The
    future fails with what the call raises, or with Starved where no thread can be had."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(task())
        except Exception as error:
            future.set_exception(error)

    try:
        Thread(target=run, daemon=True, name=name).start()
    except RuntimeError as error:
        future.set_exception(Starved(str(error)))
    return future
