"""Harmonic networks in closed form, classical and quantum, at any temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge

from qeqprop.checks import check_fields
from qeqprop.classical.jets import derivative
from qeqprop.classical.landscape import ContinuousEquilibria
from qeqprop.interfaces import (
    Certificate,
    Expectations,
    FloatArray,
    Measure,
    NotConverged,
    Solution,
    Start,
    refuse_device,
)

_NEAR = 1e-5
"""Eigenvalues nearer than this part of their sum have the derivative for a divided difference."""


@dataclass(frozen=True)
class Gaussian:
    """The Gibbs state of a quadratic energy ``E = s K s / 2 - b s``, as coupled oscillators ``H = p^2/2 + E(s)``.

    ``<s> = K^-1 b`` always. The covariance is ``c(K)`` with ``c(w) = coth(sqrt(w)/2T) / (2 sqrt(w))`` for quantum
    oscillators and ``c(w) = T / w``, its limit at high temperature, for classical ones. Observables are at most
    quadratic, so their averages and responses follow from both: under ``H + nu C`` with ``C`` of the slope m and the
    curvature M at ``<s>``, ``d<s> = -K^-1 m`` and, in the eigenbasis of K, ``dCov_ij = M_ij [c(w_i) - c(w_j)] / (w_i -
    w_j)``. For an error signal along places the quantum gradient is the classical one; a cost observable differs by the
    zero-point motion.

    The certificate's ``residual`` is the largest component of the energy gradient at ``<s>``, its ``gap_above`` the
    lowest frequency for quantum oscillators and the softest stiffness for classical ones. Energies are those of H for
    quantum oscillators, and of E alone for classical ones.

    Attributes:
        temperature: zero is the ground state.
        quantum: whether the masses obey quantum mechanics.

    Raises:
        ValueError: if the energy, an output or a trainable term is not at most quadratic.
        NotConverged: if K is not positive.

    Source: Massar & Mognetti, arXiv:2405.08467 (2024), for the oscillators.
    """

    temperature: Annotated[float, Ge(0)] = 0.0
    quantum: bool = True

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(
        self, problem: ContinuousEquilibria, measure: Measure | None = None, *, precision: float | None = None
    ) -> Solution:
        """Settles every row in closed form."""
        del precision
        refuse_device("Gaussian", measure)
        landscape = problem.landscape
        origin = np.zeros((len(landscape), landscape.model.n_variables))
        _refuse_anharmonic(problem, origin)
        stiffness, modes = np.linalg.eigh(landscape.hessian(origin))
        if np.any(stiffness <= 0):
            raise NotConverged(
                f"The springs do not hold the network: the softest mode has the stiffness {np.min(stiffness):.2g}. "
                "Make the springs to the ground stronger."
            )
        along = np.einsum("rik,ri->rk", modes, -landscape.gradient(origin))
        mean = np.einsum("rik,rk->ri", modes, along / stiffness)
        spread = self.variance(stiffness)
        values = problem.observables(mean) + _curved(problem, mean, modes, spread) / 2
        return Solution(
            expectations=Expectations.exact(values),
            response=None if problem.direction is None else self._response(problem, mean, stiffness, modes),
            energies=landscape.energy(mean) + np.sum(stiffness * spread, axis=1) * (1.0 if self.quantum else 0.5),
            certificate=self._certificate(problem, mean, stiffness),
            start=Start({"mean": mean}),
        )

    def variance(self, stiffness: FloatArray) -> FloatArray:
        """``c(w)``, the variance of a mode of the stiffness w."""
        if not self.quantum:
            return self.temperature / stiffness
        frequency = np.sqrt(stiffness)
        if self.temperature == 0:
            return 0.5 / frequency
        return 0.5 / frequency / np.tanh(frequency / (2 * self.temperature))

    def variance_slope(self, stiffness: FloatArray) -> FloatArray:
        """``dc/dw``."""
        if not self.quantum:
            return -self.temperature / stiffness**2
        slope = -self.variance(stiffness) / (2 * stiffness)
        if self.temperature == 0:
            return slope
        half = np.minimum(np.sqrt(stiffness) / (2 * self.temperature), 300.0)
        return slope - 1 / (8 * self.temperature * stiffness * np.sinh(half) ** 2)

    def _response(
        self, problem: ContinuousEquilibria, mean: FloatArray, stiffness: FloatArray, modes: FloatArray
    ) -> Expectations:
        """``d<f> = f'(<s>) d<s> + tr(f'' dCov) / 2``."""
        slope = np.einsum("rik,ri->rk", modes, problem.cost_gradient(mean))
        moved = -np.einsum("rik,rk->ri", modes, slope / stiffness)
        columns = [derivative(problem.cost_gradient, mean, modes[:, :, k]) for k in range(modes.shape[2])]
        curvature = np.einsum("rik,ril->rkl", modes, np.stack(columns, axis=2))
        change, turned = np.linalg.eigh(curvature * self._differences(stiffness))
        axes = np.einsum("rik,rkl->ril", modes, turned)
        spread = _curved(problem, mean, axes, change)
        return Expectations.exact(derivative(problem.observables, mean, moved) + spread / 2)

    def _differences(self, stiffness: FloatArray) -> FloatArray:
        """``[c(w_i) - c(w_j)] / (w_i - w_j)``, (rows, n, n)."""
        first, second = stiffness[:, :, None], stiffness[:, None, :]
        near = np.abs(first - second) < _NEAR * (first + second)
        variance = self.variance(stiffness)
        gap = np.where(near, 1.0, first - second)
        return np.where(
            near, self.variance_slope((first + second) / 2), (variance[:, :, None] - variance[:, None, :]) / gap
        )

    def _certificate(self, problem: ContinuousEquilibria, mean: FloatArray, stiffness: FloatArray) -> Certificate:
        return Certificate.of(
            np.ones(len(mean), dtype=np.bool_),
            residual=np.max(np.abs(problem.landscape.gradient(mean)), axis=1, initial=0.0),
            gap_below=np.full(len(mean), np.inf),
            gap_above=np.sqrt(stiffness[:, 0]) if self.quantum else stiffness[:, 0],
        )


def _curved(problem: ContinuousEquilibria, at: FloatArray, axes: FloatArray, weights: FloatArray) -> FloatArray:
    """``sum_k weights_k D^2 f [axis_k, axis_k]`` for every observable f, (rows, n_observables).

    Args:
        problem: whose observables.
        at: (rows, n_variables).
        axes: (rows, n_variables, n_axes).
        weights: (rows, n_axes).
    """
    parts = [
        weights[:, k, None] * derivative(problem.observables, at, axes[:, :, k], axes[:, :, k])
        for k in range(axes.shape[2])
    ]
    return np.sum(parts, axis=0)


def _refuse_anharmonic(problem: ContinuousEquilibria, origin: FloatArray) -> None:
    """Looks for third derivatives at a point and along a direction that nothing singles out."""
    random = np.random.default_rng(0x68617264)
    at, a = random.normal(size=(2, *origin.shape))
    functions = {"the energy is": problem.landscape.energy, "outputs or trainable terms are": problem.observables}
    for name, function in functions.items():
        third = np.max(np.abs(derivative(function, at, a, a, a)), initial=0.0)
        second = np.max(np.abs(derivative(function, at, a, a)), initial=0.0)
        first = np.max(np.abs(derivative(function, at, a)), initial=0.0)
        if third > 1e-9 * (1.0 + first + second):
            raise ValueError(
                f"Solver Gaussian settles harmonic networks, but here {name} more than quadratic: use "
                "LowTemperature or Langevin."
            )
