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
from qeqprop.engine.apply import OPTIONS, apply_once
from qeqprop.engine.corrections import ROWS, prepare, refine_state, response_vector
from qeqprop.engine.exchange import convert, gather, partner_of, scatter
from qeqprop.engine.krylov import SKEW, TABLES, add_noise, inner, lowest_state, project_out
from qeqprop.engine.mean_field import product_state
from qeqprop.engine.measuring import hand_over, string_elements
from qeqprop.engine.streams import axpy, scaled
from qeqprop.engine.sums import build_operator, convert_parts, empty_operator, operator_space
from qeqprop.engine.team import share, wait
from qeqprop.engine.tridiagonal import SCRATCH

EASE = 0.05
"""The residual of a state that only tells a gap, as a part of that gap; the error of the gap is of second order."""

MEAN_FIELD_SITES = 10
"""From this many sites on, the first state starts from a mean-field state: below, that saves too few steps."""


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
        apply_once(operator, at(x, 0), at(y, 0), dots, team, tag)
        wait(team)
        scatter(y, rows, results, 0, team, tag)


@nb.njit(**OPTIONS)
def settle(
    layout, coefficients, chunks, vectors, n_given, n_states, warm, energies, residuals, elements, n_accurate, goals,
    rough_goals, norms, max_steps, n_rows, fine, rough, scratch, refined, team, tag,
):  # fmt: skip
    """The lowest states of the samples, one after the other, each outside the ones before.

    Lanczos runs on rough vectors; an accurate state is then corrected on fine ones.

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
        rough_goals: (batch,) those of Lanczos.
        norms: (batch,) bounds of the norm.
        max_steps: of every state.
        n_rows: of the Krylov basis.
        fine: workspace: diagonal, states, an operator, elements.
        rough: workspace: the rows of the Krylov basis, diagonal, states, an operator.
        scratch: the memory of the Krylov basis, in the precision of ``fine``.
        refined: true where the rough vectors are rougher, so that states are to be corrected; else None, and then
            this is not even compiled.
        team: of threads.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    dim = vectors.shape[2]
    size = dim * lanes
    width = size + SKEW
    copies = 1 + layout.partner
    n_kept = n_states * copies
    diagonal, known = fine[:size], fine[width : width + n_kept * size]
    first = width + n_kept * size + SKEW
    parts, shared = fine[first:], fine[first + operator_space(layout) :]
    shared = shared[: layout.strings * lanes].reshape((layout.strings, lanes))
    first = n_rows * width
    rough_diagonal, rough_known = rough[first : first + size], rough[first + width : first + width + n_kept * size]
    rough_parts = rough[first + width + n_kept * size + SKEW :]
    tables = np.empty((TABLES, max(n_rows, 2 * n_kept + 5, SCRATCH), lanes))
    operator = empty_operator(layout, diagonal, parts, team, tag)
    rough_operator = empty_operator(layout, rough_diagonal, rough_parts, team, tag)
    goal, rough_goal, norm, floor = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.zeros(lanes)
    energy, residual, numbers = np.empty(lanes), np.empty(lanes), np.empty((12, lanes))
    which = np.zeros(vectors.shape[0], dtype=np.int64)
    begin, end = share(team, size)
    steps, conditioner = rough[2 * width :], rough[(2 + ROWS) * width : (2 + ROWS) * width + size]
    for rows in chunks:
        build_operator(layout, coefficients, rows, diagonal, parts, scratch, team, tag)
        convert_parts(layout, parts, rough_parts, team, tag)
        convert(diagonal, rough_diagonal, team, tag)
        for lane in range(lanes):
            goal[lane], rough_goal[lane], norm[lane] = goals[rows[lane]], rough_goals[rows[lane]], norms[rows[lane]]
            if n_given >= n_accurate:
                floor[lane] = energies[rows[lane], n_accurate - 1]
        for state in range(n_states):
            place = state * copies * size
            x, rough_x = known[place : place + size], rough_known[place : place + size]
            which[:] = state
            if state < n_given or warm:
                gather(vectors, which, rows, x, team, tag)
            if state >= n_given:
                if warm:
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
                convert(x, rough_x, team, tag)
                ease = 0.0 if state < n_accurate else EASE
                lowest_state(
                    rough_operator, at(rough_x, 0), at(rough, 0), n_rows, at(rough_known, 0), state * copies, norm,
                    rough_goal, ease, floor, energy, residual, tables, team, max_steps, tag,
                )  # fmt: skip
                convert(rough_x, x, team, tag)
                if refined is not None and state < n_accurate:
                    refine_state(
                        operator, rough_operator, diagonal, rough_diagonal, at(known, 0), rough_known, state * copies,
                        x, layout.partner, scratch[:size], at(steps, 0), conditioner, norm, goal, energy, residual,
                        numbers, team, max_steps, tag,
                    )  # fmt: skip
                    convert(diagonal, rough_diagonal, team, tag)
                if team.rank == 0:
                    for lane in range(lanes):
                        energies[rows[lane], state] = energy[lane]
                        residuals[rows[lane], state] = residual[lane]
                if state == n_accurate - 1:
                    floor[:] = energy
                scatter(x, rows, vectors, state, team, tag)
            convert(x, rough_x, team, tag)
            if layout.partner:
                partner_of(x, known[place + size : place + 2 * size], team)
                partner_of(rough_x, rough_known[place + size : place + 2 * size], team)
        ket = at(known, (n_accurate - 1) * copies * size)
        for state in range(n_given, n_states):
            for copy in range(copies):  # Re <i m|P|n> = Im <m|P|n>
                bra = at(known, (state * copies + copy) * size)
                string_elements(layout, bra, ket, shared, scratch, scratch[width:], team, tag)
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
    relative, tolerance, max_steps, fine, rough, refined, team, tag,
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
        fine, rough: workspaces.
        refined: as in `settle`.
        team: of threads.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    size = vectors.shape[2] * lanes
    width = size + SKEW
    copies = 1 + layout.partner
    n_kept = n_known * copies
    begin, end = share(team, size)
    diagonal, right, y = fine[:size], fine[width:], fine[2 * width :]
    part, applied = fine[3 * width : 3 * width + size], fine[4 * width :]
    known = fine[5 * width : 5 * width + n_kept * size]
    first = 5 * width + n_kept * size
    shared = fine[first : first + layout.strings * lanes].reshape((layout.strings, lanes))
    parts = fine[first + layout.strings * lanes :]
    rough_diagonal, conditioner = rough[:size], rough[width : width + size]
    rough_known = rough[2 * width : 2 * width + n_kept * size]
    first = 2 * width + n_kept * size
    rough_parts, space = rough[first:], rough[first + operator_space(layout) :]
    scratch = np.zeros((12, lanes))
    energy, weight, norm = np.empty(lanes), np.empty(lanes), np.empty(lanes)
    operator = empty_operator(layout, diagonal, parts, team, tag)
    rough_operator = empty_operator(layout, rough_diagonal, rough_parts, team, tag)
    which = np.zeros(vectors.shape[0], dtype=np.int64)
    shares = np.zeros((n_kept, lanes))
    for rows in chunks:
        for k in range(n_known):
            place = k * copies * size
            which[:] = k
            gather(vectors, which, rows, known[place : place + size], team, tag)
            if layout.partner:
                partner_of(known[place : place + size], known[place + size : place + 2 * size], team)
        convert(known, rough_known, team, tag)
        gather(vectors, state, rows, part, team, tag)
        build_operator(layout, perturbations, rows, diagonal, parts, y, team, tag)
        apply_once(operator, at(part, 0), at(right, 0), scratch[0], team, tag)
        for lane in range(lanes):
            energy[lane], weight[lane] = energies[rows[lane]], -1.0
        wait(team)
        scaled((at(right, 0), at(right, 0)), weight, weight, begin, end, tag)
        wait(team)
        for k in range(n_kept):
            inner(size, at(known, k * size), at(right, 0), shares[k], team, tag)  # -<k|N|n>
        build_operator(layout, coefficients, rows, diagonal, parts, y, team, tag)
        convert_parts(layout, parts, rough_parts, team, tag)
        for lane in range(lanes):
            norm[lane] = np.sum(np.abs(coefficients[rows[lane]]))
            for b in range(begin + lane, end, lanes):
                diagonal[b] -= energy[lane]
            energy[lane] = 0.0
        wait(team)
        prepare(diagonal, energy, norm, n_known == 1, rough_diagonal, conditioner, scratch[:3], team, tag)
        worst = response_vector(
            operator, rough_operator, at(known, 0), at(rough_known, 0), n_kept, n_known == 1, at(right, 0), at(y, 0),
            at(part, 0), at(applied, 0), at(space, 0), at(conditioner, 0), tolerance, refined, scratch, team, max_steps,
            tag,
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
        gather(vectors, state, rows, part, team, tag)
        string_elements(layout, at(part, 0), at(y, 0), shared, right, applied, team, tag)
        if team.rank == 0:
            for lane in range(lanes):
                relative[rows[lane]] = worst
        hand_over(shared, rows, elements, 2.0, team, tag)
