"""Compilation in sight: the first use of a kernel takes seconds, and says so.

Compiled kernels are kept on disk (next to the package, in NUMBA_CACHE_DIR, or in the user's cache), so that this
happens once for a processor and version.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Hashable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Event, Thread

from numba.core.compiler_lock import global_compiler_lock

PATIENCE = 2.0
"""Seconds of compilation before anything is said."""

_warm: set[Hashable] = set()


def announced(*kernel: Hashable) -> AbstractContextManager[None]:
    """Around the first call of a kernel: a line on standard error while it is compiled for more than two seconds."""
    return nullcontext() if kernel in _warm else _watched(kernel)


@contextmanager
def _watched(kernel: Hashable) -> Generator[None, None, None]:
    finished = Event()
    watcher = Thread(target=_watch, args=(finished, time.perf_counter()), name="qeqprop compilation", daemon=True)
    watcher.start()
    try:
        yield
        _warm.add(kernel)
    finally:
        finished.set()
        watcher.join()


def _watch(finished: Event, begin: float) -> None:
    said = False
    while not finished.wait(PATIENCE):
        if global_compiler_lock.is_locked():  # else it computes, and that is for others to report
            if not said:
                sys.stderr.write("qeqprop: compiling kernels for this processor, once ...")
                sys.stderr.flush()
            said = True
    if said:
        sys.stderr.write(f" {time.perf_counter() - begin:.0f} s\n")


def warm_up() -> dict[str, Callable[[], None]]:
    """What compiles (or loads) all kernels, in parts with their names: call each one."""
    import numpy as np
    from qiskit.quantum_info import PauliList

    from qeqprop.engine import compiled, thermal
    from qeqprop.engine.layout import layout_of
    from qeqprop.engine.paulis import PauliTable

    def part(sites: int, batch: int) -> Callable[[], None]:
        def run() -> None:
            labels = ["X" * sites, *("I" * k + letter + "I" * (sites - 1 - k) for letter in "XZ" for k in range(sites))]
            layout = layout_of(PauliTable.of(PauliList(labels)))
            coefficients = np.random.default_rng(0).normal(size=(batch, len(labels)))
            goals, zeros = np.full(batch, 1e-6), np.zeros(batch, dtype=np.int64)
            energies, _, vectors, _ = compiled.lowest_states(layout, coefficients, 1, 1, goals)
            compiled.string_elements(layout, vectors, zeros, vectors, zeros)
            compiled.multiply(layout, coefficients, np.ascontiguousarray(vectors[:, 0]))
            inside = np.ones((batch, 1), dtype=np.int64)
            compiled.responses(layout, coefficients, coefficients, vectors, energies, 1, zeros, inside, 1e-6)
            # and what takes over where single precision is not enough: for a degenerate level, an impossible tolerance
            flat = np.zeros_like(coefficients)
            compiled.lowest_states(layout, flat, 2, 1, goals)
            compiled.responses(layout, coefficients, coefficients, vectors, energies, 1, zeros, inside, 1e-30)

        return run

    def circuits() -> None:
        from qeqprop.engine.circuits import Circuit, diagonal, energy_and_gradient, free, rotations, states
        from qeqprop.interfaces import PauliSums

        layers = [diagonal([(0, 1)], free([0])), rotations("X", [0, 1], free([1, 2]))]
        circuit = Circuit.of(2, layers, start="plus")
        sums = PauliSums(PauliList(["ZZ", "IX"]), np.ones((1, 2)))
        states(circuit, np.zeros((1, 3)))
        energy_and_gradient(circuit, np.zeros((1, 3)), sums)

    def gibbs() -> None:
        for sites in (4, 8):
            layout = layout_of(PauliTable.of(PauliList(["X" * sites, "Z" * sites])))
            coefficients, seeds = np.ones((1, 2)), np.zeros((1, 2), dtype=np.uint64)
            known = thermal.outline(layout, coefficients, 1.0, 1)
            thermal.thermal_moments(layout, coefficients, 1.0, known, seeds, coefficients, 1e-6)

    def samplers() -> None:
        from qeqprop.engine.spin_sweeps import HEAT_BATH, first_spins, run_chains, sum_up
        from qeqprop.engine.spin_variates import sum_variates

        pair, tables = np.array([0, 1, 2]), (np.array([0, 2]), np.array([0, 1]))
        graph, order, one = (pair, np.zeros(2, dtype=np.int64), pair, np.array([1, 0])), np.arange(2), np.ones((1, 1))
        keys, spins = np.ones((1, 1, 4), dtype=np.uint64), np.empty((1, 1, 2, 4), dtype=np.int8)
        draws = np.empty((1, 1, 2, 2), dtype=np.int8)
        first_spins(keys[0], spins[0])
        schedule, rungs = np.array([0, 1, 1, 0]), np.array([1.0, 0.5])
        run_chains(graph, tables, order, one, rungs, keys, HEAT_BATH, schedule, spins, draws, 0, 1)
        sum_up(tables, one, one, draws, np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), np.zeros((1, 2, 1, 2)), 0, 1)
        common, plain, joint = (pair[:1], pair[:1], pair[:2], pair[:1]), np.zeros((1, 1, 2)), np.zeros((1, 1, 2))
        sum_variates(graph, tables, common, one, one, rungs[0], draws, plain, joint, np.zeros((1, 2)), 0, 1)

    return {
        "small networks, side by side": part(4, 8),
        "larger networks": part(10, 1),
        "Gibbs states": gibbs,
        "circuits": circuits,
        "samplers of Ising spins": samplers,
    }
