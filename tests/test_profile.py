"""The machine of a stored calibration: placed well, noisy as calibrated, and saying so."""

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import DensityMatrix, PauliList

from qeqprop.calibrated_noise import confusion, gate_noise, relaxation
from qeqprop.devices.profile import Profile
from qeqprop.interfaces import Measurement

PROFILES = ["boston_8.toml", "kingston_8.toml", "sherbrooke_6.toml"]


def shared_angles(sites, layers=2):
    angles = [Parameter(f"theta_{index:03d}") for index in range(2 * layers)]
    circuit = QuantumCircuit(sites)
    circuit.h(range(sites))
    for layer in range(layers):
        for site in range(sites - 1):
            circuit.rzz(angles[2 * layer], site, site + 1)
        circuit.rx(angles[2 * layer + 1], range(sites))
    return circuit


def noisy_probabilities(device, circuit, parameters, letters):
    """The oracle: the native circuit gate by gate on a density matrix, each gate followed by its channel."""
    machine = device.prepare(circuit)
    cut, native = machine.calibration, machine.placed.circuit
    native = native.assign_parameters(machine.placed.values(parameters[None])[0])
    state = DensityMatrix(QuantumCircuit(circuit.num_qubits))
    steps = [(step.operation, [native.find_bit(bit).index for bit in step.qubits]) for step in native.data]
    ending = QuantumCircuit(circuit.num_qubits)
    for site, letter in zip(machine.placed.sites, letters, strict=True):
        if letter == "X":
            ending.h(site)
    ending = machine.placed.in_place(ending)
    steps += [(step.operation, [ending.find_bit(bit).index for bit in step.qubits]) for step in ending.data]
    for operation, qubits in steps:
        if operation.name == "delay":
            time = operation.duration * cut.dt
            state = state.evolve(relaxation(cut.t1[qubits[0]], cut.t2[qubits[0]], time), qubits)
        elif operation.name != "barrier":
            state = state.evolve(operation, qubits)
            state = state.evolve(gate_noise(cut, operation.name, tuple(qubits)), qubits)
    read = np.real(np.diag(state.data)).reshape([2] * circuit.num_qubits)  # the last qubit is the first axis
    for site, qubit in enumerate(machine.placed.sites):
        read = np.moveaxis(np.tensordot(read, confusion(cut, qubit), axes=(-1 - qubit, 0)), -1, read.ndim - 1 - qubit)
        assert site == qubit
    return read.ravel()


@pytest.mark.parametrize("profile", PROFILES)
def test_outcomes_follow_the_calibrated_noise(profile):
    device, circuit = Profile(profile), shared_angles(3)
    parameters = np.array([0.4, 0.9, -0.7, 0.3])
    strings = PauliList(["IIZ", "ZZI", "XXX", "IXI"])
    measurement = Measurement(circuit, np.tile(parameters, (2, 1)), strings, np.eye(4)[None])
    found = device.run(measurement, shots=40_000, key=(1, 2)).expectations
    bits = np.arange(8)
    for letters, columns in (("ZZZ", (0, 1)), ("XXX", (2, 3))):
        probabilities = noisy_probabilities(device, circuit, parameters, letters)
        for column in columns:
            mask = int(strings.z[column] @ [1, 2, 4]) | int(strings.x[column] @ [1, 2, 4])
            wanted = (1.0 - 2.0 * (np.bitwise_count(bits & mask) & 1)) @ probabilities
            assert np.all(np.abs(found.values[:, column] - wanted) < 5 * found.std_errors[:, column])


@pytest.mark.parametrize("profile", PROFILES)
def test_the_canary_shows_the_noise(profile):
    circuit = shared_angles(4)
    measurement = Measurement(circuit, np.full((1, 4), 0.5), PauliList(["IIIZ"]), np.ones((1, 1, 1)))
    answer = Profile(profile).run(measurement, shots=4000, key=(1,))
    assert answer.canary.ideal == 1.0
    assert answer.canary.value < 1.0 - 10 * answer.canary.std_error
    assert answer.shots == 8000


def test_the_qubit_that_reads_badly_is_left_out():
    machine = Profile("kingston_8.toml").prepare(shared_angles(6))
    assert 1 not in machine.choice.qubits
    assert machine.placed.circuit.num_qubits == 6
    assert machine.choice.direct
    again = Profile("kingston_8.toml").prepare(shared_angles(6))
    assert again.choice.qubits == machine.choice.qubits
    assert again.placed.circuit.count_ops() == machine.placed.circuit.count_ops()


def test_a_circuit_is_translated_once():
    circuit = shared_angles(3)
    assert Profile().prepare(circuit) is Profile(shots=50).prepare(circuit)


def test_sites_that_had_to_be_swapped_are_read_where_they_are():
    """A ring on a line of qubits needs swaps: product states come out site by site."""
    circuit = QuantumCircuit(4)
    for site in range(4):
        circuit.rzz(np.pi, site, (site + 1) % 4)  # all together the identity, up to a phase
    circuit.rx(Parameter("theta_000"), 0)
    circuit.x(2)
    measurement = Measurement(
        circuit, np.array([[0.0], [np.pi]]), PauliList(["IIIZ", "IIZI", "IZII", "ZIII"]), np.eye(4)[None]
    )
    device = Profile("boston_8.toml")
    found = device.run(measurement, shots=2000, key=(1,)).expectations.values
    assert not device.prepare(circuit).choice.direct
    np.testing.assert_allclose(found, [[1, 1, -1, 1], [-1, 1, -1, 1]], atol=0.25)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"`profile` must name a file here or in hardware_profiles/.*kingston_8\.toml"):
        Profile("kingstn_8.toml")
    with pytest.raises(ValueError, match="7 connected qubits"):
        Profile("sherbrooke_6.toml").prepare(shared_angles(7))
