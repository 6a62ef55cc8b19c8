"""The lowest eigenpair of symmetric tridiagonal matrices, one in every lane.

A guess is refined by Rayleigh quotients: the vector that obeys all rows but the first, found from the last row
upwards, is an inverse iterate of the first unit vector, and its Rayleigh quotient is a guess of twice as many digits.
Without a guess Laguerre's method, started left of the spectrum, climbs to the lowest eigenvalue from below with cubic
convergence. Source: Parlett, The Symmetric Eigenvalue Problem (1980).
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import math

import numba as nb

# sums may be reordered, but infinities and nans must stay: a pivot can vanish
_OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}

PRECISION = 1e-13
"""A step of the eigenvalue, relative, after which nothing more is gained."""

SCRATCH = 9
"""Rows of scratch that `lowest_pair` needs."""


@nb.njit(**_OPTIONS)
def lowest_pair(size, diagonal, off_diagonal, theta, guessed, precision, vector, pivots, scratch, tag):
    """Eigenvalues theta (lanes,) and unit vectors (size, lanes).

    Args:
        size: of the matrices.
        diagonal: (size, lanes).
        off_diagonal: (size, lanes); row i couples i - 1 and i, row 0 is not used.
        theta: (lanes,) result; a guess before, if ``guessed``.
        guessed: whether there is a guess: the eigenvalue or a little more, like that of a smaller matrix.
        precision: stops after a relative step of theta below this; PRECISION finds all digits, of the vector, too.
        vector: (size, lanes) result.
        pivots: (size, lanes) scratch.
        scratch: (SCRATCH, lanes).
        tag: tuple of as many numbers as lanes.
    """
    if guessed and _refined(size, diagonal, off_diagonal, theta, precision, vector, pivots, scratch, tag):
        return
    _climb(size, diagonal, off_diagonal, theta, 1e-4, scratch, tag)
    if not _refined(size, diagonal, off_diagonal, theta, precision, vector, pivots, scratch, tag):
        _climb(size, diagonal, off_diagonal, theta, 3e-16, scratch, tag)
        _iterate(size, diagonal, off_diagonal, theta, vector, pivots, scratch, tag)


@nb.njit(**_OPTIONS)
def _refined(size, diagonal, off_diagonal, theta, precision, vector, pivots, scratch, tag):
    """Refines theta and finds the vector; False if theta was too far above the lowest eigenvalue to tell.

    With ``v_0 = 1`` and all rows but the first obeyed at x, ``(T - x) v = u_0 e_0``, where u_0 is the last of the
    pivots from below; so the Rayleigh quotient of v is ``x + u_0 / |v|^2``.
    """
    lanes = len(tag)
    last = size - 1
    for _ in range(8):
        positive, moving = True, False
        for lane in range(lanes):
            pivots[last, lane] = 1.0 / (diagonal[last, lane] - theta[lane])
            scratch[0, lane] = diagonal[last, lane] - theta[lane]
        for i in range(last - 1, -1, -1):
            for lane in range(lanes):
                positive &= scratch[0, lane] > 0.0  # below theta there is nothing of the rows i + 1 and on
                c = off_diagonal[i + 1, lane]
                pivot = diagonal[i, lane] - theta[lane] - c * c * pivots[i + 1, lane]
                scratch[0, lane] = pivot
                pivots[i, lane] = 1.0 / pivot
        if not positive:
            return False
        for lane in range(lanes):
            vector[0, lane] = 1.0
            scratch[1, lane] = 1.0
        for i in range(1, size):
            for lane in range(lanes):
                value = -off_diagonal[i, lane] * pivots[i, lane] * vector[i - 1, lane]
                vector[i, lane] = value
                scratch[1, lane] += value * value
        for lane in range(lanes):
            step = scratch[0, lane] / scratch[1, lane]
            theta[lane] += step
            moving |= abs(step) > precision * abs(theta[lane])
        if not moving:
            break
    # one step of inverse iteration squares what the last step and rounding have left of other eigenvectors
    for lane in range(lanes):
        smallest = 1e-18 * (abs(theta[lane]) + 1.0)
        if abs(scratch[0, lane]) < smallest:
            scratch[0, lane] = smallest
        pivots[0, lane] = 1.0 / scratch[0, lane]
    for i in range(last - 1, -1, -1):
        for lane in range(lanes):
            vector[i, lane] -= off_diagonal[i + 1, lane] * pivots[i + 1, lane] * vector[i + 1, lane]
    for lane in range(lanes):
        vector[0, lane] *= pivots[0, lane]
        scratch[1, lane] = vector[0, lane] * vector[0, lane]
    for i in range(1, size):
        for lane in range(lanes):
            value = pivots[i, lane] * (vector[i, lane] - off_diagonal[i, lane] * vector[i - 1, lane])
            vector[i, lane] = value
            scratch[1, lane] += value * value
    _normalise(size, vector, scratch[1], tag)
    return True


@nb.njit(**_OPTIONS)
def _normalise(size, vector, squares, tag):
    """Divides the vectors (size, lanes) by their length; squares (lanes,) of it are used up."""
    for lane in range(len(tag)):
        squares[lane] = 1.0 / math.sqrt(squares[lane])
    for i in range(size):
        for lane in range(len(tag)):
            vector[i, lane] *= squares[lane]


@nb.njit(**_OPTIONS)
def _climb(size, diagonal, off_diagonal, x, precision, scratch, tag):
    """Laguerre's method from the left of the spectrum, until a step is less than ``precision`` of x (lanes,)."""
    lanes = len(tag)
    for lane in range(lanes):
        x[lane] = 1e300  # Gershgorin's bound
    for i in range(size):
        for lane in range(lanes):
            radius = abs(off_diagonal[i, lane]) if i else 0.0
            if i + 1 < size:
                radius += abs(off_diagonal[i + 1, lane])
            x[lane] = min(x[lane], diagonal[i, lane] - radius)
    for lane in range(lanes):
        x[lane] -= 1e-9 * (abs(x[lane]) + 1.0)
    for _ in range(60):
        # pivots of T - x from above; g, f: first and second logarithmic derivative of the characteristic polynomial
        for lane in range(lanes):
            pivot = diagonal[0, lane] - x[lane]
            scratch[1, lane] = pivot
            scratch[2, lane] = 1.0 / pivot
            scratch[3, lane], scratch[4, lane] = -1.0, 0.0
            scratch[5, lane] = -scratch[2, lane]
            scratch[6, lane] = -scratch[2, lane] * scratch[2, lane]
        for i in range(1, size):
            for lane in range(lanes):
                inverse, first, second = scratch[2, lane], scratch[3, lane], scratch[4, lane]
                c = off_diagonal[i, lane] * off_diagonal[i, lane] * inverse
                e = c * inverse
                second = e * (second - 2.0 * first * first * inverse)
                first = e * first - 1.0
                pivot = diagonal[i, lane] - x[lane] - c
                scratch[1, lane] = min(scratch[1, lane], pivot)
                inverse = 1.0 / pivot
                ratio = first * inverse
                scratch[5, lane] += ratio
                scratch[6, lane] += second * inverse - ratio * ratio
                scratch[2, lane], scratch[3, lane], scratch[4, lane] = inverse, first, second
        moving = False
        for lane in range(lanes):
            if scratch[1, lane] > 0.0:  # still left of the spectrum
                g, f = scratch[5, lane], scratch[6, lane]
                root = math.sqrt(max(0.0, (size - 1) * (-size * f - g * g)))
                step = size / (root - g)
                x[lane] += step
                moving |= step >= precision * abs(x[lane])
        if not moving:
            break


@nb.njit(**_OPTIONS)
def _iterate(size, diagonal, off_diagonal, theta, vector, pivots, scratch, tag):
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
        _normalise(size, vector, scratch[1], tag)
