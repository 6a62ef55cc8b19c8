"""Is a gradient right? Any rule beside finite differences of the loss itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qeqprop.interfaces import AnyNetwork, Device, FloatArray, Gradient, LearningRule, Loss, Solver
from qeqprop.propagation import gradient, predict


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """A gradient beside a reference.

    Attributes:
        names: the trainable terms.
        gradient: what the rule found.
        reference: (n_trainable,) fourth-order finite differences of the exact loss.
        cosine: between the two; 1 is the same direction.
        slope: of the rule's gradient on the reference by least squares through zero; 1 is the same length.
        errors: (n_trainable,) rule minus reference.
    """

    names: tuple[str, ...]
    gradient: Gradient
    reference: FloatArray
    cosine: float
    slope: float
    errors: FloatArray

    @property
    def largest_error(self) -> float:
        return float(np.max(np.abs(self.errors), initial=0.0))

    def __str__(self) -> str:
        width = max([len("parameter"), *map(len, self.names)])
        lines = [f"{'parameter':<{width}}  {'rule':>13}  {'reference':>13}  {'error':>9}  {'std error':>9}"]
        lines += [
            f"{name:<{width}}  {value:>13.8f}  {wanted:>13.8f}  {error:>9.1e}  {sigma:>9.1e}"
            for name, value, wanted, error, sigma in zip(
                self.names, self.gradient.values, self.reference, self.errors, self.gradient.std_errors, strict=True
            )
        ]
        lines.append(f"cosine {self.cosine:.9f}   slope {self.slope:.9f}   largest error {self.largest_error:.1e}")
        return "\n".join(lines)


def finite_differences(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    solver: Solver | None = None,
    step: float = 1e-3,
) -> FloatArray:
    """``dL/dtheta`` by central differences of fourth order, error of order ``step^4``, (n_trainable,).

    Costs four solves of the batch for each parameter; the solver should not sample.
    """
    loss = loss if isinstance(loss, Loss) else loss()
    settling = network.with_squares() if loss.squares else network
    theta, targets = network.check_theta(theta), np.asarray(y, dtype=np.float64)

    def value(parameters: FloatArray) -> float:
        return float(loss.value(predict(settling, parameters, x, solver=solver), targets))

    result = np.empty(network.n_trainable)
    for index in range(network.n_trainable):
        shift = np.zeros(network.n_trainable)
        shift[index] = step
        near = value(theta + shift) - value(theta - shift)
        far = value(theta + 2 * shift) - value(theta - 2 * shift)
        result[index] = (8 * near - far) / (12 * step)
    return result


def check_gradient(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    rule: LearningRule | None = None,
    solver: Solver | None = None,
    reference_solver: Solver | None = None,
    device: Device | None = None,
    step: float = 1e-3,
) -> GradientCheck:
    """Compares a rule with finite differences, parameter by parameter.

    Args:
        network, theta, x, y, loss, rule, solver: as for `gradient`.
        reference_solver: settles the states of the reference; the same solver by default. Give an exact one where the
            solver samples.
        step: of the finite differences.
    """
    found = gradient(network, theta, x, y, loss=loss, rule=rule, solver=solver, device=device)
    wanted = finite_differences(network, theta, x, y, loss=loss, solver=reference_solver or solver, step=step)
    lengths = np.linalg.norm(found.values) * np.linalg.norm(wanted)
    overlap, square = float(found.values @ wanted), float(wanted @ wanted)
    return GradientCheck(
        names=network.term_names,
        gradient=found,
        reference=wanted,
        cosine=overlap / float(lengths) if lengths else float("nan"),
        slope=overlap / square if square else float("nan"),
        errors=found.values - wanted,
    )
