"""The compiled engine as functions of arrays: lowest states, matrix elements and responses of a batch of Pauli sums.

Small systems are worked on several samples at a time, side by side in the vector lanes; medium ones one sample per
thread; large ones one after the other, by all threads together. All vectors here are real, in the picture of `layout`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from qeqprop.engine import tasks
from qeqprop.engine.apply import CHUNK_SITES
from qeqprop.engine.compilation import announced
from qeqprop.engine.corrections import ROWS
from qeqprop.engine.krylov import SKEW
from qeqprop.engine.lanes import LANES
from qeqprop.engine.layout import Layout
from qeqprop.engine.memory import DOUBLE, uninitialised
from qeqprop.engine.sums import operator_space
from qeqprop.engine.team import Team, alone, teams
from qeqprop.engine.threads import get_threads, run
from qeqprop.engine.vectors import TILE, WIDTH
from qeqprop.interfaces import FloatArray, IntArray

LANE_SITES = 7
"""Systems up to this many sites are worked on side by side."""

TEAM_SITES = 17
"""From this many sites on, all threads work on one sample together."""

BASIS_BYTES = 1 << 30
"""Memory for the Krylov basis of one sample; a fuller basis restarts less often."""

ROUGH = np.dtype(np.float32)
"""How the vectors are stored on which the many steps run: half the memory traffic, and twice as many numbers in a
register. Results are measured and corrected in double precision."""

ROUGH_SITES = 8 if WIDTH == 8 else 10
"""From this many sites on; narrow registers are filled by as few single numbers, and gain only where memory counts."""

_HANDOVER = 1e-5  # of the norm: the residual from which on a state is corrected
_RESOLVED = 1e-4  # of the norm: the least gap that single precision may tell
_LEAST_ROWS = 3 + ROWS  # a correction runs in them: a fine vector takes two, the preconditioner one
_BASIS_ROWS = 112
_MAX_STEPS = 6000
_TINY = np.finfo(np.float64).tiny

_Work = Callable[[IntArray, FloatArray, Team, tuple[int, ...]], None]


_KEPT_SPACE = 1 << 28
"""Doubles (2 GiB) of workspace that are kept for the next call: the system clears fresh memory before it hands it out,
which takes longer than the work on small systems, and a tenth to a third of the time of a gradient on large ones."""
_kept = threading.local()


def _spaces(size: int, count: int, dtype: np.dtype[Any]) -> list[FloatArray]:
    """Workspaces of ``size`` numbers, kept by the calling thread, whatever they are used for next."""
    doubles = -(-size * dtype.itemsize // DOUBLE.itemsize)
    spaces: list[FloatArray] = getattr(_kept, "spaces", [])
    if len(spaces) < count or spaces[0].size < doubles:
        _kept.spaces = spaces = []  # lets go of the old ones first
        spaces = [uninitialised(doubles) for _ in range(count)]
        if count * doubles <= _KEPT_SPACE:
            _kept.spaces = spaces
    return [space.view(dtype)[:size] for space in spaces[:count]]


@lru_cache(maxsize=64)
def chunks_of(batch: int, lanes: int) -> IntArray:
    """Which samples are worked on together, (n_chunks, lanes); the last one fills idle lanes."""
    return np.minimum(np.arange(-(-batch // lanes) * lanes), batch - 1).reshape(-1, lanes).astype(np.int64)


def _lanes_of(layout: Layout, batch: int) -> int:
    """How many samples are worked on side by side."""
    small = layout.sites <= LANE_SITES and (batch > LANES // 2 or 1 << layout.sites < TILE)
    return LANES if small else 1


def _whole_lines(numbers: int) -> int:
    """At least so many numbers: what follows them begins with a line of the cache."""
    return -(-numbers // 8) * 8


def _is_refined(layout: Layout, batch: int, dtype: np.dtype[Any]) -> bool:
    """Whether steps run on rougher vectors than those that are wanted."""
    return dtype == DOUBLE and layout.sites >= ROUGH_SITES and _lanes_of(layout, batch) == 1


def _distribute(
    kernel: tuple[str, bool],
    layout: Layout,
    batch: int,
    dtype: np.dtype[Any],
    numbers_per_lane: Callable[[int], int],
    work: _Work,
    samples: IntArray | None = None,
) -> None:
    """Runs ``work(chunks, space, team, tag)`` for all samples or some, on the threads and lanes that suit the size."""
    threads = get_threads()
    dim = 1 << layout.sites
    lanes = _lanes_of(layout, batch)
    tag = (0,) * lanes
    chunks = chunks_of(batch, lanes) if samples is None else samples[chunks_of(len(samples), lanes)]
    size = numbers_per_lane(dim * lanes)
    if layout.sites >= max(TEAM_SITES, CHUNK_SITES) and threads > 1:
        space = _spaces(size, 1, dtype)[0]
        with announced(*kernel, lanes, dtype):
            run([partial(work, chunks, space, team, tag) for team in teams(threads)])
        return

    # a thread costs about as much as forty small samples
    count = max(1, min(threads, len(chunks), batch * dim // 4096))
    spaces = _spaces(size, count, dtype)

    def share(first: int) -> None:
        work(np.ascontiguousarray(chunks[first::count]), spaces[first], alone(), tag)

    with announced(*kernel, lanes, dtype):
        run([partial(share, first) for first in range(count)])


class LowestStates(NamedTuple):
    """Eigenstates of a batch of sums, the lowest ones.

    Attributes:
        energies: (batch, n_states).
        residuals: (batch, n_states) ``||H psi - E psi||``.
        vectors: (batch, n_states, dim) of unit length.
        elements: (1 or 2, batch, n_states, n_strings) the real and, for complex strings, the imaginary part of
            ``<m|P_s|n>`` of every state m with the last one, n, that was solved to its goal.
    """

    energies: FloatArray
    residuals: FloatArray
    vectors: FloatArray
    elements: FloatArray


def lowest_states(
    layout: Layout,
    coefficients: FloatArray,
    n_states: int,
    n_accurate: int,
    goals: FloatArray,
    start: FloatArray | None = None,
    dtype: np.dtype[Any] = DOUBLE,
) -> LowestStates:
    """The lowest eigenstates of every sum.

    Args:
        layout: the strings.
        coefficients: (batch, n_strings).
        n_states: how many.
        n_accurate: how many of them to solve to their goal; others until their distance to state n_accurate - 1 is
            known to about a percent (the error of an energy is of second order in the residual).
        goals: (batch,) residual norms to reach.
        start: (batch, n_states, dim) nearby states.
        dtype: how vectors are stored.
    """
    batch, dim = len(coefficients), 1 << layout.sites
    norms = np.maximum(np.abs(coefficients).sum(axis=1), _TINY)
    coefficients = np.ascontiguousarray(coefficients)
    vectors = np.empty((batch, n_states, dim), dtype) if start is None else np.array(start, dtype, order="C")
    energies, residuals = np.empty((batch, n_states)), np.empty((batch, n_states))
    elements = np.empty((1 + layout.partner, batch, n_states, layout.strings))
    kept = n_states * (1 + layout.partner)

    def settle(first: int, warm: bool, refined: bool, samples: IntArray | None = None) -> None:
        rough_type = ROUGH if refined else dtype
        rough_goals = np.maximum(goals, _HANDOVER * norms) if refined else goals

        def rows_of(size: int) -> int:
            return max(_LEAST_ROWS, min(_BASIS_ROWS, BASIS_BYTES // (rough_type.itemsize * (size + SKEW))))

        def operators_and_states(size: int) -> int:
            return (1 + kept) * size + 2 * SKEW + operator_space(layout)

        def fine_numbers(size: int) -> int:
            return _whole_lines(operators_and_states(size) + layout.strings * (size // dim))

        def numbers(size: int) -> int:
            return fine_numbers(size) + operators_and_states(size) + rows_of(size) * (size + SKEW)

        def work(chunks: IntArray, space: FloatArray, team: Team, tag: tuple[int, ...]) -> None:
            size = dim * len(tag)
            scratch = space[fine_numbers(size) :]
            tasks.settle(
                layout, coefficients, chunks, vectors, first, n_states, warm, energies, residuals, elements, n_accurate,
                goals, rough_goals, norms, _MAX_STEPS, rows_of(size), space, scratch.view(rough_type), scratch,
                refined or None, team, tag,
            )  # fmt: skip

        _distribute(("lowest states", refined), layout, batch, dtype, numbers, work, samples)

    refined = _is_refined(layout, batch, dtype)
    settle(0, start is not None, refined)
    if refined:  # what single precision could not tell is done again, from there, in double precision
        lost = np.any(residuals[:, :n_accurate] > goals[:, None], axis=1)
        near = np.any(np.diff(energies[:, n_accurate - 1 :], axis=1) < _RESOLVED * norms[:, None], axis=1)
        for first, samples in ((0, np.flatnonzero(lost)), (n_accurate, np.flatnonzero(near & ~lost))):
            if len(samples):
                settle(first, True, False, samples)
    return LowestStates(energies, residuals, vectors, elements)


def multiply(layout: Layout, coefficients: FloatArray, vectors: FloatArray) -> FloatArray:
    """``H psi`` of every sample, (batch, dim), for coefficients (batch, n_strings) and vectors (batch, dim)."""
    coefficients, vectors = np.ascontiguousarray(coefficients), np.ascontiguousarray(vectors)[:, None]
    results = np.empty_like(vectors)

    def work(chunks: IntArray, space: FloatArray, team: Team, tag: tuple[int, ...]) -> None:
        tasks.multiply(layout, coefficients, chunks, vectors, results, space, team, tag)

    def numbers(size: int) -> int:
        return 3 * (size + SKEW) + operator_space(layout)

    _distribute(("multiply", False), layout, len(vectors), vectors.dtype, numbers, work)
    return results[:, 0]


def string_elements(
    layout: Layout, bras: FloatArray, which_bra: IntArray, kets: FloatArray, which_ket: IntArray
) -> FloatArray:
    """The real part of ``<bra|P_s|ket>`` of every string, (batch, n_strings).

    The vectors of sample b are ``bras[b, which_bra[b]]`` and ``kets[b, which_ket[b]]`` of arrays (batch, n, dim).
    """
    elements = np.empty((len(bras), layout.strings))

    def work(chunks: IntArray, space: FloatArray, team: Team, tag: tuple[int, ...]) -> None:
        tasks.measure(layout, bras, which_bra, kets, which_ket, chunks, elements, space, team, tag)

    def numbers(size: int) -> int:
        return 4 * (size + SKEW) + LANES * layout.strings

    _distribute(("elements", False), layout, len(bras), bras.dtype, numbers, work)
    return elements


def responses(
    layout: Layout,
    coefficients: FloatArray,
    perturbations: FloatArray,
    vectors: FloatArray,
    known_energies: FloatArray,
    n_known: int,
    state: IntArray,
    skip: IntArray,
    tolerance: float,
) -> tuple[FloatArray, FloatArray]:
    """``d<P_s>/dnu`` of every string in the eigenstates ``state`` of ``H + nu N``, at nu = 0.

    Args:
        layout: the strings.
        coefficients: (batch, n_strings) of H.
        perturbations: (batch, n_strings) of N.
        vectors: (batch, n, dim) eigenvectors.
        known_energies: (batch, n).
        n_known: how many of them are accurate, all states below and the level of ``state`` among them.
        state: (batch,) index of the state.
        skip: (batch, n) nonzero for the states of its level.
        tolerance: relative residual of the equation.

    Returns:
        The derivatives (batch, n_strings), and the largest relative residual reached (batch,).
    """
    batch, dim = len(vectors), 1 << layout.sites
    coefficients, perturbations = np.ascontiguousarray(coefficients), np.ascontiguousarray(perturbations)
    energies = known_energies[np.arange(batch), state]
    elements, relative = np.empty((batch, layout.strings)), np.empty(batch)
    kept = n_known * (1 + layout.partner)

    def solve(refined: bool, samples: IntArray | None = None) -> None:
        rough_type = ROUGH if refined else vectors.dtype

        def fine_numbers(size: int) -> int:
            return _whole_lines(
                5 * (size + SKEW) + kept * size + layout.strings * (size // dim) + operator_space(layout)
            )

        def numbers(size: int) -> int:
            return fine_numbers(size) + (2 + ROWS) * (size + SKEW) + kept * size + operator_space(layout)

        def work(chunks: IntArray, space: FloatArray, team: Team, tag: tuple[int, ...]) -> None:
            rough = space[fine_numbers(dim * len(tag)) :].view(rough_type)
            tasks.respond(
                layout, coefficients, perturbations, chunks, vectors, energies, known_energies, n_known, state, skip,
                elements, relative, tolerance, _MAX_STEPS, space, rough, refined or None, team, tag,
            )  # fmt: skip

        _distribute(("responses", refined), layout, batch, vectors.dtype, numbers, work, samples)

    refined = _is_refined(layout, batch, vectors.dtype)
    solve(refined)
    if refined and len(samples := np.flatnonzero(relative > tolerance)):
        solve(False, samples)
    return elements, relative
