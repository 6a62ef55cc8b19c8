"""Training is a generator of states: the caller's loop is the callback, and any state can be gone on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape
from qeqprop.interfaces import (
    AnyNetwork,
    Device,
    FloatArray,
    Gradient,
    IntArray,
    LearningRule,
    Loss,
    Optimizer,
    OptimizerState,
    Penalty,
    Samples,
    Solver,
)
from qeqprop.losses import accuracy
from qeqprop.optimizers import Schedule, adam
from qeqprop.propagation import at_temperature, gradient, measure_outputs

# second entry of the key of each random stream, so that no two purposes share one
_INITIAL, _BATCHES, _GRADIENT, _VALIDATION = range(4)


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Where training stands after a step; enough to go on bit by bit.

    Attributes:
        step: steps done.
        theta: (n_trainable,) the parameters after the step.
        optimizer_state: the optimiser's memory.
        loss: of the step's minibatch before its update, penalty included.
        metrics: more numbers of the step: gradient_norm, gradient_error, gap, and where they apply accuracy,
            validation_loss and validation_accuracy.
        shots: projective measurements spent since the first step.
        gradient: the step's gradient; None in a state read back from a file.
    """

    step: int
    theta: FloatArray
    optimizer_state: OptimizerState
    loss: float
    metrics: dict[str, float]
    shots: int
    gradient: Gradient | None = None


def initial_theta(network: AnyNetwork, *, seed: int = 0, scale: float = 0.5) -> FloatArray:
    """Random initial parameters (n_trainable,): the network's centre plus Gaussians of deviation ``scale``."""
    generator = np.random.default_rng([seed, _INITIAL])
    return network.initial + scale * generator.normal(size=network.n_trainable)


def minibatch(n_samples: int, batch: int | None, *, seed: int, step: int, group: int = 1) -> IntArray:
    """Indices of the samples of a step, a function of (seed, step) alone.

    Each epoch is a fresh permutation, cut into batches; its last one may be shorter. Without ``batch`` every step sees
    all samples. Rows that a loss joins, ``group`` at a time, stay together.
    """
    if batch is None or batch >= n_samples:
        return np.arange(n_samples)
    n_groups, size = n_samples // group, max(1, batch // group)
    epoch, position = divmod(step - 1, -(-n_groups // size))
    order = np.random.default_rng([seed, _BATCHES, epoch]).permutation(n_groups)
    chosen = np.sort(order[position * size : (position + 1) * size])
    return (chosen[:, None] * group + np.arange(group)).reshape(-1)


def train(
    network: AnyNetwork,
    samples: Samples,
    *,
    loss: Loss | Callable[[], Loss],
    steps: int,
    rule: LearningRule | None = None,
    solver: Solver | None = None,
    optimizer: Optimizer | None = None,
    batch: int | None = None,
    seed: int = 0,
    theta: ArrayLike | None = None,
    initial_scale: float = 0.5,
    validation: Samples | None = None,
    validate_every: int = 1,
    classification: bool = False,
    penalty: Penalty | None = None,
    device: Device | None = None,
    temperature: Schedule | None = None,
    resume: TrainingState | None = None,
) -> Iterator[TrainingState]:
    """Yields the state after each of ``steps`` updates; stop early by leaving the loop.

    Every random number is a function of (seed, step), so a run resumed from any of its states ends in the same bits.

    Args:
        network: the network.
        samples: inputs (n_samples, n_inputs) and targets (n_samples, n_outputs or 0).
        loss: a loss, or the function that makes it.
        steps: number of the last step.
        rule: linear response by default.
        solver: exact ground states by default.
        optimizer: Adam by default.
        batch: samples of a step; all by default.
        seed: of the initial parameters, the minibatches and the measurements.
        theta: (n_trainable,) initial parameters; random by default.
        initial_scale: deviation of the random ones.
        validation: samples to judge by, every ``validate_every`` steps and at the last one.
        validate_every: see above.
        classification: also report accuracies.
        penalty: a function of theta added to the loss.
        device: where the circuits of the solver run; the compiled simulator by default.
        temperature: a schedule that the solver's temperature follows, step by step; validations too. What is computed
            after training has the solver's own temperature.
        resume: go on after this state.

    Raises:
        ValueError: for wrong shapes or numbers, before anything is computed.
        NotConverged: if a state misses its solver's tolerance.
    """
    loss = loss if isinstance(loss, Loss) else loss()
    optimizer = adam() if optimizer is None else optimizer
    x, y = network.check_x(samples.x), np.asarray(samples.y, dtype=np.float64)
    check_shape("samples.y", y, "(n_samples, n_targets)", (len(x), None))
    for name, value in (("steps", steps), ("validate_every", validate_every), ("batch", 1 if batch is None else batch)):
        if value < 1:
            raise ValueError(f"Argument `{name}` must be at least 1, but is {value}.")
    if not len(x):
        raise ValueError("Argument `samples` must hold at least one sample, but is empty.")
    start = initial_theta(network, seed=seed, scale=initial_scale) if theta is None else network.check_theta(theta)

    def states() -> Iterator[TrainingState]:
        current, memory, shots, first = start, optimizer.init(start), 0, 1
        if resume is not None:
            current, memory, shots, first = resume.theta, resume.optimizer_state, resume.shots, resume.step + 1
        for step in range(first, steps + 1):
            settling = solver if temperature is None else at_temperature(solver, temperature(step - 1))
            chosen = minibatch(len(x), batch, seed=seed, step=step, group=loss.group)
            found = gradient(
                network,
                current,
                x[chosen],
                y[chosen],
                loss=loss,
                rule=rule,
                solver=settling,
                penalty=penalty,
                device=device,
                seed=seed,
                step=step,
            )
            current, memory = optimizer.update(found.values, memory, current)
            shots += found.shots
            metrics = {
                "gradient_norm": float(np.linalg.norm(found.values)),
                "gradient_error": float(np.linalg.norm(found.std_errors)),
                "gap": float(np.min(found.certificate.gap)),
            }
            if classification:
                metrics["accuracy"] = accuracy(found.predictions[:, : network.n_outputs], y[chosen])
            if validation is not None and (step % validate_every == 0 or step == steps):
                checked, spent = validate(
                    network,
                    current,
                    validation,
                    loss=loss,
                    solver=settling,
                    device=device,
                    classification=classification,
                    key=(seed, step),
                )
                metrics |= {f"validation_{name}": value for name, value in checked.items()}
                shots += spent
            yield TrainingState(step, current, memory, found.loss, metrics, shots, found)

    return states()


def validate(
    network: AnyNetwork,
    theta: ArrayLike,
    samples: Samples,
    *,
    loss: Loss,
    solver: Solver | None = None,
    device: Device | None = None,
    classification: bool = False,
    key: tuple[int, int] | None = None,
) -> tuple[dict[str, float], int]:
    """Loss, accuracy if asked for, and the shots spent, of the free outputs on some samples."""
    settling = network.with_squares() if loss.squares else network
    seed = None if key is None else int(np.random.SeedSequence([key[0], _VALIDATION, key[1]]).generate_state(1)[0])
    outputs, _, shots = measure_outputs(settling, theta, samples.x, solver=solver, device=device, seed=seed)
    predictions = np.real(outputs.values)
    result = {"loss": float(loss.value(predictions, samples.y))}
    if classification:
        result["accuracy"] = accuracy(predictions[:, : network.n_outputs], samples.y)
    return result, shots
