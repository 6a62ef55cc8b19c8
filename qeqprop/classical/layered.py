"""A layered network of soft neurons: deep, symmetric, trained by letting it relax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from annotated_types import Ge

from qeqprop.checks import check_argument, listed
from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.jets import Numbers
from qeqprop.interfaces import FloatArray


def layered(
    *,
    layers: Sequence[Annotated[int, Ge(1)]] = (2, 4, 1),
    quartic: Annotated[float, Ge(0)] = 1.0,
    initial_weight: Annotated[float, Ge(0)] = 0.7,
    initial_seed: Annotated[int, Ge(0)] = 0,
) -> ContinuousNetwork:
    """``E = sum_i (s_i^2 / 2 + q s_i^4 / 4 - b_i s_i) - x W_1 s_1 - s_1 W_2 s_2 - ..``: inputs, hidden layers, outputs.

    A Hopfield network with the potential ``s^2/2 + q s^4/4`` in the place of a saturating neuron: a neuron in the field
    f rests where ``s + q s^3 = f``, a soft cube root, and all derivatives are polynomials. The outputs are the last
    layer, ``n_inputs`` is the first number of ``layers``. Trainable are the biases b of all layers but the first, then
    the weights, row by row.

    Args:
        layers: how many inputs, hidden neurons and outputs.
        quartic: q; at 0 the network is linear and stable only for small weights.
        initial_weight: the initial weights have the deviation ``initial_weight / sqrt(n_before + n_after)``. Up to 0.7
            two layers have one basin whatever q: their coupling stays below the stiffness 1 of a neuron at rest.
        initial_seed: of the initial weights; train them with an ``initial_scale`` of 0, which adds nothing to them.

    Source: Scellier & Bengio, Front. Comput. Neurosci. 11, 24 (2017), for layered energies.
    """
    sizes = [int(size) for size in listed("layers", layers)]
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"Argument `layers` must hold at least two numbers above 0, but is {sizes}.")
    check_argument("quartic", quartic, Annotated[float, Ge(0)])
    random = np.random.default_rng(initial_seed)
    check_argument("initial_weight", initial_weight, Annotated[float, Ge(0)])
    weights = [initial_weight * random.normal(size=n * m) / np.sqrt(n + m) for n, m in pairwise(sizes)]
    return ContinuousNetwork(
        LayeredEnergy(tuple(sizes), float(quartic), np.concatenate([np.zeros(sum(sizes[1:])), *weights]))
    )


@dataclass(frozen=True, eq=False)
class LayeredEnergy:
    """The energy of `layered`; theta is the biases and then the weights."""

    layers: tuple[int, ...]
    quartic: float
    initial: FloatArray

    @property
    def n_variables(self) -> int:
        return sum(self.layers[1:])

    @property
    def n_inputs(self) -> int:
        return self.layers[0]

    @property
    def n_outputs(self) -> int:
        return self.layers[-1]

    @property
    def term_names(self) -> tuple[str, ...]:
        biases = [f"s{i}" for i in range(self.n_variables)]
        names = [[f"x{i}" for i in range(self.n_inputs)], *(biases[layer] for layer in self._places())]
        return (*biases, *(f"{one} {two}" for first, second in pairwise(names) for one in first for two in second))

    @property
    def rest(self) -> FloatArray:
        return np.zeros(self.n_variables)

    @property
    def period(self) -> None:
        return None

    def energy(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """See `layered`."""
        square = s * s
        potential = square / 2 + self.quartic / 4 * square * square - s * theta[: self.n_variables]
        total = potential.sum(axis=1)
        before: Numbers = x
        for weights, layer in zip(self.weights(theta), self._places(), strict=True):
            after = s[:, layer]
            total = total - ((before @ weights) * after).sum(axis=1)
            before = after
        return total

    def gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``s + q s^3`` minus the field from both neighbouring layers."""
        layers, weights = [s[:, layer] for layer in self._places()], self.weights(theta)
        fields: list[Numbers] = []
        for place in range(len(layers)):
            field = (layers[place - 1] if place else x) @ weights[place]
            if place + 1 < len(layers):
                field = layers[place + 1] @ weights[place + 1].T + field
            fields.append(field)
        anywhere = np.concatenate(fields, axis=1)
        return s + self.quartic * (s * s * s) - theta[: self.n_variables] - anywhere

    def parameter_gradient(self, theta: FloatArray, x: FloatArray, s: Numbers) -> Numbers:
        """``-s_i`` and minus the products of neighbours."""
        layers: list[Numbers] = [x, *(s[:, layer] for layer in self._places())]
        products: list[Numbers] = []
        for first, second in pairwise(layers):
            n, m = first.shape[1], second.shape[1]
            outer = first.reshape(-1, n, 1) * second.reshape(-1, 1, m)
            products.append(outer.reshape(-1, n * m))
        return -np.concatenate([s, *products], axis=1)

    def outputs(self, s: Numbers) -> Numbers:
        """The last layer."""
        return s[:, -self.n_outputs :]

    def output_gradient(self, s: Numbers, weights: Numbers) -> Numbers:
        """The weights, put on the last layer."""
        return weights @ np.eye(self.n_variables)[-self.n_outputs :]

    def weights(self, theta: FloatArray) -> list[FloatArray]:
        """The weight matrices (n_before, n_after)."""
        ends = np.cumsum([self.n_variables, *(n * m for n, m in pairwise(self.layers))])
        return [
            theta[begin:end].reshape(shape)
            for begin, end, shape in zip(ends[:-1], ends[1:], pairwise(self.layers), strict=True)
        ]

    def _places(self) -> list[slice]:
        """Which variables a layer has, for all but the first."""
        ends = np.cumsum([0, *self.layers[1:]])
        return [slice(int(begin), int(end)) for begin, end in pairwise(ends)]
