"""Pictures of free energies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qeqprop.checks import finite_array
from qeqprop.classical.continuous import ContinuousNetwork
from qeqprop.classical.quadrature import free_energy_profile
from qeqprop.figures import COLORS, canvas, tidy


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
    for T, color in zip(sorted(temperatures), cycle(COLORS), strict=False):
        at, heights = free_energy_profile(landscape, float(T), variable, points)
        ax.plot(at, heights - np.min(heights), color=color, linewidth=1.4, label=f"T = {T:g}")
    ax.set(title="Free energy along one variable", xlabel=f"s{variable} (dimensionless)")
    ax.set(ylabel="F above its lowest point (dimensionless energy)", ylim=(0.0, 5.0 * max(temperatures)))
    ax.legend(frameon=False)
    tidy(ax)
    return figure
