"""The picture of a network: sites as discs, strings as lines between them, outputs and inputs in colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from numpy.typing import ArrayLike

from qeqprop.checks import finite_array
from qeqprop.figures import canvas
from qeqprop.interfaces import FloatArray, Network
from qeqprop.strokes import HIDDEN, INPUT, LINE_STYLES, MIXED_STYLE, OUTPUT, Term, discs, lines, patch, rings

_UNKNOWN = "#4D4D4D"
_LETTER = 0.09  # inches that a letter of the title takes
_RING_PLACES = {1: ("",), 2: (" (left)", " (right)"), 3: (" (top left)", " (bottom)", " (top right)")}


def network(
    network: Network, theta: ArrayLike | None = None, *, x: ArrayLike | None = None, ax: Axes | None = None
) -> Figure:
    """Draws the sites of a network and the Pauli strings of its Hamiltonian.

    Discs are sites: inputs are acted on by a Q_i or a driven term, outputs are read by an O_k, a disc of two colours is
    both. Lines are strings of two letters, one line style for each word, side by side where a bond has several; lines
    that would run through a third site bend around it. The ring around a disc holds its strings of one letter. Faint
    patches are longer strings.

    The colour of a string is its coefficient in ``H``, one scale for the whole picture with zero in the middle; the
    width of a line is the coefficient's magnitude. Strings whose coefficient is not known are grey (trainable, but no
    theta given) or have the colour of the inputs (only scaled by inputs, no x given).

    Args:
        network: the network.
        theta: (n_trainable,) parameters.
        x: (n_inputs,) the inputs to draw the coefficients at; without them terms scaled by inputs are left out of
            the coefficients.
        ax: where to draw; a new figure by default.

    Raises:
        ValueError: if theta or x has a wrong shape or is not finite.
    """
    scale = ScalarMappable(cmap=colormaps["coolwarm"])
    terms, known = _terms(network, theta, x, scale)
    places = _places(network)
    low, high = places.min(axis=0) - 0.5, places.max(axis=0) + 0.5
    bonds = [term for term in terms if len(term.word) == 2]
    unit = float(np.clip(6.5 / np.max(high - low), 0.55, 1.3))  # inches between neighbours
    handles = _legend(network, terms)
    size = np.maximum(unit * (high - low), (2.2, 0.24 * len(handles) + 0.4))
    title = _title(network, int(size[0] / _LETTER))
    height = size[1] + (1.2 if known else 0.5) + 0.2 * title.count("\n")
    figure, ax = canvas(ax, size[0] + 2.8, height, layout="compressed")  # the one for axes of a fixed aspect
    longer = [term for term in terms if len(term.word) > 2]
    artists = [
        *(patch(term, places) for term in longer),
        *lines(bonds, places, unit),
        *rings([term for term in terms if len(term.word) == 1], places),
        *discs(*_roles(network), places),
    ]
    for artist in artists:
        ax.add_patch(artist)
    for site, (across, up) in enumerate(places):
        ax.text(across, up, str(site), ha="center", va="center", fontsize=min(10, 14 * unit), zorder=6)
    # patches and bent lines may reach beyond the sites
    vertices = np.concatenate(
        [places, *(artist.get_path().vertices for artist in artists if isinstance(artist, PathPatch))]
    )
    low, high = np.minimum(low, vertices.min(axis=0) - 0.1), np.maximum(high, vertices.max(axis=0) + 0.1)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", title=title)
    ax.set_axis_off()
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    if known:
        bar = figure.colorbar(scale, ax=ax, orientation="horizontal", fraction=0.06, pad=0.03, aspect=30)
        at = "" if x is not None or not _depends_on_inputs(network) else ",\ninputs left out"
        bar.set_label(f"coefficient in H (dimensionless energy){at}")
    return figure


# --- what is drawn ----------------------------------------------------------------------------------------------


def _terms(
    network: Network, theta: ArrayLike | None, x: ArrayLike | None, scale: ScalarMappable
) -> tuple[list[Term], bool]:
    """The strings of H with their colours, and whether any has a value; adapts the scale to the values."""
    parameters = np.zeros(network.n_trainable) if theta is None else network.check_theta(theta)
    sample = (
        np.zeros((1, network.n_inputs)) if x is None else finite_array("x", x, "(n_inputs,)", (network.n_inputs,))[None]
    )
    values = network.hamiltonians(parameters, sample).coefficients[0].real
    own, driven = network.trainable[network.driver < 0], network.trainable[network.driver >= 0]
    fixed, trained = network.static != 0, np.any(own != 0, axis=0)
    scaled = np.any(network.inputs != 0, axis=0)
    shifted = np.any(driven != 0, axis=0)
    unknown = (trained | (shifted & (x is not None))) & (theta is None)
    known = (fixed | trained | ((scaled | shifted) & (x is not None))) & ~unknown
    letters = network.strings.x + 2 * network.strings.z  # (n_strings, n_sites)
    drawn = np.any(letters, axis=1) & (fixed | trained | scaled | shifted)
    largest = float(np.max(np.abs(values[known & drawn]), initial=0.0)) or 1.0
    scale.set_norm(Normalize(-largest, largest))
    terms: list[Term] = []
    for index in np.flatnonzero(drawn):
        sites = tuple(int(site) for site in np.flatnonzero(letters[index]))
        color = _rgba(scale, values[index]) if known[index] else _UNKNOWN if unknown[index] else INPUT
        value = float(values[index]) if known[index] else float("nan")
        terms.append(Term("".join("IXZY"[letters[index, site]] for site in sites), sites, value, color))
    return terms, bool(np.any(known & drawn))


def _rgba(scale: ScalarMappable, value: float) -> tuple[float, float, float, float]:
    red, green, blue, alpha = scale.to_rgba(np.asarray([value]))[0]
    return float(red), float(green), float(blue), float(alpha)


def _depends_on_inputs(network: Network) -> bool:
    return bool(np.any(network.inputs) or np.any(network.driver >= 0))


def _roles(network: Network) -> tuple[set[int], set[int]]:
    """The sites that inputs act on, and those that outputs read."""
    touched = np.concatenate([network.inputs, network.trainable[network.driver >= 0]])
    acted = network.strings.x | network.strings.z
    found = [
        set(np.flatnonzero(acted[np.any(rows != 0, axis=0)].any(axis=0)).tolist())
        for rows in (touched, network.outputs)
    ]
    return found[0], found[1]


def _places(network: Network) -> FloatArray:
    """Where the sites are drawn, (n_sites, 2), in distances of nearest neighbours."""
    angles = 2 * np.pi * np.arange(network.num_sites) / network.num_sites
    places = np.stack([np.sin(angles), np.cos(angles)], axis=1) if network.positions is None else network.positions
    if len(places) == 1:
        return np.zeros((1, 2))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)[np.triu_indices(len(places), 1)]
    # a pair that nearly coincides must not blow up all the rest
    return places / (max(float(distances.min()), 0.03 * float(distances.max())) or 1.0)


# --- the words --------------------------------------------------------------------------------------------------


def _title(network: Network, letters: int) -> str:
    """What the network consists of, in lines of at most so many letters where that is possible."""
    counts = (
        (network.num_sites, "site"),
        (network.n_inputs, "input"),
        (network.n_outputs, "output"),
        (network.n_trainable, "trainable parameter"),
    )
    rows: list[str] = []
    for part in (f"{number} {word}{'s' * (number != 1)}" for number, word in counts if number):
        if rows and len(rows[-1]) + 2 + len(part) <= letters:
            rows[-1] += ", " + part
        else:
            rows.append(part)
    return ",\n".join(rows)


def _legend(network: Network, terms: Sequence[Term]) -> list[Line2D | Patch]:
    inputs, outputs = _roles(network)
    hidden = set(range(network.num_sites)) - inputs - outputs
    handles: list[Line2D | Patch] = [
        _marker(label, face=color)
        for sites, color, label in (
            (inputs - outputs, INPUT, "input site"),
            (hidden, HIDDEN, "hidden site"),
            (outputs - inputs, OUTPUT, "output site"),
        )
        if sites
    ]
    if inputs & outputs:
        handles.append(_marker("input and output site", face=INPUT, fillstyle="left", markerfacecoloralt=OUTPUT))
    words = {term.word for term in terms}
    for word, style in LINE_STYLES.items():
        if word in words:
            handles.append(Line2D([], [], color=_UNKNOWN, linestyle=style, linewidth=2, label=f"{word} coupling"))
    mixed = sorted(word for word in words if len(word) == 2 and word not in LINE_STYLES)
    if mixed:
        named = ", ".join(mixed[:3]) + (", ..." if len(mixed) > 3 else "")
        handles.append(Line2D([], [], color=_UNKNOWN, linestyle=MIXED_STYLE, linewidth=2, label=f"{named} coupling"))
    letters = sorted(word for word in words if len(word) == 1)
    if letters:
        sectors = [letter + place for letter, place in zip(letters, _RING_PLACES[len(letters)], strict=True)]
        label = "ring: field\n" + ", ".join(sectors[:2]) + "".join(f",\n{sector}" for sector in sectors[2:])
        handles.append(_marker(label, face="none", edge="#999999", markeredgewidth=3))
    longer = sorted({word for word in words if len(word) > 2})
    if longer:
        named = ", ".join(longer[:3]) + (", ..." if len(longer) > 3 else "")
        handles.append(Patch(facecolor="#999999", edgecolor="#999999", alpha=0.4, label=f"patch: {named}"))
    for color, label in ((_UNKNOWN, "trainable,\nvalue not given"), (INPUT, "scaled by an input")):
        if any(term.color == color for term in terms):
            handles.append(Patch(facecolor=color, label=label))
    return handles


def _marker(label: str, *, face: str, edge: str = "#333333", **style: Any) -> Line2D:
    places: list[float] = []
    return Line2D(
        places,
        places,
        marker="o",
        linestyle="",
        markersize=10,
        markerfacecolor=face,
        markeredgecolor=edge,
        label=label,
        **style,
    )
