"""What a scikit-learn estimator does to fit and to predict, whatever kind of network it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from qeqprop import losses
from qeqprop.interfaces import (
    AnyNetwork,
    Device,
    FloatArray,
    LearningRule,
    Loss,
    Network,
    Optimizer,
    Penalty,
    Samples,
    Solver,
)
from qeqprop.networks.transverse_ising import transverse_ising
from qeqprop.optimizers import adam
from qeqprop.propagation import at_temperature, gradient, predict
from qeqprop.training import TrainingState, initial_theta, train

NetworkMaker = Callable[[int, int], AnyNetwork]
"""``(n_inputs, n_outputs) -> network``."""


class Learner(Protocol):
    """An estimator as seen from here: its parameters, then what it has learnt; `QEPClassifier` says what they are."""

    network: AnyNetwork | NetworkMaker | None
    loss: Loss | Callable[[], Loss] | None
    rule: LearningRule | None
    solver: Solver | None
    temperature: float | None
    device: Device | None
    optimizer: Optimizer | Callable[[], Optimizer] | None
    steps: int
    batch: int | None
    initial_scale: float
    penalty: Penalty | Callable[[], Penalty] | None
    random_state: Any
    scale_inputs: bool
    network_: AnyNetwork
    theta_: FloatArray
    optimizer_state_: dict[str, Any]
    n_iter_: int
    history_: dict[str, list[float]]
    seed_: int
    mean_: FloatArray
    scale_: FloatArray


@dataclass(frozen=True)
class Parts:
    """The parts of an estimator, made anew when needed: closures are no attributes of a picklable estimator."""

    loss: Loss
    rule: LearningRule | None
    solver: Solver | None
    optimizer: Optimizer
    penalty: Penalty | None


def parts_of(learner: Learner) -> Parts:
    """The parts that were chosen, or the default ones."""
    classifies = is_classifier(learner)
    solver, temperature = learner.solver, learner.temperature
    return Parts(
        loss=_made(learner.loss, Loss) or (losses.cross_entropy() if classifies else losses.mean_squared_error()),
        rule=learner.rule,
        solver=solver if temperature is None else at_temperature(solver, temperature),
        optimizer=_made(learner.optimizer, Optimizer) or adam(learning_rate=0.1 if classifies else 0.05),
        penalty=_made(learner.penalty, Penalty),
    )


def initialise(learner: Learner, X: FloatArray, n_outputs: int) -> None:
    """The network, the scales and the random parameters, before the first step."""
    made = _default_network if learner.network is None else learner.network
    network = made(X.shape[1], n_outputs) if callable(made) else made
    if network.n_inputs != X.shape[1] or network.n_outputs != n_outputs:
        raise ValueError(
            f"Argument `network` must have {X.shape[1]} inputs and {n_outputs} outputs for this data, "
            f"but has {network.n_inputs} and {network.n_outputs}."
        )
    # the rounded deviation of a constant feature may be 1e-17
    spread = np.where(np.ptp(X, axis=0) > 0, np.std(X, axis=0), 0.0)
    learner.mean_ = np.mean(X, axis=0) if learner.scale_inputs else np.zeros(X.shape[1])
    learner.scale_ = np.where(spread > 0, spread, 1.0) if learner.scale_inputs else np.ones(X.shape[1])
    learner.network_ = network
    learner.seed_ = int(check_random_state(learner.random_state).randint(2**31))
    learner.theta_ = initial_theta(network, seed=learner.seed_, scale=learner.initial_scale)
    learner.optimizer_state_ = parts_of(learner).optimizer.init(learner.theta_)
    learner.n_iter_ = 0
    learner.history_ = {"step": [], "loss": []}


def fit(learner: Learner, X: FloatArray, targets: FloatArray) -> None:
    """As many steps as the estimator is to take, from where it stands."""
    parts = parts_of(learner)
    now = TrainingState(learner.n_iter_, learner.theta_, learner.optimizer_state_, np.nan, {}, 0)
    for state in train(
        learner.network_,
        Samples(_scaled(learner, X), targets),
        loss=parts.loss,
        rule=parts.rule,
        solver=parts.solver,
        device=learner.device,
        optimizer=parts.optimizer,
        penalty=parts.penalty,
        steps=learner.n_iter_ + learner.steps,
        batch=learner.batch,
        seed=learner.seed_,
        resume=now,
    ):
        _record(learner, state.theta, state.optimizer_state, state.step, state.loss)


def step(learner: Learner, X: FloatArray, targets: FloatArray) -> None:
    """One step on this batch."""
    parts, number = parts_of(learner), learner.n_iter_ + 1
    found = gradient(
        learner.network_,
        learner.theta_,
        _scaled(learner, X),
        targets,
        loss=parts.loss,
        rule=parts.rule,
        solver=parts.solver,
        device=learner.device,
        penalty=parts.penalty,
        seed=learner.seed_,
        step=number,
    )
    theta, memory = parts.optimizer.update(found.values, learner.optimizer_state_, learner.theta_)
    _record(learner, theta, memory, number, found.loss)


def outputs(learner: Learner, X: FloatArray) -> FloatArray:
    """The outputs (n_samples, n_outputs) of the free network."""
    return predict(
        learner.network_,
        learner.theta_,
        _scaled(learner, X),
        solver=parts_of(learner).solver,
        device=learner.device,
        seed=learner.seed_,
    )


def output_range(network: AnyNetwork) -> tuple[float, float]:
    """Centre and half width of the range of the only output.

    Pauli strings lie between -1 and 1. An energy does not tell where its outputs may lie: soft spins, neurons and the
    cosines of phases are at home between -1 and 1, which is taken for all.

    Raises:
        ValueError: if the output of a Pauli sum is constant.
    """
    if not isinstance(network, Network):
        return 0.0, 1.0
    moves = np.any(network.strings.z | network.strings.x, axis=1)
    coefficients = network.outputs[0]
    reach = float(np.sum(np.abs(coefficients[moves])))
    if reach == 0:
        raise ValueError(
            "Argument `network` must have an output that depends on its state, but its output is constant."
        )
    return float(np.sum(coefficients[~moves])), reach


def _default_network(n_inputs: int, n_outputs: int) -> Network:
    return transverse_ising(sites=max(4, n_outputs), n_inputs=n_inputs, n_outputs=n_outputs)


def _made(part: Any, record: type) -> Any:
    """A part that may be given as the function that makes it."""
    return part if part is None or isinstance(part, record) else part()


def _scaled(learner: Learner, X: FloatArray) -> FloatArray:
    return (X - learner.mean_) / learner.scale_


def _record(learner: Learner, theta: FloatArray, memory: dict[str, Any], number: int, loss: float) -> None:
    learner.theta_, learner.optimizer_state_, learner.n_iter_ = theta, memory, number
    learner.history_["step"].append(number)
    learner.history_["loss"].append(loss)
