"""Pictures of the nudge: what it moves, and what its strength costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape
from qeqprop.figures import BLACK, BLUE, COLORS, GREY, MARKERS, RED, Picture, canvas, tidy
from qeqprop.gradient_errors import gradient_error
from qeqprop.interfaces import FloatArray, Gradient, LearningRule, Loss, Network, NotConverged, Solver, Want
from qeqprop.propagation import gradient
from qeqprop.rules.holomorphic import Holomorphic
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.settling import bind
from qeqprop.solvers.exact import Exact

_NAMED_TERMS = 60


def nudged_expectations(
    network: Network,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    beta: float = 0.1,
    solver: Solver | None = None,
    rule: LearningRule | None = None,
    seed: int = 0,
) -> Figure:
    """What every coupling sees: ``<dH/dtheta_j>`` free and nudged on the left, their difference on the right.

    Both are means over the batch, with standard errors. The difference over ``beta``, ``(<dH/dtheta_j>_beta -
    <dH/dtheta_j>_0) / beta``, stands beside the gradient ``dL/dtheta_j``, which it tends to.

    Args:
        network, theta, x, y, loss: as for `gradient`.
        beta: the nudge, not zero.
        solver: exact ground states by default.
        rule: finds the gradient to compare with; linear response by default, which solvers that sample do not know.
        seed: of the random streams of a solver that samples.

    Raises:
        ValueError: for wrong shapes, or a nudge that is zero or not finite.
    """
    if not np.isfinite(beta) or beta == 0:
        raise ValueError(f"Argument `beta` must be a finite number other than 0, but is {beta!r}.")
    loss = loss if isinstance(loss, Loss) else loss()
    wanted = gradient(network, theta, x, y, loss=loss, rule=rule, solver=solver, seed=seed, step=1)
    settle = bind(network.with_squares() if loss.squares else network, theta, x, solver or Exact(), (seed, 0))
    error = loss.gradient(wanted.predictions, np.asarray(y, dtype=np.float64))
    free = settle(np.zeros((1, *error.shape)), want=Want.ENERGY_GRADIENT)
    moved = settle(beta * error[None], want=Want.ENERGY_GRADIENT, start=free.start)
    assert free.energy_gradient is not None  # both were wanted
    assert moved.energy_gradient is not None
    means = [np.mean(one.values[0].real, axis=0) for one in (free.energy_gradient, moved.energy_gradient)]
    errors = [
        np.sqrt(np.sum(one.std_errors[0] ** 2, axis=0)) / settle.batch
        for one in (free.energy_gradient, moved.energy_gradient)
    ]
    rows = np.arange(network.n_trainable)
    figure = Picture(figsize=(9.5, float(np.clip(0.24 * len(rows) + 1.5, 3.0, 16.0))), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    left.hlines(rows, means[0], means[1], color=GREY, linewidth=1.2)
    _points(left, means[0], errors[0], "free", BLUE, hollow=True)
    _points(left, means[1], errors[1], f"nudged, beta = {beta:g}", RED)
    right.axvline(0.0, color=GREY, linewidth=0.8)
    _points(right, wanted.values, wanted.std_errors, "gradient dL/dθ", BLACK, hollow=True, size=9)
    _points(right, (means[1] - means[0]) / beta, np.hypot(*errors) / abs(beta), "(nudged − free) / beta", RED)
    left.set_title("Every coupling, free and nudged", pad=26)
    right.set_title("Difference over beta, beside the gradient", pad=26)
    left.set_xlabel("⟨dH/dθ⟩, mean over the batch (dimensionless)")
    right.set_xlabel("per unit of nudge (dimensionless)")
    if len(rows) <= _NAMED_TERMS:
        left.set_yticks(rows, network.term_names)
    left.set(ylabel="trainable term", ylim=(len(rows) - 0.5, -0.5))
    for ax in (left, right):
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, borderaxespad=0.2)
        tidy(ax)
    return figure


def error_against_beta(
    network: Network,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    betas: Sequence[float] | None = None,
    solver: Solver | None = None,
    rules: Mapping[str, Callable[[float], LearningRule]] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Largest error of the gradient, ``max_j |g_j(beta) - g_j|``, against the nudge; g from linear response.

    Dotted lines have the slope that theory gives a rule: 1 for one-sided nudging, 2 for symmetric, ``2 n_betas`` for
    Richardson, ``points`` for holomorphic nudging. At small beta, rounding errors over beta take over. Hollow points
    come with a `PhysicsWarning` (mostly: the nudge crossed a level); where a rule refuses, there is no point.

    Args:
        network, theta, x, y, loss: as for `gradient`.
        betas: the nudges, above zero; ten from 0.003 to 0.5 by default.
        solver: must know its linear response; exact ground states by default.
        rules: makers of rules by name, each called with beta; by default one-sided, symmetric, Richardson from beta/2
            and beta and, for solvers that accept complex nudges, holomorphic with four points.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: for wrong shapes, nudges that are not above zero, or a solver without linear response.
    """
    nudges = np.geomspace(0.003, 0.5, 10) if betas is None else np.sort(np.asarray(betas, dtype=np.float64))
    check_shape("betas", nudges, "(n_betas,)", (None,))
    if not len(nudges) or not np.all(np.isfinite(nudges)) or np.any(nudges <= 0):
        raise ValueError(f"Argument `betas` must hold finite numbers above 0, but is {nudges.tolist()}.")

    def found(rule: LearningRule | None) -> Gradient:
        return gradient(network, theta, x, y, loss=loss, rule=rule, solver=solver, seed=0)

    reference = found(None)
    makers: Mapping[str, Callable[[float], LearningRule]] = rules if rules is not None else _default_rules()
    figure, ax = canvas(ax, 6.2, 4.6)
    orders: dict[int, list[FloatArray]] = {}
    for (name, make), color, marker in zip(makers.items(), cycle(COLORS), cycle(MARKERS), strict=False):
        optional = rules is None and name == "holomorphic"  # not every solver can follow complex nudges
        refusals = (NotConverged, ValueError) if optional else (NotConverged,)
        tries = [
            gradient_error(lambda b=beta, m=make: found(m(b)), reference.values, refusals=refusals)
            for beta in nudges.tolist()
        ]
        errors, trusted = np.array([one.error for one in tries]), np.array([one.trusted for one in tries])
        errors[errors == 0] = np.nan  # agreement to the last bit has no logarithm
        if not np.any(np.isfinite(errors)):
            continue
        ax.loglog(nudges, errors, marker=marker, color=color, markersize=5, linewidth=1.3, label=name)
        if not np.all(trusted):
            ax.loglog(nudges[~trusted], errors[~trusted], marker, color=color, markerfacecolor="white", markersize=5)
        order = _order(make(float(nudges[-1])))
        if order is not None:
            orders.setdefault(order, []).append(errors)
    for order, curves in orders.items():
        _guide(ax, nudges, np.stack(curves), order, float(np.max(np.abs(reference.values), initial=0.0)))
    ax.set(title="Error of the nudged gradient", xlabel="nudge beta (dimensionless)")
    ax.set(ylabel="largest error of dL/dθ (dimensionless)")
    if ax.get_lines():
        ax.legend(frameon=False)
    tidy(ax)
    return figure


def _default_rules() -> dict[str, Callable[[float], LearningRule]]:
    return {
        "one-sided": lambda beta: OneSidedNudging(beta=beta),
        "symmetric": lambda beta: SymmetricNudging(beta=beta),
        "Richardson": lambda beta: Richardson(betas=(beta / 2, beta)),
        "holomorphic": lambda beta: Holomorphic(beta=beta, points=4),
    }


def _order(rule: LearningRule) -> int | None:
    """The power of beta with which the rule's error falls, if it is known."""
    match rule:
        case OneSidedNudging():
            return 1
        case SymmetricNudging():
            return 2
        case Richardson():
            return 2 * len(rule.betas)
        case Holomorphic():
            return rule.points
        case _:
            return None


def _guide(ax: Axes, betas: FloatArray, curves: FloatArray, order: int, size: float) -> None:
    """A dotted line of a slope, below the curves (n_curves, n_betas) of that order and at errors above rounding's."""
    clean = curves > 1e-8 * (size or 1.0)
    if not np.any(clean):
        return
    line = betas**order
    line *= 0.4 * float(np.min((curves / line)[clean]))
    lowest = np.min(curves[clean])
    shown = (line >= 0.2 * lowest) & (line <= np.nanmax(curves))
    if not np.any(shown):
        return
    ax.loglog(betas[shown], line[shown], ":", color=GREY, linewidth=1, zorder=1, label=f"_slope {order}")
    place = (betas[shown][0], line[shown][0])
    ax.annotate(f"slope {order}", place, xytext=(3, -10), textcoords="offset points", color=GREY, fontsize=8)


def _points(
    ax: Axes, across: FloatArray, errors: FloatArray, name: str, color: str, *, hollow: bool = False, size: float = 6
) -> None:
    """One point in each row, with an error bar if any number has one."""
    ax.errorbar(
        across,
        np.arange(len(across)),
        xerr=errors if np.any(errors > 0) else None,
        fmt="o",
        color=color,
        markerfacecolor="white" if hollow else color,
        markersize=size,
        elinewidth=1,
        label=name,
    )
