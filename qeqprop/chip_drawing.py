"""The picture of a chip: every qubit and every pair in the colour of its error, what is broken crossed out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from qeqprop.calibration import Calibration
from qeqprop.figures import RED, canvas
from qeqprop.interfaces import FloatArray
from qeqprop.lattices import Edge, Lattice, lattice_of, spread

_DISC, _RING = 0.33, 0.43  # radii, in distances of neighbours
_SMALLEST = 1e-6  # an error that is not measured, or zero, on a logarithmic scale


class _Drawn(NamedTuple):
    """What is drawn, by the numbers of the qubits on the machine.

    Attributes:
        places: of all qubits, the broken ones too.
        readout: the mean readout error of each qubit that works.
        pairs: the error of the two-qubit gate of each pair (low, high) that works.
        broken: pairs of neighbours that do not.
    """

    places: Mapping[int, FloatArray]
    readout: Mapping[int, float]
    pairs: Mapping[Edge, float]
    broken: Sequence[Edge]


def chip(
    calibration: Calibration,
    *,
    sites: Sequence[int] = (),
    couplings: Iterable[Edge] = (),
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draws a calibration on the lattice of its machine.

    A disc is a qubit in the colour of its readout error, the mean of both kinds; a line is a pair in the colour of the
    error of its two-qubit gate. Of a whole machine, qubits and pairs that do not work are grey and crossed out. The
    qubits of a network have a ring, with the number of the site beside it, and its couplings a broad line.

    Args:
        calibration: of a whole machine or a part of it.
        sites: (n_sites,) the physical qubit of each site of a network, such as
            ``profile.calibration.physical[q] for q in profile.qubits(circuit)``.
        couplings: pairs of sites that act on each other.
        title: over the picture; machine, date and number of qubits by default.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: if a site is on no qubit that works.
    """
    strangers = [qubit for qubit in sites if qubit not in calibration.physical]
    if strangers:
        raise ValueError(
            f"Argument `sites` must name qubits of {calibration.name} that work, but {strangers[0]} is none."
        )
    drawn = _drawn(calibration)
    places = np.stack(list(drawn.places.values()))
    low, high = places.min(axis=0) - 0.7, places.max(axis=0) + 0.7
    unit = float(np.clip(9.0 / np.max(high - low), 0.42, 0.8))  # inches between neighbours
    size = unit * (high - low)
    flat = bool(size[0] > 2.5 * size[1])
    figure, ax = canvas(ax, max(size[0] + 2.2 * (not flat), 6.0), size[1] + 0.8 + 1.4 * flat, layout="compressed")
    lines, discs = _scale(drawn.pairs.values()), _scale(drawn.readout.values())
    _draw_pairs(ax, drawn, lines, 6.5 * unit)
    _draw_qubits(ax, drawn, discs, unit)
    _draw_network(ax, drawn, sites, couplings, unit)
    heading = title or f"{calibration.name}, {calibration.date[:10]}, {calibration.n_qubits} qubits"
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", title=heading)
    ax.set_axis_off()
    for scale, label in ((lines, "error of the two-qubit gate"), (discs, "readout error")):
        where = "bottom" if flat else "right"
        figure.colorbar(scale, ax=ax, location=where, fraction=0.03, pad=0.02, aspect=25, shrink=0.9).set_label(label)
    handles = _legend(drawn, sites)
    if handles:
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, frameon=False, fontsize=9)
    return figure


def pair_errors(calibration: Calibration) -> dict[Edge, float]:
    """The error of the fixed two-qubit gate of each pair (low, high) of physical qubits, the worse direction."""
    errors: dict[Edge, float] = {}
    for name in ("cz", "ecr", "cx"):
        for (a, b), entry in calibration.gates.get(name, {}).items():
            first, second = sorted((calibration.physical[a], calibration.physical[b]))
            errors[first, second] = max(entry.error, errors.get((first, second), 0.0))
    return errors


def _drawn(calibration: Calibration) -> _Drawn:
    physical, pairs = calibration.physical, pair_errors(calibration)
    readout = dict(zip(physical, np.mean(calibration.readout, axis=1).tolist(), strict=True))
    lattice = lattice_of(calibration.family)
    if lattice is None or max(physical) >= lattice.n_qubits:
        place = {qubit: index for index, qubit in enumerate(physical)}
        spots = spread(len(physical), [(place[a], place[b]) for a, b in pairs])
        return _Drawn(dict(zip(physical, spots, strict=True)), readout, pairs, [])
    shown = _shown(calibration, lattice)
    around = [edge for edge in lattice.edges if set(edge) <= shown]
    places = {qubit: lattice.positions[qubit] for qubit in sorted(shown)}
    return _Drawn(places, readout, pairs, [edge for edge in around if edge not in pairs])


def _shown(calibration: Calibration, lattice: Lattice) -> set[int]:
    """All qubits of a machine that is nearly whole; those of a part alone, the others are not broken but left out."""
    whole = 2 * calibration.n_qubits > lattice.n_qubits
    return set(range(lattice.n_qubits)) if whole else set(calibration.physical)


# --- the artists ------------------------------------------------------------------------------------------------


def _scale(errors: Iterable[float]) -> ScalarMappable:
    """A logarithmic scale of colours, light for small errors; its ends are round numbers around nearly all errors."""
    known = np.array([error for error in errors if error > _SMALLEST] or [1e-3, 1e-2])
    low, high = np.quantile(known, [0.02, 0.98])
    if high < 1.5 * low:
        low, high = low / 1.5, high * 1.5
    return ScalarMappable(LogNorm(low, high), colormaps["viridis_r"])


def _draw_pairs(ax: Axes, drawn: _Drawn, scale: ScalarMappable, width: float) -> None:
    def segments(edges: Iterable[Edge]) -> list[Any]:
        return [np.stack([drawn.places[a], drawn.places[b]]) for a, b in edges]

    errors = np.maximum(np.nan_to_num(list(drawn.pairs.values())), _SMALLEST)
    colours = scale.to_rgba(errors) if len(errors) else []
    ax.add_collection(LineCollection(segments(drawn.pairs), colors=colours, linewidths=width, zorder=1, gid="pairs"))
    ax.add_collection(
        LineCollection(
            segments(drawn.broken), colors="#BBBBBB", linewidths=width / 3, linestyles=":", zorder=1, gid="broken pairs"
        )
    )
    both = [edge for edge in drawn.broken if set(edge) <= drawn.readout.keys()]
    if both:
        middles = np.mean(segments(both), axis=1)
        ax.plot(*middles.T, "x", color=RED, markersize=1.7 * width, markeredgewidth=1.4, zorder=2, gid="crosses")


def _draw_qubits(ax: Axes, drawn: _Drawn, scale: ScalarMappable, unit: float) -> None:
    numbers = list(drawn.places)
    errors = np.array([drawn.readout.get(qubit, np.nan) for qubit in numbers])
    colours = np.asarray(scale.to_rgba(np.maximum(np.nan_to_num(errors), _SMALLEST)))
    dead = np.array([qubit not in drawn.readout for qubit in numbers])
    colours[dead] = (0.9, 0.9, 0.9, 1.0)
    discs = [Circle((float(x), float(y)), _DISC) for x, y in drawn.places.values()]
    ax.add_collection(
        PatchCollection(discs, facecolors=colours, edgecolors="#555555", linewidths=0.6, zorder=3, gid="qubits")
    )
    for qubit, place, colour, broken in zip(numbers, drawn.places.values(), colours, dead, strict=True):
        dark = colour[:3] @ (0.3, 0.59, 0.11) < 0.5
        ax.text(
            float(place[0]),
            float(place[1]),
            str(qubit),
            ha="center",
            va="center",
            fontsize=13 * unit,
            zorder=4,
            color="w" if dark else "k",
        )
        if broken:
            ax.plot(*place, "x", color=RED, markersize=32 * unit, markeredgewidth=1.4, zorder=5)


def _draw_network(ax: Axes, drawn: _Drawn, sites: Sequence[int], couplings: Iterable[Edge], unit: float) -> None:
    for a, b in couplings:
        ax.plot(*np.stack([drawn.places[sites[a]], drawn.places[sites[b]]]).T, color="k", lw=10 * unit, zorder=0)
    for site, qubit in enumerate(sites):
        across, up = drawn.places[qubit]
        ax.add_patch(Circle((across, up), _RING, facecolor="none", edgecolor=RED, linewidth=4 * unit, zorder=6))
        ax.text(
            across + 0.36,
            up + 0.36,
            str(site),
            color=RED,
            fontsize=14 * unit,
            fontweight="bold",
            zorder=7,
            ha="left",
            va="bottom",
        )


def _legend(drawn: _Drawn, sites: Sequence[int]) -> list[Line2D]:
    handles: list[Line2D] = []
    nowhere: list[float] = []
    if len(sites):
        ring: dict[str, Any] = {
            "markersize": 10,
            "markerfacecolor": "none",
            "markeredgecolor": RED,
            "markeredgewidth": 2,
        }
        handles.append(Line2D(nowhere, nowhere, marker="o", linestyle="", label="site, its number", **ring))
    if drawn.broken or len(drawn.readout) < len(drawn.places):
        handles.append(Line2D(nowhere, nowhere, marker="x", linestyle="", color=RED, markersize=8, label="broken"))
    return handles
