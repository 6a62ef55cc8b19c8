"""One full gradient of a batch against the packages a user would take instead.

Every side must find the same numbers, to 1e-6: those that nudge the symmetric quotient of the script, linear response
the script's quotient extrapolated to no nudge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import ours
import peers
import tasks
from measure import Row, interleaved, row, show

from qeqprop.interfaces import FloatArray

REQUIRED = {
    4: {"script": 300, "QuSpin": 250, "expert scipy": 150},
    8: {"script": 150, "QuSpin": 80, "expert scipy": 40},
    12: {"script": 70, "QuSpin": 30, "expert scipy": 15},
    16: {"script": 60, "QuSpin": 35, "expert scipy": 15},
}
BATCHES = {4: 128, 8: 64, 12: 8, 16: 8}
MODERATE = 12
"""quimb and netket are measured at this number of sites."""

Gradients = dict[str, Callable[[], FloatArray]]


def rows(*, threads: int = 1, quick: bool = False) -> Iterator[Row]:
    """All comparisons of gradients; ``quick`` stops at 12 sites."""
    for n in [4, 8, 12] if quick else [4, 8, 12, 16]:
        yield from dense(n)
    yield from against_eigh()
    small = [tasks.probes(), tasks.random_strings(8, 16), tasks.heisenberg(8, 16), tasks.sensor(16)]
    for task in small if quick else [*small, tasks.random_strings(12, 4), tasks.heisenberg(12, 4)]:
        yield from any_network(task)
    if not quick:
        yield from warm(16)
        yield from large(20, threads)
        yield from large(22, threads)


def dense(n: int) -> list[Row]:
    """The dense Ising network against every peer, the whole batch on both sides."""
    task = tasks.dense_ising(n, BATCHES[n])
    names = ["script", "expert scipy", "QuSpin"] + (["quimb", "netket"] if n == MODERATE else [])
    others = {name: peers.gradient(task, peer) for name in names if (peer := peers.make(name, task)) is not None}
    return _compared(task, _ours(task), others, REQUIRED[n])


def any_network(task: tasks.Task) -> list[Row]:
    """Any network against the script, which is all that a user has for it."""
    return _compared(task, _ours(task), {"script": peers.gradient(task, peers.script(task))}, {"script": 20})


def warm(n: int) -> list[Row]:
    """A step in the middle of a training, linear response at 1e-6 from the last step's states, against the script."""
    task = tasks.dense_ising(n, BATCHES[n])
    sides = {"linear response, warm, 1e-6": ours.warm_response(task)}
    return _compared(task, sides, {"script": peers.gradient(task, peers.script(task))}, {"script": 90})


def large(n: int, threads: int) -> Iterator[Row]:
    """One sample of a large network: a whole gradient of the expert, one ground state only of the others."""
    task = tasks.dense_ising(n, 1)
    print(f"  {task.name}, n = {n}, one sample", flush=True)
    sides = _ours(task)
    timings = interleaved(sides, repeats=5, budget=0.0)
    values = {name: side() for name, side in sides.items()}
    for name in ("expert scipy", "QuSpin", "script"):
        if name == "script" and threads > 1:
            continue  # a scipy matrix is multiplied by one thread: the run with one thread has told
        peer = peers.make(name, task)
        if peer is None:
            continue
        whole = name == "expert scipy"
        run = peers.gradient(task, peer) if whole else peers.free_state(task, peer)
        begin = time.perf_counter()
        answer = run()
        seconds = time.perf_counter() - begin
        for side, value in values.items() if whole else ():
            bias = 1e-5 if "response" in side else 0.0  # of the peer, which nudges
            np.testing.assert_allclose(value, answer, atol=1e-6 + bias, err_msg=f"{side}, {task.name}, n = {n}")
        note = f"peer once, {'the whole gradient' if whole else 'one ground state of three only: at least this ratio'}"
        for side, timing in timings.items():
            yield _row(task, side, timing.median, name, seconds, repeats=timing.repeats, note=note)
        del peer, run  # their matrices fill the memory


def against_eigh() -> list[Row]:
    """A whole gradient of 128 samples of 8 sites against numpy's batched eigh of the same matrices alone."""
    task = tasks.dense_ising(8, 128)
    sides = _ours(task)
    timings = interleaved({**sides, "numpy batched eigh": peers.batched_eigh(task)})
    peer = timings.pop("numpy batched eigh")
    return [
        _row(
            task,
            name,
            timing.median / 128,
            "numpy batched eigh",
            peer.median / 128,
            required=150,
            repeats=min(timing.repeats, peer.repeats),
            note="peer: the eigenpairs alone, no gradient",
        )
        for name, timing in timings.items()
    ]


def _ours(task: tasks.Task) -> Gradients:
    return {"symmetric nudging": ours.nudging(task), "linear response": ours.response(task)}


def _compared(task: tasks.Task, sides: Gradients, others: Gradients, required: dict[str, int]) -> list[Row]:
    """Checks that all sides find the same gradient, then times them in turn."""
    print(f"  {task.name}, n = {task.sites}, batch {task.batch}", flush=True)
    nudged, limit = peers.extrapolated(task, peers.script)
    for name, function in {**others, **sides}.items():
        reference = limit if "response" in name else nudged
        np.testing.assert_allclose(function(), reference, atol=1e-6, err_msg=f"{name}, {task.name}, n = {task.sites}")
    timings = interleaved({**sides, **others})
    return [
        _row(
            task,
            side,
            timings[side].median / task.batch,
            other,
            timings[other].median / task.batch,
            required=required.get(other),
            repeats=min(timings[side].repeats, timings[other].repeats),
        )
        for other in others
        for side in sides
    ]


def _row(task: tasks.Task, side: str, seconds: float, peer: str, peer_seconds: float, **more: Any) -> Row:
    return row(
        f"{task.name}, n = {task.sites}, batch {task.batch}",
        ours=side,
        value=seconds,
        peer=peer,
        peer_value=peer_seconds,
        unit="s per sample",
        sites=task.sites,
        batch=task.batch,
        **more,
    )


def main() -> None:
    show(list(rows(quick=True)))


if __name__ == "__main__":
    main()
