"""Bonds and places that several networks share, and the checks of their arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Literal, get_args

import numpy as np

from qeqprop.interfaces import FloatArray

Shape = Literal["complete", "chain", "ring"]
Edges = Shape | Sequence[tuple[int, int]]


def edge_list(edges: Edges, sites: int) -> list[tuple[int, int]]:
    """The bonds ``(i, j)`` of a named graph, or the given ones in their order and orientation.

    Raises:
        ValueError: if the name is unknown, a bond leaves the network or ends where it begins, or a pair comes twice.
    """
    if isinstance(edges, str):
        one_of("edges", edges, get_args(Shape))
        if edges == "complete":
            return list(combinations(range(sites), 2))
        chain = [(site, site + 1) for site in range(sites - 1)]
        return chain + [(sites - 1, 0)] * (edges == "ring" and sites > 2)
    seen: set[frozenset[int]] = set()
    for edge in edges:
        pair = frozenset(edge)
        if len(edge) != 2 or len(pair) != 2 or not pair <= set(range(sites)) or pair in seen:
            wrong = "holds it twice" if pair in seen else "does not"
            raise ValueError(
                f"Argument `edges` must hold different pairs of different sites from 0 to {sites - 1}, "
                f"but for {tuple(edge)} {wrong}."
            )
        seen.add(pair)
    return [(int(first), int(second)) for first, second in edges]


def places(edges: Edges, sites: int) -> FloatArray:
    """Where the sites of a graph are drawn, (sites, 2): a chain on a line, all else on a circle."""
    return line(sites) if isinstance(edges, str) and edges == "chain" else circle(sites)


def line(sites: int) -> FloatArray:
    """Places on a horizontal line, (sites, 2), one apart."""
    return np.stack([np.arange(sites, dtype=np.float64), np.zeros(sites)], axis=1)


def circle(sites: int) -> FloatArray:
    """Places on a circle, (sites, 2), site 0 on top and then clockwise, neighbours one apart along the arc."""
    angles = 2 * np.pi * np.arange(sites) / sites
    return sites / (2 * np.pi) * np.stack([np.sin(angles), np.cos(angles)], axis=1)


def columns(lengths: Sequence[int]) -> FloatArray:
    """Places in vertical layers from left to right, (sum(lengths), 2), each layer centred."""
    places = [(float(layer), (n - 1) / 2 - index) for layer, n in enumerate(lengths) for index in range(n)]
    return np.asarray(places)


def one_of(name: str, value: str, allowed: Iterable[str]) -> None:
    """Raises a `ValueError` that names the argument unless the value is an allowed one."""
    words = tuple(allowed)
    if value not in words:
        raise ValueError(f"Argument `{name}` must be one of {', '.join(map(repr, words))}, but is {value!r}.")


def at_least(name: str, value: int, minimum: int) -> None:
    """Raises a `ValueError` that names the argument unless a count is large enough."""
    if value < minimum:
        raise ValueError(f"Argument `{name}` must be at least {minimum}, but is {value}.")


def at_most(name: str, value: int, maximum: int, why: str) -> None:
    """Raises a `ValueError` that names the argument unless a count is small enough."""
    if value > maximum:
        raise ValueError(f"Argument `{name}` must be at most {maximum}, {why}, but is {value}.")
