"""Shots from state vectors."""

# numba infers the types of compiled code
# pyright: reportMissingParameterType=false, reportUntypedFunctionDecorator=false, reportUnknownParameterType=false
# pyright: reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def draw(amplitudes, points):
    """Basis indices (batch, shots) for sorted uniform points (batch, shots) in [0, 1)."""
    batch, shots = points.shape
    result = np.empty((batch, shots), dtype=np.int64)
    dim = amplitudes.shape[1]
    for row in range(batch):
        total = 0.0
        for k in range(dim):
            total += amplitudes[row, k].real ** 2 + amplitudes[row, k].imag ** 2
        reached, k, last = 0.0, -1, 0
        for shot in range(shots):
            target = points[row, shot] * total
            while k < dim - 1 and reached <= target:
                k += 1
                probability = amplitudes[row, k].real ** 2 + amplitudes[row, k].imag ** 2
                reached += probability
                if probability > 0.0:
                    last = k  # rounding at the very end must not name a state that never occurs
            result[row, shot] = last
    return result
