"""Pictures of how far a gradient is from the true one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape
from qeqprop.figures import BLUE, COLORS, GREY, MARKERS, canvas, tidy
from qeqprop.gradient_errors import gradient_error, tried_gradient
from qeqprop.interfaces import AnyNetwork, BoolArray, FloatArray, Gradient, LearningRule, Loss, Solver
from qeqprop.propagation import gradient

if TYPE_CHECKING:
    from qeqprop.checking import GradientCheck

Method = Callable[[float], tuple[LearningRule, Solver]]
"""A rule and a solver at a temperature."""
SampledMethod = Callable[[int], tuple[LearningRule, Solver]]
"""A rule and a solver with a number of samples."""


def rule_against_exact(check: GradientCheck, *, ax: Axes | None = None) -> Figure:
    """A rule's gradient against the reference, one point for each parameter, with standard errors.

    A perfect rule lies on the dashed line; the cosine (direction) and the slope (length) say how far it is from that.
    """
    figure, ax = canvas(ax, 5.0, 4.6)
    values, errors = check.gradient.values, check.gradient.std_errors
    drawn = np.concatenate([check.reference, values - errors, values + errors])
    drawn = drawn[np.isfinite(drawn)] if np.any(np.isfinite(drawn)) else np.zeros(1)
    margin = 0.06 * float(np.ptp(drawn)) or 1.0
    limits = (float(drawn.min()) - margin, float(drawn.max()) + margin)
    ax.plot(limits, limits, linestyle="--", color=GREY, linewidth=1, label="rule = reference")
    shown = errors if np.any(errors > 0) else None
    name = "parameter, with standard error" if shown is not None else "parameter"
    ax.errorbar(
        check.reference, values, yerr=shown, fmt="o", color=BLUE, markersize=5, elinewidth=1, capsize=2, label=name
    )
    words = f"cosine {check.cosine:.6f}\nslope {check.slope:.6f}\nlargest error {check.largest_error:.1e}"
    ax.text(0.97, 0.03, words, transform=ax.transAxes, ha="right", va="bottom", family="monospace", fontsize=9)
    ax.set(xlim=limits, ylim=limits, aspect="equal", title=f"Gradient of the rule, {len(values)} parameters")
    ax.set(xlabel="reference dL/dθ (dimensionless)", ylabel="rule dL/dθ (dimensionless)")
    ax.legend(frameon=False, loc="upper left")
    tidy(ax)
    return figure


def error_against_temperature(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    temperatures: Sequence[float],
    methods: Mapping[str, Method],
    reference: Callable[[float], Solver],
    seed: int = 0,
    ax: Axes | None = None,
) -> Figure:
    """Largest error of the gradient, ``max_j |g_j(T) - g_j|``, against the temperature, for rules with their solvers.

    Sampled gradients have a band up to their largest standard error. Hollow points come with a `PhysicsWarning` (a soft
    mode, chains that do not agree); where a method refuses, there is no point.

    Args:
        network, theta, x, y, loss: as for `gradient`.
        temperatures: (n_temperatures,) above zero.
        methods: for each name a function of the temperature that gives a rule and a solver.
        reference: a function of the temperature that gives an exact solver with a response, such as `Quadrature`.
        seed: of sampled gradients.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: for wrong shapes, or temperatures that are not above zero.
    """
    axis = np.sort(np.asarray(temperatures, dtype=np.float64))
    check_shape("temperatures", axis, "(n_temperatures,)", (None,))
    if not len(axis) or not np.all(np.isfinite(axis)) or np.any(axis <= 0):
        raise ValueError(f"Argument `temperatures` must hold finite numbers above 0, but is {axis.tolist()}.")
    case = (network, theta, x, y)
    exact = [gradient(*case, loss=loss, solver=reference(float(T))).values for T in axis]
    figure, ax = canvas(ax, 6.2, 4.6)
    for (name, method), color, marker in zip(methods.items(), cycle(COLORS), cycle(MARKERS), strict=False):
        found = [
            gradient_error(lambda T=T, m=method: _gradient(case, loss, m(float(T)), seed), wanted)
            for T, wanted in zip(axis, exact, strict=True)
        ]
        errors, bars, trusted = (np.array(part) for part in zip(*found, strict=True))
        errors = np.where(errors > 0, errors, np.nan)
        ax.loglog(axis, errors, color=color, marker=marker, markersize=5, linewidth=1.3, label=name)
        if np.any(bars > 0):
            ax.fill_between(axis, np.full(len(axis), np.nan), bars, color=color, alpha=0.12, linewidth=0)
            ax.loglog(axis, np.where(bars > 0, bars, np.nan), ":", color=color, linewidth=1, label=f"_{name} bar")
        hollow = ~trusted.astype(np.bool_)
        ax.loglog(axis[hollow], errors[hollow], marker, color=color, markerfacecolor="white", markersize=5)
    ax.set(title="Error of the gradient", xlabel="temperature (dimensionless energy)")
    ax.set(ylabel="largest error of dL/dθ (dimensionless)")
    if ax.get_lines():
        ax.legend(frameon=False)
    tidy(ax)
    return figure


def error_against_samples(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss | Callable[[], Loss],
    samples: Sequence[int],
    methods: Mapping[str, SampledMethod],
    reference: Solver,
    repeats: int = 12,
    seed: int = 0,
    ax: Axes | None = None,
) -> Figure:
    """Root mean square error of sampled gradients against the samples that a gradient takes, all its phases counted.

    The mean is over the parameters and over ``repeats`` gradients with random streams of their own, whose spread makes
    the error bars. The legend has the exponent p of ``error ~ M^p``, with its error by leaving out one repeat at a
    time: -1/2 for a rule without bias; the curve of a biased one flattens. Dotted is the error that the gradients give
    themselves: it leaves the curve where there is a bias. Hollow points come with a `PhysicsWarning`, and where a
    method refuses, there is no point.

    Args:
        network, theta, x, y, loss: as for `gradient`.
        samples: (n_points,) numbers handed to the methods: shots, samples of each chain, ..
        methods: for each name a function of the number of samples that gives a rule and a solver that samples.
        reference: an exact solver with a response, such as `Enumeration` or `Quadrature`.
        repeats: gradients for each point, at least 3.
        seed: of the first of them.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: for wrong shapes, numbers below one, less than three repeats, or a solver that does not sample.
    """
    counts = np.sort(np.asarray(samples, dtype=np.int64))
    check_shape("samples", counts, "(n_points,)", (None,))
    if not len(counts) or counts[0] < 1:
        raise ValueError(f"Argument `samples` must hold numbers of at least 1, but is {counts.tolist()}.")
    if repeats < 3:
        raise ValueError(f"Argument `repeats` must be at least 3, but is {repeats}.")
    case = (network, theta, x, y)
    exact = gradient(*case, loss=loss, solver=reference).values
    figure, ax = canvas(ax, 8.6, 4.4)
    for (name, method), color, marker in zip(methods.items(), cycle(COLORS), cycle(MARKERS), strict=False):
        squares, claims = np.full((2, len(counts), repeats), np.nan)
        spent, trusted = np.full(len(counts), np.nan), np.ones(len(counts), dtype=np.bool_)
        for place, count in enumerate(counts.tolist()):
            made = method(count)
            for repeat in range(repeats):
                found, trust = tried_gradient(lambda m=made, r=repeat: _gradient(case, loss, m, seed + r))
                trusted[place] &= trust
                if found is None:
                    continue
                if not found.shots:
                    raise ValueError(
                        f"Argument `methods` must hold solvers that sample, but that of {name!r} computes."
                    )
                squares[place, repeat] = np.mean((found.values - exact) ** 2)
                claims[place, repeat] = np.mean(found.std_errors**2)
                spent[place] = found.shots
        _draw_errors(ax, name, spent, squares, trusted, color, marker)
        ax.loglog(spent, np.sqrt(claims.mean(axis=1)), ":", color=color, linewidth=1.2, label=f"_{name} claims")
    ax.set(title="Error of sampled gradients", xlabel="samples of one gradient M, all phases and inputs")
    ax.set(ylabel="root mean square error of dL/dθ (dimensionless)")
    if methods:
        ax.plot([], [], ":", color=GREY, label="error bar they give themselves")
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    tidy(ax)
    return figure


def _draw_errors(
    ax: Axes, name: str, spent: FloatArray, squares: FloatArray, trusted: BoolArray, color: str, marker: str
) -> None:
    """One curve of squared errors (n_points, repeats), with error bars and its exponent."""
    errors = np.sqrt(squares.mean(axis=1))
    bars = squares.std(axis=1, ddof=1) / np.sqrt(squares.shape[1]) / (2 * errors)
    known = np.isfinite(errors) & (errors > 0)
    label = name
    if np.count_nonzero(known) > 1:
        exponent, error = _exponent(spent[known], squares[known])
        label += rf": $M^{{{exponent:.2f} \pm {error:.2f}}}$"
    ax.errorbar(spent, errors, yerr=bars, fmt=marker + "-", color=color, markersize=5, linewidth=1.3, label=label)
    ax.loglog(spent[~trusted], errors[~trusted], marker, color=color, markerfacecolor="white", markersize=5, zorder=3)


def _exponent(spent: FloatArray, squares: FloatArray) -> tuple[float, float]:
    """The slope of the root mean square error on logarithmic axes, and its error by the jackknife over repeats."""

    def slope(kept: FloatArray) -> float:
        return float(np.polyfit(np.log(spent), np.log(kept.mean(axis=1)) / 2, 1)[0])

    n = squares.shape[1]
    without = np.array([slope(np.delete(squares, one, axis=1)) for one in range(n)])
    return slope(squares), float(np.sqrt((n - 1) * np.var(without)))


def _gradient(
    case: tuple[AnyNetwork, ArrayLike, ArrayLike, ArrayLike],
    loss: Loss | Callable[[], Loss],
    method: tuple[LearningRule, Solver],
    seed: int,
) -> Gradient:
    rule, solver = method
    return gradient(*case, loss=loss, rule=rule, solver=solver, seed=seed)
