"""Physical qubits chosen by error, against every placement there is."""

from itertools import permutations

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.circuit.library import CZGate, ECRGate, Measure, RZGate, SXGate
from qiskit.transpiler import InstructionProperties, Target

from qeqprop.qubit_choice import choose_qubits

GRID = [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5), (5, 6)]


def machine(edges, pair_errors, gate_errors, readout_errors, gate=CZGate):
    target = Target(num_qubits=len(readout_errors))
    target.add_instruction(gate(), {e: InstructionProperties(error=x) for e, x in zip(edges, pair_errors, strict=True)})
    singles = {(q,): InstructionProperties(error=x) for q, x in enumerate(gate_errors)}
    target.add_instruction(SXGate(), singles)
    target.add_instruction(
        RZGate(Parameter("angle")), {(q,): InstructionProperties(error=0.0) for q in range(len(singles))}
    )
    target.add_instruction(Measure(), {(q,): InstructionProperties(error=x) for q, x in enumerate(readout_errors)})
    return target


def random_machine(seed, broken=()):
    random = np.random.default_rng(seed)
    pair = random.uniform(0.001, 0.02, len(GRID))
    pair[list(broken)] = 1.0
    return machine(GRID, pair, random.uniform(1e-4, 1e-3, 7), random.uniform(0.005, 0.1, 7))


def ising_circuit(n_sites, edges):
    circuit = QuantumCircuit(n_sites)
    for repeat in range(2):
        for a, b in edges:
            circuit.cz(a, b)
        circuit.sx(repeat)
    circuit.barrier()
    circuit.measure_all()
    return circuit


def log_success(circuit, target, qubits):
    """The oracle: gate by gate from the target's own numbers."""
    total = 0.0
    for instruction in circuit.data:
        name = instruction.operation.name
        where = tuple(qubits[circuit.find_bit(bit).index] for bit in instruction.qubits)
        if name == "barrier":
            continue
        entries = target[name]
        error = entries[where if where in entries else where[::-1]].error
        total += np.log(1 - error) if error < 1 else -np.inf
    return total


def all_scores(circuit, target):
    for qubits in permutations(range(target.num_qubits), circuit.num_qubits):
        try:
            yield log_success(circuit, target, qubits), qubits
        except KeyError:
            continue


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "edges", [[(0, 1), (1, 2), (2, 3)], [(0, 1), (1, 2), (2, 3), (0, 3)], [(0, 1), (0, 2), (0, 3)], [(0, 2)]]
)
def test_the_best_of_all_placements_is_found(edges, seed):
    circuit, target = ising_circuit(4, edges), random_machine(seed, broken=[seed])
    choice = choose_qubits(circuit, target)
    score, _ = max(all_scores(circuit, target))
    assert choice.direct
    assert choice.log_success == pytest.approx(log_success(circuit, target, choice.qubits), abs=1e-12)
    assert choice.log_success == pytest.approx(score, abs=1e-12)
    assert choose_qubits(circuit, target).qubits == choice.qubits


def test_a_qubit_that_reads_badly_is_avoided():
    target = machine(GRID, [0.005] * 8, [1e-4] * 7, [0.01, 0.168, 0.01, 0.01, 0.01, 0.01, 0.01])
    choice = choose_qubits(ising_circuit(4, [(0, 1), (1, 2), (2, 3)]), target)
    assert 1 not in choice.qubits


def test_broken_pairs_and_qubits_are_never_used():
    target = machine(
        GRID, [0.005, 1.0, 0.005, 0.005, 0.005, float("nan"), 0.005, 0.005], [1e-4] * 7, [0.01] * 6 + [1.0]
    )
    circuit = ising_circuit(6, [(k, k + 1) for k in range(5)])
    choice = choose_qubits(circuit, target)
    assert choice.direct
    assert choice.qubits in {(1, 0, 3, 4, 5, 2), (2, 5, 4, 3, 0, 1)}


def test_directed_gates_count_in_both_directions():
    target = machine([(1, 0), (1, 2)], [0.01, 0.02], [1e-4] * 3, [0.01] * 3, gate=ECRGate)
    circuit = QuantumCircuit(2)
    circuit.ecr(0, 1)
    assert set(choose_qubits(circuit, target).qubits) == {0, 1}


def test_a_graph_that_does_not_fit_gets_a_connected_set():
    everyone = [(a, b) for a in range(4) for b in range(a)]
    target = random_machine(3)
    choice = choose_qubits(ising_circuit(4, everyone), target)
    assert not choice.direct
    assert len(set(choice.qubits)) == 4
    inside = {edge for edge in GRID if set(edge) <= set(choice.qubits)}
    reached = {choice.qubits[0]}
    for _ in range(4):
        reached |= {q for edge in inside if reached & set(edge) for q in edge}
    assert reached == set(choice.qubits)


def test_a_ring_on_a_line_keeps_its_ends_near():
    target = machine([(0, 1), (1, 2), (2, 3)], [0.01] * 3, [1e-4] * 4, [0.01] * 4)
    ring = [(0, 2), (2, 1), (1, 3), (3, 0)]
    choice = choose_qubits(ising_circuit(4, ring), target)
    distance = sum(abs(choice.qubits[a] - choice.qubits[b]) for a, b in ring)
    assert distance == 6  # the least that a ring of four on a line can have


def test_a_machine_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="`target` must have 8 connected qubits that work"):
        choose_qubits(ising_circuit(8, [(0, 1)]), random_machine(0))


def test_a_simulator_leaves_the_sites_where_they_are():
    from qiskit_aer import AerSimulator

    for target in (Target(num_qubits=None), AerSimulator().target):
        assert choose_qubits(ising_circuit(3, [(0, 1)]), target).qubits == (0, 1, 2)


def test_a_line_of_twenty_on_a_large_machine_is_placed_well():
    """Heavy-hex like: a comb of long rows; the search stops by itself and is no worse than a random walk's best."""
    random = np.random.default_rng(5)
    rows, length = 6, 16
    edges = [(r * length + c, r * length + c + 1) for r in range(rows) for c in range(length - 1)]
    edges += [(r * length + c, (r + 1) * length + c) for r in range(rows - 1) for c in range(r % 2 * 2, length, 4)]
    n = rows * length
    target = machine(
        edges, random.uniform(0.001, 0.02, len(edges)), random.uniform(1e-4, 1e-3, n), random.uniform(0.005, 0.1, n)
    )
    circuit = ising_circuit(20, [(k, k + 1) for k in range(19)])
    choice = choose_qubits(circuit, target)
    assert choice.direct
    neighbours = {q: [b if a == q else a for a, b in edges if q in (a, b)] for q in range(n)}
    best = -np.inf
    for _ in range(2000):
        walk = [int(random.integers(n))]
        while len(walk) < 20 and (free := [q for q in neighbours[walk[-1]] if q not in walk]):
            walk.append(int(random.choice(free)))
        if len(walk) == 20:
            best = max(best, log_success(circuit, target, walk))
    assert choice.log_success >= best
