"""The lowest eigenpair of symmetric tridiagonal matrices, one in every lane.

Laguerre's method started left of the spectrum climbs to the lowest eigenvalue from below with cubic convergence; the
eigenvector follows by inverse iteration with the (positive definite) LDL factors. Source: Parlett, The Symmetric
Eigenvalue Problem (1980).
"""

# numba infers the types of compiled functions
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportArgumentType=false
# pyright: reportCallIssue=false

from __future__ import annotations

import math

import numba as nb
import numpy as np

# sums may be reordered, but infinities and nans must stay: a pivot can vanish
_OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}


@nb.njit(**_OPTIONS)
def lowest_pair(size, diagonal, off_diagonal, theta, margin, vector, pivots, tag):
    """Eigenvalues theta (lanes,) and unit vectors (size, lanes).

    Args:
        size: of the matrices.
        diagonal: (size, lanes).
        off_diagonal: (size, lanes); row i couples i - 1 and i, row 0 is not used.
        theta: (lanes,) result; a guess before, where ``margin`` is positive.
        margin: (lanes,) how far below theta to start; a start that turns out not to be left of the spectrum is dropped.
        vector: (size, lanes) result.
        pivots: (size, lanes) scratch.
        tag: tuple of as many numbers as lanes.
    """
    lanes = len(tag)
    scratch = np.empty((9, lanes))
    x, d, first, second, inverse, g, f, smallest, bound = (
        scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], scratch[5], scratch[6], scratch[7], scratch[8],
    )  # fmt: skip
    x[:] = 1e300  # Gershgorin's bound
    for i in range(size):
        for lane in range(lanes):
            radius = abs(off_diagonal[i, lane]) if i else 0.0
            if i + 1 < size:
                radius += abs(off_diagonal[i + 1, lane])
            x[lane] = min(x[lane], diagonal[i, lane] - radius)
    for lane in range(lanes):
        x[lane] -= 1e-9 * (abs(x[lane]) + 1.0)
        bound[lane] = x[lane]
        if margin[lane] > 0.0:
            x[lane] = max(x[lane], theta[lane] - margin[lane])
    for attempt in range(60):
        # d: pivots of T - x; g, f: first and second logarithmic derivative of the characteristic polynomial
        for lane in range(lanes):
            d[lane] = diagonal[0, lane] - x[lane]
            smallest[lane] = d[lane]
            inverse[lane] = 1.0 / d[lane]
            first[lane], second[lane] = -1.0, 0.0
            g[lane] = -inverse[lane]
            f[lane] = -g[lane] * g[lane]
        for i in range(1, size):
            for lane in range(lanes):
                c = off_diagonal[i, lane] * off_diagonal[i, lane] * inverse[lane]
                e = c * inverse[lane]
                second[lane] = e * (second[lane] - 2.0 * first[lane] * first[lane] * inverse[lane])
                first[lane] = e * first[lane] - 1.0
                pivot = diagonal[i, lane] - x[lane] - c
                smallest[lane] = min(smallest[lane], pivot)
                inverse[lane] = 1.0 / pivot
                ratio = first[lane] * inverse[lane]
                g[lane] += ratio
                f[lane] += second[lane] * inverse[lane] - ratio * ratio
        moving = False
        for lane in range(lanes):
            if smallest[lane] > 0.0:  # still left of the spectrum
                root = math.sqrt(max(0.0, (size - 1) * (-size * f[lane] - g[lane] * g[lane])))
                step = size / (root - g[lane])
                x[lane] += step
                moving |= step >= 3e-16 * abs(x[lane])
            elif attempt == 0 and x[lane] > bound[lane]:
                x[lane] = bound[lane]
                moving = True
        if not moving:
            break
    for lane in range(lanes):
        theta[lane] = x[lane]
        x[lane] -= 4e-15 * (abs(x[lane]) + 1.0)
    for attempt in range(20):
        smallest[:] = 1.0
        for i in range(size):
            for lane in range(lanes):
                pivot = diagonal[i, lane] - x[lane]
                if i:
                    pivot -= off_diagonal[i, lane] * off_diagonal[i, lane] * pivots[i - 1, lane]
                smallest[lane] = min(smallest[lane], pivot)
                pivots[i, lane] = 1.0 / pivot
        definite = True
        for lane in range(lanes):
            if not smallest[lane] > 0.0:
                definite = False
                x[lane] -= (1 << attempt) * 4e-15 * (abs(x[lane]) + 1.0)
        if definite:
            break
    vector[:size] = 1.0
    for _ in range(2):
        for i in range(1, size):
            for lane in range(lanes):
                vector[i, lane] -= off_diagonal[i, lane] * pivots[i - 1, lane] * vector[i - 1, lane]
        for lane in range(lanes):
            vector[size - 1, lane] *= pivots[size - 1, lane]
            g[lane] = vector[size - 1, lane] * vector[size - 1, lane]
        for i in range(size - 2, -1, -1):
            for lane in range(lanes):
                value = pivots[i, lane] * (vector[i, lane] - off_diagonal[i + 1, lane] * vector[i + 1, lane])
                vector[i, lane] = value
                g[lane] += value * value
        for lane in range(lanes):
            g[lane] = 1.0 / math.sqrt(g[lane])
        for i in range(size):
            for lane in range(lanes):
                vector[i, lane] *= g[lane]
