"""Ising networks state by state: exact at any temperature, up to some twenty spins."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from qeqprop.checks import check_fields
from qeqprop.classical._spins import SpinProblem, spin_problem
from qeqprop.interfaces import (
    Certificate,
    Equilibria,
    Expectations,
    FloatArray,
    IntArray,
    Measure,
    NotConverged,
    PhysicsWarning,
    Solution,
    Start,
    refuse_device,
)


@dataclass(frozen=True)
class Enumeration:
    """Sums over all ``2^n`` states: the Gibbs state at a temperature, the mean over the lowest level without one.

    With bit k of the state b for site k (0 is spin +1), the energies ``E(b) = sum_t c_t (-1)^|b & t|`` of all states
    are one Walsh-Hadamard transform of the coefficients, and all ``<s_t> = sum_b p(b) (-1)^|b & t|`` one of the
    probabilities: ``n 2^n`` additions each. The response is ``-(1/T) Cov(N, A)``, exact.

    Without a temperature a nudge below the gap changes nothing: the response of discrete spins is zero. Where the
    lowest level is degenerate and the perturbation splits it there is none.

    Attributes:
        temperature: zero or above.
        most_sites: refuses larger networks, whose sums would take long; at most 26.
        degenerate: states closer than this, relative to the sum of absolute coefficients, count as one level.

    Raises:
        ValueError: for strings with X or Y, complex nudges, or more sites than `most_sites`.
        NotConverged: for a response of a degenerate ground level that the perturbation splits.
    """

    temperature: Annotated[float, Ge(0)] = 0.0
    most_sites: Annotated[int, Ge(1), Le(26)] = 20
    degenerate: Annotated[float, Gt(0)] = 1e-9

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Enumerates row by row; ``precision`` is not needed, since nothing is sampled."""
        refuse_device("Enumeration", measure)
        spins = spin_problem(problem, "Enumeration")
        if spins.n_sites > self.most_sites:
            raise ValueError(
                f"Solver Enumeration takes at most {self.most_sites} sites, but the network has {spins.n_sites}: "
                "sample it, with classical.chains:Gibbs for instance."
            )
        masks = spins.holds.astype(np.int64) @ (1 << np.arange(spins.n_sites))
        rows = [self._row(spins, masks, row) for row in range(spins.rows)]
        strings, responses, energies, gaps, counts, split = (np.array(column) for column in zip(*rows, strict=True))
        if self.temperature == 0 and spins.perturbation is not None and np.any(split):
            raise NotConverged(
                f"Sample {int(np.argmax(split))}: the lowest level is degenerate and the nudge splits it, so the "
                "response does not exist. Give a temperature, or break the symmetry."
            )
        if self.temperature == 0 and np.any(counts > 1):
            warnings.warn(
                f"{np.sum(counts > 1)} of {len(counts)} lowest levels are degenerate: observables are means over them.",
                PhysicsWarning,
                stacklevel=3,
            )
        response = None if spins.perturbation is None else Expectations.exact(responses @ spins.observables.T)
        return Solution(
            expectations=Expectations.exact(strings @ spins.observables.T),
            response=response,
            energies=energies,
            certificate=_certificate(gaps, counts),
            start=Start({"energies": energies}),
        )

    def _row(
        self, spins: SpinProblem, masks: IntArray, row: int
    ) -> tuple[FloatArray, FloatArray, float, float, int, bool]:
        """Averages and responses of all strings, mean energy, gap, degeneracy, and whether N splits the level."""
        energies = _transform(spins.coefficients[row], masks, spins.n_sites)
        lowest = float(np.min(energies))
        scale = self.degenerate * max(float(np.sum(np.abs(spins.coefficients[row]))), np.finfo(np.float64).tiny)
        ground = energies <= lowest + scale
        above = energies[~ground]
        gap = float(np.min(above)) - lowest if len(above) else np.inf
        weights = np.exp(-(energies - lowest) / self.temperature) if self.temperature > 0 else ground.astype(np.float64)
        weights /= np.sum(weights)
        averages = _hadamard(weights)[masks]
        responses, split = np.zeros_like(averages), False
        if spins.perturbation is not None:
            push = _transform(spins.perturbation[row], masks, spins.n_sites)
            if self.temperature > 0:
                apart = push - weights @ push
                responses = -_hadamard(weights * apart)[masks] / self.temperature
            else:
                split = bool(np.ptp(push[ground]) > 1e-12 * max(1.0, float(np.max(np.abs(push)))))
        return averages, responses, float(weights @ energies), gap, int(np.sum(ground)), split


def _transform(coefficients: FloatArray, masks: IntArray, n_sites: int) -> FloatArray:
    """``sum_t c_t (-1)^|b & t|`` for all states b, (2^n,)."""
    vector = np.zeros(1 << n_sites)
    vector[masks] = coefficients
    return _hadamard(vector)


def _hadamard(vector: FloatArray) -> FloatArray:
    """The Walsh-Hadamard transform: one butterfly for each site."""
    result, size = vector.copy(), len(vector)
    half = 1
    while half < size:
        pairs = result.reshape(-1, 2, half)
        pairs[:, 0], pairs[:, 1] = pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]
        half *= 2
    return result


def _certificate(gaps: FloatArray, counts: IntArray) -> Certificate:
    zeros, none = np.zeros(len(gaps)), np.zeros(len(gaps), dtype=np.int64)
    return Certificate(
        residual=zeros,
        gap_below=zeros + np.inf,
        gap_above=gaps,
        degeneracy=counts,
        level=none,
        overlap=zeros + np.nan,
        nudge_coupling=zeros,
        trainable_coupling=zeros,
        converged=none == 0,
    )
