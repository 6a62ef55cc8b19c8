"""Mitigated devices: the bias is gone, the error bars are right, the shots are counted."""

from dataclasses import replace

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import PauliList, Statevector

from qeqprop.calibrated_backend import CalibratedBackend
from qeqprop.calibration import GateCalibration, to_text
from qeqprop.devices.aer import Aer
from qeqprop.devices.allocated import Allocated
from qeqprop.devices.backend import Backend
from qeqprop.devices.primitive import Primitive
from qeqprop.devices.profile import Profile
from qeqprop.devices.readout_mitigated import ReadoutMitigated, site_values
from qeqprop.devices.zero_noise import ZeroNoise, extrapolation
from qeqprop.interfaces import Measurement
from qeqprop.noisy_machine import noisy_states, probabilities
from qeqprop.placement import folded

STRINGS = PauliList(["IIZ", "ZZI", "XXX", "IXI", "ZZZ"])
WEIGHTS = np.vstack([np.eye(5), [[0.5, -0.3, 0.8, 0.4, 0.6]]])[None]
FLIPPED = np.array([[0.02, 0.05], [0.23, 0.11], [0.01, 0.08]])


def circuit_of(layers=1):
    angles = [Parameter(f"theta_{index:03d}") for index in range(2 * layers)]
    circuit = QuantumCircuit(3)
    circuit.h(range(3))
    for layer in range(layers):
        circuit.rzz(angles[2 * layer], 0, 1)
        circuit.rzz(angles[2 * layer], 1, 2)
        circuit.rx(angles[2 * layer + 1], range(3))
        circuit.ry(0.3, 0)
    return circuit


def question(rows, layers=1):
    point = np.random.default_rng(1).normal(size=(1, 2 * layers))
    return Measurement(circuit_of(layers), np.tile(point, (rows, 1)), STRINGS, WEIGHTS)


def ideal(measurement):
    state = Statevector(measurement.circuit.assign_parameters(measurement.parameters[0]))
    each = np.array([np.real(state.expectation_value(string)) for string in STRINGS])
    return WEIGHTS[0] @ each


def bad_reader(shots=200):
    """Perfect gates, and a readout that errs a lot, by different amounts for 0 and 1."""
    from qiskit_aer.noise import NoiseModel, ReadoutError

    model = NoiseModel(basis_gates=["rz", "sx", "x", "cz"])
    for site, (a, b) in enumerate(FLIPPED):
        model.add_readout_error(ReadoutError([[1 - a, a], [b, 1 - b]]), [site])
    return Aer(noise=model, shots=shots)


def test_a_mitigated_readout_is_unbiased_and_its_error_bars_are_right():
    measurement = question(500)
    wanted, device = ideal(measurement), bad_reader()
    raw = device.run(measurement, shots=None, key=(3,)).expectations
    bias = np.mean(raw.values, axis=0) - wanted
    assert np.max(np.abs(bias)) > 0.1  # there is something to take out
    answer = ReadoutMitigated(device, calibration_shots=200_000).run(measurement, shots=None, key=(3,))
    found = answer.expectations
    residual = (found.values - wanted) / found.std_errors
    variance = np.mean(residual**2, axis=0)
    assert np.all((variance > 0.8) & (variance < 1.25)), variance
    assert np.all(np.abs(np.mean(residual, axis=0)) < 5 / np.sqrt(500))
    assert np.all(np.mean(found.std_errors, axis=0)[:5] > np.mean(raw.std_errors, axis=0)[:5])  # it has its price
    assert answer.shots == 500 * 2 * 200 + 200 + 2 * 200_000
    assert answer.canary.value < 0.9


def test_the_worth_of_a_bit_is_the_inverse_of_the_confusion():
    for (a, b), worth in zip(FLIPPED, site_values(FLIPPED), strict=True):
        np.testing.assert_allclose(np.array([[1 - a, a], [b, 1 - b]]) @ worth, [1, -1], atol=1e-14)
    np.testing.assert_array_equal(site_values(np.zeros((2, 2))), [[1, -1], [1, -1]])
    with pytest.raises(RuntimeError, match="Site 1 is read wrongly too often"):
        site_values(np.array([[0.0, 0.0], [0.5, 0.48]]))


def test_mitigation_wraps_what_places_circuits_and_once():
    with pytest.raises(ValueError, match="`device` must be a device that places circuits"):
        ReadoutMitigated(Allocated())
    with pytest.raises(ValueError, match="must not have its readout mitigated already"):
        ReadoutMitigated(ReadoutMitigated())
    assert Allocated(ReadoutMitigated()).run(question(2), shots=100, key=(1,)).shots > 40_000


@pytest.mark.parametrize("profile", ["kingston_8.toml", "sherbrooke_6.toml"])
def test_each_mitigation_comes_nearer_to_the_ideal_value(profile):
    measurement = question(1, layers=4)
    wanted = ideal(measurement)
    raw, read, both = (
        device.run(measurement, shots=80_000, key=(2,))
        for device in (
            Profile(profile),
            ReadoutMitigated(Profile(profile), calibration_shots=80_000),
            ZeroNoise(ReadoutMitigated(Profile(profile), calibration_shots=80_000), factors=(1, 3)),
        )
    )
    far, nearer, nearest = (np.linalg.norm(each.expectations.values[0] - wanted) for each in (raw, read, both))
    assert nearer < 0.8 * far
    assert nearest < 0.5 * nearer
    assert raw.canary.value < read.canary.value + 0.02


@pytest.mark.parametrize("kind", ["backend", "sampler"])
def test_machines_of_others_are_mitigated_as_well(kind):
    """The same calibration, reached as a backend and through a sampler of qiskit."""
    from qiskit.primitives import BackendSamplerV2

    backend = CalibratedBackend(Profile("sherbrooke_6.toml").calibration)
    device = Backend(backend) if kind == "backend" else Primitive(BackendSamplerV2(backend=backend), backend=backend)
    measurement = question(1, layers=3)
    wanted = ideal(measurement)
    raw = device.run(measurement, shots=40_000, key=(1,))
    both = ZeroNoise(ReadoutMitigated(device), factors=(1, 3)).run(measurement, shots=40_000, key=(1,))
    far, near = (np.linalg.norm(each.expectations.values[0] - wanted) for each in (raw, both))
    assert near < 0.4 * far
    assert both.shots == 2 * (2 * 40_000 + 2 * 10_000) + 40_000


def test_extrapolated_error_bars_are_right():
    """The mean of 500 answers is taken for the limit, which a polynomial of low degree misses by a little."""
    measurement = question(500, layers=2)
    answer = ZeroNoise(Profile("sherbrooke_6.toml"), factors=(1, 3)).run(measurement, shots=400, key=(4,))
    found = answer.expectations
    residual = (found.values - np.mean(found.values, axis=0)) / found.std_errors
    variance = np.mean(residual**2, axis=0)
    assert np.all((variance > 0.8) & (variance < 1.25)), variance
    assert answer.shots == 500 * 2 * 400 * 2 + 400
    assert answer.canary is not None


def test_the_bias_that_is_left_falls_with_the_power_of_the_noise(tmp_path):
    """Without shots: half the noise leaves half the error, and a quarter of it after an extrapolation.

    This is so for depolarising noise, which commutes with its gate; relaxation does not and is multiplied less exactly.
    Degree 2 leaves less but not a higher power: folding exchanges the order of two errors, so their commutator stays.
    """
    whole, circuit, parameters = Profile("boston_8.toml").calibration, circuit_of(2), np.array([[0.4, 0.9, -0.7, 0.3]])
    state = Statevector(circuit.assign_parameters(parameters[0]))
    wanted = np.real(state.expectation_value(PauliList(["ZZI"])[0]))
    signs = 1.0 - 2.0 * (np.bitwise_count(np.arange(8) & 0b110) & 1)
    biases, never = [], np.full(whole.n_qubits, np.nan)
    for strength in (0.8, 0.4, 0.2):
        gates = {
            name: {where: GateCalibration(strength * error, time) for where, (error, time) in entries.items()}
            for name, entries in whole.gates.items()
        }
        weaker = replace(whole, t1=never, t2=never, gates=gates, readout=np.zeros_like(whole.readout))
        path = tmp_path / f"{strength}.toml"
        path.write_text(to_text(weaker))
        placed = Profile(str(path)).place(circuit)
        values = placed.values(parameters)
        folds = [folded(placed, factor) for factor in (1, 3, 5)]
        answers = [(probabilities(one, noisy_states(one, values), "ZZZ") @ signs)[0] for one in folds]
        estimates = [answers[0], extrapolation((1, 3, 5), 1) @ answers, extrapolation((1, 3, 5), 2) @ answers]
        biases.append(np.abs(np.array(estimates) - wanted))
    orders = np.log2(biases[1] / biases[2])
    np.testing.assert_allclose(orders[:2], [1, 2], atol=0.05)
    assert orders[2] > 1.9
    assert np.all(np.diff(np.log(biases[1])) < -1.5)


@pytest.mark.parametrize("factors", [(1, 3), (1, 3, 5), (1, 3, 5, 9)])
def test_polynomials_are_extrapolated_exactly(factors):
    for degree in range(1, len(factors)):
        weights = extrapolation(factors, degree)
        for power in range(degree + 1):
            assert weights @ np.array(factors, dtype=float) ** power == pytest.approx(float(power == 0), abs=1e-9)
    np.testing.assert_allclose(extrapolation((1, 3), 1), [1.5, -0.5])
    assert np.sum(extrapolation((1, 3, 5), 1) ** 2) == pytest.approx(35 / 24)


@pytest.mark.parametrize("factors", [(1,), (1, 2), (3, 5), (1, 3, 3), (3, 1), (), (1.5, 3)])
def test_wrong_factors_are_refused(factors):
    with pytest.raises(ValueError, match="`factors` must be odd numbers from 1 upwards"):
        ZeroNoise(factors=factors)


def test_too_high_a_degree_is_refused():
    with pytest.raises(ValueError, match="`degree` must be below the number of factors, 3"):
        ZeroNoise(degree=3)
    with pytest.raises(ValueError, match="`device` must be a device that places circuits"):
        ZeroNoise(Allocated())
