"""Lanczos for the lowest state, on one vector or on one per lane.

Vectors (dim * lanes,) are addresses, scalars arrays (lanes,). Vectors that are known already are kept out: ``known``
(n_known * dim * lanes,).
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import math

import numba as nb
import numpy as np

from qeqprop.engine.addresses import at
from qeqprop.engine.apply import INLINED, OPTIONS, apply, apply_once
from qeqprop.engine.streams import (
    axpy,
    axpy_four,
    clear,
    copy,
    dot,
    scaled,
    three_term,
    three_term_deflated,
)
from qeqprop.engine.team import add_up, share, wait
from qeqprop.engine.tridiagonal import PRECISION, SCRATCH, lowest_pair

SKEW = 208
"""Numbers between vectors of a workspace: the same amplitude of two vectors falls into different cache sets, 26 lines
apart in double precision and 13 in single."""

ATTEMPTS = 4
"""Searches for one state: without orthogonalisation a Krylov space may hold copies of it that cancel in the Ritz
vector. Only the measured residual tells, and the next search begins with what is left."""

COMBINED = 1 << 11
"""Amplitudes of a Ritz vector that are summed over all rows of the basis before the next ones: 16 KiB."""

_EXHAUSTED = 1e-13  # of the norm: the Krylov space holds everything the start can reach
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@nb.njit(**INLINED)
def inner(size, x, y, sums, team, tag):
    """``sums = x . y``, for all ranks; sums an array (lanes,)."""
    begin, end = share(team, size)
    for lane in range(len(tag)):
        sums[lane] = 0.0
    dot((x, y), sums, sums, begin, end, tag)
    add_up(team, sums, len(tag))


@nb.njit(**INLINED)
def splitmix(z):
    """Random bits from multiples of GOLDEN: Steele, Lea & Flood, "Fast splittable pseudorandom generators" (2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@nb.njit(**OPTIONS)
def add_noise(x, amount, seed, team):
    """Adds numbers from -amount to amount that are a function of the position and the seed only; x is an array."""
    begin, end = share(team, x.size)
    for k in range(begin, end):
        z = splitmix((np.uint64(k) + np.uint64(1) + np.uint64(seed) * np.uint64(0x632BE59BD9B4E019)) * GOLDEN)
        x[k] += amount * (2.0 * (np.float64(z >> np.uint64(11)) / 9007199254740992.0) - 1.0)


@nb.njit(**OPTIONS)
def project_out(size, x, known, n_known, sums, team, tag):
    """``x -= sum_k q_k (q_k . x)``; sums an array (lanes,) of scratch."""
    begin, end = share(team, size)
    for k in range(n_known):
        q = at(known, k * size)
        inner(size, q, x, sums, team, tag)
        for lane in range(len(tag)):
            sums[lane] = -sums[lane]
        axpy((x, q), sums, sums, begin, end, tag)


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
        basis: workspace of rows of ``dim * lanes + SKEW``.
        n_rows: how many, at least six.
        known: unit vectors, one after the other.
        n_known: how many.
        norms: (lanes,) bounds of the norm.
        goals: (lanes,) wanted residual.
        ease: the residual may also be this part of ``energy - floor``: enough to know a gap.
        floors: (lanes,).
        energies: (lanes,) result.
        residuals: (lanes,) result, measured.
        tables: (TABLES, rows, lanes) scratch.
        team: of threads.
        max_steps: applications after which it gives up.
        tag: tuple of as many numbers as lanes.

    Returns:
        Number of applications.
    """
    lanes = len(tag)
    size = operator.dim * lanes
    width = size + SKEW
    capacity = min(n_rows - 1, operator.dim)  # beyond the dimension there is nothing new, only rounding errors
    begin, end = share(team, size)
    alphas, betas, lengths, ritz, pivots, kept = tables[0], tables[1], tables[2], tables[3], tables[4], tables[5]
    overlaps, inverses = tables[6], tables[7]
    alive, theta, dots, frozen = tables[8, 0], tables[8, 1], tables[8, 2], tables[8, 3]
    sums, weights = tables[9, :2].reshape(-1), tables[9, 2:6].reshape(-1)
    scratch = tables[10, :SCRATCH]
    total, attempts = 0, 0
    while True:
        copy((basis, x), sums, sums, begin, end, tag)
        wait(team)
        inner(size, basis, basis, dots, team, tag)
        for lane in range(lanes):
            lengths[0, lane] = math.sqrt(dots[lane])
            betas[0, lane] = 0.0
            alive[lane] = 1.0
            frozen[lane] = 0.0
        for k in range(n_known):
            inner(size, basis, at(known, k * size), dots, team, tag)
            for lane in range(lanes):
                overlaps[k, lane] = dots[lane]
        steps = 0
        guessed, precision = False, 1e-4 * ease if ease > 0 else PRECISION
        before, looked = 0.0, 0  # the last residual, relative to the goal, and where it was
        check = capacity
        done = False
        while True:
            u, t, p = at(basis, steps * width), at(basis, (steps + 1) * width), at(basis, max(steps - 1, 0) * width)
            apply(operator, u, t, dots, team, tag)
            add_up(team, dots, lanes)
            total += 1
            for lane in range(lanes):
                length = lengths[steps, lane]
                inverse = 1.0 / length if alive[lane] > 0 else 0.0
                inverses[steps, lane] = inverse
                alpha = dots[lane] * inverse * inverse
                for k in range(n_known):
                    share_ = overlaps[k, lane] * inverse
                    alpha += 2.0 * norms[lane] * share_ * share_
                alphas[steps, lane] = alpha if alive[lane] > 0 else 1e30
                weights[lane] = inverse
                weights[lanes + lane] = -alpha * inverse
                weights[2 * lanes + lane] = -length / lengths[steps - 1, lane] if steps and alive[lane] > 0 else 0.0
                sums[lane], sums[lanes + lane] = 0.0, 0.0
            if n_known:
                for k in range(n_known - 1, 0, -1):
                    for lane in range(lanes):  # t is still H u: divide by the length that the step multiplies in
                        dots[lane] = 2.0 * norms[lane] * overlaps[k, lane]
                    axpy((t, at(known, k * size)), dots, dots, begin, end, tag)
                for lane in range(lanes):
                    weights[3 * lanes + lane] = 2.0 * norms[lane] * overlaps[0, lane] * weights[lane]
                three_term_deflated((t, u, p, known), weights, sums, begin, end, tag)
                add_up(team, sums, 2 * lanes)
                for lane in range(lanes):
                    overlaps[0, lane] = sums[lanes + lane]
                for k in range(1, n_known):
                    inner(size, t, at(known, k * size), dots, team, tag)
                    for lane in range(lanes):
                        overlaps[k, lane] = dots[lane]
            else:
                three_term((t, u, p), weights, sums, begin, end, tag)
                add_up(team, sums, lanes)
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
                if steps == 1:
                    before = max(before, beta / goals[lane])
            if steps == 1:
                # a look costs as much as a few steps of a small state: the first one comes when the answer may be near,
                # but not so early that a higher state could pass for the lowest at a loose goal
                expected = (3.5 + 0.2 * operator.sites) * math.log10(max(1.0, before))
                expected = max(16, int(min(expected, 8.0 + 2.0 * operator.sites)))
                check = min(capacity, 8 + operator.sites if ease > 0 else expected)
            if steps >= check or steps >= capacity or finished:
                lowest_pair(
                    steps, alphas, betas, inverses, theta, guessed, precision, ritz, pivots, scratch, tag
                )  # fmt: skip
                guessed = True  # a larger space holds a lower state
                worst = 0.0
                last_chance = finished or steps >= capacity or total >= max_steps
                for lane in range(lanes):
                    if frozen[lane] > 0.0:
                        continue
                    residual = betas[steps, lane] * abs(ritz[steps - 1, lane])
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
                check = steps + max(1, min(needed, 16 if looked else 12))
                before, looked = worst, steps
        for first in range(begin, end, COMBINED):  # all rows of a part at once: the sum stays in the first-level cache
            last = min(first + COMBINED, end)
            clear((x,), dots, dots, first, last, tag)
            for i in range(0, steps, 4):
                for j in range(4):
                    for lane in range(lanes):
                        used = i + j < steps and lengths[i + j, lane] > 0.0
                        weights[j * lanes + lane] = kept[i + j, lane] / lengths[i + j, lane] if used else 0.0
                rows = (
                    x,
                    at(basis, i * width),
                    at(basis, min(i + 1, steps) * width),
                    at(basis, min(i + 2, steps) * width),
                    at(basis, min(i + 3, steps) * width),
                )
                axpy_four(rows, weights, weights, first, last, tag)
        wait(team)
        if not done and total < max_steps:
            continue
        project_out(size, x, known, n_known, dots, team, tag)
        inner(size, x, x, dots, team, tag)
        for lane in range(lanes):
            weights[lane] = 1.0 / math.sqrt(dots[lane])
        scaled((x, x), weights, weights, begin, end, tag)
        wait(team)
        apply_once(operator, x, basis, energies, team, tag)
        add_up(team, energies, lanes)
        total += 1
        for lane in range(lanes):
            weights[lane], weights[lanes + lane], weights[2 * lanes + lane] = 1.0, -energies[lane], 0.0
            residuals[lane] = 0.0
        three_term((basis, x, x), weights, residuals, begin, end, tag)
        add_up(team, residuals, lanes)
        missed = False
        for lane in range(lanes):
            residuals[lane] = math.sqrt(residuals[lane])
            goal = max(goals[lane], ease * (energies[lane] - floors[lane]))
            missed = missed or residuals[lane] > 2.0 * goal
        attempts += 1
        if not missed or attempts == ATTEMPTS or total >= max_steps:
            return total


TABLES = 11
"""Tables of scratch that `lowest_state` needs."""
