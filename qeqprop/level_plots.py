"""Pictures of energy levels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from qeqprop.checks import finite_array
from qeqprop.engine.eigen import dense_spectrum, lowest_spectrum
from qeqprop.engine.paulis import PauliTable
from qeqprop.figures import BLACK, BLUE, RED, canvas, tidy
from qeqprop.interfaces import FloatArray, Network

_DENSE_SITES = 8


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
