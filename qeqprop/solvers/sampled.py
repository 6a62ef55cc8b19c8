"""Exact states seen through a finite number of projective measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import Annotated

import numpy as np
from annotated_types import Ge

from qeqprop.checks import check_fields
from qeqprop.counts import moments
from qeqprop.engine.bases import needed_bases, rotate
from qeqprop.interfaces import (
    Equilibria,
    Expectations,
    FloatArray,
    Measure,
    NumberArray,
    Solution,
    refuse_device,
)
from qeqprop.solvers.exact import Exact


@dataclass(frozen=True)
class Sampled:
    """Draws bitstrings from the exact state in as few measurement bases as the observables need.

    Every sample of the batch is prepared ``shots`` times in each basis, and every preparation is counted. With
    outcomes b and ``V(b)`` the part of an observable that the basis reads, its standard error is the sample deviation
    ``sqrt(sum_bases Var[V] / shots)``, unbiased (divided by shots - 1) and with all covariances within a basis; it is
    exactly zero where all outcomes agree, as in an eigenstate of the observable.

    Samples, bases and calls have independent random streams, fixed by the key of the call.

    Attributes:
        solver: the exact solver whose states are measured.
        shots: preparations for each sample and basis; a call that asks for a precision p uses ``ceil(1 / p^2)``.

    Raises:
        ValueError: if a response or a complex nudge is asked for: no projective measurement gives it.
    """

    solver: Exact = field(default_factory=Exact)
    shots: Annotated[int, Ge(2)] = 1000

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def temperature(self) -> float:
        """That of the solver."""
        return self.solver.temperature

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Settles exactly, then measures."""
        refuse_device("Sampled", measure)
        if problem.perturbation is not None:
            raise ValueError(
                "Solver Sampled measures states and cannot give their linear response: use a nudging rule, "
                "such as SymmetricNudging(beta=0.1)."
            )
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver Sampled cannot prepare complex nudges: use SymmetricNudging or Richardson.")
        shots = self.shots if precision is None else max(2, ceil(1.0 / precision**2))
        settled = self.solver.solve(problem)
        states, weights = self.solver.ensemble(settled)
        observables = np.real(problem.observables.coefficients)
        strings = problem.observables.strings
        bases = needed_bases(strings, observables)
        identity = ~np.any(strings.x | strings.z, axis=1)
        values = np.tile(np.sum(observables[:, identity], axis=1), (len(states), 1))
        variances = np.zeros_like(values)
        for position, basis in enumerate(bases):
            entropy = [*problem.key, position] if problem.key else None
            generator = np.random.default_rng(np.random.SeedSequence(entropy))
            probabilities = _probabilities(states, weights, basis.letters)
            for sample, row in enumerate(probabilities):
                counts = generator.multinomial(shots, row)
                outcomes = np.flatnonzero(counts)
                mean, variance = moments(observables[:, basis.indices], basis.masks, outcomes, counts[outcomes])
                values[sample] += mean
                variances[sample] += variance / shots
        return Solution(
            expectations=Expectations(values, np.sqrt(variances)),
            response=None,
            energies=settled.energies,
            certificate=settled.certificate,
            start=settled.start,
            shots=shots * len(bases) * len(states),
        )


def _probabilities(states: NumberArray, weights: FloatArray, letters: str) -> FloatArray:
    """Born's rule for every sample, (batch, dim), normalised."""
    weighted = np.einsum("bg,bgi->bi", weights, np.abs(rotate(states, letters)) ** 2)
    return weighted / np.sum(weighted, axis=1, keepdims=True)
