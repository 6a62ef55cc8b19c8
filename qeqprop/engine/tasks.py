"""What one thread (or one team of threads) does for one sample, or for a few samples side by side.

A task gathers its samples into the lanes, builds their sums, runs a Krylov method, and scatters the results. ``rows``
(lanes,) names the samples; a repeated row fills an idle lane. ``space`` is the workspace of the task, one flat array.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import numba as nb
import numpy as np

from qeqprop.engine.addresses import at
from qeqprop.engine.apply import OPTIONS, apply
from qeqprop.engine.krylov import (
    SKEW,
    TABLES,
    add_noise,
    inner,
    lowest_state,
    project_out,
    response_vector,
)
from qeqprop.engine.mean_field import product_state
from qeqprop.engine.measuring import hand_over, string_elements
from qeqprop.engine.streams import axpy
from qeqprop.engine.sums import build_operator, empty_operator, operator_space
from qeqprop.engine.team import share, wait
from qeqprop.engine.tridiagonal import SCRATCH

EASE = 0.05
"""The residual of a state that only tells a gap, as a part of that gap; the error of the gap is of second order."""

FLOOR = 1e-2
"""The least entry of the preconditioner, as a part of the sum of the coefficients: without flips it would vanish."""

MEAN_FIELD_SITES = 10
"""From this many sites on, the first state starts from a mean-field state: below, that saves too few steps."""


@nb.njit(**OPTIONS)
def gather(source, which, rows, target, team, tag):
    """Vectors ``source[row, which[row]]``, source (batch, n, dim), side by side in target (dim * lanes,)."""
    lanes = len(tag)
    dim = source.shape[2]
    if lanes == 1:
        row = rows[0]
        begin, end = share(team, dim)
        target[begin:end] = source[row, which[row], begin:end]
    else:
        for lane in range(lanes):
            row = rows[lane]
            for b in range(dim):
                target[b * lanes + lane] = source[row, which[row], b]
    wait(team)


@nb.njit(**OPTIONS)
def scatter(source, rows, target, place, team, tag):
    """The reverse of `gather`, into ``target[row, place]``."""
    lanes = len(tag)
    dim = target.shape[2]
    if lanes == 1:
        begin, end = share(team, dim)
        target[rows[0], place, begin:end] = source[begin:end]
    else:
        for lane in range(lanes):
            row = rows[lane]
            for b in range(dim):
                target[row, place, b] = source[b * lanes + lane]
    wait(team)


@nb.njit(**OPTIONS)
def partner_of(x, target, team):
    """``i x`` where the upper half of x holds the imaginary parts."""
    half = x.size // 2
    begin, end = share(team, half)
    for k in range(begin, end):
        target[k] = -x[half + k]
        target[half + k] = x[k]
    wait(team)


@nb.njit(**OPTIONS)
def multiply(layout, coefficients, chunks, vectors, results, space, team, tag):
    """``H psi`` of the samples in chunks (n_chunks, lanes): vectors and results (batch, 1, dim)."""
    lanes = len(tag)
    size = vectors.shape[2] * lanes
    width = size + SKEW
    diagonal, x, y, parts = space[:size], space[width:], space[2 * width :], space[3 * width :]
    dots = np.empty(lanes)
    operator = empty_operator(layout, diagonal, parts, team, tag)
    which = np.zeros(vectors.shape[0], dtype=np.int64)
    for rows in chunks:
        build_operator(layout, coefficients, rows, diagonal, parts, y, team, tag)
        gather(vectors, which, rows, x, team, tag)
        apply(operator, at(x, 0), at(y, 0), dots, team, tag)
        wait(team)
        scatter(y, rows, results, 0, team, tag)


@nb.njit(**OPTIONS)
def settle(
    layout, coefficients, chunks, vectors, n_given, n_states, warm, energies, residuals, elements, n_accurate,
    goals, norms, max_steps, n_rows, space, team, tag,
):  # fmt: skip
    """The lowest states of the samples, one after the other, each outside the ones before.

    The workspace may be of another precision than the vectors.

    Args:
        layout: the strings.
        coefficients: (batch, n_strings).
        chunks: (n_chunks, lanes) samples.
        vectors: (batch, n, dim) starts where ``warm``, and results.
        n_given: how many of the states are there already; nothing of them is written.
        n_states: how many to have at the end.
        warm: whether there are starts.
        energies: (batch, n) result.
        residuals: (batch, n) result.
        elements: (1 or 2, batch, n, n_strings) result: real (and imaginary) part of ``<m|P_s|n>`` with the last
            accurate state n.
        n_accurate: states solved to the goal; a last one beyond them is good enough to tell the gap.
        goals: (batch,) wanted residuals.
        norms: (batch,) bounds of the norm.
        max_steps: of every state.
        n_rows: of the Krylov basis.
        space: workspace: diagonal, the state, known states, the rows of the Krylov basis, an operator, the elements.
        team: of threads.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    dim = vectors.shape[2]
    size = dim * lanes
    width = size + SKEW
    copies = 1 + layout.partner
    n_kept = (n_states - 1) * copies
    diagonal, x, known = space[:size], space[width : width + size], space[2 * width : 2 * width + n_kept * size]
    first = 2 * width + n_kept * size + SKEW
    basis, parts = space[first:], space[first + n_rows * width :]
    tables = np.empty((TABLES, max(n_rows, 2 * n_kept + 5, SCRATCH), lanes))
    operator = empty_operator(layout, diagonal, parts, team, tag)
    goal, norm, floor = np.empty(lanes), np.empty(lanes), np.zeros(lanes)
    energy, residual = np.empty(lanes), np.empty(lanes)
    last = first + n_rows * width + operator_space(layout)
    shared = space[last : last + layout.strings * lanes].reshape((layout.strings, lanes))
    which = np.zeros(vectors.shape[0], dtype=np.int64)
    begin, end = share(team, size)
    for rows in chunks:
        build_operator(layout, coefficients, rows, diagonal, parts, basis, team, tag)
        for lane in range(lanes):
            goal[lane], norm[lane] = goals[rows[lane]], norms[rows[lane]]
            if n_given >= n_accurate:
                floor[lane] = energies[rows[lane], n_accurate - 1]
        for state in range(n_given):
            which[:] = state
            place = state * copies * size
            gather(vectors, which, rows, known[place : place + size], team, tag)
            if layout.partner:
                partner_of(known[place : place + size], known[place + size : place + 2 * size], team)
        for state in range(n_given, n_states):
            if warm:
                which[:] = state
                gather(vectors, which, rows, x, team, tag)
                # a trace of everything, so that a lower state of another symmetry is not missed
                add_noise(x, 0.03 / np.sqrt(dim), state, team)
            else:
                x[begin:end] = 0.0
                noise = 1.0
                if lanes == 1 and state == 0 and layout.sites >= MEAN_FIELD_SITES:
                    if team.rank == 0:
                        product_state(layout, coefficients[rows[0]], x)
                    noise = 0.1 / np.sqrt(dim)  # again a trace of everything
                wait(team)
                add_noise(x, noise, state, team)
            wait(team)
            project_out(size, at(x, 0), at(known, 0), state * copies, energy, team, tag)
            ease = 0.0 if state < n_accurate else EASE
            lowest_state(
                operator, at(x, 0), at(basis, 0), n_rows, at(known, 0), state * copies, norm, goal, ease, floor,
                energy, residual, tables, team, max_steps, tag,
            )  # fmt: skip
            if team.rank == 0:
                for lane in range(lanes):
                    energies[rows[lane], state] = energy[lane]
                    residuals[rows[lane], state] = residual[lane]
            if state == n_accurate - 1:
                floor[:] = energy
            scatter(x, rows, vectors, state, team, tag)
            if state + 1 < n_states:
                place = state * copies * size
                known[place + begin : place + end] = x[begin:end]
                wait(team)
                if layout.partner:
                    partner_of(x, known[place + size : place + 2 * size], team)
        ket = at(known, (n_accurate - 1) * copies * size) if n_accurate < n_states else at(x, 0)
        turned = basis[2 * width :]
        if layout.partner:
            partner_of(x, turned[:size], team)
        for state in range(n_given, n_states):
            for copy in range(copies):  # Re <i m|P|n> = Im <m|P|n>
                if state + 1 < n_states:
                    bra = at(known, (state * copies + copy) * size)
                else:
                    bra = at(turned, 0) if copy else at(x, 0)
                string_elements(layout, bra, ket, shared, basis, basis[width:], team, tag)
                hand_over(shared, rows, elements[copy, :, state], 1.0, team, tag)


@nb.njit(**OPTIONS)
def measure(layout, bras, which_bra, kets, which_ket, chunks, elements, space, team, tag):
    """``<bra|P_s|ket>``, elements (batch, n_strings), of the samples in chunks (n_chunks, lanes).

    The vectors are ``bras[row, which_bra[row]]`` and ``kets[row, which_ket[row]]`` of arrays (batch, n, dim).
    """
    lanes = len(tag)
    size = bras.shape[2] * lanes
    width = size + SKEW
    u, v = space[:size], space[width : width + size]
    total, difference = space[2 * width : 2 * width + size], space[3 * width : 3 * width + size]
    first = 4 * width
    shared = space[first : first + layout.strings * lanes].reshape((layout.strings, lanes))
    for rows in chunks:
        gather(bras, which_bra, rows, u, team, tag)
        gather(kets, which_ket, rows, v, team, tag)
        string_elements(layout, at(u, 0), at(v, 0), shared, total, difference, team, tag)
        hand_over(shared, rows, elements, 1.0, team, tag)


@nb.njit(**OPTIONS)
def respond(
    layout, coefficients, perturbations, chunks, vectors, energies, known_energies, n_known, state, skip, elements,
    relative, tolerance, max_steps, space, team, tag,
):  # fmt: skip
    """``2 Re <n|P_s|n'>`` of all strings, where n' is the first-order change of the state n under the perturbation.

    Known states outside the level of n contribute by the sum over states, all others by conjugate gradients.

    Args:
        layout: the strings.
        coefficients: (batch, n_strings) of the Hamiltonians.
        perturbations: (batch, n_strings) of N.
        chunks: (n_chunks, lanes) samples.
        vectors: (batch, n, dim) of which the first n_known are known well.
        energies: (batch,) of the state n.
        known_energies: (batch, n).
        n_known: how many states are known well.
        state: which of them is n, (batch,).
        skip: (batch, n) nonzero for states of the level of n, which do not contribute.
        elements: (batch, n_strings) result.
        relative: (batch,) result: residual of the equation relative to its right-hand side.
        tolerance: wanted of it.
        max_steps: of the iteration.
        space: workspace.
        team: of threads.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    size = vectors.shape[2] * lanes
    width = size + SKEW
    copies = 1 + layout.partner
    n_kept = n_known * copies
    begin, end = share(team, size)
    diagonal, right, y, psi = space[:size], space[width:], space[2 * width :], space[3 * width :]
    scratch_vector, conditioner = space[4 * width :], space[5 * width : 5 * width + size]
    known = space[6 * width : 6 * width + n_kept * size]
    first = 6 * width + n_kept * size
    shared = space[first : first + layout.strings * lanes].reshape((layout.strings, lanes))
    parts = space[first + layout.strings * lanes :]
    scratch = np.zeros((8, lanes))
    energy, weight = np.empty(lanes), np.empty(lanes)
    operator = empty_operator(layout, diagonal, parts, team, tag)
    which = np.zeros(vectors.shape[0], dtype=np.int64)
    shares = np.zeros((n_kept, lanes))
    for rows in chunks:
        for k in range(n_known):
            place = k * copies * size
            which[:] = k
            gather(vectors, which, rows, known[place : place + size], team, tag)
            if layout.partner:
                partner_of(known[place : place + size], known[place + size : place + 2 * size], team)
        for lane in range(lanes):
            energy[lane] = energies[rows[lane]]
        gather(vectors, state, rows, psi, team, tag)
        build_operator(layout, perturbations, rows, diagonal, parts, y, team, tag)
        apply(operator, at(psi, 0), at(right, 0), scratch[0], team, tag)
        wait(team)
        for b in range(begin, end):
            right[b] = -right[b]
        wait(team)
        for k in range(n_kept):
            inner(size, at(known, k * size), at(right, 0), shares[k], team, tag)  # -<k|N|n>
        build_operator(layout, coefficients, rows, diagonal, parts, y, team, tag)
        for lane in range(lanes):
            floor = FLOOR * np.sum(np.abs(coefficients[rows[lane]]))
            for b in range(begin + lane, end, lanes):
                diagonal[b] -= energy[lane]
                conditioner[b] = 1.0 / (max(diagonal[b], 0.0) + floor) if n_known == 1 else 1.0
        wait(team)
        worst = response_vector(
            operator, at(known, 0), n_kept, n_known == 1, at(right, 0), at(y, 0), at(psi, 0), at(conditioner, 0),
            tolerance, scratch, team, max_steps, tag,
        )  # fmt: skip
        for k in range(n_known):
            for copy in range(copies):
                for lane in range(lanes):
                    row = rows[lane]
                    splitting = known_energies[row, k] - energies[row]
                    outside = skip[row, k] == 0 and splitting != 0.0
                    weight[lane] = shares[k * copies + copy, lane] / splitting if outside else 0.0
                place = (k * copies + copy) * size
                axpy((at(y, 0), at(known, place)), weight, weight, begin, end, tag)
        wait(team)
        gather(vectors, state, rows, psi, team, tag)
        string_elements(layout, at(psi, 0), at(y, 0), shared, right, scratch_vector, team, tag)
        if team.rank == 0:
            for lane in range(lanes):
                relative[rows[lane]] = worst
        hand_over(shared, rows, elements, 2.0, team, tag)
