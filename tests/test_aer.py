"""Aer with noise against density matrices, its canary, and shots that differ between bases."""

import numpy as np
import pytest
from oracles import dense_string
from qiskit import transpile
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import DensityMatrix, PauliList
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from qeqprop.counts import Readout, estimate
from qeqprop.devices.aer import Aer
from qeqprop.engine.bases import needed_bases
from qeqprop.interfaces import Measurement

STRINGS = PauliList(["IIZ", "ZZI", "XXI", "IYX"])


def circuit_of():
    circuit = QuantumCircuit(3)
    circuit.ry(Parameter("theta_000"), range(3))
    for site in (0, 1):
        circuit.rzz(Parameter(f"theta_00{site + 1}"), site, site + 1)
    circuit.rx(0.8, range(3))
    return circuit


def noise_of(flip=0.02, gate=0.03):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(gate, 2), ["cx"])
    if flip:
        noise.add_all_qubit_readout_error(ReadoutError([[1 - flip, flip], [2 * flip, 1 - 2 * flip]]))
    return noise


def measurement_of(rows=2, repeat=1):
    parameters = np.repeat(np.random.default_rng(1).normal(size=(rows, 3)), repeat, axis=0)
    return Measurement(circuit_of(), parameters, STRINGS, np.array([[[1.0, 0.5, 0, 0], [0.2, 0.3, 0.4, 0.6]]]))


def noisy_answer(measurement, gate):
    """Every CNOT followed by ``rho -> (1 - gate) rho + gate Tr_ab[rho] x 1/4`` on its two qubits."""
    answer = []
    pairs = [(a, b) for a in "IXYZ" for b in "IXYZ"]
    for row in measurement.parameters:
        circuit = transpile(
            measurement.circuit.assign_parameters(row), basis_gates=["cx", "rx", "ry", "rz"], optimization_level=0
        )
        state = DensityMatrix.from_int(0, 8)
        for step in circuit.data:
            qubits = [circuit.find_bit(qubit).index for qubit in step.qubits]
            state = state.evolve(step.operation, qubits)
            if step.operation.name == "cx":
                twirled = 0
                for a, b in pairs:
                    label = ["I"] * 3
                    label[qubits[0]], label[qubits[1]] = a, b
                    pauli = dense_string("".join(reversed(label)))
                    twirled = twirled + pauli @ state.data @ pauli / 16
                state = DensityMatrix((1 - gate) * state.data + gate * twirled)
        each = [np.real(np.trace(dense_string(label) @ state.data)) for label in measurement.strings.to_labels()]
        answer.append(measurement.weights[0] @ each)
    return np.array(answer)


@pytest.mark.parametrize("method", ["automatic", "statevector"])
def test_gate_noise_is_that_of_density_matrices(method):
    measurement = measurement_of()
    device = Aer(method=method, noise=noise_of(flip=0, gate=0.2))
    found = device.run(measurement, shots=4000, key=(1,)).expectations
    wanted = noisy_answer(measurement, 0.2)
    assert np.all(np.abs(found.values - wanted) < 5 * found.std_errors)
    ideal = Aer().run(measurement, shots=4000, key=(1,)).expectations
    assert np.max(np.abs(ideal.values - wanted) / ideal.std_errors) > 8


def test_a_noisy_job_shows_its_noise_by_a_canary_and_counts_its_shots():
    measurement = measurement_of()
    quiet = Aer().run(measurement, shots=500, key=(2,))
    noisy = Aer(noise=noise_of()).run(measurement, shots=500, key=(2,))
    assert quiet.canary is None
    assert noisy.canary.ideal == 1.0
    assert noisy.canary.value < 1 - 5 * noisy.canary.std_error
    assert noisy.shots == quiet.shots + 500
    silent = Aer(noise=noise_of(flip=0, gate=0.0)).run(measurement, shots=500, key=(2,))
    assert silent.canary.value == 1.0
    assert silent.canary.std_error == 0.0


def test_error_bars_hold_with_noise():
    measurement = measurement_of(rows=1, repeat=500)
    found = Aer(noise=noise_of()).run(measurement, shots=60, key=(3,)).expectations
    wanted = Aer(noise=noise_of()).run(measurement_of(rows=1), shots=200_000, key=(4,)).expectations
    residual = (found.values - wanted.values) / found.std_errors
    assert np.all((np.mean(residual**2, axis=0) > 0.8) & (np.mean(residual**2, axis=0) < 1.25))
    assert np.all(np.abs(np.mean(residual[:-1] * residual[1:], axis=0)) < 4 / np.sqrt(499))


def test_bases_may_have_shots_of_their_own():
    measurement = measurement_of()
    bases = needed_bases(measurement.strings, measurement.weights)
    assert len(bases) == 3
    readings = Aer().read(measurement.circuit, Readout(measurement.parameters, bases, [100, 4000, 100], (5,)))
    assert [rows.shape for rows in readings.outcomes] == [(2, 100), (2, 4000), (2, 100)]
    assert readings.shots == 2 * 4200
    assert not np.array_equal(readings.outcomes[0], readings.outcomes[2])
    ideal = Aer().run(measurement, shots=20000, key=(6,)).expectations
    found = estimate(readings, measurement)
    assert np.all(np.abs(found.values - ideal.values) < 5 * np.hypot(found.std_errors, ideal.std_errors))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Aer(noise="much"), "`noise` must be a qiskit_aer.noise.NoiseModel or None, but is a str"),
        (lambda: Aer(shots=1), "`shots` must be an integer at least 2"),
        (lambda: Aer(shots=None), "`shots` must be an integer at least 2, but is None: .* Exact values come from Stat"),
        (lambda: Aer(method="exact"), "`method` must be"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_circuits_that_measure_on_their_way_are_refused_with_noise():
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    measurement = Measurement(circuit, np.zeros((1, 0)), PauliList(["IZ"]), np.ones((1, 1, 1)))
    noise = NoiseModel.from_backend(GenericBackendV2(5, seed=1))
    with pytest.raises(ValueError, match="`circuit` must not measure on this device"):
        Aer(noise=noise).run(measurement, shots=10, key=(1,))


def test_the_noise_of_a_backend_is_taken_with_the_gates_it_knows():
    noise = NoiseModel.from_backend(GenericBackendV2(5, seed=1))
    answer = Aer(noise=noise).run(measurement_of(), shots=2000, key=(7,))
    assert 0.9 < answer.canary.value < 1 - 3 * answer.canary.std_error
