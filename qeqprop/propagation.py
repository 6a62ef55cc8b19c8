"""Equilibrium propagation itself: a network, a solver and a rule put together into a gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from secrets import randbits
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.checks import check_part, check_shape
from qeqprop.interfaces import (
    AnyNetwork,
    Certificate,
    Device,
    Expectations,
    FloatArray,
    Gradient,
    LearningRule,
    Loss,
    Penalty,
    Solver,
    Want,
)
from qeqprop.measurement_count import refuse_unmeasurable
from qeqprop.measuring import make_ready
from qeqprop.rules.linear_response import LinearResponse
from qeqprop.settling import bind
from qeqprop.solvers.equal_time import EqualTime
from qeqprop.solvers.exact import Exact
from qeqprop.solvers.random_time import RandomTime

MEASURING_RESPONSES = (EqualTime, RandomTime)
"""Solvers that measure a linear response on a device; all others compute theirs."""

_SOLVER, _RULE = Exact(), LinearResponse()  # the defaults


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
    make_ready(device)
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
    make_ready(device)
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
    raise ValueError(
        f"Solver {type(solver).__name__} has no temperature: use Exact, Typical or Thermofield, Gibbs or Langevin."
    )


def _targets(y: ArrayLike, batch: int, n_outputs: int) -> FloatArray:
    targets = np.asarray(y, dtype=np.float64)
    if targets.ndim == 2 and targets.shape == (batch, 0):
        return targets
    check_shape("y", targets, "(batch, n_outputs), or (batch, 0) without targets,", (batch, n_outputs))
    if not np.isfinite(targets).all():
        raise ValueError("Argument `y` must be finite, but holds nan or infinite values.")
    return targets


def _made(loss: Loss | Callable[[], Loss]) -> Loss:
    made = loss if isinstance(loss, Loss) or not callable(loss) else loss()
    if not isinstance(made, Loss):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"Argument `loss` must be a loss, such as mean_squared_error, but is {made!r}.")
    return made
