"""The coldest equilibrium of a continuous network: the minimum of its energy, and how it yields to a force."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from qeqprop.checks import check_fields
from qeqprop.classical.continuous import ContinuousEquilibria, Landscape
from qeqprop.classical.jets import derivative
from qeqprop.counts import stream
from qeqprop.interfaces import (
    BoolArray,
    Certificate,
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

_RITZ_STEPS = 16
"""Lanczos steps towards the softest mode; exact for as many variables."""
DENSE = 64
"""Up to as many variables the Hessian is stored and inverted."""
SOFT = 1e-6
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
    soft = found.softest < SOFT * found.stiffest
    if soft.any():
        warnings.warn(
            f"Samples {_some(soft)}: the softest mode has the stiffness {np.min(found.softest):.1e}, next to nothing "
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
        on_saddle = softest < -SOFT * np.maximum(stiffest, 1e-300)
        if not on_saddle.any():
            final = np.max(np.abs(landscape.gradient(s)), axis=1, initial=0.0)
            return Minimum(s, final, softest, stiffest)
        rows = np.flatnonzero(on_saddle)
        length = 1e-2 * (1.0 + np.linalg.norm(s[rows], axis=1, keepdims=True))
        s[rows] += length * mode[rows]
    raise NotConverged(f"Samples {_some(on_saddle)} rest on saddles again and again: begin somewhere else.")


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


def conjugate_gradients(
    product: Callable[[FloatArray], FloatArray],
    right: FloatArray,
    goal: FloatArray,
    *,
    curved: bool = False,
) -> FloatArray:
    """Solves ``H v = right`` in every row (rows, n) until the residual is ``goal`` (rows,) times that of ``v = 0``.

    Args:
        product: H times a batch of vectors.
        right: (rows, n).
        goal: (rows,).
        curved: H may have negative curvature: stop there, with what was found so far or, at first, with ``right``.

    Raises:
        NotConverged: unless ``curved``, if H is not positive or the goal is not met in ten times n steps.
    """
    v, r = np.zeros_like(right), right.copy()
    p, square = r.copy(), np.sum(right * right, axis=1)
    begin = square.copy()
    open_rows = square > 0
    for step in range(10 * right.shape[1] + 10):
        if not open_rows.any():
            return v
        Hp = product(p)
        curvature = np.sum(p * Hp, axis=1)
        bad = open_rows & ~(curvature > 0)
        if bad.any():
            if not curved:
                raise NotConverged(f"Samples {_some(bad)}: the Hessian has a mode that is not stable.")
            if step == 0:
                v[bad] = right[bad]
            open_rows &= ~bad
        t = np.where(open_rows, square / np.where(open_rows, curvature, 1.0), 0.0)
        v += t[:, None] * p
        r -= t[:, None] * Hp
        new = np.sum(r * r, axis=1)
        p = r + np.where(open_rows, new / np.where(square > 0, square, 1.0), 0.0)[:, None] * p
        square = new
        open_rows &= square > goal**2 * begin
    if curved:
        return v
    raise NotConverged(f"Samples {_some(open_rows)}: conjugate gradients did not end; is a mode too soft?")


def compliance(landscape: Landscape, s: FloatArray, tolerance: float) -> Callable[[FloatArray], FloatArray]:
    """``G``, the inverse Hessian at s, as a function of right sides (copies * rows, n_variables), rows innermost.

    A matrix for few variables, conjugate gradients with products alone for many.

    Raises:
        NotConverged: if a mode is not stable.
    """
    n_rows, n = s.shape
    if n <= DENSE:
        hessian = landscape.hessian(s)
        try:
            np.linalg.cholesky(hessian)
        except np.linalg.LinAlgError:
            raise NotConverged("The Hessian has a mode that is not stable: there is no response along it.") from None
        inverse = np.linalg.inv(hessian)
        return lambda right: np.einsum("rij,crj->cri", inverse, right.reshape(-1, n_rows, n)).reshape(right.shape)

    def solve(right: FloatArray) -> FloatArray:
        copies = np.tile(np.arange(n_rows), len(right) // n_rows)
        many, there = landscape.take(copies), s[copies]
        return conjugate_gradients(lambda v: many.bend(there, v), right, np.full(len(right), min(tolerance, 1e-8)))

    return solve


def extreme_modes(landscape: Landscape, s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Softest and stiffest eigenvalue (rows,) of the Hessian, and the softest mode, by Lanczos in every row."""
    n_rows, n = s.shape
    n_steps = min(n, _RITZ_STEPS)
    begin = np.random.default_rng(0x736F6674).normal(size=n)  # any vector that no symmetry singles out
    basis = np.zeros((n_steps, n_rows, n))
    basis[0] = begin / np.linalg.norm(begin)
    matrix = np.zeros((n_rows, n_steps, n_steps))
    for step in range(n_steps):
        image = landscape.bend(s, basis[step])
        overlaps = np.einsum("krn,rn->kr", basis[: step + 1], image)
        matrix[:, step, step] = overlaps[step]
        for _ in range(2):  # twice is enough
            image -= np.einsum("krn,kr->rn", basis[: step + 1], np.einsum("krn,rn->kr", basis[: step + 1], image))
        if step + 1 < n_steps:
            norm = np.linalg.norm(image, axis=1)
            whole = norm > 1e-12 * (1.0 + np.abs(overlaps[step]))
            matrix[:, step, step + 1] = matrix[:, step + 1, step] = np.where(whole, norm, 0.0)
            fresh = _another(basis[: step + 1], step) if not whole.all() else image
            basis[step + 1] = np.where(whole[:, None], image / np.where(whole, norm, 1.0)[:, None], fresh)
    values, vectors = np.linalg.eigh(matrix)
    mode = np.einsum("krn,rk->rn", basis, vectors[:, :, 0])
    return values[:, 0], values[:, -1], mode


def _another(basis: FloatArray, step: int) -> FloatArray:
    """A unit vector orthogonal to the basis (k, rows, n), where an invariant space is exhausted."""
    vector = np.tile(np.random.default_rng(step).normal(size=basis.shape[2]), (basis.shape[1], 1))
    for _ in range(2):
        vector -= np.einsum("krn,kr->rn", basis, np.einsum("krn,rn->kr", basis, vector))
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


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
            f"Samples {_some(several)}: the energy has several basins; the lowest of {how.starts + 1} counts. Each "
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


def _some(which: BoolArray | IntArray) -> str:
    indices = np.flatnonzero(which)
    return ", ".join(map(str, indices[:5])) + (", .." if len(indices) > 5 else "")
