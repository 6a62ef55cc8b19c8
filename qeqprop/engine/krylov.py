"""Lanczos for the lowest state and conjugate gradients for its response, on one vector or on one per lane.

Vectors are flat (dim * lanes,), scalars arrays (lanes,). A sum enters as ``operator = (sites, diagonal, flip_site,
flips, signs)``; vectors that are known already are kept out as the rows of ``known`` (n_known * dim * lanes,).
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import math

import numba as nb
import numpy as np

from qeqprop.engine.apply import INLINED, OPTIONS, apply, apply_together
from qeqprop.engine.kernels import (
    apply_lanes,
    axpy,
    axpy_four,
    descent,
    direction,
    dot,
    scale,
    three_term,
    three_term_deflated,
)
from qeqprop.engine.team import add_up, share, wait
from qeqprop.engine.tridiagonal import lowest_pair

SKEW = 136
"""Doubles between vectors of a workspace: the same amplitude of two vectors falls into different cache sets."""

_EXHAUSTED = 1e-13  # of the norm: the Krylov space holds everything the start can reach
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@nb.njit(**INLINED)
def apply_operator(operator, x, y, dots, team, tag):
    """``y = H x`` and ``dots = x . y``, for all ranks."""
    sites, diagonal, flip_site, flips, signs = operator
    if len(tag) == 1:
        if team.ranks == 1:
            dots[0] = apply(sites, diagonal, flips, signs, x, y)
        else:
            dots[0] = apply_together(sites, diagonal, flips, signs, x, y, team)
            add_up(team, dots)
    else:
        group_mask, _, sign_starts, sign_z, values, _ = signs
        apply_lanes(diagonal, flip_site, flips, group_mask, sign_starts, sign_z, values, x, y, dots)


@nb.njit(**INLINED)
def inner(x, y, sums, team, tag):
    """``sums = x . y``, for all ranks."""
    begin, end = share(team, x.size)
    sums[:] = 0.0
    dot((x, y), sums[:0], sums, begin, end, tag)
    add_up(team, sums)


@nb.njit(**INLINED)
def splitmix(z):
    """Random bits from multiples of GOLDEN: Steele, Lea & Flood, "Fast splittable pseudorandom generators" (2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@nb.njit(**OPTIONS)
def add_noise(x, amount, seed, team):
    """Adds numbers from -amount to amount that are a function of the position and the seed only."""
    begin, end = share(team, x.size)
    for k in range(begin, end):
        z = splitmix((np.uint64(k) + np.uint64(1) + np.uint64(seed) * np.uint64(0x632BE59BD9B4E019)) * GOLDEN)
        x[k] += amount * (2.0 * (np.float64(z >> np.uint64(11)) / 9007199254740992.0) - 1.0)


@nb.njit(**OPTIONS)
def project_out(x, known, n_known, scratch, team, tag):
    """``x -= sum_k q_k (q_k . x)``."""
    lanes = len(tag)
    begin, end = share(team, x.size)
    for k in range(n_known):
        q = known[k * x.size : (k + 1) * x.size]
        inner(q, x, scratch[:lanes], team, tag)
        scratch[:lanes] *= -1.0
        axpy((x, q), scratch[:lanes], scratch[:0], begin, end, tag)


@nb.njit(**OPTIONS)
def lowest_state(
    operator, x, basis, n_rows, known, n_known, norms, goals, ease, floors, energies, residuals, tables, team,
    max_steps, tag,
):  # fmt: skip
    """The lowest state outside the known ones, from the start x, which becomes the unit vector of the state.

    Lanczos with the Ritz residual as the test, restarted with the Ritz vector when the workspace is full. The known
    states are shifted by twice the bound of the norm, to above the spectrum.

    Args:
        operator: the sums.
        x: start, not zero.
        basis: workspace of rows of ``x.size + SKEW``.
        n_rows: how many, at least six.
        known: unit vectors.
        n_known: how many.
        norms: (lanes,) bounds of the norm.
        goals: (lanes,) wanted residual.
        ease: the residual may also be this part of ``energy - floor``: enough to know a gap.
        floors: (lanes,).
        energies: (lanes,) result.
        residuals: (lanes,) result, measured.
        tables: (11, rows, lanes) scratch.
        team: of threads.
        max_steps: applications after which it gives up.
        tag: tuple of as many numbers as lanes.

    Returns:
        Number of applications.
    """
    lanes = len(tag)
    size = x.size
    width = size + SKEW
    capacity = min(n_rows - 1, size // lanes)  # beyond the dimension there is nothing new, only rounding errors
    begin, end = share(team, size)
    alphas, betas, lengths, ritz, pivots = tables[0], tables[1], tables[2], tables[3], tables[4]
    alive, theta, dots, frozen, margin = tables[5, 0], tables[5, 1], tables[5, 2], tables[5, 3], tables[5, 4]
    sums, weights = tables[6, :2].reshape(-1), tables[7, :4].reshape(-1)
    overlaps, new_overlaps, kept = tables[8], tables[9], tables[10]
    total = 0
    while True:
        first = basis[:size]
        first[begin:end] = x[begin:end]
        wait(team)
        inner(first, first, dots, team, tag)
        for lane in range(lanes):
            lengths[0, lane] = math.sqrt(dots[lane])
            betas[0, lane] = 0.0
            alive[lane] = 1.0
            frozen[lane], margin[lane] = 0.0, 0.0
        for k in range(n_known):
            inner(first, known[k * size : (k + 1) * size], overlaps[k], team, tag)
        steps = 0
        check = min(capacity, 10 if ease > 0 else 16)
        before, looked = 0.0, 0  # the last residual, relative to the goal, and where it was
        for lane in range(lanes):
            before = max(before, norms[lane] / goals[lane])
        done = False
        while True:
            u = basis[steps * width : steps * width + size]
            t = basis[(steps + 1) * width : (steps + 1) * width + size]
            p = basis[(steps - 1) * width : (steps - 1) * width + size] if steps else u
            apply_operator(operator, u, t, dots, team, tag)
            total += 1
            for lane in range(lanes):
                length = lengths[steps, lane]
                inverse = 1.0 / length if alive[lane] > 0 else 0.0
                alpha = dots[lane] * inverse * inverse
                for k in range(n_known):
                    share_ = overlaps[k, lane] * inverse
                    alpha += 2.0 * norms[lane] * share_ * share_
                alphas[steps, lane] = alpha if alive[lane] > 0 else 1e30
                weights[lane] = inverse
                weights[lanes + lane] = -alpha * inverse
                weights[2 * lanes + lane] = -length / lengths[steps - 1, lane] if steps and alive[lane] > 0 else 0.0
            for k in range(n_known - 1, -1, -1):
                for lane in range(lanes):
                    weights[3 * lanes + lane] = 2.0 * norms[lane] * overlaps[k, lane] * weights[lane]
                if k > 0:  # t is still H u: divide by the length that the step multiplies in
                    for lane in range(lanes):
                        dots[lane] = 2.0 * norms[lane] * overlaps[k, lane]
                    axpy((t, known[k * size : (k + 1) * size]), dots, sums[:0], begin, end, tag)
            sums[:] = 0.0
            if n_known:
                three_term_deflated((t, u, p, known[:size]), weights, sums, begin, end, tag)
            else:
                three_term((t, u, p), weights, sums[:lanes], begin, end, tag)
            add_up(team, sums)
            if n_known:
                overlaps[0] = sums[lanes : 2 * lanes]
                for k in range(1, n_known):
                    inner(t, known[k * size : (k + 1) * size], new_overlaps[k], team, tag)
                    overlaps[k] = new_overlaps[k]
            steps += 1
            finished = True
            for lane in range(lanes):
                beta = math.sqrt(sums[lane])
                if beta <= _EXHAUSTED * norms[lane]:
                    alive[lane] = 0.0
                if alive[lane] == 0.0:
                    beta = 0.0
                else:
                    finished = False
                betas[steps, lane] = beta
                lengths[steps, lane] = beta
            if steps >= check or steps >= capacity or finished:
                lowest_pair(steps, alphas, betas, theta, margin, ritz, pivots, tag)
                worst = 0.0
                last_chance = finished or steps >= capacity or total >= max_steps
                for lane in range(lanes):
                    if frozen[lane] > 0.0:
                        continue
                    residual = betas[steps, lane] * abs(ritz[steps - 1, lane])
                    margin[lane] = residual
                    goal = max(goals[lane], ease * (theta[lane] - floors[lane]))
                    worst = max(worst, residual / goal)
                    if residual < goal or last_chance:
                        # going on would only add copies of a state that is there: this lane rests
                        frozen[lane], alive[lane] = 1.0, 0.0
                        for i in range(steps):
                            kept[i, lane] = ritz[i, lane]
                        for i in range(steps, capacity):
                            kept[i, lane] = 0.0
                done = worst < 1.0 or finished
                if done or last_chance:
                    break
                # the residual falls geometrically: look again where it should have arrived, but soon while that is new
                rate = max(0.1, math.log(before / worst) / (steps - looked))
                needed = int(math.log(worst) / rate) + 1
                check = steps + max(4 if ease > 0 else 1, min(needed, 16 if looked else 12))
                before, looked = worst, steps
        x[begin:end] = 0.0
        for i in range(0, steps, 4):
            for j in range(4):
                for lane in range(lanes):
                    used = i + j < steps and lengths[i + j, lane] > 0.0
                    weights[j * lanes + lane] = kept[i + j, lane] / lengths[i + j, lane] if used else 0.0
            rows = (
                x,
                basis[i * width : i * width + size],
                basis[min(i + 1, steps) * width : min(i + 1, steps) * width + size],
                basis[min(i + 2, steps) * width : min(i + 2, steps) * width + size],
                basis[min(i + 3, steps) * width : min(i + 3, steps) * width + size],
            )
            axpy_four(rows, weights, sums[:0], begin, end, tag)
        wait(team)
        if done or total >= max_steps:
            break
    project_out(x, known, n_known, dots, team, tag)
    inner(x, x, dots, team, tag)
    for lane in range(lanes):
        weights[lane] = 1.0 / math.sqrt(dots[lane])
    scale((x,), weights[:lanes], sums[:0], begin, end, tag)
    wait(team)
    residual_of(operator, x, basis[:size], energies, residuals, weights, team, tag)
    return total + 1


@nb.njit(**OPTIONS)
def residual_of(operator, x, t, energies, residuals, weights, team, tag):
    """``E = x . H x`` and ``||H x - E x||`` of a unit vector x; t (dim * lanes,), weights (3 * lanes,): scratch."""
    lanes = len(tag)
    begin, end = share(team, x.size)
    apply_operator(operator, x, t, energies, team, tag)
    wait(team)
    for lane in range(lanes):
        weights[lane], weights[lanes + lane], weights[2 * lanes + lane] = 1.0, -energies[lane], 0.0
    residuals[:] = 0.0
    three_term((t, x, x), weights, residuals, begin, end, tag)
    add_up(team, residuals)
    for lane in range(lanes):
        residuals[lane] = math.sqrt(residuals[lane])


@nb.njit(**OPTIONS)
def response_vector(
    operator, known, n_known, cleaning, right, y, workspace, tolerance, scratch, team, max_steps, tag
):  # fmt: skip
    """Solves ``A y = right`` outside the known states by conjugate gradients; ``right`` is used up.

    Args:
        operator: the sums A = H - E; positive outside the known states.
        known: unit eigenvectors, at least one.
        n_known: how many.
        cleaning: steps after which rounding errors along the known states are removed: they grow where A is negative,
            on states below E, and are harmless where it vanishes.
        right: (dim * lanes,) becomes the residual.
        y: (dim * lanes,) result.
        workspace: two rows of ``x.size + SKEW``.
        tolerance: of the residual, relative to the right-hand side.
        scratch: (6, lanes).
        team: of threads.
        max_steps: applications after which it gives up.
        tag: tuple of as many numbers as lanes.

    Returns:
        The largest relative residual reached.
    """
    lanes = len(tag)
    size = right.size
    width = size + SKEW
    begin, end = share(team, size)
    p, applied = workspace[:size], workspace[width : width + size]
    squares, start, dots, sums = scratch[0], scratch[1], scratch[2], scratch[3]
    weights = scratch[4:6].reshape(-1)
    project_out(right, known, n_known, dots, team, tag)
    inner(right, right, squares, team, tag)
    start[:] = squares
    y[begin:end] = 0.0
    p[begin:end] = right[begin:end]
    wait(team)
    worst = 1.0
    for step in range(max_steps):
        worst = 0.0
        for lane in range(lanes):
            if start[lane] > 0.0:
                worst = max(worst, math.sqrt(squares[lane] / start[lane]))
        if worst <= tolerance:
            break
        apply_operator(operator, p, applied, dots, team, tag)
        wait(team)
        for lane in range(lanes):
            active = squares[lane] > 1e-3 * tolerance * tolerance * start[lane] and dots[lane] > 0.0
            weights[lane] = squares[lane] / dots[lane] if active else 0.0
            weights[lanes + lane] = -weights[lane]
        sums[:] = 0.0
        descent((y, right, p, applied), weights, sums, begin, end, tag)
        add_up(team, sums)
        if step % cleaning == cleaning - 1:
            project_out(right, known, n_known, dots, team, tag)
            inner(right, right, sums, team, tag)
        for lane in range(lanes):
            weights[lane] = sums[lane] / squares[lane] if squares[lane] > 0.0 else 0.0
            squares[lane] = sums[lane]
        direction((p, right), weights[:lanes], dots[:0], begin, end, tag)
        wait(team)
    project_out(y, known, n_known, dots, team, tag)
    return worst
