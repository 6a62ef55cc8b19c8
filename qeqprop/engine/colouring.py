"""Fewest classes of things that do not conflict: colouring a graph with as few colours as a short search finds.

Sets of vertices are whole numbers used as bit masks, so that one operation asks about a whole set.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qeqprop.interfaces import BoolArray, IntArray

SEARCHED = 128
"""Largest number of vertices for which the search goes on from the best order."""

ORDERS = 32
"""Random orders that are tried beside the two with a meaning, up to this number of vertices."""

VISITS = 4000
"""Vertices that the search places before it stops."""


def fewest_classes(conflicts: BoolArray) -> list[IntArray]:
    """Parts the vertices 0 .. n - 1 into classes without a conflict, as few as are found.

    First fit in several orders; then, up to 128 vertices and where a clique does not prove that the best of them has
    the fewest classes, a branch-and-bound search that always places the vertex with the fewest classes left (Brélaz,
    Commun. ACM 22, 251, 1979). The search is exact where it ends before it is stopped, as it does for a dozen
    vertices; it is deterministic.

    Args:
        conflicts: (n, n) symmetric, who may not be together with whom; nobody conflicts with himself.

    Returns:
        The classes, each with its vertices in ascending order; classes are ordered by their first vertex.
    """
    rows = _rows(conflicts)
    small = len(rows) <= SEARCHED
    best = _best_of_orders(rows, np.sum(conflicts, axis=1), ORDERS if small else 0)
    if small and len(best) > (least := _clique(rows)):
        best = _Search(rows, best, least).run()
    return sorted((np.array(_members(chosen), dtype=np.int64) for chosen in best), key=lambda members: int(members[0]))


def _rows(conflicts: BoolArray) -> list[int]:
    """The neighbours of every vertex as a bit mask."""
    packed = np.packbits(conflicts, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _members(mask: int) -> list[int]:
    members: list[int] = []
    while mask:
        members.append((mask & -mask).bit_length() - 1)
        mask &= mask - 1
    return members


def _best_of_orders(rows: list[int], degrees: IntArray, n_random: int) -> list[int]:
    random = np.random.default_rng(0)
    orders = [np.arange(len(rows)), np.argsort(-degrees, kind="stable")]
    orders += [random.permutation(len(rows)) for _ in range(n_random)]
    return min((_first_fit(rows, order.tolist()) for order in orders), key=len)


def _first_fit(rows: list[int], order: Iterable[int]) -> list[int]:
    classes: list[int] = []
    for vertex in order:
        for position, members in enumerate(classes):
            if not members & rows[vertex]:
                classes[position] |= 1 << vertex
                break
        else:
            classes.append(1 << vertex)
    return classes


def _clique(rows: list[int]) -> int:
    """Size of the largest clique that greedy growth from each vertex finds: a lower bound on the classes."""
    largest = 0
    for neighbours in rows:
        size, candidates = 1, neighbours
        while candidates:
            joined = max(_members(candidates), key=lambda other: (rows[other] & candidates).bit_count())
            candidates &= rows[joined]
            size += 1
        largest = max(largest, size)
    return largest


class _Search:
    """Depth-first search for fewer classes than the best known."""

    def __init__(self, rows: list[int], best: list[int], least: int) -> None:
        self.rows, self.best, self.least = rows, best, least
        self.classes: list[int] = []
        self.visits = 0

    def run(self) -> list[int]:
        self._place((1 << len(self.rows)) - 1)
        return self.best

    def _place(self, left: int) -> None:
        """Places one of the vertices that are left in every class that takes it."""
        if not left:
            self.best = self.classes.copy()
            return
        self.visits += 1
        vertex = max(_members(left), key=lambda one: self._urgency(one, left))
        for position in range(len(self.classes) + 1):
            known = position < len(self.classes)
            if known and self.classes[position] & self.rows[vertex]:
                continue
            if len(self.classes) + (not known) >= len(self.best):
                return
            if known:
                self.classes[position] |= 1 << vertex
            else:
                self.classes.append(1 << vertex)
            self._place(left & ~(1 << vertex))
            self.classes[position] &= ~(1 << vertex)
            if not known:
                self.classes.pop()
            if len(self.best) <= self.least or self.visits >= VISITS:
                return

    def _urgency(self, vertex: int, left: int) -> tuple[int, int]:
        """How many classes refuse the vertex, then how many of those left it conflicts with."""
        neighbours = self.rows[vertex]
        return sum(bool(members & neighbours) for members in self.classes), (neighbours & left).bit_count()
