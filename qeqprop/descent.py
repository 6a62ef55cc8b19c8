"""Many minimisations in lockstep: every function of a batch takes its next step by one common call.

Each row has a quasi-Newton search of its own (BFGS with the matrix itself: rows have up to a few hundred parameters),
array code runs over the rows that are not finished. The energy of a circuit with too few parameters has long curved
valleys, in which the full matrix needs several times fewer steps than the last ten steps of L-BFGS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from qeqprop.interfaces import BoolArray, FloatArray, IntArray
from qeqprop.iterations import Iteration, is_heard, tell

Objective = Callable[[IntArray, FloatArray], tuple[FloatArray, FloatArray]]
"""From numbers of rows (rows,) and points (rows, n_parameters) to values (rows,) and gradients (rows, n_parameters)."""

_ARMIJO = 1e-4  # part of the predicted decrease that a step has to keep
_ROUNDING = 1e-13  # relative change of a value that may be rounding
_CURVATURE = 1e-10  # smallest cosine between a step and the change of the gradient that tells a curvature
_FIRST_REACH = 0.5
_REACH = 1.5  # longest step, in radians: beyond, no model of a circuit holds
_MOST_ENTRIES = 1 << 27  # of all inverse Hessians: 1 GiB
_TINY = float(np.finfo(np.float64).tiny)


class Descent(NamedTuple):
    """Where a descent stopped.

    Attributes:
        points: (rows, n_parameters).
        values: (rows,).
        gradients: (rows, n_parameters).
        inverses: (rows, n_parameters, n_parameters) the approximate inverse Hessians.
        converged: (rows,) whether the gradient met the tolerance.
        calls: evaluations of the objective.
    """

    points: FloatArray
    values: FloatArray
    gradients: FloatArray
    inverses: FloatArray
    converged: BoolArray
    calls: int


def descend(
    objective: Objective,
    points: FloatArray,
    *,
    tolerances: FloatArray,
    most: int,
    inverses: FloatArray | None = None,
    name: str = "descent",
) -> Descent:
    """Minimises every row until the norm of its gradient meets its tolerance.

    A step that does not decrease the value teaches the inverse Hessian its curvature and is tried again, shorter. Where
    decreases drown in rounding the slope along the step decides, so that gradients get smaller than the root of the
    rounding error.

    Args:
        objective: values and gradients of some rows at once.
        points: (rows, n_parameters) where to start.
        tolerances: (rows,) on the norm of the gradient.
        most: calls of the objective at most.
        inverses: (rows, n_parameters, n_parameters) inverse Hessians to start from, such as those of a nearby descent.
        name: for those who listen to `iterations`.

    Raises:
        ValueError: if the inverse Hessians would need more than 1 GiB.

    Source: Nocedal & Wright, Numerical Optimization (2006), chapter 6; Hager & Zhang, SIAM J. Optim. 16, 170 (2005) for
    the slope that decides.
    """
    state = _begin(objective, points, inverses)
    stopped = [np.array(part) for part in (state.points, state.values, state.gradients, state.inverses)]
    converged = np.zeros(len(points), dtype=bool)
    calls = 1
    while True:
        norms = np.linalg.norm(state.gradients, axis=1)
        met = norms <= tolerances[state.rows]
        if is_heard() and len(norms):
            goal = float(np.min(tolerances))
            tell(Iteration(name, calls, most, int(np.sum(~met)), float(np.max(norms)), goal))
        over = np.full(len(met), True) if calls >= most else met
        if over.any():
            ended = state.rows[over]
            converged[ended] = met[over]
            for kept, part in zip(stopped, (state.points, state.values, state.gradients, state.inverses), strict=True):
                kept[ended] = part[over]
            if over.all():
                return Descent(stopped[0], stopped[1], stopped[2], stopped[3], converged, calls)
            state = state.select(~over)
        state = _step(objective, state)
        calls += 1


class _State(NamedTuple):
    """The rows that go on; ``fresh`` ones know no curvature yet, ``reaches`` bound the length of the next step."""

    rows: IntArray
    points: FloatArray
    values: FloatArray
    gradients: FloatArray
    inverses: FloatArray
    fresh: BoolArray
    reaches: FloatArray

    def select(self, kept: BoolArray) -> _State:
        """Some of the rows."""
        parts: list[Any] = [part[kept] for part in self]
        return _State(*parts)


def _begin(objective: Objective, points: FloatArray, inverses: FloatArray | None) -> _State:
    count, size = points.shape
    if count * size**2 > _MOST_ENTRIES:
        room = int((_MOST_ENTRIES / count) ** 0.5)
        raise ValueError(
            f"Argument `points` must have at most {room} parameters for {count} rows, since each row keeps a "
            f"matrix, but has {size}: take an ansatz with fewer layers, or smaller batches."
        )
    rows = np.arange(len(points))
    values, gradients = objective(rows, points)
    fresh = np.full(len(points), inverses is None)
    if inverses is None:
        inverses = np.tile(np.eye(points.shape[1]), (len(points), 1, 1))
    return _State(rows, points, values, gradients, inverses.copy(), fresh, np.full(len(points), _FIRST_REACH))


def _step(objective: Objective, at: _State) -> _State:
    """One step of every row: taken where it decreases the value."""
    directions = -times(at.inverses, at.gradients)
    slopes = _dot(directions, at.gradients)
    upward = slopes >= 0  # rounding has spoilt the matrix
    if upward.any():
        directions[upward] = -at.gradients[upward]
        at.inverses[upward] = np.eye(at.points.shape[1])
        slopes = _dot(directions, at.gradients)
    lengths = np.linalg.norm(directions, axis=1)
    factors = np.minimum(1.0, at.reaches / np.maximum(lengths, _TINY))
    steps, slopes = factors[:, None] * directions, factors * slopes
    points = at.points + steps
    values, gradients = objective(at.rows, points)
    ends = _dot(steps, gradients)
    room = _ROUNDING * np.maximum(np.abs(at.values), 1.0)
    flat = (values <= at.values + room) & (ends <= (2 * _ARMIJO - 1) * slopes) & (np.abs(ends) <= np.abs(slopes))
    taken = (values <= at.values + _ARMIJO * slopes) | flat
    fresh = _learn(at.inverses, at.fresh, steps, gradients - at.gradients)
    walked = factors * lengths
    rise = values - at.values - slopes  # of a parabola with this slope at the beginning
    shorter = np.clip(-0.5 * slopes / np.maximum(rise, _TINY), 0.1, 0.5) * walked
    return _State(
        rows=at.rows,
        points=np.where(taken[:, None], points, at.points),
        values=np.where(taken, values, at.values),
        gradients=np.where(taken[:, None], gradients, at.gradients),
        inverses=at.inverses,
        fresh=fresh,
        reaches=np.where(taken, np.minimum(_REACH, np.maximum(at.reaches, 2 * walked)), shorter),
    )


def _learn(inverses: FloatArray, fresh: BoolArray, steps: FloatArray, changes: FloatArray) -> BoolArray:
    """The BFGS update of the inverse Hessians, in place where a step shows positive curvature; who stays fresh."""
    along, across = _dot(steps, changes), _dot(changes, changes)
    shown = along > _CURVATURE * np.sqrt(across * _dot(steps, steps))
    first = shown & fresh
    if first.any():
        inverses[first] *= (along[first] / across[first])[:, None, None]
    share = np.where(shown, 1.0 / np.where(shown, along, 1.0), 0.0)
    images = times(inverses, changes)
    weights = share * (1.0 + share * _dot(changes, images))
    inverses += (weights[:, None] * steps - share[:, None] * images)[:, :, None] * steps[:, None, :]
    inverses -= (share[:, None] * steps)[:, :, None] * images[:, None, :]
    return fresh & ~shown


def times(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """Matrices (rows, n, n) times vectors (rows, n)."""
    return (matrices @ vectors[:, :, None])[:, :, 0]


def _dot(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.einsum("bi,bi->b", left, right)
