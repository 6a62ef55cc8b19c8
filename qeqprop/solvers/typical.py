"""Gibbs states of networks too large to diagonalise: thermal averages over random vectors, with their errors."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.engine.layout import layout_of
from qeqprop.engine.paulis import PauliTable
from qeqprop.engine.thermal import (
    Moments,
    Outline,
    outline,
    thermal_average,
    thermal_energy,
    thermal_moments,
    thermal_response,
)
from qeqprop.interfaces import (
    Certificate,
    Equilibria,
    FloatArray,
    Measure,
    NotConverged,
    Solution,
    Start,
    refuse_device,
)

LEAST_SITES = 3
"""Below, the vector kernels have nothing to do, and `Exact` is faster anyway."""

MOST_VECTORS = 4096
"""Random vectors that a wanted precision may cost for each sample."""


@dataclass(frozen=True)
class Typical:
    """The Gibbs state ``exp(-H/T)/Z`` seen through random vectors (canonical typicality): from 10 to about 20 sites.

    With independent random signs r, ``<O> = sum_r <phi_r|O|phi_r> / sum_r <phi_r|phi_r>`` of the thermal vectors
    ``|phi_r> = exp(-H/2T) |r>``; some of the lowest levels enter exactly, and r samples the rest of the space. The
    response is the exact derivative of this quotient with respect to the perturbation, which is the Kubo-Mori response
    ``-(1/T)[(O;N) - <O><N>]`` up to an error of the same kind.

    Nothing is measured projectively (``shots`` is 0): the standard errors are those of the trace, from leaving out one
    vector at a time, with all covariances between strings. They fall like ``1/sqrt(vectors)`` and, where it is warm,
    like ``2^(-sites/2)``; where it is so cold that only the levels taken exactly have weight, there is little error.

    Every sample, nudge and call has random vectors of its own, fixed by the key of the call. So errors of different
    states are independent, as the rules' error bars take for granted. A nudged difference is therefore as noisy as its
    error bars say, ``1/beta`` times the states' own: with this solver the rule is `LinearResponse`, whose noise is not
    divided by anything.

    The certificate's ``residual`` is the relative error of the thermal vectors, ``|phi - exp(-H/2T) r| / |phi|``,
    bounded by the terms that their Chebyshev series leaves out. The gap above, couplings and overlap are nan; levels
    are not counted.

    Attributes:
        temperature: above zero. The time grows like its inverse square root.
        vectors: random vectors for each sample. Thirty-two know their own error to about 12 %. A call that asks for a
            precision takes as many more as this needs.
        levels: how many of the lowest levels enter exactly; at most a quarter of all.
        tolerance: largest relative error of a thermal vector.

    Raises:
        ValueError: for fewer than three sites, a complex nudge, a temperature too low for the series, or a precision
            out of reach.
        NotConverged: if the series misses the tolerance.

    Source: Sugiura & Shimizu, Phys. Rev. Lett. 111, 010401 (2013); Massar & Mognetti, arXiv:2405.08467 (2024).
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    vectors: Annotated[int, Ge(2)] = 32
    levels: Annotated[int, Ge(0)] = 8
    tolerance: Annotated[float, Gt(0)] = 1e-9

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(self, problem: Equilibria, measure: Measure | None = None, *, precision: float | None = None) -> Solution:
        """Averages over the random vectors, over more of them if a string's standard error exceeds ``precision``."""
        refuse_device("Typical", measure)
        problem = problem.on_common_strings()
        table = PauliTable.of(problem.hamiltonians.strings)
        hamiltonians, observables = self._coefficients(problem), np.real(problem.observables.coefficients)
        pushes = None if problem.perturbation is None else np.real(problem.perturbation.coefficients)
        layout = layout_of(table)
        known = _known(problem.start, hamiltonians, self.temperature)
        if known is None:
            known = outline(layout, hamiltonians, self.temperature, self.levels)
        streams = np.random.SeedSequence(problem.key or None).spawn(len(hamiltonians))

        def moments_of(first: int, last: int) -> Moments:
            seeds = np.array([stream.generate_state(last, np.uint64)[first:] for stream in streams], dtype=np.uint64)
            goal = 0.1 * self.tolerance  # rounding errors come on top
            return thermal_moments(layout, hamiltonians, self.temperature, known, seeds, pushes, goal)

        moments = moments_of(0, self.vectors)
        if precision is not None:
            needed = self._vectors_for(precision, moments, observables)
            if needed > self.vectors:
                moments = moments.join(moments_of(self.vectors, needed))
        self._judge(moments)
        return Solution(
            expectations=thermal_average(moments, observables),
            response=None if pushes is None else thermal_response(moments, observables),
            energies=thermal_energy(moments, hamiltonians).values,
            certificate=_certificate(moments.errors),
            start=Start(
                {
                    "coefficients": hamiltonians,
                    **known._asdict(),
                    "temperature": np.full(len(hamiltonians), self.temperature),
                }
            ),
        )

    def _coefficients(self, problem: Equilibria) -> FloatArray:
        """The Hamiltonians' coefficients, after refusals."""
        sites = problem.hamiltonians.num_sites
        if sites < LEAST_SITES:
            raise ValueError(
                f"Solver Typical needs at least {LEAST_SITES} sites, but the network has {sites}: use "
                f"Exact(temperature={self.temperature})."
            )
        if np.iscomplexobj(problem.hamiltonians.coefficients):
            raise ValueError("Solver Typical cannot settle complex nudges: use LinearResponse.")
        return problem.hamiltonians.coefficients

    def _vectors_for(self, precision: float, moments: Moments, observables: FloatArray) -> int:
        """How many vectors bring the largest standard error of a string that is asked for down to the precision."""
        used = np.eye(observables.shape[1])[np.any(observables != 0, axis=0)]
        largest = np.max(thermal_average(moments, used).std_errors, initial=0.0)
        needed = self.vectors * (float(largest) / precision) ** 2
        if needed > MOST_VECTORS:
            raise ValueError(
                f"A `precision` of {precision:.1e} would take {needed:.0f} random vectors, more than {MOST_VECTORS}; "
                f"{self.vectors} give {largest:.1e}."
            )
        return ceil(needed)

    def _judge(self, moments: Moments) -> None:
        """Refuses what would mislead."""
        if np.any(moments.errors > self.tolerance):
            raise NotConverged(
                f"The thermal vectors have relative errors up to {np.max(moments.errors):.1e}, more than the "
                f"tolerance {self.tolerance:.1e}."
            )


def _known(start: Start | None, hamiltonians: FloatArray, temperature: float) -> Outline | None:
    """What is known of the spectra, if the start is that of the very same Hamiltonians and temperature."""
    if start is None or "lower" not in start.arrays:
        return None
    arrays = start.arrays
    same = np.array_equal(arrays["coefficients"], hamiltonians) and np.all(arrays["temperature"] == temperature)
    return Outline(arrays["lower"], arrays["upper"], arrays["lowest"]) if same else None


def _certificate(errors: FloatArray) -> Certificate:
    settled = np.ones(len(errors), dtype=np.bool_)
    return Certificate.of(settled, residual=errors, gap_below=np.full(len(errors), np.inf))
