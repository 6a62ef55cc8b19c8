"""Bonds and sites that several networks share, and the checks of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from qeqprop.checks import listed
from qeqprop.interfaces import IntArray

Bonds = Literal["complete", "chain", "ring"] | Sequence[tuple[int, int]]


def bond_list(edges: Bonds, sites: int) -> IntArray:
    """The bonds (n_edges, 2) of a named graph, or the given ones.

    Raises:
        ValueError: for an unknown name, a bond that leaves the network or ends where it begins, or one given twice.
    """
    if isinstance(edges, str):
        if edges not in ("complete", "chain", "ring"):
            raise ValueError(f"Argument `edges` must be 'complete', 'chain', 'ring' or pairs, but is {edges!r}.")
        pairs = list(combinations(range(sites), 2))
        if edges != "complete":
            pairs = [(i, i + 1) for i in range(sites - 1)] + [(sites - 1, 0)] * (edges == "ring" and sites > 2)
    else:
        pairs = [(int(i), int(j)) for i, j in listed("edges", edges)]
    for i, j in pairs:
        if i == j or not (0 <= i < sites and 0 <= j < sites):
            raise ValueError(f"Argument `edges` must join different sites from 0 to {sites - 1}, but holds {(i, j)}.")
    if len({frozenset(pair) for pair in pairs}) < len(pairs):
        raise ValueError("Argument `edges` must hold every pair once, but holds one twice.")
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def chosen_sites(name: str, chosen: Sequence[int], sites: int) -> IntArray:
    """Different sites, negative ones counted from the last; refused with the argument's name."""
    chosen = listed(name, chosen)
    if any(not -sites <= site < sites for site in chosen):
        raise ValueError(f"Argument `{name}` must hold sites from 0 to {sites - 1}, but is {chosen}.")
    found = [int(site) % sites for site in chosen]
    if len(set(found)) < len(found):
        raise ValueError(f"Argument `{name}` must hold different sites, but is {chosen}.")
    return np.array(found, dtype=np.int64)
