"""Optimisers and schedules of the learning rate: functions that make an `Optimizer` or a `Schedule`.

An optimiser is two pure functions of arrays: ``init(theta) -> state`` and ``update(gradient, state, theta) -> (theta,
state)``, with gradient and theta (n_trainable,). Its state is a dictionary of float64 and int64 arrays, among them
``step``, the number of updates so far; a run that saves theta and the state can go on as if nothing had stopped it.

A learning rate is a number above zero or a `Schedule`, a function of the step. In a run file a schedule is a table:
``learning_rate = { use = "cosine", start = 0.1, end = 0.01, steps = 100 }``.

`update` raises a `ValueError` for a gradient that is not finite, and for a state that another optimiser made or that
belongs to another number of parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape
from qeqprop.interfaces import FloatArray, Optimizer, OptimizerState

Schedule = Callable[[int], float]
"""``step -> learning rate``, where step 0 is the first update."""

LearningRate = Annotated[float, Gt(0)] | Schedule

Arrays = dict[str, FloatArray]
Direction = Callable[[FloatArray, Arrays, int], tuple[FloatArray, Arrays]]
"""``(gradient, memory, step) -> (direction, memory)``: what an optimiser makes of a gradient before it takes a step."""


def sgd(learning_rate: LearningRate = 0.05) -> Optimizer:
    """Gradient descent: ``theta <- theta - learning_rate * g``."""

    def direction(gradient: FloatArray, memory: Arrays, step: int) -> tuple[FloatArray, Arrays]:
        return gradient, memory

    return _optimizer("sgd", learning_rate, (), direction)


def momentum(
    learning_rate: LearningRate = 0.05, decay: Annotated[float, Ge(0), Lt(1)] = 0.9, nesterov: bool = False
) -> Optimizer:
    """Gradient descent with a velocity: ``v <- decay * v + g``, then ``theta <- theta - learning_rate * v``.

    In a constant gradient the velocity grows to ``g / (1 - decay)``.

    Args:
        learning_rate: number or schedule.
        decay: what is left of the velocity at the next step.
        nesterov: look one step ahead: move along ``g + decay * v``, with the new ``v``, instead of along ``v``.

    Sources: Polyak, USSR Comput. Math. Math. Phys. 4, 1 (1964); for the form of the look-ahead: Sutskever, Martens,
    Dahl & Hinton, ICML (2013).
    """
    decay = _fraction("decay", decay)

    def direction(gradient: FloatArray, memory: Arrays, step: int) -> tuple[FloatArray, Arrays]:
        velocity = decay * memory["velocity"] + gradient
        return (gradient + decay * velocity if nesterov else velocity), {"velocity": velocity}

    return _optimizer("momentum", learning_rate, ("velocity",), direction)


def adam(
    learning_rate: LearningRate = 0.05,
    decay_mean: Annotated[float, Ge(0), Lt(1)] = 0.9,
    decay_square: Annotated[float, Ge(0), Lt(1)] = 0.999,
    epsilon: Annotated[float, Gt(0)] = 1e-8,
) -> Optimizer:
    """Adam: every parameter in units of the size of its own gradient.

    ``m <- decay_mean * m + (1 - decay_mean) * g`` and ``s <- decay_square * s + (1 - decay_square) * g^2``; with both
    divided by ``1 - decay^n`` at update ``n = 1, 2, ..`` to remove the pull of their zero start,
    ``theta <- theta - learning_rate * m / (sqrt(s) + epsilon)``. The first step is ``learning_rate * sign(g)``.

    Args:
        learning_rate: number or schedule; about the length of a step in each parameter.
        decay_mean: memory of the mean gradient.
        decay_square: memory of the mean squared gradient.
        epsilon: gradients far below this size no longer make full steps.

    Source: Kingma & Ba, arXiv:1412.6980 (2014).
    """
    decay_mean, decay_square = _fraction("decay_mean", decay_mean), _fraction("decay_square", decay_square)
    epsilon = _positive("epsilon", epsilon)

    def direction(gradient: FloatArray, memory: Arrays, step: int) -> tuple[FloatArray, Arrays]:
        mean = decay_mean * memory["mean"] + (1 - decay_mean) * gradient
        square = decay_square * memory["square"] + (1 - decay_square) * gradient**2
        fair_mean = mean / (1 - decay_mean ** (step + 1))
        fair_square = square / (1 - decay_square ** (step + 1))
        return fair_mean / (np.sqrt(fair_square) + epsilon), {"mean": mean, "square": square}

    return _optimizer("adam", learning_rate, ("mean", "square"), direction)


def normalized(learning_rate: LearningRate = 0.05) -> Optimizer:
    """Steps of one length: ``theta <- theta - learning_rate * g / ||g||``, and none where the gradient is zero.

    Near a level crossing a gradient grows like one over the gap; here only its direction counts.
    """

    def direction(gradient: FloatArray, memory: Arrays, step: int) -> tuple[FloatArray, Arrays]:
        largest = np.max(np.abs(gradient), initial=0.0)
        if largest == 0:
            return np.zeros_like(gradient), memory
        scaled = gradient / largest  # squares of tiny or huge entries would leave the range of float64
        return scaled / np.linalg.norm(scaled), memory

    return _optimizer("normalized", learning_rate, (), direction)


# --- schedules --------------------------------------------------------------------------------------------------


def constant(value: Annotated[float, Gt(0)] = 0.05) -> Schedule:
    """The same learning rate at every step."""
    value = _positive("value", value)
    return lambda step: value


def cosine(
    start: Annotated[float, Gt(0)] = 0.1, end: Annotated[float, Ge(0)] = 0.01, steps: Annotated[int, Ge(1)] = 100
) -> Schedule:
    """Half a cosine from ``start`` at step 0 to ``end`` at step ``steps``, and ``end`` ever after.

    ``end + (start - end) * (1 + cos(pi * step / steps)) / 2``.
    """
    start, end, steps = _positive("start", start), _at_least_zero("end", end), _count("steps", steps)
    return lambda step: end + (start - end) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2


def exponential(start: Annotated[float, Gt(0)] = 0.1, rate: Annotated[float, Gt(0), Le(1)] = 0.99) -> Schedule:
    """``start * rate^step``: every step is ``rate`` times the one before."""
    start, rate = _positive("start", start), _positive("rate", rate)
    if rate > 1:
        raise ValueError(f"Argument `rate` must be at most 1, but is {rate!r}.")
    return lambda step: start * rate**step


def inverse(start: Annotated[float, Gt(0)] = 0.1, steps: Annotated[int, Ge(1)] = 100) -> Schedule:
    """``start / (1 + step / steps)``: slow enough to arrive, fast enough to average the noise of shots away.

    Source: the conditions of Robbins & Monro, Ann. Math. Statist. 22, 400 (1951).
    """
    start, steps = _positive("start", start), _count("steps", steps)
    return lambda step: start / (1 + step / steps)


def piecewise(
    values: Sequence[Annotated[float, Gt(0)]] = (0.1, 0.01), boundaries: Sequence[Annotated[int, Ge(1)]] = (100,)
) -> Schedule:
    """``values[i]`` from step ``boundaries[i - 1]`` until before step ``boundaries[i]``.

    Args:
        values: the learning rates, one more than boundaries.
        boundaries: the steps at which the next value begins, increasing.
    """
    rates = tuple(_positive(f"values[{index}]", value) for index, value in enumerate(values))
    edges = tuple(_count(f"boundaries[{index}]", edge) for index, edge in enumerate(boundaries))
    if len(rates) != len(edges) + 1:
        raise ValueError(
            f"Argument `values` must hold len(boundaries) + 1 = {len(edges) + 1} rates, but holds {len(rates)}."
        )
    if any(later <= earlier for earlier, later in pairwise(edges)):
        raise ValueError(f"Argument `boundaries` must increase, but is {edges}.")
    return lambda step: rates[sum(step >= edge for edge in edges)]


# --- what all optimisers share ----------------------------------------------------------------------------------


def _optimizer(
    name: str, learning_rate: LearningRate, memory_names: tuple[str, ...], direction: Direction
) -> Optimizer:
    """Moves by ``-learning_rate * direction`` and keeps the named arrays (n_trainable,), which are zero at first."""
    rate_at = learning_rate if callable(learning_rate) else constant(_positive("learning_rate", learning_rate))

    def init(theta: FloatArray) -> OptimizerState:
        array = _vector("theta", theta)
        return {"step": np.array(0, dtype=np.int64), **{entry: np.zeros(len(array)) for entry in memory_names}}

    def update(gradient: FloatArray, state: OptimizerState, theta: FloatArray) -> tuple[FloatArray, OptimizerState]:
        theta = _vector("theta", theta)
        gradient = _vector("gradient", gradient, len(theta))
        wanted = {"step", *memory_names}
        if state.keys() != wanted:
            raise ValueError(
                f"Argument `state` must hold the arrays {sorted(wanted)} of the optimiser {name}, "
                f"but holds {sorted(state)}."
            )
        step = int(state["step"])
        memory = {entry: _vector(f"state['{entry}']", state[entry], len(theta)) for entry in memory_names}
        along, memory = direction(gradient, memory, step)
        rate = _at_least_zero(f"learning_rate({step})", rate_at(step))
        return theta - rate * along, {"step": np.array(step + 1, dtype=np.int64), **memory}

    return Optimizer(init, update)


def _vector(name: str, values: ArrayLike, length: int | None = None) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    check_shape(name, array, "(n_trainable,)", (length,))
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise ValueError(
            f"Argument `{name}` must be finite, but {name}[{bad[0]}] is {array[bad[0]]} "
            f"({len(bad)} of {len(array)} entries are not finite)."
        )
    return array


def _positive(name: str, value: float) -> float:
    if not _is_number(value) or value <= 0:
        raise ValueError(f"Argument `{name}` must be a finite number above 0, but is {value!r}.")
    return float(value)


def _at_least_zero(name: str, value: float) -> float:
    if not _is_number(value) or value < 0:
        raise ValueError(f"Argument `{name}` must be a finite number of at least 0, but is {value!r}.")
    return float(value)


def _fraction(name: str, value: float) -> float:
    if not _is_number(value) or not 0 <= value < 1:
        raise ValueError(f"Argument `{name}` must be a number from 0 to below 1, but is {value!r}.")
    return float(value)


def _count(name: str, value: int) -> int:
    if not _is_number(value) or value < 1 or int(value) != value:
        raise ValueError(f"Argument `{name}` must be a whole number of at least 1, but is {value!r}.")
    return int(value)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float, np.integer, np.floating))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
