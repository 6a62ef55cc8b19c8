"""A piece of a chip for a network: connected qubits, and the pairs of them that are neighbours.

A network whose couplings lie on these pairs runs without a single swap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np

from qeqprop.interfaces import FloatArray
from qeqprop.lattices import Edge, Lattice, lattice_of, patch, spread
from qeqprop.names import suggestion
from qeqprop.qubit_choice import ErrorMap
from qeqprop.snapshots import best_qubits, calibration_of, profile_text

LATTICES = {"heavy-hex": "Heron r2", "square": "Nighthawk"}
"""Lattices by name, each as the chip of a family."""


class Patch(NamedTuple):
    """A piece of a chip.

    Attributes:
        qubits: (n_sites,) the physical qubit of each site, ascending.
        couplings: pairs of sites that are neighbours, in rounds: the pairs of a round have no site in common, and there
            are no more rounds than a site has neighbours.
        positions: (n_sites, 2) where they lie on the chip.
    """

    qubits: tuple[int, ...]
    couplings: tuple[Edge, ...]
    positions: FloatArray


def chip_patch(chip: str | Literal["heavy-hex", "square"], sites: int) -> Patch:
    """Chooses a piece of a chip.

    Args:
        chip: ``"heavy-hex"`` or ``"square"``, of which a compact piece in the middle is taken, as many couplings as
            there can be; or a calibration (``"torino_8.toml"``) or a whole machine (``"FakeMiami"``), of which the
            connected qubits with the least errors are taken and pairs that do not work are left out.
        sites: how many.

    Raises:
        ValueError: if there is no such chip, or it has no so many connected qubits.
    """
    if sites < 1:
        raise ValueError(f"Argument `sites` must be at least 1, but is {sites}.")
    if chip in LATTICES:
        lattice = lattice_of(LATTICES[chip])
        assert lattice is not None  # both are known
        return _piece(patch(lattice.edges, _middle(lattice), sites), lattice.edges, lattice)
    try:
        calibration = calibration_of(profile_text(chip, argument="chip"))
    except ValueError as error:
        hint = suggestion(chip, LATTICES)
        raise ValueError(f"{error} Or is it a lattice{hint}?") from None
    physical = calibration.physical
    pairs = [(physical[a], physical[b]) for a, b in ErrorMap.of(calibration.target()).pairs]
    return _piece(best_qubits(calibration, sites), pairs, lattice_of(calibration.family))


def in_rounds(pairs: Iterable[Edge]) -> tuple[Edge, ...]:
    """Pairs in an order in which they can be worked through in as few rounds as possible.

    What acts on pairs one after the other waits for both its sites: along a line in its own order every pair would wait
    for the one before it. These are the colours of the edges, which are as few as a site has neighbours where every
    ring is even (Koenig 1916), and one more at most otherwise (Vizing 1964).
    """
    import rustworkx as rx

    pairs = sorted(pairs)
    graph: Any = rx.PyGraph()
    graph.add_nodes_from(range(1 + max((max(pair) for pair in pairs), default=0)))
    graph.add_edges_from([(a, b, None) for a, b in pairs])
    colour = rx.graph_bipartite_edge_color if rx.is_bipartite(graph) else rx.graph_misra_gries_edge_color
    colours: dict[int, int] = dict(colour(graph))
    return tuple(pairs[index] for index in sorted(range(len(pairs)), key=lambda index: (colours[index], index)))


def _piece(chosen: Iterable[int], edges: Iterable[Edge], lattice: Lattice | None) -> Patch:
    qubits = tuple(sorted(chosen))
    site = {qubit: index for index, qubit in enumerate(qubits)}
    inside = [(site[a], site[b]) for a, b in edges if a in site and b in site]
    couplings = in_rounds([(min(pair), max(pair)) for pair in inside])
    if lattice is None or qubits[-1] >= lattice.n_qubits:
        return Patch(qubits, couplings, spread(len(qubits), couplings))
    return Patch(qubits, couplings, lattice.positions[list(qubits)])


def _middle(lattice: Lattice) -> int:
    """The qubit with most neighbours that is nearest to the centre of the chip."""
    degree = np.bincount(np.array(lattice.edges).ravel())
    away = np.linalg.norm(lattice.positions - np.mean(lattice.positions, axis=0), axis=1)
    return min(range(lattice.n_qubits), key=lambda qubit: (-int(degree[qubit]), round(float(away[qubit]), 9), qubit))
