"""An energy as two plain functions: everything else is derived, exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.jets import Jet, Numbers, deepened
from qeqprop.interfaces import FloatArray

EnergyOf = Callable[[Numbers, FloatArray, Numbers], Numbers]
"""``energy(theta, x, s)`` (rows,) for theta (n_trainable,), x (rows, n_inputs) and s (rows, n_variables)."""


def from_energy(
    energy: EnergyOf,
    *,
    rest: ArrayLike,
    initial: ArrayLike,
    n_inputs: int = 0,
    outputs: Callable[[Numbers], Numbers] = lambda s: s,
    names: Sequence[str] | None = None,
    period: float | None = None,
) -> ContinuousNetwork:
    """The network of an energy function; its derivatives in s and theta are those of nilpotent numbers, not quotients.

    A gradient costs one evaluation for each variable. For a large network write a dataclass with its gradient instead.
    Functions are written with ``+ - * / @``, slices, sums, exp, log, sin, cos, tanh, sqrt.

    Args:
        energy: ``E(theta, x, s)`` (rows,).
        rest: (n_variables,) where relaxation begins.
        initial: (n_trainable,) the centre of the random initial parameters.
        n_inputs: columns of x.
        outputs: what is read of s (rows, n_variables), as (rows, n_outputs); all of it by default.
        names: (n_trainable,) of the parameters.
        period: of all variables, such as 2 pi; None for the whole line.
    """
    place, centre = np.asarray(rest, dtype=np.float64), np.asarray(initial, dtype=np.float64)
    n_outputs = np.asarray(outputs(place[None])).shape[1]
    called = tuple(f"theta{j}" for j in range(len(centre))) if names is None else tuple(names)
    if len(called) != len(centre):
        raise ValueError(f"Argument `names` must hold {len(centre)} names, but holds {len(called)}.")
    return ContinuousNetwork(EnergyFunction(energy, outputs, n_inputs, n_outputs, place, centre, called, period))


@dataclass(frozen=True, eq=False)
class EnergyFunction:
    """The energy of `from_energy`."""

    function: EnergyOf
    read: Callable[[Numbers], Numbers]
    n_inputs: int
    n_outputs: int
    rest: FloatArray
    initial: FloatArray
    term_names: tuple[str, ...]
    period: float | None

    @property
    def n_variables(self) -> int:
        return len(self.rest)

    def energy(self, theta: Numbers, x: FloatArray, s: Numbers) -> Numbers:
        """The function."""
        return self.function(theta, x, s)

    def gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """One more direction of the energy for every variable."""
        return _slopes(lambda at: self.function(theta, x, at), s, np.eye(self.n_variables))

    def parameter_gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """One more direction of the energy for every parameter."""
        deep = deepened(s, np.zeros(s.shape))
        parts = [_last(self.function(_raised(theta, unit, deep), x, deep), s) for unit in np.eye(len(theta))]
        return np.stack(parts, axis=1)

    def outputs(self, s: Numbers) -> Numbers:
        """What is read."""
        return self.read(s)

    def output_gradient(self, s: Numbers, weights: Numbers) -> Numbers:
        """One more direction of the weighted sum for every variable."""

        def weighted(at: Jet) -> Numbers:
            factors = deepened(weights, np.zeros(weights.shape)) if isinstance(weights, Jet) else weights
            return (self.read(at) * factors).sum(axis=1)

        return _slopes(weighted, s, np.eye(self.n_variables))


def _slopes(function: Callable[[Jet], Numbers], s: Numbers, directions: FloatArray) -> Numbers:
    """The derivatives (rows, n_directions) of a function (rows,) of s, which may be a jet itself."""
    parts = [_last(function(deepened(s, np.broadcast_to(unit, s.shape))), s) for unit in directions]
    return np.stack(parts, axis=1)


def _last(answer: Numbers, s: Numbers) -> Numbers:
    """What multiplies the last direction: a jet like s, or an array."""
    if not isinstance(answer, Jet):
        zero = np.zeros(len(s))
        return Jet(np.zeros((len(s.parts), len(s)))) if isinstance(s, Jet) else zero
    upper = answer.parts[len(answer.parts) // 2 :]
    return Jet(upper) if isinstance(s, Jet) else upper[0]


def _raised(theta: FloatArray, direction: FloatArray, like: Jet) -> Jet:
    """The parameters, moved along the last direction of a jet."""
    parts = np.zeros((len(like.parts), len(theta)))
    parts[0], parts[len(parts) // 2] = theta, direction
    return Jet(parts)
