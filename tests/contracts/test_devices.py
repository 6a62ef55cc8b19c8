"""Every device keeps the contract of devices: found by looking, compared with dense states, its error bars tested."""

import sys
from pathlib import Path

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import PauliList, Statevector

sys.path.insert(0, str(Path(__file__).parents[1]))
from members import members
from oracles import dense_string

from qeqprop.interfaces import Measurement

DEVICES = members("devices")
EXACT = {"Statevector"}
MADE = {"Statevector with shots": DEVICES["Statevector"](shots=1000)}
MACHINE = GenericBackendV2(5, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], seed=3)
NEEDED = {"Backend": {"backend": MACHINE}, "IBM": {"machine": "ibm_kingston_8", "posts_per_minute": 1000}}
MADE |= {name: made(**NEEDED.get(name, {})) for name, made in DEVICES.items() if name not in EXACT}
SAMPLING = sorted(MADE)
REPLAYED = [name for name in SAMPLING if name != "Backend"]  # shots of a machine come once, of the stand-in again
WRAPPERS = {"Allocated", "ReadoutMitigated", "ZeroNoise"}
NOISY = {"Profile", "Backend", "IBM", "ReadoutMitigated", "ZeroNoise"}
pytestmark = pytest.mark.usefixtures("service")  # that IBM's client talks to
STRINGS = PauliList(["III", "IIZ", "ZZI", "XXI", "IXX", "IYZ", "YIX"])


def circuit_of(sites=3):
    """Two layers that entangle, with one angle used twice and a number as an angle."""
    angles = [Parameter(f"theta_{index:03d}") for index in range(4)]
    circuit = QuantumCircuit(sites)
    circuit.h(range(sites))
    for layer in range(2):
        for site in range(sites - 1):
            circuit.rzz(angles[2 * layer], site, site + 1)
        for site in range(sites):
            circuit.rx(2 * angles[2 * layer + 1], site)
    circuit.ry(0.3, 0)
    return circuit


def question(rows=3, seed=0, observables=2):
    random = np.random.default_rng(seed)
    parameters = random.normal(size=(rows, 4))
    weights = random.normal(size=(rows, observables, len(STRINGS)))
    return Measurement(circuit_of(), parameters, STRINGS, weights)


def dense_answer(measurement):
    """The observables by states of qiskit and matrices."""
    dense = np.stack([dense_string(label) for label in measurement.strings.to_labels()])
    answer = []
    for row, parameters in enumerate(measurement.parameters):
        state = Statevector(measurement.circuit.assign_parameters(parameters).decompose("PauliEvolution", reps=2)).data
        each = np.real(np.einsum("i,sij,j->s", state.conj(), dense, state))
        answer.append(measurement.weights[row % len(measurement.weights)] @ each)
    return np.array(answer)


def test_the_family_is_found():
    assert set(DEVICES) >= {"Aer", "Statevector"}
    for name, device in MADE.items():
        assert device.name
        assert device.reads_states is False, name
    assert DEVICES["Statevector"]().reads_states is True


def test_the_exact_device_is_exact_and_counts_no_shots():
    measurement = question()
    answer = DEVICES["Statevector"]().run(measurement, shots=None, key=(1,))
    np.testing.assert_allclose(answer.expectations.values, dense_answer(measurement), atol=1e-12)
    assert np.all(answer.expectations.std_errors == 0)
    assert answer.shots == 0


@pytest.mark.parametrize("name", SAMPLING)
def test_devices_answer_within_their_errors(name):
    measurement = question()
    answer = MADE[name].run(measurement, shots=4000, key=(3, 1))
    found = answer.expectations
    assert found.values.shape == found.std_errors.shape == (3, 2)
    assert np.all(found.std_errors > 0)
    slack = 0.3 if name in NOISY else 0.0
    assert np.all(np.abs(found.values - dense_answer(measurement)) < 5 * found.std_errors + slack)
    assert answer.shots >= 3 * 4000 * 4  # four bases: Z, XX, YZ, YX
    assert (answer.canary is not None) or name not in NOISY


@pytest.mark.parametrize("name", SAMPLING)
def test_shots_are_counted(name):
    strings = PauliList(["IIZ", "IXX"])
    measurement = Measurement(circuit_of(), np.zeros((5, 4)), strings, np.ones((1, 1, 2)))
    answer = MADE[name].run(measurement, shots=50, key=(0,))
    assert answer.shots == 5 * 2 * 50 + (50 if answer.canary is not None else 0) or name in WRAPPERS
    assert answer.shots >= 5 * 2 * 50
    nothing = Measurement(circuit_of(), np.zeros((2, 4)), PauliList(["III", "ZZZ"]), np.array([[[2.0, 0.0]]]))
    answer = MADE[name].run(nothing, shots=50, key=(0,))
    np.testing.assert_array_equal(answer.expectations.values, 2.0)
    assert answer.shots == 0


@pytest.mark.parametrize("name", SAMPLING)
def test_error_bars_are_right_and_equal_circuits_have_errors_of_their_own(name):
    """The same circuit 500 times in one job: the spread of the answers is what each says of itself.

    What noise makes of the expectation is the mean of all answers, as good as any reference. A machine's shots have no
    seed: twice as many keep its variance within the limits.
    """
    rows = 500 if name in REPLAYED else 1000
    parameters = np.tile(np.random.default_rng(2).normal(size=(1, 4)), (rows, 1))
    weights = np.array([[[0, 0.4, 1.0, 0, 0, 0, 0], [0, 0.5, 0.3, 0.7, 0.2, 0, 0]]])
    measurement = Measurement(circuit_of(), parameters, STRINGS, weights)
    found = MADE[name].run(measurement, shots=100, key=(5,)).expectations
    wanted = dense_answer(Measurement(circuit_of(), parameters[:1], STRINGS, weights))
    if name in NOISY:
        wanted = np.mean(found.values, axis=0)
    residual = (found.values - wanted) / found.std_errors
    variance = np.mean(residual**2, axis=0)
    assert np.all((variance > 0.8) & (variance < 1.25)), variance
    neighbours = np.mean(residual[:-1] * residual[1:], axis=0)
    assert np.all(np.abs(neighbours) < 5 / np.sqrt(rows))
    halves = np.mean(residual[: rows // 2] * residual[rows // 2 :], axis=0)
    assert np.all(np.abs(halves) < 5 / np.sqrt(rows / 2))


@pytest.mark.parametrize("name", [name for name in SAMPLING if name not in NOISY])
def test_bases_of_one_row_have_errors_of_their_own(name):
    """XX and ZZ of unentangled spins in |+0>: both are coins, thrown apart."""
    circuit = QuantumCircuit(2)
    circuit.rx(Parameter("theta_000"), 0)
    circuit.h(0)
    circuit.h(1)
    circuit.rz(0.7, [0, 1])
    circuit.rx(0.9, [0, 1])
    strings, weights = PauliList(["IX", "IZ"]), np.eye(2)[None]
    measurement = Measurement(circuit, np.zeros((500, 1)), strings, weights)
    found = MADE[name].run(measurement, shots=20, key=(8,)).expectations.values
    assert abs(np.corrcoef(found.T)[0, 1]) < 4 / np.sqrt(500)


@pytest.mark.parametrize("name", [name for name in SAMPLING if name not in NOISY])
def test_eigenstates_have_no_error(name):
    circuit = QuantumCircuit(2)
    circuit.rx(Parameter("theta_000"), 0)
    circuit.h(1)
    measurement = Measurement(circuit, np.array([[np.pi], [0.0]]), PauliList(["IZ", "XI"]), np.array([[[0.3, 0.7]]]))
    found = MADE[name].run(measurement, shots=30, key=(1,)).expectations
    np.testing.assert_allclose(found.values[:, 0], [0.4, 1.0], atol=1e-12)
    np.testing.assert_array_equal(found.std_errors, 0.0)


@pytest.mark.parametrize("name", REPLAYED)
def test_the_key_names_the_bits(name):
    measurement, device = question(), MADE[name]
    first, again, other = (device.run(measurement, shots=100, key=(4, 2, call)) for call in (0, 0, 1))
    np.testing.assert_array_equal(first.expectations.values, again.expectations.values)
    np.testing.assert_array_equal(first.expectations.std_errors, again.expectations.std_errors)
    assert np.all(first.expectations.values != other.expectations.values)


@pytest.mark.parametrize("name", SAMPLING)
def test_bad_questions_are_refused(name):
    circuit, weights, bad = circuit_of(), np.ones((1, 1, len(STRINGS))), np.zeros((2, 4))
    bad[1, 2] = np.nan
    with pytest.raises(ValueError, match="`parameters` must be finite"):
        MADE[name].run(Measurement(circuit, bad, STRINGS, weights), shots=10, key=())
    with pytest.raises(ValueError, match="`strings` must act on the 3 qubits"):
        MADE[name].run(Measurement(circuit, np.zeros((2, 4)), PauliList(["ZZ"]), np.ones((1, 1, 1))), shots=10, key=())
    with pytest.raises(ValueError, match="`shots` must be an integer at least 2"):
        MADE[name].run(question(), shots=1, key=())


def test_circuits_without_parameters_are_measured_in_every_row():
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    measurement = Measurement(circuit, np.zeros((3, 0)), PauliList(["IZ", "XI"]), np.ones((1, 2, 2)))
    for name in SAMPLING:
        found = MADE[name].run(measurement, shots=40, key=(2,)).expectations.values
        assert found.shape == (3, 2)
        assert len(set(found[:, 0])) > 1


def test_a_gate_that_a_transpiler_spells_out():
    """A string of three letters is a `PauliEvolutionGate`."""
    from qiskit.circuit.library import PauliEvolutionGate
    from qiskit.quantum_info import SparsePauliOp

    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    circuit.append(PauliEvolutionGate(SparsePauliOp("ZXZ"), time=Parameter("theta_000")), range(3))
    operator = SparsePauliOp(["ZYX"])
    measurement = Measurement(circuit, np.array([[0.4]]), operator.paulis, np.ones((1, 1, 1)))
    wanted = dense_answer(measurement)
    for name in SAMPLING:
        found = MADE[name].run(measurement, shots=2000, key=(2,)).expectations
        assert abs(found.values[0, 0] - wanted[0, 0]) < 5 * found.std_errors[0, 0] + (0.3 if name in NOISY else 0)
