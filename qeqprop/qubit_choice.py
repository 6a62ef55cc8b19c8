"""Which physical qubits a circuit runs on: those whose calibrated errors cost it least.

A placement of a circuit is worth ``sum_pairs n_ab log(1 - e_ab) + sum_sites [n_k log(1 - e_k) + log(1 - r_k)]``, the
logarithm of the probability that nothing goes wrong if errors are independent: ``n_ab`` counts the two-qubit gates of a
pair, ``n_k`` the other gates of a site; e and r are the errors of the gates and of the readout where they are placed. A
transpiler's own choice may sit on a qubit that is read wrongly every sixth time.

Pairs that act on each other are put next to each other by a search over all embeddings, cut short where even the best
errors of the machine could not make up for what is lost already (branch and bound). Where there is no embedding, a good
connected set is grown and swaps have to carry the rest. Both are functions of their arguments alone: what limits the
search is a number of steps, not a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.transpiler import Target

from qeqprop.interfaces import FloatArray, IntArray

Edge = tuple[int, int]

_STEPS = 200_000
_FREE = frozenset({"barrier", "delay", "measure"})
_BROKEN = -np.inf


@dataclass(frozen=True, eq=False)
class ErrorMap:
    """What each qubit and pair of a machine costs, as ``log(1 - error)``.

    Attributes:
        gate: (n_physical,) of one gate on a qubit.
        readout: (n_physical,) of reading it; minus infinity for a qubit that is broken in any way.
        pairs: of one two-qubit gate, for every pair (low, high) that works.
    """

    gate: FloatArray
    readout: FloatArray
    pairs: Mapping[Edge, float]

    @classmethod
    def of(cls, target: Target) -> ErrorMap:
        """Reads a target: the worst of a qubit's gates and, for a pair, of all its gates and directions.

        An error that is not given counts as zero; one that is 1 or more, or nan, marks what is broken.
        """
        n_physical = int(target.num_qubits or 0)
        gate, readout = np.zeros(n_physical), np.zeros(n_physical)
        pairs: dict[Edge, float] = {}
        for name in target.operation_names:
            for qubits, entry in target[name].items():
                if qubits is None or name in ("barrier", "delay"):
                    continue
                cost = _log_of_success(None if entry is None else entry.error)
                if len(qubits) == 2:
                    edge = _edge(*qubits)
                    pairs[edge] = min(cost, pairs.get(edge, 0.0))
                elif len(qubits) == 1:
                    singles = readout if name == "measure" else gate
                    singles[qubits[0]] = min(cost, singles[qubits[0]])
        broken = np.isinf(gate + readout)
        gate[broken], readout[broken] = 0.0, _BROKEN
        working = {edge: cost for edge, cost in pairs.items() if np.isfinite(cost) and not broken[list(edge)].any()}
        return cls(gate, readout, working)


@dataclass(frozen=True, eq=False)
class Choice:
    """The qubits of a machine that were chosen for a circuit.

    Attributes:
        qubits: (n_sites,) the physical qubit of each qubit of the circuit.
        log_success: the score above, without the swaps that a placement that is not direct will need.
        direct: whether all pairs that act on each other are neighbours.
    """

    qubits: tuple[int, ...]
    log_success: float
    direct: bool


def choose_qubits(circuit: QuantumCircuit, target: Target) -> Choice:
    """Chooses physical qubits for a circuit.

    Args:
        circuit: of gates on one or two qubits; measurements, delays and barriers do not count.
        target: the machine. Where every pair may act (a simulator), the sites are the qubits of the same number.

    Raises:
        ValueError: if the machine has no so many connected qubits that work.
    """
    n_sites = circuit.num_qubits
    if target.num_qubits is None or target.build_coupling_map() is None:
        return Choice(tuple(range(n_sites)), 0.0, True)
    errors = ErrorMap.of(target)
    pairs, gates = _gate_counts(circuit)
    found = _embed(pairs, gates, errors)
    if found is None:
        found = _arrange(pairs, connected_qubits(n_sites, errors), errors)
    direct = all(_edge(found[a], found[b]) in errors.pairs for a, b in pairs)
    return Choice(found, _score(found, pairs, gates, errors), direct)


def _log_of_success(error: float | None) -> float:
    if error is None:
        return 0.0
    return float(np.log1p(-error)) if 0 <= error < 1 else _BROKEN


def _edge(a: int, b: int) -> Edge:
    return (a, b) if a < b else (b, a)


def _gate_counts(circuit: QuantumCircuit) -> tuple[Counter[Edge], IntArray]:
    """Two-qubit gates of every pair, and the other gates of every qubit (n_sites,)."""
    pairs: Counter[Edge] = Counter()
    gates = np.zeros(circuit.num_qubits, dtype=np.int64)
    for instruction in circuit.data:
        if instruction.operation.name in _FREE:
            continue
        sites = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        if len(sites) == 1:
            gates[sites[0]] += 1
        for pair in combinations(sites, 2):
            pairs[_edge(*pair)] += 1
    return pairs, gates


def _score(qubits: Sequence[int], pairs: Mapping[Edge, int], gates: IntArray, errors: ErrorMap) -> float:
    chosen = np.array(qubits, dtype=np.int64)
    alone = float(gates @ errors.gate[chosen] + np.sum(errors.readout[chosen]))
    return alone + sum(n * errors.pairs.get(_edge(qubits[a], qubits[b]), 0.0) for (a, b), n in pairs.items())


# --- where neighbours can stay neighbours -----------------------------------------------------------------------


def _embed(pairs: Mapping[Edge, int], gates: IntArray, errors: ErrorMap) -> tuple[int, ...] | None:
    """The best placement in which all pairs are neighbours, or the best one that the allowed steps find; else None."""
    order = _site_order(pairs, len(gates))
    placed_before = [[(other, pairs.get(_edge(site, other), 0)) for other in order[:k]] for k, site in enumerate(order)]
    links = [[(other, n) for other, n in others if n] for others in placed_before]
    alone = gates[:, None] * errors.gate + errors.readout  # (n_sites, n_physical)
    neighbours = _neighbours(errors)
    # the most that the sites still to be placed can be worth: every one on the best qubit, every pair on the best edge
    best_pair = max(errors.pairs.values(), default=0.0)
    gains = [float(np.max(alone[site])) + best_pair * sum(n for _, n in links[k]) for k, site in enumerate(order)]
    hope = np.cumsum([0.0, *gains[::-1]])[::-1]
    best: tuple[float, tuple[int, ...] | None] = (_BROKEN, None)
    place = np.full(len(gates), -1)
    used: set[int] = set()
    steps = 0

    def visit(depth: int, score: float) -> None:
        nonlocal best, steps
        if depth == len(order):
            best = (score, tuple(place.tolist()))
            return
        site = order[depth]
        candidates = (
            set.intersection(*(neighbours[place[other]] for other, _ in links[depth]))
            if links[depth]
            else set(range(len(errors.gate)))
        )
        worth = {
            qubit: float(alone[site, qubit])
            + sum(n * errors.pairs[_edge(qubit, int(place[other]))] for other, n in links[depth])
            for qubit in candidates - used
        }
        for qubit in sorted(worth, key=lambda one: (-worth[one], one)):
            steps += 1
            if steps > _STEPS or score + worth[qubit] + hope[depth + 1] <= best[0]:
                return  # the others are worth less still
            place[site] = qubit
            used.add(qubit)
            visit(depth + 1, score + worth[qubit])
            used.remove(qubit)

    visit(0, 0.0)
    return best[1]


def _site_order(pairs: Mapping[Edge, int], n_sites: int) -> list[int]:
    """Sites such that each one, if it can, acts on one before it; a line is walked from one end."""
    degree = Counter(site for pair in pairs for site in pair)
    linked = {site: {b if a == site else a for a, b in pairs if site in (a, b)} for site in range(n_sites)}
    order: list[int] = []
    while len(order) < n_sites:
        rest = [site for site in range(n_sites) if site not in order]
        reached = [site for site in rest if linked[site] & set(order)]
        # an end of a line first, but sites that act on nothing last
        start = min(rest, key=lambda site: (degree[site] == 0, degree[site], site))
        order.append(max(reached, key=lambda site: (len(linked[site] & set(order)), -site)) if reached else start)
    return order


def _neighbours(errors: ErrorMap) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {qubit: set() for qubit in range(len(errors.gate))}
    for a, b in errors.pairs:
        found[a].add(b)
        found[b].add(a)
    return found


# --- where swaps are needed ---------------------------------------------------------------------------------------


def connected_qubits(n_sites: int, errors: ErrorMap) -> tuple[int, ...]:
    """A good connected set of qubits, in the order it grew: from every qubit, always by the cheapest neighbour."""
    alone, neighbours = errors.gate + errors.readout, _neighbours(errors)
    best: tuple[float, tuple[int, ...]] = (_BROKEN, ())
    for start in np.flatnonzero(np.isfinite(alone)).tolist():
        grown, score = [start], float(alone[start])
        while len(grown) < n_sites:
            steps = [
                (errors.pairs[_edge(a, b)] + float(alone[b]), -b) for a in grown for b in neighbours[a] - set(grown)
            ]
            if not steps:
                break
            cost, negative = max(steps)
            grown.append(-negative)
            score += cost
        if len(grown) == n_sites and score > best[0]:
            best = (score, tuple(grown))
    if not best[1]:
        raise ValueError(
            f"Argument `target` must have {n_sites} connected qubits that work, as many as `circuit` has, "
            f"but it has {len(alone)} qubits and no {n_sites} of them are."
        )
    return best[1]


def _arrange(pairs: Mapping[Edge, int], qubits: tuple[int, ...], errors: ErrorMap) -> tuple[int, ...]:
    """The sites on a set of qubits so that pairs are near each other: exchanged two by two while it helps."""
    distance = _distances(qubits, errors)
    place = list(range(len(qubits)))

    def length(where: list[int]) -> int:
        return sum(n * int(distance[where[a], where[b]]) for (a, b), n in pairs.items())

    shortest, improved = length(place), True
    while improved:
        improved = False
        for a, b in combinations(range(len(place)), 2):
            place[a], place[b] = place[b], place[a]
            if length(place) < shortest:
                shortest, improved = length(place), True
            else:
                place[a], place[b] = place[b], place[a]
    return tuple(qubits[index] for index in place)


def _distances(qubits: tuple[int, ...], errors: ErrorMap) -> IntArray:
    """Steps between the qubits of a connected set inside it, (n, n), by Floyd and Warshall."""
    count = len(qubits)
    distance = np.full((count, count), count, dtype=np.int64)
    np.fill_diagonal(distance, 0)
    for a, b in combinations(range(count), 2):
        if _edge(qubits[a], qubits[b]) in errors.pairs:
            distance[a, b] = distance[b, a] = 1
    for through in range(count):
        distance = np.minimum(distance, distance[:, through, None] + distance[None, through])
    return distance
