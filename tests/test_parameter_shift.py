"""Gradients by shifts of a quarter turn, against the adjoint method and finite differences."""

import sys
from pathlib import Path

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import PauliList, SparsePauliOp
from qiskit.quantum_info import Statevector as QiskitStatevector

sys.path.insert(0, str(Path(__file__).parent))
from systems import random_network

from qeqprop.ansatze.hamiltonian_variational import hamiltonian_variational
from qeqprop.devices.statevector import Statevector
from qeqprop.engine.circuit_conversion import from_qiskit
from qeqprop.engine.circuits import energy_and_gradient
from qeqprop.interfaces import PauliSums
from qeqprop.measuring import BoundMeasure
from qeqprop.parameter_shift import shifted_gradient, unshared

STRINGS = random_network(8, sites=3).strings


def everything() -> QuantumCircuit:
    """Every gate that may hold a parameter, shared, scaled, offset and negative."""
    a, b, c, d = (Parameter(f"theta_{index:03d}") for index in range(4))
    circuit = QuantumCircuit(3, global_phase=a)
    circuit.h([0, 2])
    circuit.rx(a, 0)
    circuit.ry(2 * b + 0.3, 1)
    circuit.rz(-a, 2)
    circuit.rzz(c, 0, 2)
    circuit.rxx(b, 1, 2)
    circuit.cx(0, 1)
    circuit.ryy(0.7 * c - 1, 0, 1)
    circuit.rzx(d, 2, 0)
    circuit.p(b / 2, 2)
    circuit.rx(0.4, 1)
    circuit.append(PauliEvolutionGate(SparsePauliOp(["XYZ", "ZZI", "III"], [0.5, -0.3, 0.1]), time=d), [0, 1, 2])
    return circuit


def state(circuit: QuantumCircuit, parameters) -> QiskitStatevector:
    return QiskitStatevector(circuit.assign_parameters(parameters).decompose("PauliEvolution"))


@pytest.mark.parametrize(
    "circuit",
    [everything(), hamiltonian_variational(layers=2, tied=True)(STRINGS).circuit],
    ids=["everything", "tied"],
)
def test_shifts_are_the_gradient_of_the_adjoint_method(circuit):
    random = np.random.default_rng(0)
    points = random.normal(size=(3, circuit.num_parameters))
    energies = random.normal(size=(3, 2, len(STRINGS)))
    split = unshared(circuit)
    found, shots = shifted_gradient(BoundMeasure(Statevector()), split, points, STRINGS, energies)
    assert shots == 0
    assert found.values.shape == (3, 2, circuit.num_parameters)
    for observable in range(2):
        _, wanted = energy_and_gradient(from_qiskit(circuit), points, PauliSums(STRINGS, energies[:, observable]))
        np.testing.assert_allclose(found.values[:, observable], wanted, atol=1e-11)
    assert split.shifted(points, np.arange(2)).shape == (3 * 2 * 2, split.n_angles)


def test_shifts_are_the_gradient_of_finite_differences_of_qiskit():
    circuit = everything()
    operator = SparsePauliOp(STRINGS, np.random.default_rng(1).normal(size=len(STRINGS)))
    point = np.array([0.3, -1.1, 0.7, 2.0])

    def energy(parameters):
        return (
            QiskitStatevector(circuit.assign_parameters(parameters).decompose("PauliEvolution"))
            .expectation_value(operator)
            .real
        )

    step = 1e-5
    wanted = [(energy(point + step * unit) - energy(point - step * unit)) / (2 * step) for unit in np.eye(4)]
    weights = np.real(operator.coeffs)[None, None]
    found, _ = shifted_gradient(BoundMeasure(Statevector()), unshared(circuit), point[None], STRINGS, weights)
    np.testing.assert_allclose(found.values[0, 0], wanted, atol=1e-8)


def test_the_rewritten_circuit_prepares_the_same_state():
    circuit = everything()
    split = unshared(circuit)
    assert split.n_angles == 10
    point = np.array([[0.3, -1.1, 0.7, 2.0]])
    before = state(circuit, point[0])
    after = state(split.circuit, split.angles(point)[0])
    assert before.equiv(after)


def test_error_bars_of_shifted_gradients_are_right():
    """Over many repetitions the residual in units of its error has variance 1, for tied and scaled angles too."""
    circuit = everything()
    split, weights = unshared(circuit), np.random.default_rng(2).normal(size=(1, 1, len(STRINGS)))
    point = np.array([[0.3, -1.1, 0.7, 2.0]])
    wanted = np.array([3, 1])  # three angles each
    exact, _ = shifted_gradient(BoundMeasure(Statevector()), split, point, STRINGS, weights, wanted=wanted)
    measure, points = BoundMeasure(Statevector(shots=200), (5,)), np.repeat(point, 500, axis=0)
    found, shots = shifted_gradient(measure, split, points, STRINGS, weights, wanted=wanted)
    residuals = (found.values - exact.values) / found.std_errors
    np.testing.assert_allclose(np.var(residuals, axis=0), 1, atol=0.2)
    np.testing.assert_allclose(np.mean(residuals, axis=0), 0, atol=0.2)
    assert shots % (500 * 2 * 6 * 200) == 0  # every row and basis is counted


def test_a_circuit_without_parameters_has_no_gradient_and_costs_nothing():
    circuit = QuantumCircuit(1)
    circuit.h(0)
    found, shots = shifted_gradient(
        BoundMeasure(Statevector()), unshared(circuit), np.zeros((2, 0)), PauliList(["Z"]), np.ones((1, 1, 1))
    )
    assert found.values.shape == (2, 1, 0)
    assert shots == 0


def test_gates_whose_gradient_is_no_shift_are_refused():
    a, b = Parameter("a"), Parameter("b")
    controlled, product = QuantumCircuit(2), QuantumCircuit(1)
    controlled.crx(a, 0, 1)
    product.rx(a * b, 0)
    square = QuantumCircuit(1)
    square.rx(a * a, 0)
    with pytest.raises(ValueError, match="rotations about Pauli strings, but has one in 'crx'"):
        unshared(controlled)
    for circuit in (product, square):
        with pytest.raises(ValueError, match="angles that are affine in one parameter, but that of rx"):
            unshared(circuit)
    rotation = QuantumCircuit(2)
    rotation.append(PauliEvolutionGate(SparsePauliOp(["XI", "ZI"]), time=a), [0, 1])
    with pytest.raises(ValueError, match="but has one in 'PauliEvolution'"):
        unshared(rotation)
    with pytest.raises(ValueError, match="`parameters` must have shape"):
        shifted_gradient(
            BoundMeasure(Statevector()),
            unshared(everything()),
            np.zeros((1, 3)),
            STRINGS,
            np.ones((1, 1, len(STRINGS))),
        )
