"""How many threads the engine uses: the caller decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_MOST = 64

_chosen: list[int] = []
_kept = local()


def available_threads() -> int:
    """The cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_threads() -> int:
    """The threads the engine uses: what `set_threads` said, else QEQPROP_THREADS, else every available core."""
    if not _chosen:
        asked = os.environ.get("QEQPROP_THREADS", "")
        _chosen.append(_checked(int(asked) if asked.isdecimal() else asked) if asked else available_threads())
    return _chosen[0]


def set_threads(count: int) -> None:
    """Sets the number of threads for everything that follows in this process.

    Raises:
        ValueError: unless count is a whole number from 1 to 64.
    """
    _chosen[:] = [_checked(count)]


@contextmanager
def threads(count: int) -> Generator[None, None, None]:
    """``with threads(1): ...`` uses that many threads inside the block."""
    before = get_threads()
    set_threads(count)
    try:
        yield
    finally:
        set_threads(before)


def run(tasks: Sequence[Callable[[], None]]) -> None:
    """Runs the tasks, each on a thread of its own, since they may wait for each other; the first on this one.

    The other threads stay for the next time: to wake one takes a third of the time of starting one.
    """
    if len(tasks) == 1:
        tasks[0]()
        return
    others = [_helpers().submit(task) for task in tasks[1:]]
    try:
        tasks[0]()
    finally:
        failures = [failure for other in others if (failure := other.exception())]
    if failures:
        raise failures[0]


def _helpers() -> ThreadPoolExecutor:
    """Threads that help the calling one, as many as it ever needs: a task never waits for one to become free."""
    from concurrent.futures import ThreadPoolExecutor

    process = os.getpid()
    if getattr(_kept, "process", None) != process:  # threads do not survive a fork
        _kept.process, _kept.helpers = process, ThreadPoolExecutor(_MOST, "qeqprop")
    return _kept.helpers


def _checked(count: object) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MOST:
        raise ValueError(
            f"Argument `count` (or QEQPROP_THREADS) must be a whole number from 1 to {_MOST}, but is {count!r}."
        )
    return count
