"""The lattices of IBM's chips: which qubits are neighbours, and where they lie.

Qubits are numbered row by row. On a heavy-hex chip the rows are lines of qubits, and between two rows there are single
qubits, numbered between them too, that bind the one above to the one below: hexagons with a qubit on every edge. On a
square chip every qubit is bound to the next one in its row and in its column.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from qeqprop.interfaces import FloatArray

Edge = tuple[int, int]


class Lattice(NamedTuple):
    """A chip as its makers drew it, broken parts included.

    Attributes:
        name: of the family of chips.
        edges: pairs (low, high) of neighbours.
        positions: (n_qubits, 2) with neighbours in a row one apart; x to the right, y upwards, row 0 on top.
    """

    name: str
    edges: tuple[Edge, ...]
    positions: FloatArray

    @property
    def n_qubits(self) -> int:
        return len(self.positions)


def heavy_hex(name: str, rows: Sequence[range], bridges: Sequence[Sequence[int]]) -> Lattice:
    """A heavy-hex lattice.

    Args:
        name: of the chip.
        rows: the columns of the qubits of each row.
        bridges: for each row the columns of the qubits below it; those of the last row have one neighbour only.
    """
    number: dict[Edge, int] = {}  # (row, column), with the qubits between two rows in a row of their own
    for row, columns in enumerate(rows):
        for column in columns:
            number[2 * row, column] = len(number)
        for column in bridges[row] if row < len(bridges) else ():
            number[2 * row + 1, column] = len(number)
    return _lattice(name, number)


def square(name: str, rows: int, columns: int) -> Lattice:
    """A square lattice."""
    number = {(row, column): row * columns + column for row in range(rows) for column in range(columns)}
    return _lattice(name, number)


def lattice_of(family: str) -> Lattice | None:
    """The lattice of a family of processors, ``Heron r2``; None for one that is not known here."""
    maker = next((maker for start, maker in _CHIPS.items() if family.startswith(start)), None)
    return None if maker is None else maker()


def spread(n_qubits: int, edges: Iterable[Edge]) -> FloatArray:
    """Places (n_qubits, 2) for any graph, neighbours about one apart: steps between qubits become distances.

    Classical multidimensional scaling (Torgerson 1952) of the numbers of steps. A line is drawn as a line.
    """
    edges = list(edges)
    distance = np.full((n_qubits, n_qubits), np.inf)
    np.fill_diagonal(distance, 0.0)
    for a, b in edges:
        distance[a, b] = distance[b, a] = 1.0
    for through in range(n_qubits):  # Floyd and Warshall
        distance = np.minimum(distance, distance[:, through, None] + distance[None, through])
    apart = np.max(distance, where=np.isfinite(distance), initial=0.0) + 1.0  # parts that are not connected
    squares = np.minimum(distance, apart) ** 2
    centring = np.eye(n_qubits) - 1.0 / n_qubits
    values, vectors = np.linalg.eigh(-0.5 * centring @ squares @ centring)
    places = np.zeros((n_qubits, 2))
    kept = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0.0))
    places[:, : kept.shape[1]] = np.where(np.abs(kept) < 1e-9, 0.0, kept)
    return places


def patch(edges: Iterable[Edge], centre: int, sites: int) -> tuple[int, ...]:
    """A compact connected set of qubits around one: each next one has most neighbours in the set, then is nearest.

    Raises:
        ValueError: if there are no so many connected qubits.
    """
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    steps = _steps(neighbours, centre)
    chosen = [centre]
    while len(chosen) < sites:
        reached = set[int]().union(*(neighbours.get(qubit, set()) for qubit in chosen)) - set(chosen)
        if not reached:
            raise ValueError(f"Argument `sites` must be at most {len(chosen)}, all that are connected, but is {sites}.")
        chosen.append(min(reached, key=lambda q: (-len(neighbours[q] & set(chosen)), steps[q], q)))
    return tuple(sorted(chosen))


def _steps(neighbours: dict[int, set[int]], start: int) -> dict[int, int]:
    """How many steps every qubit is away."""
    steps, waiting = {start: 0}, deque([start])
    while waiting:
        qubit = waiting.popleft()
        for other in neighbours.get(qubit, set()) - steps.keys():
            steps[other] = steps[qubit] + 1
            waiting.append(other)
    return steps


def _lattice(name: str, number: dict[Edge, int]) -> Lattice:
    """The lattice of numbered places (row, column), neighbours below and beside each other."""
    edges = [
        (qubit, number[other])
        for (row, column), qubit in number.items()
        for other in ((row, column + 1), (row + 1, column))
        if other in number
    ]
    places = np.array([(float(column), -float(row)) for row, column in number])
    return Lattice(name, tuple(sorted(edges)), places)


def _eagle() -> Lattice:
    rows = [range(14), *[range(15)] * 5, range(1, 15)]
    return heavy_hex("Eagle", rows, [(0, 4, 8, 12), (2, 6, 10, 14)] * 3)


def _heron_1() -> Lattice:
    return heavy_hex("Heron r1", [range(15)] * 7, [(0, 4, 8, 12), (2, 6, 10, 14)] * 3 + [(0, 4, 8, 12)])


def _heron_2() -> Lattice:
    bridges = [(3, 7, 11, 15), (1, 5, 9, 13)]
    return heavy_hex("Heron r2 and r3", [range(16)] * 8, [*bridges * 3, bridges[0]])


def _nighthawk() -> Lattice:
    return square("Nighthawk", 12, 10)


_CHIPS: dict[str, Callable[[], Lattice]] = {
    "Eagle": _eagle,
    "Heron r1": _heron_1,
    "Heron r2": _heron_2,
    "Heron r3": _heron_2,
    "Nighthawk": _nighthawk,
}
