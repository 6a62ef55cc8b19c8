"""The temperature that a sampler really has: a fit of its outcomes to Boltzmann factors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qeqprop.interfaces import FloatArray, IntArray, NotConverged, PauliSums

_ITERATIONS = 100


class EffectiveTemperature(NamedTuple):
    """A temperature and its standard error; negative for a sampler that prefers high energies."""

    value: float
    std_error: float


def effective_temperature(hamiltonian: PauliSums, outcomes: IntArray) -> EffectiveTemperature:
    """The temperature at which outcomes look like those of ``exp(-H/T)``, by maximal pseudo-likelihood.

    Given all other spins, spin i keeps its value with the odds ``exp(d_i/T)``, ``d_i`` the energy that its flip costs.
    So the ratios of neighbouring outcomes are fitted, for which no partition function is needed: T maximises
    ``sum_outcomes sum_i -ln(1 + exp(-d_i/T))``, a concave function of 1/T. The standard error comes from the spread of
    the slopes of independent outcomes; for those of a Markov chain multiply it by ``sqrt(2 tau_int)``.

    Args:
        hamiltonian: one diagonal operator, strings of Z only.
        outcomes: (shots,) basis indices; bit k is site k, bit 1 is ``Z = -1``.

    Raises:
        ValueError: for more than one operator, strings of X or Y, or fewer than two outcomes.
        NotConverged: if no temperature fits: every flip costs energy (T = 0), or none costs any.

    Source: Besag, The Statistician 24, 179 (1975); Benedetti et al., Phys. Rev. A 94, 022308 (2016), for samplers
    that are not at the temperature they are said to be.
    """
    if len(hamiltonian) != 1 or np.any(hamiltonian.strings.x):
        raise ValueError("Argument `hamiltonian` must be one operator of strings of Z only.")
    outcomes = np.asarray(outcomes, dtype=np.int64)
    if outcomes.ndim != 1 or len(outcomes) < 2:
        raise ValueError(f"Argument `outcomes` must have shape (shots,) with at least 2, but has {outcomes.shape}.")
    found, counts = np.unique(outcomes, return_counts=True)
    costs = _flip_costs(hamiltonian, found)
    inverse = 0.0
    for _ in range(_ITERATIONS):
        stays = 1.0 / (1.0 + np.exp(-np.clip(inverse * costs, -700, 700)))
        slopes = np.sum(costs * (1.0 - stays), axis=1)  # of the logarithm, for each outcome
        curvature = float(counts @ np.sum(costs**2 * stays * (1.0 - stays), axis=1))
        slope = float(counts @ slopes)
        if curvature <= 1e-12 * float(counts @ np.sum(costs**2, axis=1)):
            break
        step = slope / curvature
        inverse += float(np.clip(step, -1.0, 1.0)) if abs(step) > 1 else step
        if abs(step) <= 1e-10 * max(1.0, abs(inverse)) and inverse != 0:
            error = float(np.sqrt(counts @ slopes**2)) / curvature
            return EffectiveTemperature(1.0 / inverse, error / inverse**2)
    raise NotConverged(
        "No temperature fits the outcomes: every flip of a spin costs energy, as at T = 0, or none does. Take more."
    )


def _flip_costs(hamiltonian: PauliSums, outcomes: IntArray) -> FloatArray:
    """``H(outcome with spin i flipped) - H(outcome)``, (n_outcomes, n_sites): all strings with spin i change sign."""
    z = hamiltonian.strings.z  # (n_strings, n_sites)
    masks = z @ (1 << np.arange(hamiltonian.num_sites, dtype=np.int64))
    signs = 1.0 - 2.0 * (np.bitwise_count(outcomes[:, None] & masks) & 1)
    return -2.0 * (signs * np.real(hamiltonian.coefficients[0])) @ z.astype(np.float64)
