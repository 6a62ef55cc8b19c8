"""The machine of a stored calibration: placed well, noisy as calibrated, and saying so."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import DensityMatrix, Operator, Pauli, PauliList

from qeqprop import pauli_transfer
from qeqprop.calibrated_backend import CalibratedBackend
from qeqprop.calibrated_noise import confusion, gate_noise, relaxation
from qeqprop.counts import Readout
from qeqprop.devices.profile import Profile
from qeqprop.engine.bases import measurement_bases
from qeqprop.fractional_gates import bounded
from qeqprop.interfaces import Measurement
from qeqprop.noisy_machine import noisy_states
from qeqprop.placement import folded, prepared, there_and_back

PROFILES = ["berlin_9.toml", "boston_8.toml", "kingston_8.toml", "sherbrooke_6.toml", "torino_8.toml"]


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
    placed, cut = device.place(circuit), device.calibration.cut(device.qubits(circuit))
    native = placed.circuit.assign_parameters(placed.values(parameters[None])[0])
    state = DensityMatrix(QuantumCircuit(circuit.num_qubits))
    steps = [(step.operation, [native.find_bit(bit).index for bit in step.qubits]) for step in native.data]
    ending = QuantumCircuit(circuit.num_qubits)
    for site, letter in zip(placed.sites, letters, strict=True):
        if letter == "X":
            ending.h(site)
    ending = placed.in_place(ending)
    steps += [(step.operation, [ending.find_bit(bit).index for bit in step.qubits]) for step in ending.data]
    for operation, qubits in steps:
        if operation.name == "delay":
            time = operation.duration * cut.dt
            state = state.evolve(relaxation(cut.t1[qubits[0]], cut.t2[qubits[0]], time), qubits)
        elif operation.name != "barrier":
            state = state.evolve(operation, qubits)
            state = state.evolve(gate_noise(cut, operation.name, tuple(qubits)), qubits)
    read = np.real(np.diag(state.data)).reshape([2] * circuit.num_qubits)  # the last qubit is the first axis
    for site, qubit in enumerate(placed.sites):
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
    device, circuit = Profile("kingston_8.toml"), shared_angles(6)
    placed, again = device.place(circuit), device.place(shared_angles(6))
    assert 1 not in device.qubits(circuit)
    assert placed.circuit.num_qubits == 6
    assert set(placed.circuit.count_ops()) <= {"cz", "sx", "x", "rz", "delay", "barrier"}
    assert placed.circuit.count_ops()["cz"] == 2 * 2 * 5  # two for each rzz: nothing was swapped
    assert again.circuit.count_ops() == placed.circuit.count_ops()


def test_a_circuit_is_translated_once():
    circuit = shared_angles(3)
    assert Profile().place(circuit) is Profile(shots=50).place(circuit)


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
    assert device.place(circuit).circuit.count_ops()["cz"] > 0  # of swaps alone: rzz(pi) is local
    np.testing.assert_allclose(found, [[1, 1, -1, 1], [-1, 1, -1, 1]], atol=0.25)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"`profile` must name a file here or in hardware_profiles/.*kingston_8\.toml"):
        Profile("kingstn_8.toml")
    with pytest.raises(ValueError, match="7 connected qubits"):
        Profile("sherbrooke_6.toml").place(shared_angles(7))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_folded_circuit_does_the_same_with_three_times_the_gates(profile):
    """Counted: nothing was put together again; and the inverse costs no more gates than the body."""
    device, circuit = Profile(profile), shared_angles(4)
    placed = device.place(circuit)
    values = placed.values(np.array([[0.4, 0.9, -0.7, 0.3]]))[0]
    long = folded(placed, 3)
    once, thrice = placed.circuit.count_ops(), long.circuit.count_ops()
    for gate in ("cz", "ecr", "sx", "x"):
        assert thrice.get(gate, 0) == 3 * once.get(gate, 0)
    first, second = (Operator(bound(one, values)) for one in (placed, long))
    assert first.equiv(second)
    assert folded(placed, 1).circuit == placed.circuit


def bound(placed, values):
    circuit = placed.circuit.assign_parameters(values)
    kept = QuantumCircuit(circuit.num_qubits)
    for step in circuit.data:
        if step.operation.name not in ("delay", "barrier"):
            kept.append(step.operation, [circuit.find_bit(bit).index for bit in step.qubits])
    return kept


def test_prepared_states_show_the_readout_alone():
    device, circuit = Profile("kingston_8.toml"), shared_angles(6)
    placed, cut = device.place(circuit), device.calibration.cut(device.qubits(circuit))
    basis = measurement_bases(PauliList(["I" * (5 - site) + "Z" + "I" * site for site in range(6)]))
    for bit in (0, 1):
        asked = Readout(np.zeros((1, 0)), basis, 20_000, (3, bit), canary=False)
        readings = device.read_placed(prepared(placed, bit), asked)
        assert readings.shots == 20_000
        assert readings.canary is None
        for site in range(6):
            wrong = np.mean((readings.outcomes[0] >> site & 1) != bit)
            error = cut.readout[site, bit]
            assert abs(wrong - error) < 5 * np.sqrt(error / 20_000) + bit * 1e-3  # the gate x errs as well


def wild_circuit(sites=3):
    """Angles of all kinds about ZZ: shared, scaled, constant, large and negative."""
    angles = [Parameter(f"theta_{index:03d}") for index in range(4)]
    circuit = QuantumCircuit(sites)
    circuit.h(range(sites))
    circuit.rzz(-2 * angles[0] + 0.3, 0, 1)
    circuit.rzz(angles[1] - angles[0], 1, 2)
    circuit.rx(angles[2], range(sites))
    circuit.rzz(-0.4, 0, 1)
    circuit.rzz(angles[3], 2, 1)
    circuit.ry(angles[2], 0)
    return circuit


def test_rotations_about_zz_stay_in_their_bounds_at_any_angle():
    circuit = wild_circuit()
    parameters = np.random.default_rng(3).uniform(-12, 12, size=(20, 4))
    within = bounded(circuit)
    values = within.values(parameters)
    for row, point in zip(parameters, values, strict=True):
        one = within.circuit.assign_parameters(point)
        sizes = [float(step.operation.params[0]) for step in one.data if step.operation.name == "rzz"]
        assert len(sizes) == 4
        assert all(0 <= size <= np.pi / 2 for size in sizes)
        assert Operator(one).equiv(Operator(circuit.assign_parameters(row)))


def test_an_angle_that_is_not_linear_is_refused():
    angle = Parameter("theta_000")
    circuit = QuantumCircuit(2)
    circuit.rzz(angle * angle, 0, 1)
    with pytest.raises(ValueError, match="angles that are linear in its parameters"):
        bounded(circuit)


def test_fractional_gates_halve_the_gates_and_follow_their_own_calibration():
    circuit, device = wild_circuit(), Profile("kingston_8.toml", fractional=True)
    parameters = np.array([0.4, -2.9, -7.7, 5.3])
    placed = device.place(circuit)
    assert placed.circuit.count_ops()["rzz"] == 4
    assert "cz" not in placed.circuit.count_ops()
    values = placed.values(parameters[None])[0]
    for path in (placed.circuit, there_and_back(placed)):
        for step in path.assign_parameters(values).data:
            assert step.operation.name != "rzz" or 0 <= float(step.operation.params[0]) <= np.pi / 2
    again = bound(placed, values)
    assert Operator(again).equiv(Operator(circuit.assign_parameters(parameters)))
    strings = PauliList(["IIZ", "ZZI", "IXX"])
    measurement = Measurement(circuit, parameters[None], strings, np.eye(3)[None])
    found = device.run(measurement, shots=40_000, key=(1, 2)).expectations
    for letters, columns in (("ZZZ", (0, 1)), ("XXX", (2,))):
        likely = noisy_probabilities(device, circuit, parameters, letters)
        for column in columns:
            mask = int(strings.z[column] @ [1, 2, 4]) | int(strings.x[column] @ [1, 2, 4])
            wanted = (1.0 - 2.0 * (np.bitwise_count(np.arange(8) & mask) & 1)) @ likely
            assert abs(found.values[0, column] - wanted) < 5 * found.std_errors[0, column]


def test_a_machine_without_fractional_gates_says_so():
    with pytest.raises(ValueError, match=r"`fractional` must be False: sherbrooke_6\.toml has no rotations"):
        Profile("sherbrooke_6.toml", fractional=True)


@pytest.mark.parametrize("settings", [{}, {"fractional": True}, {"profile": "sherbrooke_6.toml"}])
def test_states_are_those_of_aer_with_the_same_noise(settings):
    """Pauli vectors of many rows against Aer's density matrix of one, waiting qubits included; and the way back."""
    device, circuit = Profile(**settings), wild_circuit(4)
    parameters = np.random.default_rng(7).uniform(-4, 4, size=(3, 4))
    placed = device.place(circuit)
    values = placed.values(parameters)
    backend = CalibratedBackend(device.calibration.cut(device.qubits(circuit)))
    labels = ["".join(letters) for letters in product("IXYZ", repeat=4)]
    for path in (placed, replace(placed, circuit=there_and_back(placed))):
        found = noisy_states(path, values)
        for row in (0, 2):
            one = path.circuit.assign_parameters(values[row])
            one.save_density_matrix()
            state = DensityMatrix(backend.run(one).result().data()["density_matrix"])
            wanted = [np.real(state.expectation_value(Pauli(label))) for label in labels]
            np.testing.assert_allclose(found[row], wanted, atol=1e-12)


def test_many_rows_are_run_in_parts(monkeypatch):
    device, circuit = Profile("boston_8.toml"), shared_angles(3)
    placed = device.place(circuit)
    values = placed.values(np.random.default_rng(1).normal(size=(7, 4)))
    whole = noisy_states(placed, values)
    monkeypatch.setattr(pauli_transfer, "_ROOM", 2 * 4**3)
    np.testing.assert_allclose(noisy_states(placed, values), whole, atol=1e-14)
    np.testing.assert_allclose(whole[:, 0], 1.0, atol=1e-12)  # the trace


def test_too_many_sites_are_refused():
    circuit = QuantumCircuit(13)
    placed = replace(Profile().place(shared_angles(3)), circuit=circuit)
    with pytest.raises(ValueError, match="at most 12 qubits to be simulated with noise"):
        noisy_states(placed, np.zeros((1, 0)))
