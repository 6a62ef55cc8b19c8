"""Pictures of adiabatic sweeps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qeqprop.checks import finite_array
from qeqprop.engine.eigen import dense_spectrum, lowest_spectrum, string_elements
from qeqprop.engine.paulis import PauliTable
from qeqprop.figures import BLACK, BLUE, GREY, RED, canvas, tidy
from qeqprop.interfaces import FloatArray, Network, PauliSums
from qeqprop.ramps import ramp_of
from qeqprop.solvers.adiabatic import Adiabatic
from qeqprop.start_fields import field_operators, start_fields

_DENSE_SITES = 6
_COUPLED = 1e-6  # matrix elements above this count, relative to the sum of absolute coefficients


def gap_along_path(
    network: Network,
    theta: ArrayLike,
    x: ArrayLike = (),
    *,
    solver: Adiabatic | None = None,
    n_levels: int = 6,
    points: int = 101,
    ax: Axes | None = None,
) -> Figure:
    """The levels above the ground state along an adiabatic sweep, and the gap that the sweep has to mind.

    A level can take something from the ground state only if ``dH/ds`` couples the two: levels of another symmetry may
    come close, or cross, and do no harm. So the gap that is shaded reaches to the lowest level that is coupled, where
    that is among those shown. The legend has its smallest value, and the time ``max_s |<m|dH/ds|0>| / gap^2`` that the
    sweep should exceed by far. Energies are dimensionless.

    Args:
        network: the network.
        theta: (n_trainable,) the parameters.
        x: (n_inputs,) the sample.
        solver: whose ramp and start field are shown; `Adiabatic` with its defaults if absent.
        n_levels: how many levels, the ground state included.
        points: of the time axis.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: for wrong shapes, a sweep of a higher level, less than two levels or points.
    """
    solver = solver or Adiabatic()
    for name, value in (("n_levels", n_levels), ("points", points)):
        if value < 2:
            raise ValueError(f"Argument `{name}` must be at least 2, but is {value}.")
    if solver.level:
        raise ValueError(f"Argument `solver` must sweep the ground state, but has level {solver.level}.")
    sample = finite_array("x", x, "(n_inputs,)", (network.n_inputs,))
    path = _path(network.hamiltonians(theta, sample[None]), solver, n_levels, points)
    figure, ax = canvas(ax, 6.2, 4.2)
    for level in range(1, path.above.shape[1]):
        ax.plot(path.s, path.above[:, level], color=BLUE, alpha=0.45, linewidth=1.0, label=f"_level {level}")
    ax.plot(path.s, path.above[:, 0], color=BLACK, linewidth=1.4, label="ground state")
    if np.any(np.isfinite(path.gap)):
        narrowest = int(np.nanargmin(path.gap))
        ax.fill_between(path.s, 0.0, path.gap, color=RED, alpha=0.15, linewidth=0)
        ax.plot(path.s, path.gap, color=RED, linewidth=1.6, label="lowest level that is coupled")
        smallest = f"smallest gap {path.gap[narrowest]:.3g} at s = {path.s[narrowest]:.2g}"
        ax.plot(path.s[[narrowest]], path.gap[[narrowest]], "o", color=RED, markersize=6, label=smallest)
    ax.plot([], [], " ", label=f"time to exceed {path.time:.3g}, taken {solver.total_time:.3g}")
    ramp = np.asarray(ramp_of(solver.ramp)(path.s), dtype=np.float64)
    top = float(np.max(path.above)) or 1.0
    ax.plot(path.s, ramp * top, ":", color=GREY, linewidth=1.0, label="ramp f(s), from 0 to 1")
    name = solver.ramp if isinstance(solver.ramp, str) else "custom"
    ax.set(
        title=f"Levels of {network.num_sites} sites along a {name} sweep",
        xlabel="s = time / total time",
        ylabel="energy above the ground state",
        xlim=(0.0, 1.0),
    )
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0.0, -0.16), ncols=2, fontsize=9)
    tidy(ax)
    return figure


class _Path(NamedTuple):
    """A sweep's levels.

    Attributes:
        s: (points,).
        above: (points, n_levels) energies above the ground state.
        gap: (points,) to the lowest level that is coupled, nan where none is among the levels.
        time: the largest ``|<m|dH/ds|0>| / gap^2``.
    """

    s: FloatArray
    above: FloatArray
    gap: FloatArray
    time: float


def _path(target: PauliSums, solver: Adiabatic, n_levels: int, points: int) -> _Path:
    start = field_operators(start_fields(target, solver.start_field))
    united = PauliSums.of([start.operator(), target.operator()])
    begin, end = np.real(united.coefficients)
    s = np.linspace(0.0, 1.0, points)
    f = np.asarray(ramp_of(solver.ramp)(s), dtype=np.float64)
    coefficients = begin + f[:, None] * (end - begin)
    table = PauliTable.of(united.strings)
    n_levels = min(n_levels, table.dim)
    scale = float(np.sum(np.abs(begin)) + np.sum(np.abs(end))) or 1.0
    if table.num_sites <= _DENSE_SITES or 4 * n_levels > table.dim:
        spectrum = dense_spectrum(table, coefficients)
    else:
        goals = np.full(points, 1e-7 * scale)
        spectrum = lowest_spectrum(table, coefficients, n_levels, n_accurate=n_levels, goals=goals)
    above = spectrum.energies[:, :n_levels] - spectrum.energies[:, :1]
    ground = np.zeros(points, dtype=np.int64)
    elements = np.stack(
        [
            np.abs(string_elements(table, spectrum.vectors, ground + m, spectrum.vectors, ground) @ (end - begin))
            for m in range(1, n_levels)
        ],
        axis=1,
    )  # (points, n_levels - 1), of dH/df
    coupled = elements > _COUPLED * scale
    first = np.argmax(coupled, axis=1)
    gap = np.where(coupled.any(axis=1), above[np.arange(points), 1 + first], np.nan)
    rates = elements * np.abs(np.gradient(f, s))[:, None] / np.maximum(above[:, 1:], 1e-300) ** 2
    return _Path(s, above, gap, float(np.max(np.where(coupled, rates, 0.0))))
