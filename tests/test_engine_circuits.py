"""The circuit engine against dense matrices, finite differences and qiskit."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dense_string, dense_sums
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import PauliList, SparsePauliOp, Statevector
from scipy.linalg import expm

from qeqprop.engine import circuit_program, circuit_runs
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuit_trotter import trotter_sweep
from qeqprop.engine.circuits import (
    Circuit,
    controlled_x,
    controlled_z,
    diagonal,
    energy_and_gradient,
    expectations,
    fixed,
    free,
    hadamards,
    pauli_rotations,
    rotations,
    sample,
    states,
)
from qeqprop.interfaces import PauliSums

KINDS = ("diagonal", "X", "Y", "Z", "strings", "H", "CZ", "CX")
STORABLE = ("diagonal", "X", "Y", "Z", "H", "CZ")  # gradients of such circuits store states


# --- oracles ----------------------------------------------------------------------------------------------------


def on(qubits, matrices, n):
    """The tensor product of 2 x 2 matrices on some qubits; qubit 0 is the rightmost factor."""
    factors = [np.eye(2)] * n
    for qubit, matrix in zip(qubits, matrices, strict=True):
        factors[n - 1 - qubit] = matrix
    return reduce(np.kron, factors).astype(complex)


UP, DOWN = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
X, Z = dense_string("X"), dense_string("Z")
HADAMARD = np.array([[1, 1], [1, -1]]) / np.sqrt(2)


def controlled(matrix, control, target, n):
    return on([control], [UP], n) + on([control, target], [DOWN, matrix], n)


def random_circuit(random, n, depth):
    """A random circuit of any size."""
    return random_case(random, n, depth, dense=False)[0]


def random_case(random, n, depth, *, dense=True, kinds=KINDS):
    """A random circuit and its twin: a list of gates, each a matrix or a Pauli matrix with its angle."""
    layers, gates = [], []
    n_parameters = 6

    def angles(count):
        index = random.integers(0, n_parameters, count)
        scale, offset = random.normal(size=count), random.normal(size=count)
        constant = random.random() < 0.2
        return (fixed(offset), None, offset) if constant else (free(index, scale, offset), index, (scale, offset))

    def twin(matrices, made):
        _, index, rest = made
        for k, matrix in enumerate(matrices if dense else ()):
            gates.append((matrix, None, 0.0, rest[k]) if index is None else (matrix, index[k], rest[0][k], rest[1][k]))

    for _ in range(depth):
        kind = random.choice(kinds)
        count = int(random.integers(1, n + 1))
        chosen = [int(q) for q in random.permutation(n)[:count]]
        if kind == "diagonal":
            supports = [[int(q) for q in random.permutation(n)[: random.integers(0, n + 1)]] for _ in range(count)]
            made = angles(count)
            layers.append(diagonal(supports, made[0]))
            twin((on(support, [Z] * len(support), n) for support in supports), made)
        elif kind in ("X", "Y", "Z"):
            made = angles(count)
            layers.append(rotations(kind, chosen, made[0]))
            twin((on([q], [dense_string(kind)], n) for q in chosen), made)
        elif kind == "strings":
            labels = ["".join(random.choice(list("IXYZ"), n)) for _ in range(count)]
            made = angles(count)
            layers.append(pauli_rotations(PauliList(labels), made[0]))
            twin((dense_string(label) for label in labels), made)
        elif kind == "H":
            layers.append(hadamards(chosen))
            gates.extend((on([q], [HADAMARD], n),) for q in (chosen if dense else ()))
        elif n > 1:
            pairs = [tuple(int(q) for q in random.permutation(n)[:2]) for _ in range(count)]
            layers.append((controlled_z if kind == "CZ" else controlled_x)(pairs))
            gates.extend((controlled(Z if kind == "CZ" else X, a, b, n),) for a, b in (pairs if dense else ()))
    start = str(random.choice(["zero", "plus"]))
    return Circuit.of(n, layers, start=start, n_parameters=n_parameters), gates


def dense_state(circuit, gates, parameters):
    psi = np.zeros(circuit.dim, dtype=complex)
    psi[0] = 1
    if circuit.start == "plus":
        psi[:] = circuit.dim**-0.5
    for gate in gates:
        if len(gate) == 1:
            psi = gate[0] @ psi
        else:
            string, index, scale, offset = gate
            angle = offset + (scale * parameters[index] if index is not None else 0.0)
            psi = np.cos(angle / 2) * psi - 1j * np.sin(angle / 2) * (string @ psi)
    return psi


def random_hamiltonians(random, n, batch, count=6):
    labels = sorted({"".join(random.choice(list("IXYZ"), n)) for _ in range(count)})
    return PauliSums(PauliList(labels), random.normal(size=(batch, len(labels))))


def richardson(function, x, step=0.02):
    """The slope of a function at x from central differences of three steps, error O(step^6)."""

    def slope(h):
        return (function(x + h) - function(x - h)) / (2 * h)

    first = [slope(step), slope(step / 2), slope(step / 4)]
    second = [(4 * b - a) / 3 for a, b in pairwise(first)]
    return (16 * second[1] - second[0]) / 15


# --- states, energies, gradients --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 8), st.integers(0, 2**32 - 1))
def test_states_and_expectations_agree_with_dense_matrices(n, depth, seed):
    random = np.random.default_rng(seed)
    circuit, gates = random_case(random, n, depth)
    parameters = random.normal(size=(3, circuit.n_parameters))
    found = states(circuit, parameters)
    dense = np.array([dense_state(circuit, gates, row) for row in parameters])
    np.testing.assert_allclose(found, dense, atol=1e-12)
    observables = random_hamiltonians(random, n, 2)
    wanted = np.einsum("bi,kij,bj->bk", dense.conj(), dense_sums(observables), dense).real
    np.testing.assert_allclose(expectations(found, observables), wanted, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_gradient_agrees_with_finite_differences_of_dense_energies(n, depth, seed):
    random = np.random.default_rng(seed)
    circuit, gates = random_case(random, n, depth)
    parameters = random.normal(size=(2, circuit.n_parameters))
    hamiltonians = random_hamiltonians(random, n, 2)
    matrices = dense_sums(hamiltonians)
    energies, gradient = energy_and_gradient(circuit, parameters, hamiltonians)

    def energy(b, row):
        psi = dense_state(circuit, gates, row)
        return np.real(psi.conj() @ matrices[b] @ psi)

    for b in range(2):
        assert energies[b] == pytest.approx(energy(b, parameters[b]), abs=1e-11)
        for k in range(circuit.n_parameters):
            direction = np.eye(circuit.n_parameters)[k]
            wanted = richardson(lambda t, b=b, d=direction: energy(b, parameters[b] + t * d), 0.0)
            assert gradient[b, k] == pytest.approx(wanted, abs=1e-9 * max(1, abs(wanted)) + 2e-9)


def test_batch_equals_single_results_and_one_operator_serves_all():
    random = np.random.default_rng(3)
    circuit = random_circuit(random, 5, 8)
    parameters = random.normal(size=(4, circuit.n_parameters))
    hamiltonians = random_hamiltonians(random, 5, 4)
    energies, gradient = energy_and_gradient(circuit, parameters, hamiltonians)
    amplitudes = states(circuit, parameters)
    for b in range(4):
        one = PauliSums(hamiltonians.strings, hamiltonians.coefficients[b : b + 1])
        energy, slopes = energy_and_gradient(circuit, parameters[b : b + 1], one)
        np.testing.assert_array_equal(energy[0], energies[b])
        np.testing.assert_array_equal(slopes[0], gradient[b])
        np.testing.assert_array_equal(states(circuit, parameters[b : b + 1])[0], amplitudes[b])
    shared = PauliSums(hamiltonians.strings, hamiltonians.coefficients[:1])
    np.testing.assert_array_equal(energy_and_gradient(circuit, parameters, shared)[1][0], gradient[0])


def test_given_initial_states():
    random = np.random.default_rng(4)
    circuit = Circuit.of(3, [rotations("X", range(3), free([0, 1, 2])), diagonal([(0, 1), (2,)], free([3, 4]))])
    parameters = random.normal(size=(2, 5))
    start = random.normal(size=(2, 8)) + 1j * random.normal(size=(2, 8))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    turns = reduce(np.kron, [expm(-0.5j * angle * X) for angle in parameters[1, 2::-1]])
    phases = expm(-0.5j * (parameters[1, 3] * on([0, 1], [Z, Z], 3) + parameters[1, 4] * on([2], [Z], 3)))
    np.testing.assert_allclose(states(circuit, parameters, start=start)[1], phases @ turns @ start[1], atol=1e-13)
    np.testing.assert_array_equal(
        states(circuit, parameters, start=start[1])[1], states(circuit, parameters, start=start)[1]
    )


def test_empty_circuits_and_empty_batches():
    circuit = Circuit.of(2, [])
    np.testing.assert_array_equal(states(circuit, np.zeros((1, 0))), [[1, 0, 0, 0]])
    hamiltonians = PauliSums.of([SparsePauliOp(["ZZ", "II"], [2.0, 1.0])])
    energies, gradient = energy_and_gradient(circuit, np.zeros((1, 0)), hamiltonians)
    assert energies == [3.0]
    assert gradient.shape == (1, 0)
    assert states(circuit, np.zeros((0, 0))).shape == (0, 4)
    assert energy_and_gradient(circuit, np.zeros((0, 0)), hamiltonians)[0].shape == (0,)


def test_rotations_by_pi_of_all_qubits_keep_their_gradient():
    """The tangents are about 1e16 there; eighteen of them overflow unless the norms go in by portions."""
    for n in (3, 18):
        layers = [
            rotations("Y", range(n), free(range(n))),
            rotations("X", range(n), free(range(n, 2 * n))),
            diagonal([(k, (k + 1) % n) for k in range(n)], free(range(2 * n, 3 * n))),
            rotations("X", range(n), free(range(n, 2 * n))),
        ]
        circuit = Circuit.of(n, layers)
        hamiltonians = PauliSums.of([SparsePauliOp.from_sparse_list([("Z", [0], 1.0), ("XY", [0, n - 1], 0.7)], n)])
        parameters = np.full((2, 3 * n), np.pi)
        parameters[1] += 1e-4 * np.cos(np.arange(3 * n))
        energies, gradient = energy_and_gradient(circuit, parameters, hamiltonians)
        assert np.all(np.isfinite(gradient))
        along = np.cos(np.arange(3 * n))
        change = (gradient[0] + gradient[1]) @ along / 2 * 1e-4
        assert energies[1] - energies[0] == pytest.approx(change, abs=1e-10)


# --- blocked paths ----------------------------------------------------------------------------------------------


def blocked(circuit, bits):
    """The same circuit, run in blocks of ``2^bits`` amplitudes."""
    other = Circuit.of(circuit.num_qubits, circuit.layers, start=circuit.start, n_parameters=circuit.n_parameters)
    other.__dict__["compiled"] = circuit_program.compile_layers(other, bits)
    return other


@settings(max_examples=20, deadline=None)
@given(st.integers(7, 9), st.integers(1, 10), st.integers(4, 7), st.integers(0, 2**32 - 1))
def test_small_blocks_give_the_same_answers(n, depth, bits, seed):
    random = np.random.default_rng(seed)
    circuit = random_circuit(random, n, depth)
    assert_same(circuit, blocked(circuit, bits), random)


@pytest.mark.parametrize("n", [13, 14, 15])
def test_large_states_give_the_same_answers_with_and_without_blocks(n):
    random = np.random.default_rng(n)
    for _ in range(2):
        circuit = random_circuit(random, n, 8)
        assert_same(circuit, blocked(circuit, n), random)


def assert_same(circuit, other, random):
    parameters = random.normal(size=(1, circuit.n_parameters))
    hamiltonians = random_hamiltonians(random, circuit.num_qubits, 1)
    np.testing.assert_allclose(states(circuit, parameters), states(other, parameters), atol=1e-13)
    for one, two in zip(
        energy_and_gradient(circuit, parameters, hamiltonians),
        energy_and_gradient(other, parameters, hamiltonians),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, atol=1e-11)
    values = [expectations(states(which, parameters), hamiltonians) for which in (circuit, other)]
    np.testing.assert_allclose(*values, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(7, 10), st.integers(1, 10), st.integers(4, 7), st.integers(0, 2**32 - 1))
def test_stored_states_change_nothing(n, depth, bits, seed):
    random = np.random.default_rng(seed)
    circuit = random_case(random, n, depth, dense=False, kinds=STORABLE)[0]
    parameters = random.normal(size=(2, circuit.n_parameters))
    hamiltonians = random_hamiltonians(random, n, 2)
    for one in (circuit, blocked(circuit, bits)):
        assert circuit_runs.storable(one)
        found = energy_and_gradient(one, parameters, hamiltonians)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(circuit_runs, "STORED_AMPLITUDES", 0)
            assert not circuit_runs.storable(one) or not len(one.compiled.steps)
            wanted = energy_and_gradient(one, parameters, hamiltonians)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-11)
    assert_same(circuit, blocked(circuit, bits), random)


@pytest.mark.parametrize("bits", [5, 6, 20])
def test_sweeps_agree_with_dense_matrices(bits):
    """Eight qubits: sweeps over one to three qubits, and in small blocks columns with diagonals."""
    n = 8
    random = np.random.default_rng(bits)
    fields = [(letter, [k], c) for k in range(n) for letter, c in zip("XYZ", random.normal(size=3), strict=True)]
    extra = [("XY", [1, 6], 0.3), ("YY", [0, 7], -0.4), ("XX", [5, 7], 0.2), ("ZYX", [7, 6, 5], 0.7)]
    hamiltonians = PauliSums.of([SparsePauliOp.from_sparse_list([*fields, *extra], n)])
    matrix = dense_sums(hamiltonians)[0]
    for kinds in (("diagonal", "X"), ("diagonal", "Y"), ("X", "Y", "diagonal"), STORABLE, KINDS):
        circuit, gates = random_case(random, n, 7, kinds=kinds)
        row = random.normal(size=circuit.n_parameters)
        one = blocked(circuit, bits)
        np.testing.assert_allclose(states(one, row[None])[0], dense_state(circuit, gates, row), atol=1e-12)
        energies, gradient = energy_and_gradient(one, row[None], hamiltonians)

        def energy(values, circuit=circuit, gates=gates):
            psi = dense_state(circuit, gates, values)
            return np.real(psi.conj() @ matrix @ psi)

        assert energies[0] == pytest.approx(energy(row), abs=1e-10)
        direction = random.normal(size=circuit.n_parameters)
        slope = richardson(lambda t, f=energy, row=row, d=direction: f(row + t * d), 0.0, step=0.01)
        assert gradient[0] @ direction == pytest.approx(slope, abs=1e-7)


def test_diagonals_stay_in_blocks_where_columns_are_too_long(monkeypatch):
    random = np.random.default_rng(5)
    circuit = random_case(random, 9, 8, dense=False, kinds=STORABLE)[0]
    crossing = blocked(circuit, 5).compiled
    monkeypatch.setattr(circuit_program, "MOST_BITS", 6)
    other = blocked(circuit, 5)
    assert len(other.compiled.steps) > len(crossing.steps)
    assert_same(circuit, other, random)


def test_a_layer_of_rotations_and_a_diagonal_take_one_step():
    n, layers = 16, []
    for layer in range(4):
        layers.append(diagonal([(k, (k + 1) % n) for k in range(n)], free(np.arange(n) + 2 * n * layer)))
        layers.append(rotations("X", range(n), free(np.arange(n) + 2 * n * layer + n)))
    program = Circuit.of(n, layers, start="plus").compiled
    assert program.steps[:, 0].tolist() == [
        circuit_program.BLOCK, circuit_program.COLUMNS, circuit_program.BLOCK, circuit_program.COLUMNS,
        circuit_program.BLOCK,
    ]  # fmt: skip
    assert program.layers[:, 0].tolist() == [circuit_program.DIAGONAL, circuit_program.TURN_Y] * 4
    assert (program.begin, program.end) == (0, (1 << n) - 1)


def test_given_states_before_rotations_about_x():
    """There the initial state takes the change of basis, and the final state gives it back."""
    random = np.random.default_rng(6)
    circuit = Circuit.of(3, [rotations("X", range(3), free(range(3))), controlled_x([(2, 0)])])
    start = random.normal(size=(1, 8)) + 1j * random.normal(size=(1, 8))
    parameters = random.normal(size=(1, 3))
    turns = reduce(np.kron, [expm(-0.5j * angle * X) for angle in parameters[0, ::-1]])
    wanted = controlled(X, 2, 0, 3) @ turns @ start[0]
    assert circuit.compiled.begin == 7
    np.testing.assert_allclose(states(circuit, parameters, start=start)[0], wanted, atol=1e-13)


@pytest.mark.parametrize("kinds", [KINDS, STORABLE])
@pytest.mark.parametrize("shared", [True, False])
def test_threads_change_nothing(monkeypatch, shared, kinds):
    random = np.random.default_rng(8)
    circuit = random_case(random, 9, 12, dense=False, kinds=kinds)[0]
    parameters = random.normal(size=(3, circuit.n_parameters))
    hamiltonians = random_hamiltonians(random, 9, 3)
    wanted = energy_and_gradient(circuit, parameters, hamiltonians)
    other = blocked(circuit, 5)
    monkeypatch.setattr(circuit_runs, "WORTH_THREADS", 0)
    monkeypatch.setattr(circuit_runs, "SHARED_QUBITS", 1 if shared else 99)
    monkeypatch.setattr("qeqprop.engine.circuit_runs.get_threads", lambda: 3)
    found = energy_and_gradient(other, parameters, hamiltonians)
    for one, two in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-11)
    amplitudes = states(other, parameters)
    values = expectations(amplitudes, hamiltonians)
    monkeypatch.undo()
    np.testing.assert_allclose(states(circuit, parameters), amplitudes, atol=1e-13)
    np.testing.assert_allclose(expectations(amplitudes, hamiltonians), values, atol=1e-12)


# --- qiskit -----------------------------------------------------------------------------------------------------


def ansatz(n, reps, random):
    theta = ParameterVector("theta", 3 * n)
    circuit = QuantumCircuit(n, global_phase=0.3)
    circuit.h(range(n))
    for layer in range(reps):
        for k in range(n):
            circuit.ry(theta[k] * (layer + 1) + 0.1, k)
            circuit.rz(theta[n + k], k)
            circuit.rx(-theta[2 * n + k] / 2, k)
        for k in range(n - 1):
            getattr(circuit, random.choice(["cx", "cz"]))(k, k + 1)
        a, b = (int(q) for q in random.permutation(n)[:2])
        for gate in ("rxx", "ryy", "rzz", "rzx"):
            getattr(circuit, gate)(theta[int(random.integers(3 * n))], a, b)
        for gate in ("x", "y", "z", "s", "sdg", "t", "tdg", "sx", "id"):
            getattr(circuit, gate)(int(random.integers(n)))
        circuit.p(theta[0], b)
        circuit.barrier()
        circuit.append(
            PauliEvolutionGate(SparsePauliOp(["XYI", "ZZI", "III"], [0.3, -1.1, 0.2]), theta[1]), [a, b, 3 - a - b]
        )
    return circuit


@pytest.mark.parametrize("seed", range(5))
def test_converted_circuits_prepare_the_states_of_qiskit(seed):
    random = np.random.default_rng(seed)
    circuit = ansatz(3, 3, random)
    converted = from_qiskit(circuit)
    values = random.normal(size=(2, circuit.num_parameters))
    wanted = [Statevector(circuit.assign_parameters(row).decompose("PauliEvolution")).data for row in values]
    np.testing.assert_allclose(states(converted, values), wanted, atol=1e-12)


def test_conversion_fuses_layers():
    theta = ParameterVector("theta", 12)
    circuit = QuantumCircuit(4)
    for k in range(4):
        circuit.rzz(theta[k], k, (k + 1) % 4)
    for k in range(4):  # interleaved, as a transpiler may leave them
        circuit.rx(theta[4 + k], k)
        circuit.ry(theta[8 + k], k)
    assert [layer.kind for layer in from_qiskit(circuit).layers] == [
        circuit_program.DIAGONAL,
        circuit_program.TURN_X,
        circuit_program.TURN_Y,
    ]


def test_conversion_refuses_what_it_does_not_know():
    circuit = QuantumCircuit(3)
    circuit.ccx(0, 1, 2)
    with pytest.raises(ValueError, match=r"`circuit`.*'ccx'"):
        from_qiskit(circuit)
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with pytest.raises(ValueError, match=r"`circuit`.*'measure'"):
        from_qiskit(circuit)
    a, b = Parameter("a"), Parameter("b")
    for angle in (a * a, a + b, a.sin()):
        circuit = QuantumCircuit(1)
        circuit.rx(angle, 0)
        with pytest.raises(ValueError, match=r"`circuit`.*affine in one parameter"):
            from_qiskit(circuit)
    circuit = QuantumCircuit(1)
    circuit.append(PauliEvolutionGate(SparsePauliOp(["X", "Z"]), 0.3), [0])
    with pytest.raises(ValueError, match=r"`circuit`.*commute"):
        from_qiskit(circuit)


# --- shots ------------------------------------------------------------------------------------------------------


def test_shots_follow_the_probabilities():
    random = np.random.default_rng(11)
    circuit = random_circuit(random, 5, 8)
    amplitudes = states(circuit, random.normal(size=(2, circuit.n_parameters)))
    shots = 200_000
    found = sample(amplitudes, shots, random)
    assert found.shape == (2, shots)
    for row, psi in zip(found, amplitudes, strict=True):
        expected = shots * np.abs(psi) ** 2
        counts = np.bincount(row, minlength=len(psi))
        common = expected > 5
        assert np.all(counts[expected < 1e-20] == 0)
        statistic = np.sum((counts - expected)[common] ** 2 / expected[common])
        freedom = common.sum() - 1
        assert abs(statistic - freedom) < 6 * np.sqrt(2 * freedom) + 10
        halves = np.abs(np.bincount(row[::2], minlength=len(psi)) - counts / 2)  # no trace of the sorting
        assert np.all(halves <= 5 * np.sqrt(counts / 4 + 1))


def test_shots_of_a_basis_state_are_certain():
    amplitudes = np.zeros((1, 1 << 10), dtype=complex)
    amplitudes[0, 700] = 1j
    assert np.all(sample(amplitudes, 100, np.random.default_rng(0)) == 700)
    assert sample(amplitudes, 0, np.random.default_rng(0)).shape == (1, 0)


# --- Trotter sweeps ---------------------------------------------------------------------------------------------


def sweep_operators():
    start = PauliSums.of([SparsePauliOp.from_sparse_list([("X", [k], -1.0) for k in range(4)], 4)])
    bonds = [("ZZ", [k, k + 1], -0.8) for k in range(3)]
    fields = [("X", [k], -0.3) for k in range(4)] + [("Y", [1], 0.4), ("XY", [0, 2], 0.5), ("XX", [1, 3], -0.2)]
    target = PauliSums.of(
        [SparsePauliOp.from_sparse_list([*bonds, *fields, ("I", [0], scale)], 4) for scale in (0.1, 0.9)]
    )
    return start, target


def ramp(s):
    return (1 - np.cos(np.pi * s)) / 2


def test_trotter_error_has_its_order():
    start, target = sweep_operators()
    begin, ends = dense_sums(start)[0], dense_sums(target)
    exact = np.full((2, 16), 0.25, dtype=complex)
    steps, root = 400, np.sqrt(3) / 6
    for k in range(steps):  # two exponentials at Gauss points, error O(dt^4), far below the Trotter errors
        early, late = (ramp((k + 0.5 + offset) / steps) for offset in (-root, root))
        for share in (0.25 + root, 0.25 - root):
            f = share * early + (0.5 - share) * late
            for b in range(2):
                exact[b] = expm(-2j / steps * ((0.5 - f) * begin + f * ends[b])) @ exact[b]
    for order in (1, 2, 4):
        errors = []
        for count in (10, 20, 40) if order == 4 else (20, 40, 80):
            circuit, angles = trotter_sweep(start, target, ramp, total_time=2.0, steps=count, order=order)
            errors.append(np.linalg.norm(states(circuit, angles) - exact, axis=1))
        slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
        np.testing.assert_allclose(slopes[-1], order, atol=0.12)


def test_slow_sweep_reaches_the_ground_state():
    n = 5
    start = PauliSums.of([SparsePauliOp.from_sparse_list([("X", [k], -1.0) for k in range(n)], n)])
    terms = [("ZZ", [k, k + 1], -0.5) for k in range(n - 1)] + [("X", [k], -1.0) for k in range(n)]
    target = PauliSums.of([SparsePauliOp.from_sparse_list(terms, n)])
    circuit, angles = trotter_sweep(start, target, ramp, total_time=40.0, steps=800)
    energy = expectations(states(circuit, angles), target)[0, 0]
    assert energy == pytest.approx(np.linalg.eigvalsh(dense_sums(target)[0])[0], abs=1e-4)


# --- wrong arguments --------------------------------------------------------------------------------------------


def test_wrong_arguments_are_named():
    circuit = Circuit.of(2, [rotations("X", [0, 1], free([0, 1]))])
    hamiltonians = PauliSums.of([SparsePauliOp("ZZ")])
    two, imaginary = (PauliSums(hamiltonians.strings, values) for values in (np.ones((2, 1)), 1j * np.ones((1, 1))))
    for call, name in (
        (lambda: states(circuit, np.zeros((2, 3))), "parameters"),
        (lambda: states(circuit, np.zeros(2)), "parameters"),
        (lambda: states(circuit, [[np.nan, 0.0]]), "parameters"),
        (lambda: states(circuit, np.zeros((1, 2)), start=np.zeros(3)), "start"),
        (lambda: states(circuit, np.zeros((3, 2)), start=np.zeros((2, 4))), "start"),
        (lambda: energy_and_gradient(circuit, np.zeros((1, 2)), PauliSums.of([SparsePauliOp("ZZZ")])), "hamiltonians"),
        (lambda: energy_and_gradient(circuit, np.zeros((1, 2)), two), "hamiltonians"),
        (lambda: energy_and_gradient(circuit, np.zeros((1, 2)), imaginary), "hamiltonians"),
        (lambda: expectations(np.zeros((1, 3), complex), hamiltonians), "amplitudes"),
        (lambda: sample(np.ones((1, 2), complex), -1, np.random.default_rng(0)), "shots"),
        (lambda: Circuit.of(1, [rotations("X", [1], free([0]))]), "layers"),
        (lambda: Circuit.of(0, []), "num_qubits"),
        (lambda: Circuit.of(1, [], start="minus"), "start"),
        (lambda: Circuit.of(1, [rotations("X", [0], free([3]))], n_parameters=2), "n_parameters"),
        (lambda: rotations("W", [0], free([0])), "letter"),
        (lambda: rotations("X", [0, 1], free([0])), "angles"),
        (lambda: diagonal([(0, 0)], free([0])), "qubits"),
        (lambda: controlled_x([(1, 1)]), "qubits"),
        (lambda: pauli_rotations([("XW", (0, 1))], free([0])), "strings"),
        (lambda: free([-1]), "index"),
        (lambda: fixed([np.inf]), "values"),
        (lambda: trotter_sweep(hamiltonians, hamiltonians, ramp, total_time=1.0, steps=0), "steps"),
        (lambda: trotter_sweep(hamiltonians, hamiltonians, ramp, total_time=1.0, steps=2, order=3), "order"),
        (lambda: trotter_sweep(hamiltonians, hamiltonians, lambda s: 1.0, total_time=1.0, steps=2), "ramp"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}`"):
            call()
