"""Pictures of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qeqprop.figures import BLACK, BLUE, GREEN, GREY, PURPLE, RED, Picture, tidy
from qeqprop.interfaces import FloatArray

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


def _curve(ax: Axes, steps: FloatArray, column: FloatArray, name: str, color: str, *, sparse: bool) -> None:
    """A line with gaps where there is no number or, for numbers taken now and then, one that joins them."""
    taken = np.isfinite(column)
    if sparse:
        steps, column = steps[taken], column[taken]
    column = np.where(np.isfinite(column), column, np.nan)
    lonely = np.sum(taken) <= 30 if sparse else np.sum(taken) == 1
    ax.plot(steps, column, color=color, linewidth=1.4, marker="o" if lonely else "", markersize=3.5, label=name)


def _spans_decades(values: FloatArray) -> bool:
    values = values[np.isfinite(values)]
    return bool(len(values) and np.min(values) > 0 and np.max(values) > 30 * np.min(values))
