"""One full gradient of a batch against the packages a user would take instead.

Every side must find the same numbers, to 1e-6: the symmetric quotient at the same nudge, or, by linear response, the
quotient extrapolated to no nudge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import ours
import peers
import tasks
from measure import Row, interleaved, once, row, show

from qeqprop.interfaces import FloatArray

REQUIRED = {
    4: {"script": 300, "QuSpin": 250, "expert scipy": 150},
    8: {"script": 150, "QuSpin": 80, "expert scipy": 40},
    12: {"script": 70, "QuSpin": 30, "expert scipy": 15},
    16: {"script": 60, "QuSpin": 35, "expert scipy": 15},
}
BATCHES = {4: 128, 8: 64, 12: 8, 16: 8}
NAMES = ("script", "expert scipy", "QuSpin")
THREADED = {16: ("expert scipy", "QuSpin"), 20: ("QuSpin",), 22: ()}
"""The peers that are run with several threads, too; for the others the run with one thread tells all there is."""
WARM = "linear response, warm, 1e-6"
MODERATE = 12
"""quimb and netket are measured at this number of sites."""

Gradients = dict[str, Callable[[], FloatArray]]


def rows(*, threads: int = 1, quick: bool = False) -> Iterator[Row]:
    """All comparisons of gradients; ``quick`` stops at 12 sites."""
    for n in [4, 8, 12] if quick else [4, 8, 12, 16]:
        yield from dense(n, threads)
    yield from against_eigh()
    small = [tasks.probes(), tasks.random_strings(8, 16), tasks.heisenberg(8, 16), tasks.sensor(16)]
    for task in small if quick else [*small, tasks.random_strings(12, 4), tasks.heisenberg(12, 4)]:
        yield from any_network(task)
    for n in [] if quick else [20, 22]:
        yield from large(n, threads)


def dense(n: int, threads: int) -> list[Row]:
    """The dense Ising network against every peer, the whole batch on both sides."""
    task = tasks.dense_ising(n, BATCHES[n])
    names = list(THREADED[n] if threads > 1 and n in THREADED else NAMES)
    names += ["quimb", "netket"] if n == MODERATE else []
    others = {name: peers.gradient(task, peer) for name in names if (peer := peers.make(name, task)) is not None}
    sides = _ours(task) | ({WARM: ours.warm_response(task)} if n == 16 else {})
    return _compared(task, sides, others, REQUIRED[n], peers.expert)


def any_network(task: tasks.Task) -> list[Row]:
    """Any network against the script, which is all that a user has for it."""
    script = {"script": peers.gradient(task, peers.script(task))}
    return _compared(task, _ours(task), script, {"script": 20} if task.sites > 1 else {}, peers.script)


def large(n: int, threads: int) -> Iterator[Row]:
    """One sample of a large network: a whole gradient of the expert, one ground state only of the others."""
    task = tasks.dense_ising(n, 1)
    print(f"  dense Ising, n = {n}, one sample", flush=True)
    timings = interleaved(_ours(task), budget=0.0)
    yield from (_row(task, side, timing.median, repeats=timing.repeats) for side, timing in timings.items())
    for name in THREADED[n] if threads > 1 else NAMES:
        peer = peers.make(name, task)
        if peer is None:
            continue
        whole = name == "expert scipy"
        found = once(peers.gradient(task, peer) if whole else peers.free_state(task, peer))
        for side, timing in timings.items() if whole else ():
            bias = 1e-5 if "response" in side else 0.0  # of the peer, which nudges
            np.testing.assert_allclose(timing.answer, found.answer, atol=1e-6 + bias, err_msg=f"{side}, n = {n}")
        note = f"peer once, {'the whole gradient' if whole else 'one ground state of three only: a lower bound'}"
        for side, timing in timings.items():
            yield _row(task, side, timing.median, name, found.median, repeats=timing.repeats, note=note)
        del peer  # its matrices fill the memory


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


def _compared(
    task: tasks.Task,
    sides: Gradients,
    others: Gradients,
    required: dict[str, int],
    reference: Callable[[tasks.Task], peers.Peer],
) -> list[Row]:
    """Times all sides in turn and checks that they find the same gradient."""
    print(f"  {task.name}, n = {task.sites}, batch {task.batch}", flush=True)
    nudged, limit = peers.extrapolated(task, reference)
    timings = interleaved({**sides, **others})
    for name, timing in timings.items():
        wanted = limit if "response" in name else nudged
        tolerance = 1e-5 if name == WARM else 1e-6
        message = f"{name}, {task.name}, n = {task.sites}"
        np.testing.assert_allclose(timing.answer, wanted, atol=tolerance, err_msg=message)
    return [
        _row(
            task,
            side,
            timings[side].median / task.batch,
            other,
            timings[other].median / task.batch,
            required=(90 if other == "script" else None) if side == WARM else required.get(other),
            repeats=min(timings[side].repeats, timings[other].repeats),
        )
        for other in others
        for side in sides
    ]


def _row(
    task: tasks.Task, side: str, seconds: float, peer: str = "", peer_seconds: float | None = None, **more: Any
) -> Row:
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
