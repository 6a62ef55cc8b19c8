"""The coldest equilibrium of a continuous network: the minimum of its energy, and how it yields to a force."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.classical._stiffness import compliance, conjugate_gradients, extreme_modes, some_of
from qeqprop.classical.jets import derivative
from qeqprop.classical.landscape import ContinuousEquilibria, Landscape
from qeqprop.counts import stream
from qeqprop.interfaces import (
    Certificate,
    Expectations,
    FloatArray,
    Measure,
    NotConverged,
    PhysicsWarning,
    Solution,
    Start,
    refuse_device,
)

_SOFT = 1e-6
"""A mode softer than this part of the stiffest one is called soft."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where each row came to rest.

    Attributes:
        s: (rows, n_variables).
        residual: (rows,) largest component of the energy gradient.
        softest, stiffest: (rows,) extreme eigenvalues of the Hessian; above sixteen variables the softest is a Ritz
            value, an upper bound.
    """

    s: FloatArray
    residual: FloatArray
    softest: FloatArray
    stiffest: FloatArray


@dataclass(frozen=True)
class Relaxation:
    """The minimum of the energy, at temperature zero, found by Newton steps whose equations conjugate gradients solve.

    The response is that of the minimum, ``d<A>/dbeta = -C_i G_ij A_j`` with the inverse Hessian ``G``: the
    deterministic rule, which no thermal fluctuation needs to measure. Above 64 variables no Hessian is stored.

    The certificate's ``residual`` is the largest component of the energy gradient, its ``gap_above`` the softest
    eigenvalue of the Hessian; overlap and couplings are nan. A state that rests on a saddle is pushed off it.

    Attributes:
        tolerance: largest component of the gradient, and of the residual of the response relative to its force.
        steps: most Newton steps.
        starts: how many more beginnings to try, drawn about the resting place with deviation ``spread``; the lowest
            minimum counts. With any, several basins are told by a `PhysicsWarning`.
        spread: see above.

    Raises:
        NotConverged: if a state misses the tolerance, or the energy has no minimum there.

    Source: Scellier & Bengio, Front. Comput. Neurosci. 11, 24 (2017); Nocedal & Wright, Numerical Optimization (2006).
    """

    tolerance: Annotated[float, Gt(0)] = 1e-9
    steps: Annotated[int, Ge(1)] = 200
    starts: Annotated[int, Ge(0)] = 0
    spread: Annotated[float, Gt(0)] = 1.0

    def __post_init__(self) -> None:
        check_fields(self)

    def solve(
        self, problem: ContinuousEquilibria, measure: Measure | None = None, *, precision: float | None = None
    ) -> Solution:
        """Relaxes every row, warm where a nearby solution is known."""
        del precision
        refuse_device("Relaxation", measure)
        landscape = problem.landscape
        found = relaxed(landscape, problem.start, self, problem.key)
        response = None
        if problem.direction is not None:
            moved = -compliance(landscape, found.s, self.tolerance)(problem.cost_gradient(found.s))
            response = Expectations.exact(derivative(problem.observables, found.s, moved))
        return Solution(
            expectations=Expectations.exact(problem.observables(found.s)),
            response=response,
            energies=landscape.energy(found.s),
            certificate=certificate_of(found),
            start=Start({"s": found.s}),
        )


def relaxed(landscape: Landscape, start: Start | None, how: Relaxation, key: tuple[int, ...]) -> Minimum:
    """The minimum next to a start, or the lowest of several; saddles are left, soft modes and other basins told."""
    begin = np.tile(landscape.model.rest, (len(landscape), 1)) if start is None else start.arrays["s"]
    found = minimise(landscape, begin, how.tolerance, how.steps)
    if start is None and how.starts:
        found = _lowest(landscape, found, how, key)
    soft = found.softest < _SOFT * found.stiffest
    if soft.any():
        warnings.warn(
            f"Samples {some_of(soft)}: the softest mode has the stiffness {np.min(found.softest):.1e}, next to nothing "
            "beside the stiffest one. Responses along it are large and uncertain: pin it, by a field or a potential.",
            PhysicsWarning,
            stacklevel=4,
        )
    return found


def minimise(landscape: Landscape, begin: FloatArray, tolerance: float, steps: int) -> Minimum:
    """The minima that Newton steps reach from ``begin`` (rows, n_variables), saddles left along their way down.

    Raises:
        NotConverged: with the largest gradient, if a row misses the tolerance.
    """
    s = begin.copy()
    rows, on_saddle = np.arange(len(s)), np.zeros(len(s), dtype=np.bool_)
    for _ in range(4):
        s[rows], residual = _descend(landscape.take(rows), s[rows], tolerance, steps)
        if np.any(~(residual <= tolerance)):
            raise NotConverged(
                f"Relaxation ended with an energy gradient up to {np.nanmax(residual):.1e}, more than the tolerance "
                f"{tolerance:.1e}, after {steps} steps. Does the energy have a minimum? Else allow more steps."
            )
        softest, stiffest, mode = extreme_modes(landscape, s)
        on_saddle = softest < -_SOFT * np.maximum(stiffest, 1e-300)
        if not on_saddle.any():
            final = np.max(np.abs(landscape.gradient(s)), axis=1, initial=0.0)
            return Minimum(s, final, softest, stiffest)
        rows = np.flatnonzero(on_saddle)
        length = 1e-2 * (1.0 + np.linalg.norm(s[rows], axis=1, keepdims=True))
        s[rows] += length * mode[rows]
    raise NotConverged(f"Samples {some_of(on_saddle)} rest on saddles again and again: begin somewhere else.")


def _descend(landscape: Landscape, s: FloatArray, tolerance: float, steps: int) -> tuple[FloatArray, FloatArray]:
    """Newton steps with a line search, on the rows that still move; states and largest gradients."""
    s = s.copy()
    residual = np.full(len(s), np.inf)
    moving = np.arange(len(s))
    for step in range(steps + 1):
        here = landscape.take(moving)
        gradient = here.gradient(s[moving])
        residual[moving] = np.max(np.abs(gradient), axis=1, initial=0.0)
        kept = residual[moving] > tolerance
        if step == steps or not kept.any():
            break
        moving, gradient = moving[kept], gradient[kept]
        here = landscape.take(moving)
        length = np.linalg.norm(gradient, axis=1)
        goal = np.minimum(0.1, np.sqrt(length))
        direction = conjugate_gradients(lambda v, at=s[moving], on=here: on.bend(at, v), -gradient, goal, curved=True)
        s[moving] = _line_search(here, s[moving], direction, gradient)
    return s, residual


def _line_search(landscape: Landscape, s: FloatArray, direction: FloatArray, gradient: FloatArray) -> FloatArray:
    """``s + t direction`` with the largest t = 1, 1/2, .. at which the energy falls (or is rounding) in every row."""
    energy, slope = landscape.energy(s), np.sum(gradient * direction, axis=1)
    size = np.linalg.norm(gradient, axis=1)
    t = np.ones(len(s))
    for _ in range(50):
        trial = s + t[:, None] * direction
        rounding = 1e-14 * (1.0 + np.abs(energy))
        falls = landscape.energy(trial) <= energy + 1e-4 * t * slope + rounding
        close = (np.abs(t * slope) <= 1e3 * rounding) & (np.linalg.norm(landscape.gradient(trial), axis=1) < size)
        failed = ~(falls | close)
        if not failed.any():
            break
        t[failed] /= 2
    return s + t[:, None] * direction


def _lowest(landscape: Landscape, found: Minimum, how: Relaxation, key: tuple[int, ...]) -> Minimum:
    """The lowest minimum of several beginnings; says so where others end elsewhere."""
    random = np.random.default_rng(stream(key, 1))
    energy, best = landscape.energy(found.s), found
    several = np.zeros(len(landscape), dtype=np.bool_)
    for _ in range(how.starts):
        begin = landscape.model.rest + how.spread * random.normal(size=found.s.shape)
        other = minimise(landscape, begin, how.tolerance, how.steps)
        energy_there = landscape.energy(other.s)
        several |= np.abs(energy_there - energy) > 1e-7 * (1.0 + np.abs(energy))
        lower = energy_there < energy - 1e-12
        best = Minimum(
            *(
                np.where(lower.reshape(-1, *(1,) * (old.ndim - 1)), new, old)
                for old, new in zip(vars(best).values(), vars(other).values(), strict=True)
            )
        )
        energy = np.minimum(energy, energy_there)
    if several.any():
        warnings.warn(
            f"Samples {some_of(several)}: the energy has several basins; the lowest of {how.starts + 1} counts. Each "
            "basin has an expansion of its own, and a warm network visits all of them: sample it.",
            PhysicsWarning,
            stacklevel=5,
        )
    return best


def certificate_of(found: Minimum) -> Certificate:
    """The certificate of minima: residual and stiffness."""
    return Certificate.of(
        np.ones(len(found.s), dtype=np.bool_),
        residual=found.residual,
        gap_below=np.full(len(found.s), np.inf),
        gap_above=found.softest,
    )
