"""Losses and penalties: functions that make a `Loss` or a `Penalty`, and the accuracy of a classification.

A loss is two functions of the predictions ``y`` (batch, n_outputs) and the targets ``t`` (batch, n_outputs): its value,
one number for the batch, and its error signal ``e = batch * dL/dy`` (batch, n_outputs). Both raise a `ValueError` that
names the argument if a shape is wrong, the batch is empty, or a number is not finite. Losses without a teacher take
targets of any number of columns, also of none, and ignore them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape
from qeqprop.interfaces import BoolArray, FloatArray, Loss, Penalty

Strength = Annotated[float, Ge(0)] | Sequence[Annotated[float, Ge(0)]]

Parts = tuple[float | np.floating, FloatArray]
Formula = Callable[[FloatArray, FloatArray], Parts]
"""``(y, t) -> (L, e)``: a loss and its error signal side by side."""


def mean_squared_error() -> Loss:
    """``L = mean over batch and outputs of (y - t)^2``, without a factor 1/2."""

    def formula(y: FloatArray, t: FloatArray) -> Parts:
        missing = y - t
        return np.vdot(missing, missing) / missing.size, missing * (2 / y.shape[1])

    return _loss("mean_squared_error", formula)


def cross_entropy(
    *,
    outputs: Literal["sign", "projector"] = "sign",
    sharpness: Annotated[float, Gt(0)] = 4.0,
    floor: Annotated[float, Gt(0), Lt(1)] = 0.01,
) -> Loss:
    """``L = -mean over batch of log p_c``, ``c`` the class of the sample: one column per class, or one for two classes.

    Targets are 0/1 or -1/+1. Several columns mark the class with their only 1; a single column says yes with 1.

    Args:
        outputs: what the predictions are. ``"sign"``: numbers from -1 to 1, ``p = softmax(sharpness * y)`` or, for a
            single output, ``p(yes) = 1 / (1 + exp(-sharpness * y))``. ``"projector"``: the probabilities themselves,
            ``p_k = y_k`` (not normalised again) or, for a single output, ``p(yes) = y``.
        sharpness: how sure "sign" outputs can be: at 4, a single output of 1 means ``p = 0.98``.
        floor: below this probability a projector's ``log p`` goes on as its tangent. So the gradient is exact and
            continuous even at the negative estimates of a noisy device, a sample that is all wrong still pulls, and
            no error signal, hence no nudge, exceeds ``1 / floor``.
    """
    sharpness = _number("sharpness", sharpness, above=0)
    floor = _number("floor", floor, above=0, below=1)
    if outputs not in ("sign", "projector"):
        raise ValueError(f"Argument `outputs` must be 'sign' or 'projector', but is {outputs!r}.")

    def logistic(y: FloatArray, marked: BoolArray) -> Parts:
        towards = np.where(marked, sharpness, -sharpness)
        doubt = np.logaddexp(0.0, -towards * y)
        return np.mean(doubt), towards * np.expm1(-doubt)

    def softmax(y: FloatArray, marked: BoolArray) -> Parts:
        shifted = sharpness * (y - y.max(axis=1, keepdims=True))
        log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
        return -np.mean(log_p[marked]), sharpness * (np.exp(log_p) - marked)

    def projector(y: FloatArray, marked: BoolArray) -> Parts:
        single = y.shape[1] == 1
        p = np.where(marked, y, 1 - y) if single else y[marked][:, None]
        held = np.maximum(p, floor)
        slope = np.where(marked, -1.0, float(single))
        return -np.mean(np.log(held) + (p - held) / held), slope / held

    def formula(y: FloatArray, t: FloatArray) -> Parts:
        marked = _marked(t)
        if outputs == "projector":
            return projector(y, marked)
        return logistic(y, marked) if y.shape[1] == 1 else softmax(y, marked)

    return _loss("cross_entropy", formula)


def hinge(*, margin: Annotated[float, Gt(0)] = 1.0) -> Loss:
    """``L = mean over batch and outputs of max(0, margin - t y)`` for targets -1 and +1; zero slope at the kink."""
    margin = _number("margin", margin, above=0)

    def formula(y: FloatArray, t: FloatArray) -> Parts:
        _check_values(t, (-1.0, 1.0))
        missing = np.maximum(0.0, margin - t * y)
        return np.mean(missing), np.where(missing > 0, -t, 0.0) / t.shape[1]

    return _loss("hinge", formula)


def linear() -> Loss:
    """``L = -mean over batch of sum_k t_k y_k``: aligns the outputs with the targets."""
    return _loss("linear", lambda y, t: (-np.mean(np.sum(t * y, axis=1)), -t))


def output(*, weights: Sequence[float] | None = None) -> Loss:
    """``L = mean over batch of sum_k w_k y_k``, without targets: makes an observable small or, with -w, large.

    Args:
        weights: ``w`` (n_outputs,), ones by default.
    """
    chosen = None if weights is None else _finite("weights", weights)

    def formula(y: FloatArray, t: FloatArray) -> Parts:
        factors = np.ones(y.shape[1]) if chosen is None else chosen
        check_shape("weights", factors, "(n_outputs,)", (y.shape[1],))
        return np.mean(y @ factors), np.tile(factors, (len(y), 1))

    return _loss("output", formula, teacher=False)


def negative_magnitude() -> Loss:
    """``L = -mean over batch of sum_k |y_k|``, without targets: looks for phases where the outputs are large.

    The error signal is ``-sign(y)``, zero at ``y = 0``: a network whose outputs vanish by symmetry stays where it is.

    Source: the exploration of phases in Wanjura & Marquardt, Nat. Commun. 16, 6595 (2025).
    """

    def formula(y: FloatArray, t: FloatArray) -> Parts:
        return -np.mean(np.sum(np.abs(y), axis=1)), -np.sign(y)

    return _loss("negative_magnitude", formula, teacher=False)


def sensitivity(*, distance: Annotated[float, Gt(0)] = 1.0) -> Loss:
    """``L = -mean over pairs of sum_k |y_k(b) - y_k(a)| / distance``: a sensor that answers strongly to a field.

    Rows ``2 m`` and ``2 m + 1`` of the batch are pair ``m``, one sensor at the fields ``a`` and ``b``. The loss joins
    samples, so batches must be even (else a `ValueError`) and keep the pairs together. It ignores the targets, and its
    error signal is zero where both answers are equal.

    Args:
        distance: ``|b - a|``, which makes ``-L`` a slope.

    Source: the two-point sensor of Wanjura & Marquardt, Nat. Commun. 16, 6595 (2025).
    """
    distance = _number("distance", distance, above=0)

    def formula(y: FloatArray, t: FloatArray) -> Parts:
        if len(y) % 2:
            raise ValueError(f"Argument `predictions` must hold pairs of samples, an even batch, but holds {len(y)}.")
        change = y[1::2] - y[0::2]
        # a pair has the weight 2 / batch in the loss, hence 2 in the error signal
        pull = 2 * np.sign(change) / distance
        return -np.mean(np.sum(np.abs(change), axis=1)) / distance, np.stack([pull, -pull], axis=1).reshape(y.shape)

    return _loss("sensitivity", formula, teacher=False, group=2)


def cost_observable() -> Loss:
    """``L = mean over batch of <C>`` with ``C = 1/2 sum_k (O_k - t_k)^2``, the square inside the expectation.

    Predictions are ``<O_1> .. <O_K>, <O_1^2> .. <O_K^2>`` (batch, 2 n_targets), from `Network.with_squares`; targets
    are (batch, n_targets). The error signal ``(-t, 1/2)`` never reads the values of the predictions. ``L`` contains
    the variance of the outputs too: ``<C> = 1/2 sum_k [(<O_k> - t_k)^2 + Var(O_k)]``.

    Source: Scellier, arXiv:2406.00879 (2024).
    """

    def checked_targets(predictions: FloatArray, targets: FloatArray) -> FloatArray:
        t = _finite("targets", targets)
        check_shape("targets", t, "(batch, n_targets)", (None, None))
        check_shape("predictions", np.asarray(predictions), "(batch, 2 n_targets)", (len(t), 2 * t.shape[1]))
        return t

    def value(predictions: FloatArray, targets: FloatArray) -> float:
        t = checked_targets(predictions, targets)
        means, squares = np.split(_batch(predictions), 2, axis=1)
        return float(np.mean(np.sum(squares - 2 * t * means + t**2, axis=1)) / 2)

    def gradient(predictions: FloatArray, targets: FloatArray) -> FloatArray:
        t = checked_targets(predictions, targets)
        return np.concatenate([-t, np.full_like(t, 0.5)], axis=1)

    return Loss("cost_observable", value, gradient, squares=True)


def accuracy(predictions: FloatArray, targets: FloatArray) -> float:
    """The share of samples whose class is right, from 0 to 1.

    Several columns (batch, n_classes): targets 0/1 or -1/+1 with one 1 in each row; the class is the largest output,
    the first of equal ones. One column (batch, 1): the class is the nearer of the two values that occur in the
    targets, the lower one at equal distance; where only one value occurs, -1 and 1 belong to -1/+1, and 0 to 0/1.

    Raises:
        ValueError: if the shapes differ, or the targets are not those of a classification.
    """
    y, t = _batch(predictions), _finite("targets", targets)
    check_shape("targets", t, "(batch, n_outputs)", y.shape)
    if y.shape[1] > 1:
        return float(np.mean(np.argmax(y, axis=1) == np.argmax(_marked(t), axis=1)))
    values = set(t.ravel().tolist())
    if values in ({-1.0}, {0.0}, {1.0}):
        values = {0.0, 1.0} if 0.0 in values else {-1.0, 1.0}
    if len(values) != 2:
        raise ValueError(f"Argument `targets` must hold two values in a single column, but holds {_some(values)}.")
    threshold = sum(values) / 2
    return float(np.mean((y > threshold) == (t > threshold)))


def l2(strength: Strength = 0.01) -> Penalty:
    """``sum_j s_j theta_j^2``, for a strength ``s`` that is one number or one for each parameter (n_trainable,)."""
    s = _strengths(strength)
    return _penalty("l2", s, lambda theta: s * theta**2, lambda theta: 2 * s * theta)


def l1(strength: Strength = 0.01) -> Penalty:
    """``sum_j s_j |theta_j|``, for a strength ``s`` like that of `l2`; the subgradient at zero is zero."""
    s = _strengths(strength)
    return _penalty("l1", s, lambda theta: s * np.abs(theta), lambda theta: s * np.sign(theta))


# --- what losses share ------------------------------------------------------------------------------------------


def _loss(name: str, formula: Formula, *, teacher: bool = True, group: int = 1) -> Loss:
    """The loss of a formula, with every argument checked first."""

    def checked(predictions: FloatArray, targets: FloatArray) -> Parts:
        y = _batch(predictions)
        t = _finite("targets", targets) if teacher else np.asarray(targets)  # what is ignored may be anything
        columns = ("n_outputs", y.shape[1]) if teacher else ("n_targets", None)
        check_shape("targets", t, f"(batch, {columns[0]})", (len(y), columns[1]))
        return formula(y, t)

    return Loss(name, lambda y, t: float(checked(y, t)[0]), lambda y, t: checked(y, t)[1], group=group)


def _penalty(
    name: str,
    strengths: FloatArray,
    terms: Callable[[FloatArray], FloatArray],
    slopes: Callable[[FloatArray], FloatArray],
) -> Penalty:
    def checked(theta: ArrayLike) -> FloatArray:
        array = _finite("theta", theta)
        check_shape("theta", array, "(n_trainable,)", (len(strengths),) if strengths.ndim else (None,))
        return array

    return Penalty(name, lambda theta: float(np.sum(terms(checked(theta)))), lambda theta: slopes(checked(theta)))


def _batch(predictions: ArrayLike) -> FloatArray:
    y = _finite("predictions", predictions)
    check_shape("predictions", y, "(batch, n_outputs)", (None, None))
    if not y.size:
        raise ValueError(f"Argument `predictions` must hold a sample and an output at least, but has shape {y.shape}.")
    return y


def _finite(name: str, values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        where = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
        raise ValueError(f"Argument `{name}` must be finite, but is {array[where]} at index {where}.")
    return array


def _marked(t: FloatArray) -> BoolArray:
    """Where the targets are 1, (batch, n_outputs): of several columns, one in each row."""
    _check_values(t, (0.0, 1.0) if np.any(t == 0) else (-1.0, 1.0))
    marked = t == 1
    if t.shape[1] > 1 and np.any(marked.sum(axis=1) != 1):
        row = int(np.argmax(marked.sum(axis=1) != 1))
        raise ValueError(f"Argument `targets` must mark one class in each row, but row {row} is {t[row].tolist()}.")
    return marked


def _check_values(t: FloatArray, allowed: tuple[float, float]) -> None:
    if not np.all(np.isin(t, allowed)):
        wanted, came = _some(set(allowed)), _some(set(t.ravel().tolist()))
        raise ValueError(f"Argument `targets` must hold only {wanted}, but holds {came}.")


def _some(values: set[float]) -> str:
    shown = ", ".join(f"{value:g}" for value in sorted(values)[:4])
    return f"{shown} and {len(values) - 4} more values" if len(values) > 4 else shown


def _number(name: str, value: float, *, above: float, below: float = np.inf) -> float:
    if not (np.isfinite(value) and above < value < below):
        wanted = f"above {above:g}" + (f" and below {below:g}" if np.isfinite(below) else "")
        raise ValueError(f"Argument `{name}` must be a finite number {wanted}, but is {value!r}.")
    return float(value)


def _strengths(strength: Strength) -> FloatArray:
    strengths = _finite("strength", strength)
    if strengths.ndim > 1 or np.any(strengths < 0):
        raise ValueError(f"Argument `strength` must be a number or one each (n_trainable,), not below 0: {strength!r}.")
    return strengths
