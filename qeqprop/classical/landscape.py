"""Energies of continuous variables: what one has to say of itself, its nudged landscape, and what is asked about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from qeqprop.classical.jets import Numbers, derivative
from qeqprop.interfaces import FloatArray, IntArray, Start, Want


class SmoothEnergy(Protocol):
    """An energy of real variables s (rows, n_variables), and what is read from them.

    All methods take s as an array or as a jet, x as (rows, n_inputs) and theta as (n_trainable,).
    """

    @property
    def n_variables(self) -> int: ...

    @property
    def n_inputs(self) -> int: ...

    @property
    def n_outputs(self) -> int: ...

    @property
    def initial(self) -> FloatArray:
        """(n_trainable,) the centre of the random initial parameters."""
        ...

    @property
    def term_names(self) -> tuple[str, ...]:
        """(n_trainable,) a readable name for every parameter."""
        ...

    @property
    def rest(self) -> FloatArray:
        """(n_variables,) where relaxation begins."""
        ...

    @property
    def period(self) -> float | None:
        """The period of all variables, such as 2 pi; None for variables on the whole line."""
        ...

    def energy(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``E`` (rows,)."""
        ...

    def gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``dE/ds`` (rows, n_variables)."""
        ...

    def parameter_gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``A_j = dE/dtheta_j`` (rows, n_trainable)."""
        ...

    def outputs(self, s: Numbers) -> Numbers:
        """``O_k`` (rows, n_outputs)."""
        ...

    def output_gradient(self, s: Numbers, weights: Numbers) -> Numbers:
        """``sum_k weights_k dO_k/ds`` (rows, n_variables) for weights (rows, n_outputs), which may be a jet too."""
        ...


@dataclass(frozen=True, eq=False)
class Landscape:
    """The nudged energies of some rows, ``E(s) + sum_k nudge_k O_k(s)``: what has minima and is sampled.

    Attributes:
        model: the energy.
        theta: (n_trainable,).
        x: (rows, n_inputs).
        nudges: (rows, n_outputs).
    """

    model: SmoothEnergy
    theta: FloatArray
    x: FloatArray
    nudges: FloatArray

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: IntArray) -> Landscape:
        """Some of the rows, also repeated."""
        return replace(self, x=self.x[rows], nudges=self.nudges[rows])

    def energy(self, s: Numbers) -> Numbers:
        """(rows,)"""
        return self.model.energy(self.theta, self.x, s) + (self.model.outputs(s) * self.nudges).sum(axis=1)

    def gradient(self, s: Numbers) -> Numbers:
        """(rows, n_variables)"""
        free = self.model.gradient(self.theta, self.x, s)
        return free + self.model.output_gradient(s, self.nudges) if self.nudges.any() else free

    def bend(self, s: FloatArray, *directions: FloatArray) -> FloatArray:
        """The gradient of ``D^k E [directions]``, (rows, n_variables): for one direction the Hessian times it."""
        return derivative(self.gradient, s, *directions)

    def hessian(self, s: FloatArray) -> FloatArray:
        """(rows, n_variables, n_variables)"""
        width = s.shape[1]
        columns = [self.bend(s, np.broadcast_to(unit, s.shape)) for unit in np.eye(width)]
        return np.stack(columns, axis=2)


@dataclass(frozen=True, eq=False)
class ContinuousEquilibria:
    """What a continuous network asks of a solver.

    Attributes:
        landscape: (rows,) energies whose equilibria are wanted, nudges included.
        want: what to read there.
        direction: (rows, n_outputs) the cost ``C = sum_k direction_k O_k`` along which the response is wanted, or None.
        start: where a nearby solution stopped.
        key: names the random streams of this call.
    """

    landscape: Landscape
    want: Want
    direction: FloatArray | None = None
    start: Start | None = None
    key: tuple[int, ...] = ()

    def copies(self, times: int) -> ContinuousEquilibria:
        """The same questions ``times`` over, rows innermost."""
        return self.take(np.tile(np.arange(len(self.landscape)), times))

    def only(self, row: int) -> ContinuousEquilibria:
        """One row."""
        return self.take(np.array([row]))

    def take(self, rows: IntArray) -> ContinuousEquilibria:
        """The questions about some of the rows, also repeated."""
        direction = None if self.direction is None else self.direction[rows]
        return replace(self, landscape=self.landscape.take(rows), direction=direction)

    def observables(self, s: Numbers) -> Numbers:
        """What is read, (rows, n_observables): outputs, sums of their pairs, ``dE/dtheta``, as far as wanted."""
        model = self.landscape.model
        read: list[Numbers] = []
        outputs = model.outputs(s) if self.want & (Want.OUTPUTS | Want.COVARIANCES) else None
        if Want.OUTPUTS in self.want:
            read.append(outputs)
        if Want.COVARIANCES in self.want and model.n_outputs > 1:
            first, second = np.triu_indices(model.n_outputs, 1)
            assert outputs is not None
            read.append(outputs[:, first] + outputs[:, second])
        if self.want & (Want.ENERGY_GRADIENT | Want.RESPONSE):
            read.append(model.parameter_gradient(self.landscape.theta, self.landscape.x, s))
        return np.concatenate(read, axis=1)

    def cost(self, s: Numbers) -> Numbers:
        """``C`` (rows,), for a problem with a direction."""
        assert self.direction is not None
        return (self.landscape.model.outputs(s) * self.direction).sum(axis=1)

    def cost_gradient(self, s: Numbers) -> Numbers:
        """``dC/ds`` (rows, n_variables), for a problem with a direction."""
        assert self.direction is not None
        return self.landscape.model.output_gradient(s, self.direction)
