"""Gibbs averages of one or two continuous variables by summing over a grid: the reference for everything sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.classical.landscape import ContinuousEquilibria, Landscape
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

_NEGLIGIBLE = 45.0
"""``exp(-45)`` is nothing beside one."""


@dataclass(frozen=True)
class Quadrature:
    """``p ~ exp(-E/T)`` on a grid that is doubled until nothing changes: exact, for up to three variables.

    The sum over equidistant points converges faster than any power of their number, on a period as on a box outside of
    which p is negligible. The response is ``-(1/T) Cov(C, A)``, the energies are mean energies, and the certificate's
    ``residual`` is the largest change by the last doubling.

    Attributes:
        temperature: above zero.
        tolerance: largest change of an average by the last doubling.
        points: most points along each variable.

    Raises:
        ValueError: for more than three variables.
        NotConverged: if p does not fall off, or the tolerance is missed.
    """

    temperature: Annotated[float, Gt(0)] = 1.0
    tolerance: Annotated[float, Gt(0)] = 1e-10
    points: Annotated[int, Ge(16)] = 1024

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(
        self, problem: ContinuousEquilibria, measure: Measure | None = None, *, precision: float | None = None
    ) -> Solution:
        """Averages every row."""
        del precision
        refuse_device("Quadrature", measure)
        landscape = problem.landscape
        if landscape.model.n_variables > 3:
            raise ValueError(
                f"Solver Quadrature sums over a grid of at most 3 variables, but the network has "
                f"{landscape.model.n_variables}: use Langevin(temperature={self.temperature})."
            )
        found = [self._row(problem, row) for row in range(len(landscape))]
        means, responses, energies, changes = (np.array(part) for part in zip(*found, strict=True))
        return Solution(
            expectations=Expectations.exact(means),
            response=None if problem.direction is None else Expectations.exact(responses),
            energies=energies,
            certificate=_certificate(changes),
            start=Start({"rows": np.arange(len(landscape))}),
        )

    def _row(self, problem: ContinuousEquilibria, row: int) -> tuple[FloatArray, FloatArray, float, float]:
        """Means, responses, mean energy and last change of one row."""
        one = problem.only(row)
        low, high = box(one.landscape, self.temperature)
        before: tuple[FloatArray, FloatArray, float] | None = None
        points = 16
        while points <= self.points:
            now = _averages(one, low, high, points, self.temperature)
            if before is not None:
                pairs = zip(now, before, strict=True)
                change = max(float(np.max(np.abs(new - old), initial=0.0)) for new, old in pairs)
                if change <= self.tolerance:
                    return (*now, change)
            before, points = now, 2 * points
        raise NotConverged(
            f"The averages of sample {row} still change with {self.points} points along each variable: allow more."
        )


def box(landscape: Landscape, temperature: float) -> tuple[FloatArray, FloatArray]:
    """Where p is not negligible, (n_variables,) each: a period, or the bounds of a box that is doubled until it is.

    Raises:
        NotConverged: if the energy does not rise far away.
    """
    n = landscape.model.n_variables
    if landscape.model.period is not None:
        half = np.full(n, landscape.model.period / 2)
        return -half, half
    coarse, size = 33, 1.0
    for _ in range(40):
        s = _grid(np.full(n, -size), np.full(n, size), coarse, closed=True)
        energy = _energies(landscape, s) / temperature
        inside = energy - energy.min() < _NEGLIGIBLE
        edge = np.any(np.abs(s) >= size * (1 - 1e-12), axis=1)
        if not np.any(inside & edge):
            step = 2 * size / (coarse - 1)
            return s[inside].min(axis=0) - step, s[inside].max(axis=0) + step
        size *= 1.5
    raise NotConverged("The energy does not rise far away: there is no equilibrium at this temperature.")


def free_energy(landscape: Landscape, temperature: float, points: int = 256) -> FloatArray:
    """``F = -T ln int ds exp(-E/T)``, (rows,), on a grid of as many points along each variable."""
    found: list[float] = []
    for row in range(len(landscape)):
        one = landscape.take(np.array([row]))
        low, high = box(one, temperature)
        exponents = -_energies(one, _grid(low, high, points)) / temperature
        top = exponents.max()
        volume = np.prod((high - low) / points)
        found.append(-temperature * float(top + np.log(np.sum(np.exp(exponents - top)) * volume)))
    return np.array(found)


def free_energy_profile(
    landscape: Landscape, temperature: float, variable: int, points: int = 201
) -> tuple[FloatArray, FloatArray]:
    """``F(s) = -T ln int ds' exp(-E/T)`` along one variable of one row, the others s' integrated out.

    Returns:
        The places s (points,) and F there (points,).

    Raises:
        ValueError: for more than three variables, or one that does not exist.
    """
    n = landscape.model.n_variables
    if n > 3 or not 0 <= variable < n:
        raise ValueError(
            f"Argument `variable` must be one of at most 3 variables, 0 to {n - 1}, but is {variable} of {n}."
        )
    low, high = box(landscape, temperature)
    axes = [np.linspace(a, b, points if i == variable else 97) for i, (a, b) in enumerate(zip(low, high, strict=True))]
    volume = np.prod([axis[1] - axis[0] for i, axis in enumerate(axes) if i != variable])
    s = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    exponents = -_energies(landscape, s.reshape(-1, n)).reshape(s.shape[:-1]) / temperature
    exponents = np.moveaxis(exponents, variable, 0).reshape(points, -1)
    top = exponents.max(axis=1)
    heights = -temperature * (top + np.log(np.sum(np.exp(exponents - top[:, None]), axis=1) * volume))
    return axes[variable], heights


def _averages(
    one: ContinuousEquilibria, low: FloatArray, high: FloatArray, points: int, temperature: float
) -> tuple[FloatArray, FloatArray, float]:
    s = _grid(low, high, points)
    there = one.copies(len(s))
    energy = there.landscape.energy(s)
    p = np.exp(-(energy - energy.min()) / temperature)
    p /= p.sum()
    read = there.observables(s)
    means = p @ read
    response = np.zeros(len(means))
    if one.direction is not None:
        cost = there.cost(s)
        response = -(p * (cost - p @ cost)) @ (read - means) / temperature
    return means, response, float(p @ energy)


def _grid(low: FloatArray, high: FloatArray, points: int, *, closed: bool = False) -> FloatArray:
    """All points (points^n, n) of an equidistant grid; the upper bound is one of them only if ``closed``."""
    axes = [np.linspace(a, b, points, endpoint=closed) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))


def _energies(landscape: Landscape, s: FloatArray) -> FloatArray:
    """The energies of one row at many states."""
    return landscape.take(np.zeros(len(s), dtype=np.int64)).energy(s)


def _certificate(changes: FloatArray) -> Certificate:
    settled = np.ones(len(changes), dtype=np.bool_)
    return Certificate.of(settled, residual=changes, gap_below=np.full(len(changes), np.inf))
