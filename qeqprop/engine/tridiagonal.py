"""The lowest eigenpair of symmetric tridiagonal matrices, one in every lane.

A guess is refined by Rayleigh quotients: the vector that obeys all rows but the first (`recurrences`) is an inverse
iterate of the first unit vector, and its Rayleigh quotient is a guess of twice as many digits.
Without a guess Laguerre's method, started left of the spectrum, climbs to the lowest eigenvalue from below with cubic
convergence. Source: Parlett, The Symmetric Eigenvalue Problem (1980).
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import math

import numba as nb

from qeqprop.engine.recurrences import CURVATURE, END, SLOPE, SQUARES, VALUE, WORST, polynomial, solve_upwards

# sums may be reordered, but infinities and nans must stay: a pivot can vanish
_OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}

PRECISION = 1e-10
"""The residual, relative to the eigenvalue, after which one more step finds all digits."""

SCRATCH = 7
"""Rows of scratch that `lowest_pair` needs."""


@nb.njit(**_OPTIONS)
def lowest_pair(size, diagonal, off_diagonal, inverse, theta, guessed, precision, vector, pivots, scratch, tag):
    """Eigenvalues theta (lanes,) and unit vectors (size, lanes).

    Args:
        size: of the matrices.
        diagonal: (size, lanes).
        off_diagonal: (size, lanes); row i couples i - 1 and i, row 0 is not used.
        inverse: (size, lanes) of the off-diagonal; zero where it vanishes: the rows from there on do not count.
        theta: (lanes,) result; a guess before, if ``guessed``.
        guessed: whether there is a guess: the eigenvalue or a little more, like that of a smaller matrix.
        precision: makes the last step at a residual below this, relative to theta; PRECISION finds all digits.
        vector: (size, lanes) result.
        pivots: (size, lanes) scratch.
        scratch: (SCRATCH, lanes).
        tag: tuple of as many numbers as lanes.
    """
    if guessed and _refined(size, diagonal, off_diagonal, inverse, theta, precision, vector, scratch, tag):
        return
    _climb(size, diagonal, off_diagonal, inverse, theta, 1e-4, scratch, tag)
    if not _refined(size, diagonal, off_diagonal, inverse, theta, precision, vector, scratch, tag):
        _climb(size, diagonal, off_diagonal, inverse, theta, 3e-16, scratch, tag)
        _iterate(size, diagonal, off_diagonal, inverse, theta, vector, pivots, scratch, tag)


@nb.njit(**_OPTIONS)
def _refined(size, diagonal, off_diagonal, inverse, theta, precision, vector, scratch, tag):
    """Refines theta and finds the vector; False if theta was too far above the lowest eigenvalue to tell.

    With all rows but the first obeyed at x, ``(T - x) w = f e_0``; so the Rayleigh quotient of w is
    ``x + f w_0 / |w|^2``.
    """
    lanes = len(tag)
    for _ in range(8):
        solve_upwards(size, diagonal, off_diagonal, inverse, theta, vector, scratch, tag)
        moving = False
        for lane in range(lanes):
            if not scratch[WORST, lane] < 0.0:  # or the numbers ran out
                return False
            limit = precision * theta[lane]  # of the residual, |f| / |w|
            moving |= not scratch[VALUE, lane] ** 2 <= limit * limit * scratch[SQUARES, lane]
            theta[lane] += scratch[END, lane] / scratch[SQUARES, lane]
        if not moving:
            break
    solve_upwards(size, diagonal, off_diagonal, inverse, theta, vector, scratch, tag)
    for lane in range(lanes):
        if not (scratch[WORST, lane] < 0.0 and scratch[SQUARES, lane] < 1e300):
            return False
    _normalise(size, inverse, vector, scratch[SQUARES], tag)
    return True


@nb.njit(**_OPTIONS)
def _normalise(size, inverse, vector, squares, tag):
    """Divides the vectors (size, lanes) by their length; squares (lanes,) of it are used up."""
    for lane in range(len(tag)):
        squares[lane] = 1.0 / math.sqrt(squares[lane])
    for i in range(size):
        for lane in range(len(tag)):
            if i and inverse[i, lane] == 0.0:
                squares[lane] = 0.0
            vector[i, lane] *= squares[lane]


@nb.njit(**_OPTIONS)
def _climb(size, diagonal, off_diagonal, inverse, x, precision, scratch, tag):
    """Laguerre's method from the left of the spectrum, until a step is less than ``precision`` of x (lanes,)."""
    lanes = len(tag)
    count = scratch[CURVATURE + 1]  # rows of each matrix
    for lane in range(lanes):
        x[lane], count[lane] = 1e300, size  # Gershgorin's bound
    for i in range(size):
        for lane in range(lanes):
            if i and inverse[i, lane] == 0.0:
                count[lane] = min(count[lane], i)
            radius = abs(off_diagonal[i, lane]) if i else 0.0
            if i + 1 < size:
                radius += abs(off_diagonal[i + 1, lane])
            if i < count[lane]:
                x[lane] = min(x[lane], diagonal[i, lane] - radius)
    for lane in range(lanes):
        x[lane] -= 1e-9 * (abs(x[lane]) + 1.0)
    for _ in range(60):
        polynomial(size, diagonal, off_diagonal, inverse, x, scratch, scratch, tag)
        moving = False
        for lane in range(lanes):
            if scratch[WORST, lane] < 0.0 < scratch[END, lane]:  # still left of the spectrum
                g = scratch[SLOPE, lane] / scratch[VALUE, lane]
                f = scratch[CURVATURE, lane] / scratch[VALUE, lane] - g * g
                rows = count[lane]
                root = math.sqrt(max(0.0, (rows - 1) * (-rows * f - g * g)))
                step = rows / (root - g)
                x[lane] += step
                moving |= step >= precision * abs(x[lane])
        if not moving:
            break


@nb.njit(**_OPTIONS)
def _iterate(size, diagonal, off_diagonal, inverse, theta, vector, pivots, scratch, tag):
    """The vector of theta, accurate, by inverse iteration from all ones: also where a matrix almost falls apart."""
    lanes = len(tag)
    last = size - 1
    for lane in range(lanes):
        scratch[0, lane] = theta[lane] - 4e-15 * (abs(theta[lane]) + 1.0)
    for attempt in range(20):
        definite = True
        for i in range(size):
            for lane in range(lanes):
                pivot = diagonal[i, lane] - scratch[0, lane]
                if i:
                    pivot -= off_diagonal[i, lane] * off_diagonal[i, lane] * pivots[i - 1, lane]
                if not pivot > 0.0:
                    definite = False
                pivots[i, lane] = 1.0 / pivot
        if definite:
            break
        for lane in range(lanes):
            scratch[0, lane] -= (1 << attempt) * 4e-15 * (abs(theta[lane]) + 1.0)
    vector[:size] = 1.0
    for _ in range(2):
        for i in range(1, size):
            for lane in range(lanes):
                vector[i, lane] -= off_diagonal[i, lane] * pivots[i - 1, lane] * vector[i - 1, lane]
        for lane in range(lanes):
            vector[last, lane] *= pivots[last, lane]
            scratch[1, lane] = vector[last, lane] * vector[last, lane]
        for i in range(last - 1, -1, -1):
            for lane in range(lanes):
                value = pivots[i, lane] * (vector[i, lane] - off_diagonal[i + 1, lane] * vector[i + 1, lane])
                vector[i, lane] = value
                scratch[1, lane] += value * value
        _normalise(size, inverse, vector, scratch[1], tag)
