"""Equilibrium propagation itself: a network, a solver and a rule put together into a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from itertools import count
from secrets import randbits
from typing import Any, cast, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.checks import check_part, check_shape
from qeqprop.interfaces import (
    AnyNetwork,
    Certificate,
    Device,
    Equilibria,
    Expectations,
    FloatArray,
    Gradient,
    LearningRule,
    Loss,
    Measure,
    Network,
    NumberArray,
    PauliSums,
    Penalty,
    Posed,
    Settled,
    Solution,
    Solver,
    Start,
    Want,
)
from qeqprop.measurement_count import refuse_unmeasurable
from qeqprop.measuring import BoundMeasure
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.solvers.equal_time import EqualTime
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.random_time import RandomTime

MEASURING_RESPONSES = (EqualTime, RandomTime)
"""Solvers that measure a linear response on a device; all others compute theirs."""

_SOLVER, _RULE = Exact(), LinearResponse()  # the defaults
_MEASUREMENTS = 0x6D656173  # keeps the streams of a device apart from those of a solver


@dataclass(frozen=True, eq=False)
class PosedSums:
    """`Posed` for a network of Pauli strings."""

    network: Network
    hamiltonians: PauliSums
    driving: FloatArray

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
        if want & (Want.ENERGY_GRADIENT | Want.RESPONSE):
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
    x = network.check_x(x)
    return PosedSums(network, network.hamiltonians(theta, x), network.driving(x))


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
        check_shape("nudges", nudges, "(n_nudges, batch, n_outputs)", (None, self.batch, self.n_outputs))
        n_nudges = len(nudges)
        if start is not None and _length(start) != n_nudges * self.batch:
            start = start.repeat(n_nudges * self.batch // _length(start))
        flat = nudges.reshape(n_nudges * self.batch, self.n_outputs)
        problem = self.posed.equilibria(flat, want, start, (*self.key, next(self.calls)))
        _refuse_other_kind(self.solver, problem)
        if self.measure is None:
            return self._settled(self.solver.solve(problem, precision=precision), n_nudges, want)
        return self._settled(self.solver.solve(problem, self.measure, precision=precision), n_nudges, want)

    def _settled(self, solution: Solution, n_nudges: int, want: Want) -> Settled:
        shape = (n_nudges, self.batch, -1)
        split = read = self.n_outputs if Want.OUTPUTS in want else 0
        if Want.COVARIANCES in want:
            split += self.n_outputs * (self.n_outputs - 1) // 2

        def part(numbers: Expectations, begin: int, end: int | None, scale: FloatArray | float) -> Expectations:
            values, errors = numbers.values[:, begin:end], numbers.std_errors[:, begin:end]
            return Expectations(values.reshape(shape) * scale, errors.reshape(shape) * np.abs(scale))

        measured = solution.expectations
        return Settled(
            outputs=part(measured, 0, read, 1.0) if Want.OUTPUTS in want else None,
            energy_gradient=part(measured, split, None, self.posed.driving) if Want.ENERGY_GRADIENT in want else None,
            response=None if solution.response is None else part(solution.response, split, None, self.posed.driving),
            certificate=solution.certificate.map(lambda array: array.reshape(n_nudges, self.batch)),
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


def gradient(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    rule: LearningRule | None = None,
    solver: Solver | None = None,
    penalty: Penalty | None = None,
    device: Device | None = None,
    seed: int | None = None,
    step: int = 0,
) -> Gradient:
    """The gradient of a loss by equilibrium propagation, ``dL/dtheta_j = d<dH/dtheta_j>/dbeta``.

    Args:
        network: the network.
        theta: (n_trainable,) parameters.
        x: (batch, n_inputs) inputs; (batch, 0) for a network without inputs.
        y: (batch, n_outputs) targets; (batch, 0) for a loss without targets.
        loss: a loss, or the function that makes it.
        rule: linear response by default.
        solver: exact ground states by default.
        penalty: a function of theta added to the loss.
        device: where the circuits of the solver run; the compiled simulator by default. Solvers that run no circuits
            take none.
        seed: of the random streams of a sampled solver; fresh ones by default.
        step: second part of their key.

    Raises:
        ValueError: for wrong shapes, values that are not finite, a device that the solver does not run on, or a rule
            that asks for what no device measures.
        NotConverged: if a state misses its tolerance.

    Source: Scellier & Bengio, Front. Comput. Neurosci. 11, 24 (2017); Massar & Mognetti, arXiv:2405.08467 (2024);
    Scellier, arXiv:2406.00879 (2024); Wanjura & Marquardt, Nat. Commun. 16, 6595 (2025).
    """
    loss = _made(loss)
    settling = network.with_squares() if loss.squares else network
    key = (randbits(64) if seed is None else seed, step)
    settle = bind(settling, theta, x, _SOLVER if solver is None else solver, key, device)
    targets = _targets(y, settle.batch, network.n_outputs)
    rule = _RULE if rule is None else rule
    check_part("rule", rule, "gradient", "SymmetricNudging(beta=0.1)")
    if device is not None and not device.reads_states:
        measured = isinstance(solver, MEASURING_RESPONSES)
        refuse_unmeasurable(settling, rule, loss, targets, device.name, responses=measured)
    result = rule.gradient(settle, targets, loss)
    if penalty is None:
        return result
    theta = network.check_theta(theta)
    return replace(
        result, values=result.values + penalty.gradient(theta), loss=result.loss + float(penalty.value(theta))
    )


def measure_outputs(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    *,
    solver: Solver | None = None,
    device: Device | None = None,
    precision: float | None = None,
    seed: int | None = None,
) -> tuple[Expectations, Certificate, int]:
    """The free outputs (batch, n_outputs) with standard errors, certificate (batch,) and shots spent."""
    key = (randbits(64) if seed is None else seed,)
    settle = bind(network, theta, x, _SOLVER if solver is None else solver, key, device)
    free = settle(np.zeros((1, settle.batch, network.n_outputs)), want=Want.OUTPUTS, precision=precision)
    assert free.outputs is not None  # it was wanted
    outputs = Expectations(free.outputs.values[0], free.outputs.std_errors[0])
    return outputs, free.certificate.map(lambda array: array[0]), free.shots


def predict(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    *,
    solver: Solver | None = None,
    device: Device | None = None,
    seed: int | None = None,
) -> FloatArray:
    """The outputs ``y_k = <O_k>`` of the free state, (batch, n_outputs), for x (batch, n_inputs)."""
    return np.real(measure_outputs(network, theta, x, solver=solver, device=device, seed=seed)[0].values)


def at_temperature(solver: Solver | None, temperature: float) -> Solver:
    """The same solver at another temperature; one that wraps a solver passes it on.

    Raises:
        ValueError: if the solver has no temperature, or refuses this one.
    """
    solver = _SOLVER if solver is None else solver
    names = {entry.name for entry in fields(solver)} if is_dataclass(solver) else set[str]()
    if "temperature" in names:
        return replace(cast(Any, solver), temperature=temperature)
    if "solver" in names:
        wrapper = cast(Any, solver)
        return replace(wrapper, solver=at_temperature(wrapper.solver, temperature))
    raise ValueError(f"Solver {type(solver).__name__} has no temperature: use Exact, Typical or Thermofield.")


def _targets(y: ArrayLike, batch: int, n_outputs: int) -> FloatArray:
    targets = np.asarray(y, dtype=np.float64)
    if targets.ndim == 2 and targets.shape == (batch, 0):
        return targets
    check_shape("y", targets, "(batch, n_outputs), or (batch, 0) without targets,", (batch, n_outputs))
    if not np.isfinite(targets).all():
        raise ValueError("Argument `y` must be finite, but holds nan or infinite values.")
    return targets


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
    first, second = np.triu_indices(len(outputs), 1)
    return outputs[first] + outputs[second]


def _covariances(errors: FloatArray, n_outputs: int) -> FloatArray:
    """``Cov[k, l] = (Var[k + l] - Var[k] - Var[l]) / 2`` from the errors (..., n_outputs + n_pairs)."""
    variances, sums = np.split(errors**2, [n_outputs], axis=-1)
    first, second = np.triu_indices(n_outputs, 1)
    result = np.zeros((*errors.shape[:-1], n_outputs, n_outputs))
    diagonal = np.arange(n_outputs)
    result[..., diagonal, diagonal] = variances
    result[..., first, second] = result[..., second, first] = (
        sums - variances[..., first] - variances[..., second]
    ) / 2
    return result


def _made(loss: Loss | Callable[[], Loss]) -> Loss:
    made = loss if isinstance(loss, Loss) or not callable(loss) else loss()
    if not isinstance(made, Loss):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"Argument `loss` must be a loss, such as mean_squared_error, but is {made!r}.")
    return made


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
