"""Pictures of networks along the temperature axis."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape, finite_array
from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.quadrature import free_energy_profile
from qeqprop.figures import BLACK, BLUE, GREEN, GREY, PURPLE, RED, canvas, tidy
from qeqprop.interfaces import AnyNetwork, FloatArray, LearningRule, Loss, NotConverged, PhysicsWarning, Solver
from qeqprop.propagation import gradient

_COLORS = (BLUE, RED, GREEN, PURPLE, BLACK, GREY)

Method = Callable[[float], tuple[LearningRule, Solver]]
"""A rule and a solver at a temperature."""


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
    for place, (name, method) in enumerate(methods.items()):
        color, marker = _COLORS[place % len(_COLORS)], "osD^vP"[place % 6]
        found = [
            _tried(lambda T=T, m=method: _gradient(case, loss, m(float(T)), seed), wanted)
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


def free_energy_landscape(
    network: ContinuousNetwork,
    theta: ArrayLike,
    x: ArrayLike = (),
    *,
    temperatures: Sequence[float] = (0.05, 0.2, 0.5, 1.0),
    variable: int = 0,
    points: int = 201,
    ax: Axes | None = None,
) -> Figure:
    """``F(s) = -T ln int ds' exp(-E/T)`` along one variable, the others s' integrated out, for several temperatures.

    Each curve is drawn above its lowest point. The coldest ones are the energy itself at its minimum in s'; where there
    are several valleys, each has an expansion of its own at low temperature.

    Args:
        network: of at most three variables.
        theta: (n_trainable,).
        x: (n_inputs,) the sample.
        temperatures: above zero.
        variable: the one that is kept.
        points: along it.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: for wrong shapes, a variable that does not exist, or more than three of them.
    """
    sample = finite_array("x", x, "(n_inputs,)", (network.n_inputs,))
    landscape = network.landscape(theta, sample[None])
    figure, ax = canvas(ax, 6.2, 4.4)
    for place, T in enumerate(sorted(temperatures)):
        at, heights = free_energy_profile(landscape, float(T), variable, points)
        ax.plot(at, heights - np.min(heights), color=_COLORS[place % len(_COLORS)], linewidth=1.4, label=f"T = {T:g}")
    ax.set(title="Free energy along one variable", xlabel=f"s{variable} (dimensionless)")
    ax.set(ylabel="F above its lowest point (dimensionless energy)", ylim=(0.0, 5.0 * max(temperatures)))
    ax.legend(frameon=False)
    tidy(ax)
    return figure


def _gradient(
    case: tuple[AnyNetwork, ArrayLike, ArrayLike, ArrayLike],
    loss: Loss | Callable[[], Loss],
    method: tuple[LearningRule, Solver],
    seed: int,
) -> tuple[FloatArray, FloatArray]:
    rule, solver = method
    found = gradient(*case, loss=loss, rule=rule, solver=solver, seed=seed)
    return found.values, found.std_errors


def _tried(found: Callable[[], tuple[FloatArray, FloatArray]], exact: FloatArray) -> tuple[float, float, bool]:
    """Largest error and standard error, nan where the method refuses, and whether no `PhysicsWarning` came."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PhysicsWarning)
        try:
            values, bars = found()
        except NotConverged:
            return np.nan, np.nan, False
    trusted = not any(issubclass(one.category, PhysicsWarning) for one in caught)
    return float(np.max(np.abs(values - exact), initial=0.0)), float(np.max(bars, initial=0.0)), trusted
