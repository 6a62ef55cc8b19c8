"""Settling: a network at its parameters, a batch of inputs and a solver bound together, for rules to ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.checks import check_part, check_shape
from qeqprop.interfaces import (
    AnyNetwork,
    Device,
    Equilibria,
    Expectations,
    FloatArray,
    IntArray,
    Measure,
    Network,
    NumberArray,
    PauliSums,
    Posed,
    Settled,
    Solution,
    Solver,
    Start,
    Want,
)
from qeqprop.measuring import BoundMeasure

_MEASUREMENTS = 0x6D656173  # keeps the streams of a device apart from those of a solver


@dataclass(frozen=True, eq=False)
class PosedSums:
    """`Posed` for a network of Pauli strings."""

    network: Network
    hamiltonians: PauliSums
    driving: FloatArray | float

    def __len__(self) -> int:
        return len(self.hamiltonians)

    def equilibria(self, nudges: NumberArray, want: Want, start: Start | None, key: tuple[int, ...]) -> Equilibria:
        """See `interfaces.Posed`."""
        network, free = self.network, self.hamiltonians.coefficients
        n_nudges = len(nudges) // max(1, len(free))
        free = free if n_nudges == 1 else np.tile(free, (n_nudges, 1))
        directions = nudges @ network.outputs
        respond = Want.RESPONSE in want
        rows = [network.outputs] if Want.OUTPUTS in want else []
        if Want.COVARIANCES in want:
            rows.append(_pair_sums(network.outputs))
        if respond or Want.ENERGY_GRADIENT in want:
            rows.append(network.trainable)
        return Equilibria(
            hamiltonians=PauliSums(network.strings, free if respond else free + directions),
            observables=PauliSums(network.strings, np.concatenate(rows)),
            perturbation=PauliSums(network.strings, directions) if respond else None,
            start=start,
            key=key,
        )


def pose(network: AnyNetwork, theta: ArrayLike, x: ArrayLike) -> Posed:
    """A network of any kind at its parameters and inputs: the one place that asks for the kind."""
    if not isinstance(network, Network):
        return network.pose(theta, x)
    driving = network.driving(network.check_x(x)) if network.driven else 1.0
    return PosedSums(network, network.hamiltonians(theta, x), driving)


@dataclass(frozen=True)
class BoundSettle:
    """`Settle` for one network, parameters, batch of inputs and solver; every call draws from streams of its own."""

    network: AnyNetwork
    posed: Posed
    solver: Solver
    key: tuple[int, ...]
    measure: Measure | None = None
    calls: Iterator[int] = field(default_factory=count)

    @property
    def n_outputs(self) -> int:
        return self.network.n_outputs

    @property
    def batch(self) -> int:
        return len(self.posed)

    def __call__(
        self, nudges: NumberArray, *, want: Want, precision: float | None = None, start: Start | None = None
    ) -> Settled:
        """See `interfaces.Settle`."""
        batch, n_outputs = self.batch, self.n_outputs
        check_shape("nudges", nudges, "(n_nudges, batch, n_outputs)", (None, batch, n_outputs))
        n_nudges = len(nudges)
        if start is not None and _length(start) != n_nudges * batch:
            start = start.repeat(n_nudges * batch // _length(start))
        flat = nudges.reshape(n_nudges * batch, n_outputs)
        problem = self.posed.equilibria(flat, want, start, (*self.key, next(self.calls)))
        _refuse_other_kind(self.solver, problem)
        if self.measure is None:
            return self._settled(self.solver.solve(problem, precision=precision), n_nudges, want)
        return self._settled(self.solver.solve(problem, self.measure, precision=precision), n_nudges, want)

    def _settled(self, solution: Solution, n_nudges: int, want: Want) -> Settled:
        batch, driving = self.batch, self.posed.driving
        shape = (n_nudges, batch, -1)
        split = read = self.n_outputs if Want.OUTPUTS in want else 0
        if Want.COVARIANCES in want:
            split += self.n_outputs * (self.n_outputs - 1) // 2

        def part(numbers: Expectations, begin: int, end: int | None) -> Expectations:
            values, errors = numbers.values[:, begin:end], numbers.std_errors[:, begin:end]
            return Expectations(values.reshape(shape), errors.reshape(shape))

        def gradient(numbers: Expectations) -> Expectations:
            driven = part(numbers, split, None)
            return Expectations(driven.values * driving, driven.std_errors * np.abs(driving))

        measured = solution.expectations
        return Settled(
            outputs=part(measured, 0, read) if Want.OUTPUTS in want else None,
            energy_gradient=gradient(measured) if Want.ENERGY_GRADIENT in want else None,
            response=None if solution.response is None else gradient(solution.response),
            certificate=solution.certificate.map(lambda array: array.reshape(n_nudges, batch)),
            start=solution.start,
            shots=solution.shots,
            covariances=_covariances(measured.std_errors[:, :split].reshape(shape), read)
            if Want.COVARIANCES in want
            else None,
        )


def bind(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    solver: Solver,
    key: tuple[int, ...],
    device: Device | None = None,
) -> BoundSettle:
    """Binds everything a rule does not need to know; ``key`` names the random streams, (seed, step).

    Raises:
        ValueError: if theta or x have a wrong shape or are not finite.
    """
    check_part("solver", solver, "solve", "Exact()")
    measure = None if device is None else BoundMeasure(_checked_device(device), (*key, _MEASUREMENTS))
    return BoundSettle(network, pose(network, theta, x), solver, key, measure)


def check_kind(network: AnyNetwork, solver: Solver) -> None:
    """Raises a `ValueError` if a solver takes problems of another kind of network; nothing is solved."""
    posed = pose(network, network.initial, np.zeros((1, network.n_inputs)))
    nudges = np.zeros((1, network.n_outputs))
    _refuse_other_kind(solver, posed.equilibria(nudges, Want.OUTPUTS, None, (0,)))


def _refuse_other_kind(solver: Solver, problem: Any) -> None:
    kind = _kind_taken(type(solver))
    if not isinstance(problem, kind):
        raise ValueError(
            f"Argument `solver` must settle the {type(problem).__name__} of this network, but {type(solver).__name__} "
            f"settles {kind.__name__}: take a solver of networks of this kind."
        )


@cache
def _kind_taken(solver: type) -> type:
    """What a solver says it takes by the annotation of its ``problem``; anything, where it says nothing."""
    try:
        hint = get_type_hints(solver.solve)["problem"]
    except (AttributeError, KeyError, NameError, TypeError):
        return object
    return hint if isinstance(hint, type) else object


def _pair_sums(outputs: FloatArray) -> FloatArray:
    """``O_k + O_l`` for all k < l: their standard errors tell the covariances, whoever measures them."""
    first, second = _pairs(len(outputs))
    return outputs[first] + outputs[second]


@cache
def _pairs(n_outputs: int) -> tuple[IntArray, IntArray]:
    """The pairs k < l: all k, and all l."""
    first, second = np.triu_indices(n_outputs, 1)
    return first, second


def _covariances(errors: FloatArray, n_outputs: int) -> FloatArray:
    """``Cov[k, l] = (Var[k + l] - Var[k] - Var[l]) / 2`` from the errors (..., n_outputs + n_pairs)."""
    result = np.zeros((*errors.shape[:-1], n_outputs, n_outputs))
    if not errors.any():  # nothing was sampled
        return result
    variances, sums = errors[..., :n_outputs] ** 2, errors[..., n_outputs:] ** 2
    first, second = _pairs(n_outputs)
    diagonal = np.arange(n_outputs)
    result[..., diagonal, diagonal] = variances
    result[..., first, second] = result[..., second, first] = (
        sums - variances[..., first] - variances[..., second]
    ) / 2
    return result


def _checked_device(device: Device) -> Device:
    check_part("device", device, "run", "Statevector() or Aer()")
    if not hasattr(device, "reads_states"):
        wrapper = "Backend" if hasattr(device, "target") else "Primitive"
        raise ValueError(
            f"Argument `device` must be a device, such as Statevector() or Aer(), but is a {type(device).__name__} of "
            f"others: wrap it, {wrapper}(...)."
        )
    return device


def _length(start: Start) -> int:
    return len(next(iter(start.arrays.values())))
