"""Networks of continuous variables: any smooth energy ``E(s; theta, x)`` with its first derivatives.

To add an energy, write one dataclass with the members of `landscape.SmoothEnergy` and hand it to `ContinuousNetwork`;
for a small one the energy alone is enough (`energy_function.from_energy`). Higher derivatives are found by `jets`,
exactly, as long as the methods are written with ``+ - * / @``, slices, sums and the functions that jets know.
`tests/contracts/test_energies.py` compares every energy of this package with finite differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape, finite_array
from qeqprop.classical.jets import Numbers
from qeqprop.classical.landscape import ContinuousEquilibria, Landscape, SmoothEnergy
from qeqprop.interfaces import FloatArray, NumberArray, Start, Want


@dataclass(frozen=True, eq=False)
class PosedEnergy:
    """`interfaces.Posed` for a continuous network."""

    model: SmoothEnergy
    theta: FloatArray
    x: FloatArray

    @property
    def driving(self) -> float:
        return 1.0

    def __len__(self) -> int:
        return len(self.x)

    def equilibria(
        self, nudges: NumberArray, want: Want, start: Start | None, key: tuple[int, ...]
    ) -> ContinuousEquilibria:
        """See `interfaces.Posed`."""
        if np.iscomplexobj(nudges):
            raise ValueError("A continuous network cannot be nudged by complex numbers: use LinearResponse.")
        respond = Want.RESPONSE in want
        x = np.concatenate([self.x] * (len(nudges) // max(1, len(self.x))))
        free = np.zeros_like(nudges)
        return ContinuousEquilibria(
            Landscape(self.model, self.theta, x, free if respond else nudges),
            want,
            direction=nudges if respond else None,
            start=start,
            key=key,
        )


@dataclass(frozen=True)
class ContinuousNetwork:
    """A smooth energy as a network that rules, losses, training and run files take.

    Attributes:
        model: the energy.

    Raises:
        ValueError: if the energy has no output or no variable.
    """

    model: SmoothEnergy

    def __post_init__(self) -> None:
        for name in ("n_variables", "n_outputs"):
            if getattr(self.model, name) < 1:
                raise ValueError(f"Argument `model` must have `{name}` at least 1, but it is 0.")
        check_shape("rest", self.model.rest, "(n_variables,)", (self.n_variables,))

    @property
    def n_variables(self) -> int:
        return self.model.n_variables

    @property
    def n_inputs(self) -> int:
        return self.model.n_inputs

    @property
    def n_trainable(self) -> int:
        return len(self.model.initial)

    @property
    def n_outputs(self) -> int:
        return self.model.n_outputs

    @property
    def initial(self) -> FloatArray:
        return self.model.initial

    @property
    def term_names(self) -> tuple[str, ...]:
        return self.model.term_names

    def check_theta(self, theta: ArrayLike) -> FloatArray:
        """Theta as (n_trainable,), refused if it is not."""
        return finite_array("theta", theta, "(n_trainable,)", (self.n_trainable,))

    def check_x(self, x: ArrayLike) -> FloatArray:
        """The inputs as (batch, n_inputs), refused if they are not."""
        return finite_array("x", x, "(batch, n_inputs)", (None, self.n_inputs))

    def with_squares(self) -> ContinuousNetwork:
        """The same network with the outputs ``O_1 .. O_K, O_1^2 .. O_K^2``, for cost observables."""
        return ContinuousNetwork(Squared(self.model))

    def pose(self, theta: ArrayLike, x: ArrayLike) -> PosedEnergy:
        """See `interfaces.EnergyNetwork`."""
        return PosedEnergy(self.model, self.check_theta(theta), self.check_x(x))

    def energy(self, theta: ArrayLike, x: ArrayLike, s: ArrayLike) -> FloatArray:
        """``E`` (rows,) at the states s (rows, n_variables)."""
        return self.landscape(theta, x).energy(self._check_s(s))

    def gradient(self, theta: ArrayLike, x: ArrayLike, s: ArrayLike) -> FloatArray:
        """``dE/ds`` (rows, n_variables)."""
        return self.landscape(theta, x).gradient(self._check_s(s))

    def hessian(self, theta: ArrayLike, x: ArrayLike, s: ArrayLike) -> FloatArray:
        """``d^2E/ds^2`` (rows, n_variables, n_variables)."""
        return self.landscape(theta, x).hessian(self._check_s(s))

    def landscape(self, theta: ArrayLike, x: ArrayLike) -> Landscape:
        """The free energies of these inputs (rows, n_inputs)."""
        x = self.check_x(x)
        return Landscape(self.model, self.check_theta(theta), x, np.zeros((len(x), self.n_outputs)))

    def _check_s(self, s: ArrayLike) -> FloatArray:
        return finite_array("s", s, "(rows, n_variables)", (None, self.n_variables))


@dataclass(frozen=True, eq=False)
class Squared:
    """An energy whose outputs are followed by their squares."""

    model: SmoothEnergy

    @property
    def n_variables(self) -> int:
        return self.model.n_variables

    @property
    def n_inputs(self) -> int:
        return self.model.n_inputs

    @property
    def n_outputs(self) -> int:
        return 2 * self.model.n_outputs

    @property
    def initial(self) -> FloatArray:
        return self.model.initial

    @property
    def term_names(self) -> tuple[str, ...]:
        return self.model.term_names

    @property
    def rest(self) -> FloatArray:
        return self.model.rest

    @property
    def period(self) -> float | None:
        return self.model.period

    def energy(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """That of the model."""
        return self.model.energy(theta, x, s)

    def gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """That of the model."""
        return self.model.gradient(theta, x, s)

    def parameter_gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """That of the model."""
        return self.model.parameter_gradient(theta, x, s)

    def outputs(self, s: Numbers) -> Numbers:
        """``O_1 .. O_K, O_1^2 .. O_K^2``."""
        outputs = self.model.outputs(s)
        return np.concatenate([outputs, outputs * outputs], axis=1)

    def output_gradient(self, s: Numbers, weights: Numbers) -> Numbers:
        """``sum_k (w_k + 2 w_(K+k) O_k) dO_k/ds``."""
        n = self.model.n_outputs
        linear, square = weights[:, :n], weights[:, n:]
        return self.model.output_gradient(s, linear + 2 * square * self.model.outputs(s))
