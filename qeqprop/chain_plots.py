"""Pictures of the chains that sample a network."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qeqprop.classical.chain_statistics import WINDOW, autocorrelation_time, r_hat
from qeqprop.classical.chain_statistics import autocorrelation as function_of
from qeqprop.figures import COLORS, GREY, canvas, tidy
from qeqprop.interfaces import AnyNetwork, FloatArray, Solver, Want
from qeqprop.settling import check_kind, pose


def autocorrelation(
    network: AnyNetwork,
    theta: ArrayLike,
    x: ArrayLike,
    *,
    solvers: Solver | Mapping[str, Solver],
    seed: int = 0,
    ax: Axes | None = None,
) -> Figure:
    """How long chains remember: ``rho(t)`` of the energy (full) and of the first output (dashed), t samples apart.

    The legend has the integrated time ``tau`` in samples and R-hat, each the larger of the two, as the certificate of
    a gradient does: M samples are worth ``M / (2 tau)`` independent ones, and chains that agree have an R-hat of 1.
    The dot on a curve is the window, five integrated times, where its sum ends. With several inputs, these are those
    of the slowest.

    Args:
        network: the network.
        theta: (n_trainable,).
        x: (batch, n_inputs).
        solvers: one that samples with chains, such as `Gibbs` or `Langevin`, or several by name.
        seed: of the chains.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: for wrong shapes, or a solver that has no chains, or one of another kind of network.
    """
    chosen = solvers if isinstance(solvers, Mapping) else {type(solvers).__name__: solvers}
    figure, ax = canvas(ax, 6.6, 4.4)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    farthest = 1
    for (name, solver), color in zip(chosen.items(), cycle(COLORS), strict=False):
        series = _series(network, theta, x, name, solver, seed)
        times = [autocorrelation_time(series[:, index]) for index in range(2)]
        slowest = int(np.argmax(np.max(times, axis=0)))
        spread = max(float(r_hat(series[:, index])[slowest]) for index in range(2))
        tau = max(float(one[slowest]) for one in times)
        for index, style in enumerate(("-", "--")):
            rho = function_of(series[slowest : slowest + 1, index])[0]
            own = float(times[index][slowest])
            end = min(len(rho) - 1, int(np.ceil(WINDOW * own)))
            label = f"{name}: tau = {tau:.3g}, R-hat = {spread:.3f}" if index == 0 else f"_{name} output"
            ax.plot(np.arange(len(rho)), rho, style, color=color, linewidth=1.4, label=label)
            ax.plot([end], [rho[end]], "o", color=color, markersize=5)
            farthest = max(farthest, end)
    for style, name in (("-", "energy"), ("--", "first output")):
        ax.plot([], [], style, color=GREY, label=name)
    ax.plot([], [], "o", color=GREY, markersize=5, label="end of the sum for tau")
    ax.set(title="Memory of the chains", xlabel="lag t (samples of a chain)", ylabel="autocorrelation rho(t)")
    ax.set_xlim(0.0, 1.6 * farthest)
    ax.legend(frameon=False)
    tidy(ax)
    return figure


def _series(network: AnyNetwork, theta: ArrayLike, x: ArrayLike, name: str, solver: Solver, seed: int) -> FloatArray:
    """Energy and first output along all chains, (batch, 2, samples, chains)."""
    check_kind(network, solver)
    posed = pose(network, theta, x)
    problem = posed.equilibria(np.zeros((len(posed), network.n_outputs)), Want.OUTPUTS, None, (seed,))
    series = solver.solve(problem).series
    if series is None or series.shape[2] < 4:
        raise ValueError(
            f"Argument `solvers` must hold solvers with chains of at least 4 samples, such as Gibbs or Langevin, but "
            f"that of {name!r} is {type(solver).__name__}."
        )
    return series
