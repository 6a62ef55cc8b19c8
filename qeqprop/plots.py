"""Pictures of training, gradients and spectra; each function takes data of the package and returns a figure.

The figures are made without pyplot: no window opens and no global setting changes. Save one with ``figure.savefig``; in
a notebook it shows by itself. Energies, losses and gradients are dimensionless.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from qeqprop.checks import check_shape, finite_array
from qeqprop.drawing import network
from qeqprop.engine.eigen import dense_spectrum, lowest_spectrum
from qeqprop.engine.paulis import PauliTable
from qeqprop.figures import BLACK, BLUE, GREEN, GREY, PURPLE, RED, Picture, canvas, tidy
from qeqprop.interfaces import (
    FloatArray,
    LearningRule,
    Loss,
    Network,
    NotConverged,
    PhysicsWarning,
    Solver,
    Want,
)
from qeqprop.propagation import gradient
from qeqprop.rules.holomorphic import Holomorphic
from qeqprop.rules.nudging import OneSidedNudging, SymmetricNudging
from qeqprop.rules.richardson import Richardson
from qeqprop.settling import bind
from qeqprop.solvers.exact import Exact
from qeqprop.sweep_plots import gap_along_path
from qeqprop.temperature_plots import error_against_temperature, free_energy_landscape

if TYPE_CHECKING:
    from qeqprop.checking import GradientCheck

__all__ = [
    "error_against_beta",
    "error_against_temperature",
    "free_energy_landscape",
    "gap_along_path",
    "learning_curves",
    "network",
    "nudged_expectations",
    "rule_against_exact",
    "spectrum",
]

_DENSE_SITES = 8
_NAMED_TERMS = 60

_PANELS = (
    # panel title, y label, and its columns: key, legend, colour
    ("Loss", "loss (dimensionless)", (("loss", "training", BLUE), ("validation_loss", "validation", RED))),
    (
        "Accuracy",
        "share of right classes",
        (("accuracy", "training", BLUE), ("validation_accuracy", "validation", RED)),
    ),
    (
        "Gradient",
        "norm (dimensionless)",
        (("gradient_norm", "gradient", GREEN), ("gradient_error", "standard error", GREY)),
    ),
    ("Gap", "smallest gap (dimensionless energy)", (("gap", "gap", PURPLE),)),
    ("Measurements", "shots since the start", (("shots", "shots", BLACK),)),
)


def learning_curves(history: Mapping[str, Sequence[float]]) -> Figure:
    """Loss, and whatever else was recorded, against the training step: a panel for each kind that has numbers.

    Args:
        history: columns of equal length: step, loss, accuracy, validation_loss, validation_accuracy, gradient_norm,
            gradient_error, gap, shots. Any may be missing, others are left out; without ``step`` they count from 1.
            Where a number is nan or infinite, a training curve is interrupted; a validation curve joins the steps at
            which it was taken.

    Raises:
        ValueError: if the columns differ in length or none of them is known.
    """
    known = {key for _, _, keys in _PANELS for key, _, _ in keys}
    if not known & set(history):
        raise ValueError(f"Argument `history` must hold at least one of {sorted(known)}, but holds {sorted(history)}.")
    columns = {
        name: np.asarray(column, dtype=np.float64) for name, column in history.items() if name in {"step", *known}
    }
    lengths = {name: column.shape for name, column in columns.items()}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
        raise ValueError(f"Argument `history` must hold columns of one length, but their shapes are {lengths}.")
    steps = columns.get("step", np.arange(1.0, len(next(iter(columns.values()))) + 1))

    def worth_showing(key: str) -> bool:
        column = columns.get(key, np.empty(0))
        return bool(np.any(np.isfinite(column))) and (
            key not in ("shots", "gradient_error") or bool(np.any(column > 0))
        )

    panels = [panel for panel in _PANELS if any(worth_showing(key) for key, _, _ in panel[2])] or [_PANELS[0]]
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    figure = Picture(figsize=(4.6 * across, 3.4 * down), layout="constrained")
    for position, (title, label, keys) in enumerate(panels, start=1):
        ax = figure.add_subplot(down, across, position)
        for key, name, color in keys:
            if worth_showing(key):
                _curve(ax, steps, columns[key], name, color, sparse=key.startswith("validation"))
        ax.set(title=title, xlabel="training step", ylabel=label)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        shown = [np.asarray(line.get_ydata(), dtype=np.float64) for line in ax.get_lines()]
        if title == "Accuracy":
            ax.set_ylim(-0.03, 1.03)
        elif not shown:
            ax.text(0.5, 0.5, "no finite numbers", transform=ax.transAxes, ha="center", va="center", color=GREY)
        elif title != "Measurements" and _spans_decades(np.concatenate(shown)):
            ax.set_yscale("log")
        if len(shown) > 1:
            ax.legend(frameon=False)
        tidy(ax)
    return figure


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

    def found(rule: LearningRule | None) -> FloatArray:
        return gradient(network, theta, x, y, loss=loss, rule=rule, solver=solver, seed=0).values

    reference = found(None)
    makers: Mapping[str, Callable[[float], LearningRule]] = rules if rules is not None else _default_rules()
    figure, ax = canvas(ax, 6.2, 4.6)
    orders: dict[int, list[FloatArray]] = {}
    for (name, make), color, marker in zip(makers.items(), _cycle(len(makers)), "osD^vPX*" * len(makers), strict=False):
        optional = rules is None and name == "holomorphic"  # not every solver can follow complex nudges
        tries = [_tried(found, make(float(beta)), reference, optional=optional) for beta in nudges]
        errors, trusted = np.asarray([error for error, _ in tries]), np.asarray([trust for _, trust in tries])
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
        _guide(ax, nudges, np.stack(curves), order, float(np.max(np.abs(reference), initial=0.0)))
    ax.set(title="Error of the nudged gradient", xlabel="nudge beta (dimensionless)")
    ax.set(ylabel="largest error of dL/dθ (dimensionless)")
    if ax.get_lines():
        ax.legend(frameon=False)
    tidy(ax)
    return figure


def spectrum(
    network: Network,
    thetas: ArrayLike,
    x: ArrayLike = (),
    *,
    n_levels: int = 6,
    steps: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """The lowest energies above the ground state along a path of parameters, the gap to the first one shaded.

    Args:
        network: the network.
        thetas: (n_points, n_trainable) the parameters, for instance those of every training step.
        x: (n_inputs,) the sample whose spectrum it is.
        n_levels: how many levels, counted with multiplicity, the ground state included.
        steps: (n_points,) the numbers along the horizontal axis; 0, 1, 2, ... by default.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: for wrong shapes, or less than two levels.
        NotConverged: if the iterative eigensolver of large networks gives up.
    """
    path = finite_array("thetas", thetas, "(n_points, n_trainable)", (None, network.n_trainable))
    if not len(path):
        raise ValueError("Argument `thetas` must hold at least one point, but is empty.")
    if n_levels < 2:
        raise ValueError(f"Argument `n_levels` must be at least 2, but is {n_levels}.")
    numbers = finite_array("steps", np.arange(len(path)) if steps is None else steps, "(n_points,)", (len(path),))
    above = _levels(network, path, x, n_levels)
    figure, ax = canvas(ax, 6.2, 4.2)
    marker = "o" if len(path) == 1 else ""
    ax.fill_between(numbers, 0.0, above[:, 1], color=RED, alpha=0.15, linewidth=0, label="gap")
    for level in range(above.shape[1] - 1, -1, -1):
        name, color = {0: ("ground state", BLACK), 1: ("first excited", RED)}.get(level, ("", BLUE))
        fading = 1.0 if level < 2 else 1.0 - 0.6 * (level - 2) / max(above.shape[1] - 2, 1)
        label = name or ("higher levels" if level == 2 else f"_level {level}")
        ax.plot(numbers, above[:, level], color=color, alpha=fading, marker=marker, linewidth=1.4, label=label)
    narrowest = int(np.argmin(above[:, 1]))
    smallest = f"smallest gap {above[narrowest, 1]:.3g}"
    ax.plot(numbers[[narrowest]], above[[narrowest], 1], "o", color=RED, markersize=6, label=smallest)
    ax.set(
        title=f"Spectrum of {network.num_sites} sites along the path",
        ylabel="energy above the ground state (dimensionless)",
    )
    ax.set(xlabel="point on the path" if steps is None else "training step")
    ax.set_ylim(bottom=-0.03 * float(above.max() or 1.0))
    if steps is None:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    order = [name for name in ("higher levels", "first excited", smallest, "gap", "ground state") if name in named]
    ax.legend([named[name] for name in order], order, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    tidy(ax)
    return figure


# --- what the plots share ---------------------------------------------------------------------------------------


def _levels(network: Network, path: FloatArray, x: ArrayLike, n_levels: int) -> FloatArray:
    """Energies above the ground state, (n_points, n_levels or less in a small network), ascending."""
    table = PauliTable.of(network.strings)
    sample = finite_array("x", x, "(n_inputs,)", (network.n_inputs,))
    n_levels = min(n_levels, table.dim)
    found: list[FloatArray] = []
    for theta in path:  # one by one: the eigenvectors of a long path would fill the memory
        coefficients = np.real(network.hamiltonians(theta, sample[None]).coefficients)
        if network.num_sites <= _DENSE_SITES or 4 * n_levels > table.dim:
            energies = dense_spectrum(table, coefficients).energies[0, :n_levels]
        else:
            goals = 1e-9 * np.maximum(np.sum(np.abs(coefficients), axis=1), 1e-300)
            energies = lowest_spectrum(table, coefficients, n_levels, n_accurate=n_levels, goals=goals).energies[0]
        found.append(energies - energies[0])
    return np.stack(found)


def _default_rules() -> dict[str, Callable[[float], LearningRule]]:
    return {
        "one-sided": lambda beta: OneSidedNudging(beta=beta),
        "symmetric": lambda beta: SymmetricNudging(beta=beta),
        "Richardson": lambda beta: Richardson(betas=(beta / 2, beta)),
        "holomorphic": lambda beta: Holomorphic(beta=beta, points=4),
    }


def _tried(
    found: Callable[[LearningRule], FloatArray], rule: LearningRule, reference: FloatArray, *, optional: bool
) -> tuple[float, bool]:
    """The largest error of a rule, nan where it refuses, and whether it came without a `PhysicsWarning`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PhysicsWarning)
        try:
            error = float(np.max(np.abs(found(rule) - reference), initial=0.0))
        except NotConverged:
            error = float("nan")
        except ValueError:
            if not optional:
                raise
            error = float("nan")
    physics = [issubclass(one.category, PhysicsWarning) for one in caught]
    for one, expected in zip(caught, physics, strict=True):
        if not expected:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return error, not any(physics)


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


def _curve(ax: Axes, steps: FloatArray, column: FloatArray, name: str, color: str, *, sparse: bool) -> None:
    """A line with gaps where there is no number or, for numbers taken now and then, one that joins them."""
    taken = np.isfinite(column)
    if sparse:
        steps, column = steps[taken], column[taken]
    column = np.where(np.isfinite(column), column, np.nan)
    lonely = np.sum(taken) <= 30 if sparse else np.sum(taken) == 1
    ax.plot(steps, column, color=color, linewidth=1.4, marker="o" if lonely else "", markersize=3.5, label=name)


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


def _spans_decades(values: FloatArray) -> bool:
    values = values[np.isfinite(values)]
    return bool(len(values) and np.min(values) > 0 and np.max(values) > 30 * np.min(values))


def _cycle(length: int) -> list[str]:
    colors = [BLUE, RED, GREEN, PURPLE, BLACK]
    return [colors[index % len(colors)] for index in range(length)]
