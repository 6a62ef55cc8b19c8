"""The strokes that the picture of a network is drawn with: lines for strings, rings for fields, discs for sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.patches import Patch, PathPatch, Wedge
from matplotlib.path import Path

from qeqprop.interfaces import FloatArray

INPUT, OUTPUT, HIDDEN = "#009E73", "#E69F00", "#FFFFFF"
"""Colours of the roles, from the palette of M. Okabe and K. Ito (2008), which all eyes can tell apart."""

_DISC, _RING, _LANES = 0.20, 0.31, 0.32  # radii and width of a bundle, in distances of nearest neighbours
LINE_STYLES = {"ZZ": (0, ()), "XX": (0, (2.2, 0.8)), "YY": (0, (0.8, 0.8))}
MIXED_STYLE = (0, (2.5, 0.8, 0.8, 0.8))


@dataclass(frozen=True, eq=False)
class Term:
    """One Pauli string of the Hamiltonian: ``word[n]`` acts on ``sites[n]``, sites ascending."""

    word: str
    sites: tuple[int, ...]
    value: float
    color: str | tuple[float, float, float, float]

    @property
    def name(self) -> str:
        return " ".join(f"{letter}{site}" for letter, site in zip(self.word, self.sites, strict=True))


def lines(bonds: Sequence[Term], places: FloatArray, unit: float) -> list[Patch]:
    """One line for each string of two letters, the strings of a bond side by side."""
    largest = max((abs(term.value) for term in bonds if np.isfinite(term.value)), default=0.0)
    lanes: dict[tuple[int, ...], list[Term]] = {}
    for term in bonds:
        lanes.setdefault(term.sites, []).append(term)
    crowd = max(map(len, lanes.values()), default=1)
    spacing = _LANES / max(crowd, 4)
    broadest = min(5.0, 0.75 * spacing * unit * 72)
    artists: list[Patch] = []
    for sites, together in lanes.items():
        start, end = places[list(sites)]
        length = float(np.linalg.norm(end - start)) or 1.0
        normal = np.asarray([start[1] - end[1], end[0] - start[0]]) / length
        if (normal[1], normal[0]) < (0.0, 0.0):
            normal = -normal  # upwards
        bow = _bow(sites, places, normal, length)
        for lane, term in enumerate(sorted(together, key=lambda term: _lane(term.word))):
            shift = (lane - (len(together) - 1) / 2) * spacing * normal
            middle = (start + end) / 2 + 2 * bow * normal
            path = Path(np.stack([start, middle, end]) + shift, [Path.MOVETO, Path.CURVE3, Path.CURVE3])
            share = abs(term.value) / largest if largest and np.isfinite(term.value) else 0.35
            artists.append(
                PathPatch(
                    path,
                    facecolor="none",
                    edgecolor=term.color,
                    linewidth=0.4 + (broadest - 0.4) * share,
                    linestyle=LINE_STYLES.get(term.word, MIXED_STYLE),
                    capstyle="butt",
                    zorder=2 + share / 2,  # strong ones on top
                    gid=f"bond {term.name}",
                )
            )
    return artists


def _lane(word: str) -> tuple[bool, str]:
    return word not in LINE_STYLES, word


def _bow(sites: tuple[int, ...], places: FloatArray, normal: FloatArray, length: float) -> float:
    """How far a line must bend along the normal so that it passes by every third site."""
    others = np.delete(places, list(sites), axis=0) - places[sites[0]]
    along = others @ np.asarray([normal[1], -normal[0]])
    along = along * np.sign(float((places[sites[1]] - places[sites[0]]) @ np.asarray([normal[1], -normal[0]])))
    across = others @ normal
    share = along / length
    hit = (share > 0) & (share < 1) & (np.abs(across) < _DISC)
    if not np.any(hit):
        return 0.0
    nearest = int(np.argmin(np.where(hit, np.abs(across), np.inf)))
    if abs(across[nearest]) < 0.05:
        return 0.18 * length + 0.1
    # a parabola of height h is at 4 h share (1 - share) beside the line
    missing = (_RING + 0.03 - abs(across[nearest])) / (4 * share[nearest] * (1 - share[nearest]))
    return float(-np.sign(across[nearest]) * missing)


def rings(fields: Sequence[Term], places: FloatArray) -> list[Patch]:
    """The strings of one letter, a sector of the ring for each letter that occurs."""
    letters = sorted({term.word for term in fields})
    angle = 360 / max(len(letters), 1)
    artists: list[Patch] = []
    for term in fields:
        begin = 90 + angle * letters.index(term.word)
        artists.append(
            Wedge(
                tuple(places[term.sites[0]]),
                _RING,
                begin,
                begin + angle,
                width=_RING - _DISC,
                facecolor=term.color,
                edgecolor="white",
                linewidth=0.8,
                zorder=4,
                gid=f"field {term.name}",
            )
        )
    return artists


def discs(inputs: set[int], outputs: set[int], places: FloatArray) -> list[Patch]:
    """The sites: of the colour of their role, of two colours where they have both."""
    artists: list[Patch] = []
    for site, place in enumerate(places):
        left = INPUT if site in inputs else OUTPUT if site in outputs else HIDDEN
        right = OUTPUT if site in outputs else left
        halves = ((left, 0, 360),) if left == right else ((left, 90, 270), (right, 270, 450))
        for color, begin, end in halves:
            name = f"site {site} {begin}"
            artists.append(Wedge(tuple(place), _DISC, begin, end, facecolor=color, linewidth=0, zorder=5, gid=name))
        artists.append(
            Wedge(tuple(place), _DISC, 0, 360, facecolor="none", edgecolor="#333333", linewidth=0.8, zorder=5.5)
        )
    return artists


def patch(term: Term, places: FloatArray) -> Patch:
    """A faint patch over the sites of a longer string: their polygon, or an arch below sites on a line."""
    corners = places[list(term.sites)]
    centred = corners - corners.mean(axis=0)
    _, spreads, axes = np.linalg.svd(centred, full_matrices=False)
    if len(spreads) < 2 or spreads[1] < 0.05:
        order = np.argsort(centred @ axes[0])
        start, end = corners[order[0]], corners[order[-1]]
        normal = np.asarray([-axes[0][1], axes[0][0]])
        if (normal[1], normal[0]) > (0.0, 0.0):
            normal = -normal  # downwards: bent lines go upwards
        depth = (0.45 * float(np.linalg.norm(end - start)) + 0.2) * normal
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.CLOSEPOLY]
        path = Path(np.stack([start, start + depth, end + depth, end, start]), codes)
    else:
        order = np.argsort(np.arctan2(centred[:, 1], centred[:, 0]))
        path = Path(np.concatenate([corners[order], corners[order[:1]]]), closed=True)
    color = term.color
    return PathPatch(
        path, facecolor=color, edgecolor=color, alpha=0.22, linewidth=1.2, zorder=1, gid=f"patch {term.name}"
    )
