"""Stored calibrations: what is in them comes out again, as text, as a target, and as noise."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qiskit import transpile
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import DensityMatrix, SuperOp, average_gate_fidelity, partial_trace

from qeqprop.calibrated_backend import CalibratedBackend, noise_model
from qeqprop.calibrated_noise import confusion, gate_noise, relaxation
from qeqprop.calibration import GateCalibration, from_text, to_text
from qeqprop.snapshots import profile_text, settings_of, snapshot

ROOT = Path(__file__).parents[1]
FILES = sorted(path.name for path in (ROOT / "hardware_profiles").glob("*.toml"))
PROFILES = [name for name in FILES if settings_of(profile_text(name)) is None]


def stored(name):
    return from_text((ROOT / "hardware_profiles" / name).read_text())


def one_qubit(**changes):
    """A calibration made by hand."""
    numbers = {"t1": 100e-6, "t2": 80e-6, "error": 1e-3, "duration": 30e-9} | changes
    base = stored("kingston_8.toml").cut([0])
    gates = {"sx": {(0,): GateCalibration(numbers["error"], numbers["duration"])}}
    return replace(base, t1=np.array([numbers["t1"]]), t2=np.array([numbers["t2"]]), gates=gates)


def test_the_profiles_that_ship():
    assert PROFILES == ["berlin_9.toml", "boston_8.toml", "kingston_8.toml", "sherbrooke_6.toml", "torino_8.toml"]


@pytest.mark.parametrize("name", PROFILES)
def test_text_and_back_loses_nothing(name):
    text = (ROOT / "hardware_profiles" / name).read_text()
    assert to_text(from_text(text)) == text
    calibration = stored(name)
    assert f"{calibration.n_qubits}.toml" in name
    assert np.all(calibration.t2 <= 2 * calibration.t1)
    assert calibration.date[:2] == "20"
    assert calibration.source


@pytest.mark.parametrize("name", PROFILES)
def test_noise_has_the_calibrated_error_of_every_gate(name):
    calibration = stored(name)
    for gate, entries in calibration.gates.items():
        for qubits, entry in entries.items():
            channel = gate_noise(calibration, gate, qubits)
            assert channel.is_cptp()
            assert 1 - average_gate_fidelity(channel) == pytest.approx(entry.error, abs=1e-12)


@pytest.mark.parametrize("name", PROFILES)
def test_the_model_of_aer_holds_those_channels_and_the_asymmetric_readout(name):
    from qiskit_aer import AerSimulator

    calibration = stored(name)
    edge = next(iter(calibration.gates["cz" if "cz" in calibration.gates else "ecr"]))
    gate = "cz" if "cz" in calibration.gates else "ecr"
    n_qubits = calibration.n_qubits
    circuit = QuantumCircuit(n_qubits)
    for qubit in edge:
        circuit.sx(qubit)
    getattr(circuit, gate)(*edge)
    ideal = DensityMatrix(QuantumCircuit(n_qubits))
    steps = QuantumCircuit(1)
    steps.sx(0)
    for qubit in edge:
        ideal = ideal.evolve(steps, [qubit]).evolve(gate_noise(calibration, "sx", (qubit,)), [qubit])
    pair = QuantumCircuit(2)
    getattr(pair, gate)(0, 1)
    expected = ideal.evolve(pair, list(edge)).evolve(gate_noise(calibration, gate, edge), list(edge))
    circuit.save_density_matrix()
    circuit.measure_all()
    simulator = AerSimulator(method="density_matrix", noise_model=noise_model(calibration))
    result = simulator.run(circuit, shots=40_000, seed_simulator=3).result()
    np.testing.assert_allclose(np.asarray(result.data()["density_matrix"]), expected.data, atol=1e-12)
    ones = np.array(
        [sum(n for bits, n in result.get_counts().items() if bits[::-1][q] == "1") for q in range(n_qubits)]
    )
    for qubit in range(n_qubits):
        true = float(np.real(expected.probabilities([qubit])[1]))
        wanted = np.array([1 - true, true]) @ confusion(calibration, qubit)[:, 1]
        assert ones[qubit] / 40_000 == pytest.approx(wanted, abs=5 * np.sqrt(wanted * (1 - wanted) / 40_000))


def test_qubits_that_wait_relax():
    """One qubit in |1> and one in |+> that wait as long as the other is measured."""
    calibration = stored("boston_8.toml").cut([2, 3])
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.sx(1)
    circuit.delay(500, [0, 1], unit="dt")
    circuit.save_density_matrix()
    backend = CalibratedBackend(calibration)
    found = DensityMatrix(backend.run(circuit).result().data()["density_matrix"])
    for qubit, gate in ((0, "x"), (1, "sx")):
        alone = QuantumCircuit(1)
        getattr(alone, gate)(0)
        wanted = DensityMatrix(alone).evolve(gate_noise(calibration, gate, (qubit,)))
        wanted = wanted.evolve(relaxation(calibration.t1[qubit], calibration.t2[qubit], 500 * calibration.dt))
        np.testing.assert_allclose(partial_trace(found, [1 - qubit]).data, wanted.data, atol=1e-12)
    assert copy.deepcopy(backend) is backend


def test_the_backend_serves_primitives():
    from qiskit.primitives import BackendSamplerV2

    backend = CalibratedBackend(stored("sherbrooke_6.toml"))
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    native = transpile(circuit, backend, optimization_level=2, seed_transpiler=1)
    counts = BackendSamplerV2(backend=backend).run([native], shots=2000).result()[0].data.meas.get_counts()
    assert 0.85 < (counts["00"] + counts["11"]) / 2000 < 0.995


def test_relaxation_is_that_of_aer():
    from qiskit_aer.noise import thermal_relaxation_error

    for t1, t2 in ((100e-6, 80e-6), (100e-6, 150e-6), (50e-6, 100e-6)):
        theirs = SuperOp(thermal_relaxation_error(t1, t2, 3e-6))
        np.testing.assert_allclose(relaxation(t1, t2, 3e-6).data, theirs.data, atol=1e-14)
    np.testing.assert_allclose(relaxation(np.nan, np.nan, 1.0).data, np.eye(4), atol=0)


def test_relaxation_that_is_worse_than_the_measured_error_is_shortened():
    calibration = one_qubit(t1=5e-6, t2=2e-6, error=1e-4, duration=1e-6)
    channel = gate_noise(calibration, "sx", (0,))
    assert 1 - average_gate_fidelity(relaxation(5e-6, 2e-6, 1e-6)) > 0.1
    assert 1 - average_gate_fidelity(channel) == pytest.approx(1e-4, abs=1e-12)
    assert channel.is_cptp()


def test_what_was_not_measured_is_ideal():
    calibration = one_qubit(t1=np.nan, t2=np.nan, error=np.nan, duration=np.nan)
    np.testing.assert_allclose(gate_noise(calibration, "sx", (0,)).data, np.eye(4), atol=0)
    unread = replace(calibration, readout=np.full((1, 2), np.nan))
    np.testing.assert_allclose(confusion(unread, 0), np.eye(2), atol=0)
    assert unread.target()["sx"][(0,)].error is None


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("fractional", [False, True])
def test_circuits_are_transpiled_to_the_target(name, fractional):
    calibration = stored(name)
    target = calibration.target(fractional=fractional)
    circuit = QuantumCircuit(4)
    for site in range(3):
        circuit.h(site)
        circuit.rzz(0.3, site, site + 1)
    circuit.measure_all()
    native = transpile(circuit, target=target, optimization_level=2, seed_transpiler=1)
    for instruction in native.data:
        if instruction.operation.name != "barrier":
            where = tuple(native.find_bit(qubit).index for qubit in instruction.qubits)
            assert target.instruction_supported(instruction.operation.name, where)
    assert ("rzz" in target.operation_names) == (fractional and ("boston" in name or "kingston" in name))


def test_a_cut_keeps_the_numbers_of_its_qubits():
    calibration = stored("kingston_8.toml")
    cut = calibration.cut([5, 4, 3])
    assert cut.physical == (5, 4, 3)
    assert cut.t1[0] == calibration.t1[5]
    assert cut.gates["cz"][(0, 1)] == calibration.gates["cz"][(5, 4)]
    assert set(cut.gates["cz"]) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    np.testing.assert_array_equal(cut.readout, calibration.readout[[5, 4, 3]])


def test_a_snapshot_of_a_backend_drops_broken_gates_and_clips_t2():
    """FakeFractionalBackend is small; its numbers are its makers' invention."""
    from qiskit_ibm_runtime.fake_provider import FakeFractionalBackend

    backend = FakeFractionalBackend()
    properties = backend.properties()
    calibration = snapshot(backend, [2, 1, 0])
    assert calibration.t1[0] == properties.t1(2)
    assert np.all(calibration.t2 <= 2 * calibration.t1)
    assert calibration.gates["sx"][(0,)].error == properties.gate_error("sx", 2)
    assert "rzz" in calibration.gates
    assert all(entry.error < 1 for entries in calibration.gates.values() for entry in entries.values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("t1 = 0.0003841605247741534", "t1 = -1.0", "`t1` must be greater than 0"),
        ("t2 = 0.00035384579281464774", "t2 = 0.001", "`t2` must be greater than 0 and at most 2 t1"),
        ("read_1_of_0 = 0.0029296875", "read_1_of_0 = 0.99", "`readout` must be probabilities"),
        ("[sx]", "[spin]", "`gates` must hold gates out of id"),
        ("0-1 = { error = 0.0011", "0-9 = { error = 0.0011", "on the right number of different qubits"),
        ("0-1 = { error = 0.0011", "0-1 = { error = 1.0011", "errors from 0 to below 1"),
        ("dt = 4e-09", "", "must have the key 'dt'"),
    ],
)
def test_wrong_numbers_are_refused(old, new, message):
    text = (ROOT / "hardware_profiles" / "kingston_8.toml").read_text()
    assert old in text
    with pytest.raises(ValueError, match=message):
        from_text(text.replace(old, new, 1))
