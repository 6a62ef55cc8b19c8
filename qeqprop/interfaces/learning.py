"""What learning is made of: samples, losses, rules, gradients, optimisers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from qeqprop.interfaces.arrays import FloatArray
from qeqprop.interfaces.settling import Settle
from qeqprop.interfaces.states import Certificate


class Samples(NamedTuple):
    """Inputs x (n_samples, n_inputs) and targets y (n_samples, n_targets); ``n_targets`` is zero without a teacher."""

    x: FloatArray
    y: FloatArray


class Dataset(NamedTuple):
    """Samples to learn from and samples to be judged by.

    Attributes:
        train, test: the samples.
        classes: names of the classes, empty if the task is not a classification.
        features: names of the inputs.
        description: one line on what it is and where it comes from.
    """

    train: Samples
    test: Samples
    classes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    description: str = ""


class Loss(NamedTuple):
    """A loss as two pure functions of predictions (batch, n_outputs) and targets (batch, n_targets).

    Attributes:
        name: for messages and plots.
        value: ``(predictions, targets) -> float``, the loss of the whole batch.
        gradient: ``(predictions, targets) -> (batch, n_outputs)``, the error signal ``batch * dL/dy``.
        squares: the loss is a cost observable and its predictions are ``<O_k>`` followed by ``<O_k^2>``
            (`Network.with_squares`); its error signal does not depend on the predictions.
        group: samples that the loss joins; minibatches keep such consecutive rows together.
    """

    name: str
    value: Callable[[FloatArray, FloatArray], float]
    gradient: Callable[[FloatArray, FloatArray], FloatArray]
    squares: bool = False
    group: int = 1


class Penalty(NamedTuple):
    """A function of the parameters added to the loss: ``value(theta)`` and ``gradient(theta)`` (n_trainable,)."""

    name: str
    value: Callable[[FloatArray], float]
    gradient: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Gradient:
    """The gradient of a loss, and what it rests on.

    Attributes:
        values: (n_trainable,) ``dL/dtheta``.
        std_errors: (n_trainable,) standard errors, zero where exact; those of nudging rules hold the noise of the
            nudged states and of the outputs that the error signal was taken from.
        loss: the loss at the free state.
        predictions: (batch, n_outputs) the outputs of the free state.
        certificate: arrays (n_states, batch), free states first, then the nudged ones.
        shots: projective measurements spent.
    """

    values: FloatArray
    std_errors: FloatArray
    loss: float
    predictions: FloatArray
    certificate: Certificate
    shots: int


class LearningRule(Protocol):
    """A way to turn settled states into a gradient; it never sees a Hamiltonian."""

    def gradient(self, settle: Settle, targets: FloatArray, loss: Loss) -> Gradient: ...


OptimizerState = dict[str, NDArray[Any]]


class Optimizer(NamedTuple):
    """An optimiser as two pure functions; its memory is a dictionary of arrays.

    Attributes:
        init: ``theta -> state``.
        update: ``(gradient, state, theta) -> (theta, state)``.
    """

    init: Callable[[FloatArray], OptimizerState]
    update: Callable[[FloatArray, OptimizerState, FloatArray], tuple[FloatArray, OptimizerState]]
