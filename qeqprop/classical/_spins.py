"""From the Pauli sums that a solver is asked to the energies of spins that a sampler knows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from qeqprop.interfaces import BoolArray, Equilibria, FloatArray, IntArray


class StringTables(NamedTuple):
    """The sites of every string, one after the other: those of string t are ``sites[first[t]:first[t + 1]]``."""

    first: IntArray
    sites: IntArray


class SpinGraph(NamedTuple):
    """For every site the strings that hold it, and the other sites of each.

    Attributes:
        starts: (n_sites + 1,) the entries of site k are ``starts[k]`` to ``starts[k + 1]``.
        terms: (n_entries,) the string of each.
        begins: (n_entries + 1,) its other sites are ``others[begins[e]:begins[e + 1]]``.
        others: their numbers.
    """

    starts: IntArray
    terms: IntArray
    begins: IntArray
    others: IntArray


@dataclass(frozen=True, eq=False)
class SpinProblem:
    """A batch of energies ``E = sum_t c_t prod_(k in t) s_k`` and what to measure.

    Spin +1 is the eigenvalue +1 of Z, which is bit 0.

    Attributes:
        holds: (n_strings, n_sites) the sites of each string; only strings that matter here are listed.
        coefficients: (rows, n_strings).
        observables: (n_observables, n_strings).
        perturbation: (rows, n_strings) or None.
    """

    holds: BoolArray
    coefficients: FloatArray
    observables: FloatArray
    perturbation: FloatArray | None

    @property
    def n_sites(self) -> int:
        return self.holds.shape[1]

    @property
    def rows(self) -> int:
        return len(self.coefficients)


def spin_problem(problem: Equilibria, solver: str) -> SpinProblem:
    """The problem of a solver that knows spins along Z only.

    An observable with X or Y is zero in every state of such spins, and stays zero under a nudge.

    Raises:
        ValueError: if a Hamiltonian or a perturbation has a string with X or Y, or complex coefficients.
    """
    strings = problem.hamiltonians.strings
    rows = [problem.hamiltonians.coefficients]
    if problem.perturbation is not None:
        rows.append(problem.perturbation.coefficients)
    if any(np.iscomplexobj(row) for row in rows):
        raise ValueError(f"Solver {solver} cannot settle complex nudges: use LinearResponse or SymmetricNudging.")
    flips = np.any(strings.x, axis=1)
    for row in rows:
        largest = np.max(np.abs(row), axis=0, initial=0.0)
        wrong = np.flatnonzero(flips & (largest > 0))
        if len(wrong):
            labels = ", ".join(str(strings.to_labels()[index]) for index in wrong[:3]) + (
                ", .." if len(wrong) > 3 else ""
            )
            raise ValueError(
                f"Solver {solver} knows spins along Z only, but the Hamiltonian holds {labels} with coefficients up to "
                f"{np.max(largest[wrong]):.3g}: take the network's diagonal limit, classical.ising.ising_of(network), "
                "or a solver of quantum states, such as Exact."
            )
    observables = np.real(problem.observables.coefficients)
    used = np.any(observables != 0, axis=0) | np.any(np.concatenate(rows) != 0, axis=0)
    kept = np.flatnonzero(used & ~flips)
    push = None if problem.perturbation is None else np.ascontiguousarray(rows[1][:, kept])
    return SpinProblem(
        holds=np.asarray(strings.z)[kept],
        coefficients=np.ascontiguousarray(rows[0][:, kept]),
        observables=np.ascontiguousarray(observables[:, kept]),
        perturbation=push,
    )


class Structure(NamedTuple):
    """What sampling needs to know of a list of strings, whatever their coefficients."""

    tables: StringTables
    graph: SpinGraph
    blocks: IntArray


def structure_of(holds: BoolArray, active: BoolArray) -> Structure:
    """Tables, neighbours and blocks of the strings (n_strings, n_sites), of which some are active in an energy.

    A training asks for the same strings again and again: the last ones are remembered.
    """
    return _structure(holds.shape, np.packbits(holds).tobytes(), active.tobytes())


@lru_cache(maxsize=16)
def _structure(shape: tuple[int, int], holds: bytes, active: bytes) -> Structure:
    bits = np.unpackbits(np.frombuffer(holds, dtype=np.uint8), count=shape[0] * shape[1])
    table = bits.astype(np.bool_).reshape(shape)
    graph = graph_of(table, np.frombuffer(active, dtype=np.bool_))
    return Structure(tables_of(table), graph, blocks_order(graph))


def tables_of(holds: BoolArray) -> StringTables:
    """The sites of every string, (n_strings, n_sites) -> lists."""
    first = np.concatenate([[0], np.cumsum(holds.sum(axis=1))]).astype(np.int64)
    return StringTables(first, np.nonzero(holds)[1].astype(np.int64))


def graph_of(holds: BoolArray, active: BoolArray) -> SpinGraph:
    """The strings at every site, of those that are active (n_strings,) in some row's energy."""
    starts, terms, begins, others = [0], list[int](), [0], list[int]()
    members = [np.flatnonzero(row) for row in holds]
    at_site: list[list[int]] = [[] for _ in range(holds.shape[1])]
    for term in np.flatnonzero(active):
        for site in members[term]:
            at_site[site].append(int(term))
    for site, here in enumerate(at_site):
        for term in here:
            terms.append(term)
            others += [int(other) for other in members[term] if other != site]
            begins.append(len(others))
        starts.append(len(terms))
    return SpinGraph(*(np.array(one, dtype=np.int64) for one in (starts, terms, begins, others)))


def blocks_order(graph: SpinGraph) -> IntArray:
    """The sites colour by colour, so that no two neighbours are in one block: a greedy colouring, largest first.

    The sites of a colour are independent given the others, so a sweep in this order updates whole blocks at once; in a
    layered network the blocks are every other layer.
    """
    n_sites = len(graph.starts) - 1
    neighbours = [
        {int(other) for other in graph.others[graph.begins[graph.starts[site]] : graph.begins[graph.starts[site + 1]]]}
        for site in range(n_sites)
    ]
    colours = np.full(n_sites, -1, dtype=np.int64)
    for site in sorted(range(n_sites), key=lambda site: -len(neighbours[site])):
        taken = {int(colours[other]) for other in neighbours[site]}
        colours[site] = next(colour for colour in range(n_sites + 1) if colour not in taken)
    return np.argsort(colours, kind="stable").astype(np.int64)
