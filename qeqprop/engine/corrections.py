"""Conjugate gradients in a rough precision, and what they correct in double precision: a response, an eigenstate.

A correction of a few digits needs no more than a few digits itself. So the steps, nearly all of the work, run on rough
vectors (single precision where that pays); residuals are then measured, and results summed up, in fine ones, until they
are as small as wanted: iterative refinement (Wilkinson 1963; for conjugate gradients: Strzodka & Goeddeke 2006).

Vectors (dim * lanes,) are addresses, scalars arrays (lanes,), as in `krylov`.
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import math

import numba as nb
import numpy as np

from qeqprop.engine.addresses import at
from qeqprop.engine.apply import OPTIONS, apply, apply_once
from qeqprop.engine.exchange import partner_of
from qeqprop.engine.krylov import SKEW, inner, project_out
from qeqprop.engine.streams import advance, axpy, clear, condition, descent, precondition, scaled, three_term
from qeqprop.engine.team import add_up, share, wait

DEPTH = 2e-5
"""What rough steps may reduce a residual by before it is measured again."""

DEEPEST = 1e-5
"""The same where only the result is measured."""

FLOOR = 1e-2
"""The least entry of the preconditioner, as a part of the sum of the coefficients: without flips it would vanish."""

ROUNDS = 5
"""Corrections of one state, each of second order: more would not help."""

ROWS = 4
"""Rows of ``dim * lanes + SKEW`` that the steps need: residual, solution, direction, and the operator on it."""


@nb.njit(**OPTIONS)
def conjugate_gradients(
    operator, known, n_known, lowest, space, conditioner, goals, carry, scratch, team, max_steps, tag
):  # fmt: skip
    """Solves ``A s = r`` outside the known states, from s = 0; r, of unit length or zero, becomes the residual.

    Args:
        operator: the sums A = H - E; positive outside the known states.
        known: unit eigenvectors, at least one.
        n_known: how many.
        lowest: whether none of them lies below E.
        space: rows r, s, p and ``A p``.
        conditioner: (dim * lanes,) the inverse of the preconditioner.
        goals: (lanes,) lengths of the residual to reach.
        carry: (lanes,) the last direction p goes on, times this; zero: anew.
        scratch: array (8, lanes); its second row are the squared lengths of r, before and after.
        team: of threads.
        max_steps: applications after which it gives up.
        tag: tuple of as many numbers as lanes.

    Returns:
        Number of applications.
    """
    lanes = len(tag)
    size = operator.dim * lanes
    width = size + SKEW
    begin, end = share(team, size)
    r, s, p, applied = space, at(space, width), at(space, 2 * width), at(space, 3 * width)
    products, squares, dots = scratch[0], scratch[1], scratch[2]  # products: r . M^-1 r
    sums, weights = scratch[3:5].reshape(-1), scratch[5:7].reshape(-1)
    # rounding errors along the known states grow where A is negative, on states below E, and are harmless elsewhere
    cleaning = 8 if lowest else 1
    clear((s,), dots, dots, begin, end, tag)
    anew = True
    for lane in range(lanes):
        products[lane] = 0.0
        anew = anew and carry[lane] == 0.0
    if anew:
        precondition((p, r, conditioner), dots, products, begin, end, tag)
    else:
        scaled((p, p), carry, carry, begin, end, tag)
        for lane in range(lanes):
            dots[lane], sums[lane], sums[lanes + lane] = 0.0, 0.0, 0.0
        descent((r, r, conditioner), dots, sums, begin, end, tag)
        for lane in range(lanes):
            products[lane] = sums[lane]
    add_up(team, products, lanes)
    wait(team)
    for step in range(max_steps):
        done = True
        for lane in range(lanes):
            done = done and squares[lane] <= goals[lane] * goals[lane]
        if done:
            return step
        apply(operator, p, applied, dots, team, tag)
        add_up(team, dots, lanes)
        for lane in range(lanes):
            active = squares[lane] > 1e-3 * goals[lane] * goals[lane] and dots[lane] > 0.0
            weights[lane] = products[lane] / dots[lane] if active else 0.0
            dots[lane] = -weights[lane]
            sums[lane], sums[lanes + lane] = 0.0, 0.0
        descent((r, applied, conditioner), dots, sums, begin, end, tag)
        add_up(team, sums, 2 * lanes)
        if step % cleaning == cleaning - 1:
            project_out(size, r, known, n_known, dots, team, tag)
        for lane in range(lanes):
            weights[lanes + lane] = sums[lane] / products[lane] if products[lane] > 0.0 else 0.0
            products[lane], squares[lane] = sums[lane], sums[lanes + lane]
        advance((s, p, r, conditioner), weights, sums, begin, end, tag)
        wait(team)
    return max_steps


@nb.njit(**OPTIONS)
def response_vector(
    operator, rough, known, rough_known, n_known, lowest, right, y, part, applied, space, conditioner, tolerance,
    refined, scratch, team, max_steps, tag,
):  # fmt: skip
    """Solves ``A y = right`` outside the known states; ``right`` becomes the residual.

    Args:
        operator: the sums A = H - E; positive outside the known states.
        rough: the same for the steps.
        known: unit eigenvectors, at least one.
        rough_known: the same for the steps.
        n_known: how many.
        lowest: whether none of them lies below E.
        right: (dim * lanes,).
        y: (dim * lanes,) result.
        part, applied: (dim * lanes,) scratch.
        space: ROWS rows for the steps.
        conditioner: (dim * lanes,) the inverse of the preconditioner.
        tolerance: of the residual, relative to the right-hand side.
        refined: true where the rough vectors are rougher, so that the residual is to be measured; else None, and then
            this is not even compiled.
        scratch: array (12, lanes).
        team: of threads.
        max_steps: applications after which it gives up.
        tag: tuple of as many numbers as lanes.

    Returns:
        The largest relative residual reached.
    """
    lanes = len(tag)
    size = operator.dim * lanes
    begin, end = share(team, size)
    squares, dots = scratch[1], scratch[2]
    start, lengths, weights, carry, goals = scratch[7], scratch[8], scratch[9], scratch[10], scratch[11]
    project_out(size, right, known, n_known, dots, team, tag)
    inner(size, right, right, lengths, team, tag)
    for lane in range(lanes):
        lengths[lane] = math.sqrt(lengths[lane])
        start[lane] = lengths[lane]
        carry[lane] = 0.0
    clear((y,), dots, dots, begin, end, tag)
    steps, worst = 0, 1.0
    while True:
        for lane in range(lanes):
            weights[lane] = 1.0 / lengths[lane] if lengths[lane] > 0.0 else 0.0
            squares[lane] = 1.0 if lengths[lane] > 0.0 else 0.0
        scaled((space, right), weights, weights, begin, end, tag)
        for lane in range(lanes):
            goals[lane] = tolerance
            if refined is not None:
                goals[lane] = max(DEPTH, 0.5 * tolerance * start[lane] * weights[lane])
        steps += conjugate_gradients(
            rough, rough_known, n_known, lowest, space, conditioner, goals, carry, scratch, team, max_steps - steps, tag
        )  # fmt: skip
        scaled((part, at(space, size + SKEW)), lengths, lengths, begin, end, tag)
        for lane in range(lanes):
            weights[lane] = 1.0
        axpy((y, part), weights, weights, begin, end, tag)
        wait(team)
        worst = 0.0
        if refined is None:
            for lane in range(lanes):
                worst = max(worst, math.sqrt(squares[lane]))
            break
        apply_once(operator, part, applied, dots, team, tag)
        for lane in range(lanes):
            weights[lane] = -1.0
        wait(team)
        axpy((right, applied), weights, weights, begin, end, tag)
        wait(team)
        project_out(size, right, known, n_known, dots, team, tag)
        inner(size, right, right, squares, team, tag)
        stuck = True
        for lane in range(lanes):
            length = math.sqrt(squares[lane])
            stuck = stuck and length > 0.5 * lengths[lane]
            carry[lane] = lengths[lane] / length if length > 0.0 else 0.0
            lengths[lane] = length
            worst = max(worst, length / start[lane] if start[lane] > 0.0 else 0.0)
        if worst <= tolerance or stuck or steps >= max_steps:
            break
    project_out(size, y, known, n_known, dots, team, tag)
    return worst


@nb.njit(**OPTIONS)
def prepare(diagonal, energies, norms, lowest, rough_diagonal, conditioner, scratch, team, tag):
    """``D - E`` for the steps, and the inverse of their preconditioner: ``D - E`` if no state is lower, else one.

    It is positive for the ground state, since no amplitude alone has an energy below E. scratch: (3, lanes).
    """
    lanes = len(tag)
    begin, end = share(team, diagonal.size)
    weights = scratch.reshape(-1)
    for lane in range(lanes):
        weights[lane] = -energies[lane]
        weights[lanes + lane] = 1.0 if lowest else 0.0
        weights[2 * lanes + lane] = FLOOR * norms[lane] if lowest else 1.0
    condition((at(rough_diagonal, 0), at(conditioner, 0), at(diagonal, 0)), weights, weights, begin, end, tag)
    wait(team)


@nb.njit(**OPTIONS)
def refine_state(
    operator, rough, diagonal, rough_diagonal, known, rough_known, n_known, x, partner, applied, space, conditioner,
    norms, goals, energies, residuals, scratch, team, max_steps, tag,
):  # fmt: skip
    """Makes x, an eigenstate outside the known ones to a few digits, one to its goal: Newton's method.

    With ``E = x . H x`` and ``r = H x - E x`` the state is ``x + s``, where ``(H - E) s = -r`` outside x and the known
    states, up to second order in r.

    Args:
        operator: the sums H.
        rough: the same for the steps; its diagonal is changed.
        diagonal, rough_diagonal: arrays (dim * lanes,), theirs.
        known: unit eigenvectors below.
        rough_known: array of the same for the steps, with room for x behind them.
        n_known: how many vectors are known.
        x: array (dim * lanes,).
        partner: whether ``i x`` is an eigenstate beside x.
        applied: array (dim * lanes,) of scratch.
        space: ROWS rows for the steps.
        conditioner: array (dim * lanes,) of scratch.
        norms: (lanes,) bounds of the norm.
        goals: (lanes,) wanted residual.
        energies: (lanes,) result.
        residuals: (lanes,) result, measured.
        scratch: array (12, lanes).
        team: of threads.
        max_steps: of one correction.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    size = operator.dim * lanes
    begin, end = share(team, size)
    squares, dots, goals_, carry = scratch[1], scratch[2], scratch[7], scratch[8]
    weights = scratch[3:6].reshape(-1)
    place, right = n_known * size, at(applied, 0)
    before = np.inf
    for round_ in range(ROUNDS):
        project_out(size, at(x, 0), known, n_known, dots, team, tag)
        inner(size, at(x, 0), at(x, 0), squares, team, tag)
        for lane in range(lanes):
            weights[lane] = 1.0 / math.sqrt(squares[lane])
            carry[lane] = 0.0
        scaled((at(x, 0), at(x, 0)), weights, weights, begin, end, tag)
        wait(team)
        apply_once(operator, at(x, 0), right, energies, team, tag)
        add_up(team, energies, lanes)
        for lane in range(lanes):
            weights[lane], weights[lanes + lane], weights[2 * lanes + lane] = 1.0, -energies[lane], 0.0
            squares[lane] = 0.0
        three_term((right, at(x, 0), at(x, 0)), weights, squares, begin, end, tag)
        add_up(team, squares, lanes)
        worst = 0.0
        for lane in range(lanes):
            residuals[lane] = math.sqrt(squares[lane])
            worst = max(worst, residuals[lane] / goals[lane])
        if worst <= 1.0 or worst > 0.5 * before or round_ == ROUNDS - 1:
            return
        before = worst
        rough_known[place + begin : place + end] = x[begin:end]
        wait(team)
        if partner:
            partner_of(rough_known[place : place + size], rough_known[place + size : place + 2 * size], team)
        prepare(diagonal, energies, norms, n_known == 0, rough_diagonal, conditioner, scratch[3:6], team, tag)
        for lane in range(lanes):
            weights[lane] = -1.0 / residuals[lane] if residuals[lane] > 0.0 else 0.0
            squares[lane] = 1.0 if residuals[lane] > 0.0 else 0.0
            goals_[lane] = min(0.1, max(DEEPEST, 0.3 * goals[lane] * abs(weights[lane])))
        scaled((space, right), weights, weights, begin, end, tag)
        conjugate_gradients(
            rough, at(rough_known, 0), n_known + 1 + partner, n_known == 0, space, at(conditioner, 0), goals_, carry,
            scratch, team, max_steps, tag,
        )  # fmt: skip
        axpy((at(x, 0), at(space, size + SKEW)), residuals, residuals, begin, end, tag)
        wait(team)
