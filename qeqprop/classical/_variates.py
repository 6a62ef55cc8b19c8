"""Control variates: numbers with a known mean, measured on the same chains, take a part of the noise with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qeqprop.interfaces import BoolArray, FloatArray, IntArray

FEWEST_CHAINS = 16
"""Halves that know three coefficients."""

_RANK = 1e-10
"""Variates whose spread is below this part of the largest are combinations of others."""


@dataclass(frozen=True, eq=False)
class Variates:
    """Averages over each chain of numbers whose mean is zero, (rows, n_observables or 1, chains) each.

    Attributes:
        averages: what quietens the averages of observables A.
        covariances: what quietens ``(A - <A>)(N - <N>)``.
    """

    averages: list[FloatArray]
    covariances: list[FloatArray]


@dataclass(frozen=True, eq=False)
class SpinVariates:
    """Sums over the samples of each chain of what one more update changes, see `spin_variates`.

    Attributes:
        plain: (rows, n_strings, chains) those of every string A, ``A sum_(k in A) u_k``.
        joint: (rows, n_strings, chains) those of ``A N``, no rows without a perturbation.
        pushed: (rows, chains) those of N.
    """

    plain: FloatArray
    joint: FloatArray
    pushed: FloatArray

    def per_sample(self, samples: int) -> Variates:
        """``(A - a)(N - n)`` changes as a combination of what A, ``A N`` and N do."""
        plain, joint, pushed = self.plain / samples, self.joint / samples, self.pushed[:, None] / samples
        return Variates([plain], [plain, joint, pushed] if len(joint) else [])


def quieter(values: FloatArray, variates: list[FloatArray]) -> FloatArray:
    """``values - sum_i b_i variates_i`` (rows, n, chains), with the coefficients b of each half from the other one.

    A coefficient that comes from the same chains would follow their noise; from other chains it is a number like any
    other, and the mean stays what it is.
    """
    half = values.shape[2] // 2
    each = np.stack([np.broadcast_to(one, values.shape) for one in variates], axis=2)  # (rows, n, n_variates, chains)
    result = np.empty_like(values)
    for own, other in ((slice(None, half), slice(half, None)), (slice(half, None), slice(None, half))):
        apart = each[..., other] - each[..., other].mean(axis=3, keepdims=True)
        target = values[..., other] - values[..., other].mean(axis=2, keepdims=True)
        inverse = np.linalg.pinv(apart @ np.swapaxes(apart, 2, 3), rcond=_RANK, hermitian=True)
        coefficients = inverse @ (apart @ target[..., None])  # (rows, n, n_variates, 1)
        result[..., own] = values[..., own] - np.sum(coefficients * each[..., own], axis=2)
    return result


def common_sites(holds: BoolArray, pushed: BoolArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """The sites that a string shares with one of N, see `spin_variates.sum_variates`.

    Args:
        holds: (n_strings, n_sites).
        pushed: (n_strings,) which strings are in N.
    """
    of_n = np.flatnonzero(pushed)
    both = holds[:, None] & holds[of_n]  # (n_strings, n_of_n, n_sites)
    ones, positions = np.nonzero(both.any(axis=2))
    shared = both[ones, positions]
    places = np.concatenate([[0], np.cumsum(shared.sum(axis=1))]).astype(np.int64)
    return ones, of_n[positions], places, np.nonzero(shared)[1]
