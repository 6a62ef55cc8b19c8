"""Cost as the work grows: time against sites, batch and threads, memory against sites."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import ours
import tasks
from measure import Row, in_child, interleaved, row, show

from qeqprop.interfaces import FloatArray

LIMIT = 3.0
"""GiB that a gradient of 24 sites may take at its peak, everything included."""


def rows(*, threads: int = 1, quick: bool = False, memory_of: int | None = None) -> Iterator[Row]:
    """With one thread the times and the memory, with more the gain; ``quick`` stops at 12 sites.

    `memory_of` is what a process of its own is asked: one gradient of so many sites, and the peak of its memory.
    """
    if memory_of is not None:
        yield _memory_of_this_process(memory_of)
    elif threads > 1:
        yield from (_threads(12 if quick else 20, batch, threads) for batch in (1, 4))
    else:
        for n in range(2, 13 if quick else 23, 2):
            yield from (_time(n, 1, rule, "sites") for rule in RULES if n <= 16 or rule == "linear response")
        for n in (4, 8, 12):
            batches = [1, 4, 16, 64] if quick else [1, 4, 16, 64, 256, 1024]
            yield from (_time(n, batch, "linear response", "batch") for batch in batches if batch << n <= 1 << 18)
        for n in (2, 8, 12) if quick else (2, 12, 16, 18, 20, 22, 24):
            yield from in_child("scaling", threads=1, arguments={"memory_of": n})[0]


RULES: dict[str, Callable[[tasks.Task], Callable[[], FloatArray]]] = {
    "linear response": ours.response,
    "symmetric nudging": ours.nudging,
}


def _time(n: int, batch: int, rule: str, axis: str) -> Row:
    print(f"  time, n = {n}, batch {batch}, {rule}", flush=True)
    timing = interleaved({rule: RULES[rule](tasks.dense_ising(n, batch))}, budget=1.0)[rule]
    return row(
        f"dense Ising, n = {n}, batch {batch}",
        ours=rule,
        value=timing.median / batch,
        unit="s per sample",
        repeats=timing.repeats,
        sites=n,
        batch=batch,
        axis=axis,
    )


def _threads(n: int, batch: int, threads: int) -> Row:
    """Both in one process, in turn."""
    print(f"  threads, n = {n}, batch {batch}", flush=True)
    run = ours.response(tasks.dense_ising(n, batch))

    def limited(count: int) -> Callable[[], FloatArray]:
        def one() -> FloatArray:
            with ours.threads(count):
                return run()

        return one

    timings = interleaved({"one": limited(1), "all": limited(threads)})
    return row(
        f"dense Ising, n = {n}, batch {batch}",
        ours=f"linear response, {threads} threads",
        value=timings["all"].median / batch,
        peer="itself, one thread",
        peer_value=timings["one"].median / batch,
        required=1.7 if n == 20 else None,
        unit="s per sample",
        repeats=timings["all"].repeats,
        sites=n,
        batch=batch,
        axis="threads",
    )


def _memory_of_this_process(n: int) -> Row:
    print(f"  memory, n = {n}", flush=True)
    ours.response(tasks.dense_ising(n, 1))()
    peak = _peak() / 2**20
    return row(
        f"peak memory of a process, dense Ising, n = {n}, one sample",
        ours="linear response",
        value=peak,
        peer="limit",
        peer_value=LIMIT,
        required=1.0 if n == 24 else None,
        at_most=True,
        unit="GiB",
        repeats=1,
        note="Python and all libraries included",
        sites=n,
        axis="memory",
    )


def _peak() -> int:
    """The peak of the resident memory of this process in KiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held when it started this process
        return int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    show(list(rows(quick=True)))


if __name__ == "__main__":
    main()
