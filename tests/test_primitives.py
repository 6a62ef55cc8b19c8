"""Primitives and backends of others: placed circuits, honest errors, and what is refused."""

import numpy as np
import pytest
from oracles import dense_string
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.circuit.library import RZZGate
from qiskit.primitives import (
    BackendEstimatorV2,
    BackendSamplerV2,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import PauliList, Statevector
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2, SamplerV2

from qeqprop.counts import Readout
from qeqprop.devices.aer import Aer
from qeqprop.devices.backend import Backend
from qeqprop.devices.primitive import Primitive
from qeqprop.devices.profile import Profile
from qeqprop.engine.bases import measurement_bases
from qeqprop.interfaces import Measurement
from qeqprop.placement import check_supported, place_on, with_measurement
from qeqprop.remembering import once

STRINGS = PauliList(["III", "IIZ", "ZZI", "XXI", "IYX"])
LINE = [[0, 1], [1, 2], [2, 3], [3, 4]]


def circuit_of():
    """A triangle of bonds, so that a line needs swaps."""
    circuit = QuantumCircuit(3)
    circuit.ry(Parameter("theta_002"), range(3))
    for index, pair in enumerate([(0, 1), (1, 2), (0, 2)]):
        circuit.rzz(Parameter(f"theta_00{(0, 1, 3)[index]}"), *pair)
    circuit.rx(0.8, 1)
    return circuit


def measurement_of(rows=3, seed=1):
    random = np.random.default_rng(seed)
    return Measurement(
        circuit_of(), random.normal(size=(rows, 4)), STRINGS, random.normal(size=(rows, 2, len(STRINGS)))
    )


def answer_of(measurement):
    dense = np.stack([dense_string(label) for label in measurement.strings.to_labels()])
    states = [Statevector(measurement.circuit.assign_parameters(row)).data for row in measurement.parameters]
    each = np.array([np.real(np.einsum("i,sij,j->s", state.conj(), dense, state)) for state in states])
    return np.einsum("bos,bs->bo", measurement.weights, each)


def quiet_machine(seed=2):
    return GenericBackendV2(5, coupling_map=LINE, noise_info=False, seed=seed)


@pytest.mark.parametrize(
    "device",
    [
        Primitive(),
        Primitive(StatevectorSampler()),
        Primitive(StatevectorSampler(seed=np.random.default_rng(4))),
        Primitive(SamplerV2()),
        Primitive(BackendSamplerV2(backend=quiet_machine()), backend=quiet_machine()),
        Primitive(BackendEstimatorV2(backend=quiet_machine()), backend=quiet_machine()),
        Primitive(EstimatorV2()),
        Backend(quiet_machine()),
        Backend(quiet_machine(), qubits=(4, 3, 2)),
        Backend(AerSimulator()),
    ],
    ids=lambda device: device.name,
)
@pytest.mark.filterwarnings("ignore:Qiskit backend .* has no QubitProperties")
def test_everybodys_simulators_agree_within_their_errors(device):
    measurement = measurement_of()
    answer = device.run(measurement, shots=3000, key=(1,))
    found = answer.expectations
    assert np.all(np.abs(found.values - answer_of(measurement)) < 5 * found.std_errors)
    assert np.all((found.std_errors > 0) & (found.std_errors < 0.2))
    assert answer.canary.value == pytest.approx(1.0, abs=5 * answer.canary.std_error + 1e-12)
    assert answer.shots == (3 * 3 + 1) * 3000


def test_a_noisy_machine_shows_it_by_its_canary():
    machine = GenericBackendV2(5, coupling_map=LINE, seed=3)
    answer = Backend(machine).run(measurement_of(), shots=3000, key=(1,))
    assert answer.canary.value < 1 - 4 * answer.canary.std_error


def test_errors_of_an_estimator_are_never_too_small():
    """The same point 400 times: the bound holds for a sum of strings, and is sharp for one."""
    weights = np.array([[[0, 0, 1.0, 0, 0], [0, 1.0, 1.0, 0, 0]]])
    measurement = Measurement(circuit_of(), np.full((400, 4), 1.0), STRINGS, weights)
    device = Primitive(BackendEstimatorV2(backend=AerSimulator()))
    found = device.run(measurement, shots=1000, key=(1,)).expectations
    wanted = answer_of(Measurement(circuit_of(), np.full((1, 4), 1.0), STRINGS, weights))
    one, both = np.mean(((found.values - wanted) / found.std_errors) ** 2, axis=0)
    assert 0.7 < one < 1.4  # a machine's shots have no seed: four standard deviations of this mean
    assert both < 1.4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Primitive("sampler"), "`primitive` must be a BaseSamplerV2 or a BaseEstimatorV2"),
        (lambda: Primitive(StatevectorSampler(seed=3)), "must not have a fixed seed, but seed is 3"),
        (lambda: Primitive(StatevectorEstimator(seed=3)), "must not have a fixed seed"),
        (lambda: Primitive(SamplerV2(seed=3)), "must not have a fixed seed"),
        (
            lambda: Primitive(EstimatorV2(options={"run_options": {"seed_simulator": 3}})),
            "run_options.seed_simulator is 3",
        ),
        (
            lambda: Primitive(BackendSamplerV2(backend=quiet_machine(), options={"seed_simulator": 3})),
            "options.seed_simulator is 3",
        ),
        (lambda: Backend("machine"), "`backend` must be a BackendV2"),
        (lambda: Backend(AerSimulator(seed_simulator=3)), "must not have a fixed seed"),
        (lambda: Primitive(backend="machine"), "`backend` must have a target"),
    ],
)
def test_what_would_fake_errors_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_estimator_that_hides_its_noise_is_refused():
    with pytest.raises(ValueError, match="the standard error zero for a value that is no eigenvalue"):
        Primitive(StatevectorEstimator()).run(measurement_of(), shots=100, key=(1,))
    with pytest.raises(ValueError, match="is an estimator and gives no single outcomes"):
        Primitive(EstimatorV2()).read(circuit_of(), Readout(np.zeros((1, 4)), [], 10, (1,)))


def test_a_circuit_is_placed_once_and_its_sites_are_known_after_swaps():
    circuit, target = circuit_of(), quiet_machine().target
    placed = once(circuit, "line", lambda: place_on(circuit, target))
    assert once(circuit, "line", lambda: pytest.fail("made twice")) is placed
    assert once(circuit.copy(), "line", lambda: "made anew") == "made anew"
    assert placed.circuit.num_qubits == 5
    assert len(set(placed.sites)) == 3
    check_supported(with_measurement(placed, "XYZ"), target)
    row = np.random.default_rng(5).normal(size=(1, 4))
    inside = Statevector(placed.circuit.assign_parameters(placed.values(row)[0])).data.reshape([2] * 5)
    rest = [qubit for qubit in range(5) if qubit not in placed.sites]
    order = [4 - qubit for qubit in [*placed.sites[::-1]]] + [4 - qubit for qubit in rest]
    amplitudes = inside.transpose(order).reshape(8, 4)
    wanted = Statevector(circuit.assign_parameters(row[0])).data
    assert abs(np.vdot(wanted, amplitudes[:, 0])) == pytest.approx(1.0, abs=1e-9)
    circuit.x(0)
    assert once(circuit, "line", lambda: "grown") == "grown"
    circuit.assign_parameters(row[0], inplace=True)
    assert once(circuit, "line", lambda: "bound") == "bound"


def test_what_a_machine_cannot_run_is_refused_before_it_is_asked():
    wide = QuantumCircuit(6)
    with pytest.raises(ValueError, match="at most the 5 qubits of the machine, but has 6"):
        place_on(wide, quiet_machine().target)
    with pytest.raises(ValueError, match="`qubits` must name 3 different qubits from 0 to 4"):
        Backend(quiet_machine(), qubits=(0, 1, 7)).run(measurement_of(), shots=10, key=(1,))
    with pytest.raises(ValueError, match="gates of the machine only, but holds h on"):
        crooked = QuantumCircuit(5)
        crooked.h(2)
        check_supported(crooked, quiet_machine().target)
    with pytest.raises(ValueError, match="`parameters` must be finite"):
        Backend(quiet_machine()).read(circuit_of(), Readout(np.full((1, 4), np.nan), [], 10, (1,)))


def test_gates_with_bounded_angles_take_no_parameters():
    machine = quiet_machine()
    target = Target(num_qubits=5)
    for name in machine.target.operation_names:
        target.add_instruction(machine.target.operation_from_name(name), machine.target[name], name=name)
    edges = dict.fromkeys([(a, b) for a, b in LINE] + [(b, a) for a, b in LINE])
    target.add_instruction(RZZGate(Parameter("angle")), edges, angle_bounds=[(0, np.pi / 2)])
    placed = place_on(circuit_of(), target)
    assert "rzz" not in placed.circuit.count_ops()


def test_the_number_of_parameters_is_checked_before_anything_is_placed():
    basis = measurement_bases(PauliList(["IIZ"]))
    for device in (Primitive(), Backend(quiet_machine()), Aer(), Profile()):
        with pytest.raises(ValueError, match=r"`parameters` must have shape \(rows, n_parameters\) = \(_, 4\)"):
            device.read(circuit_of(), Readout(np.zeros((1, 3)), basis, 10, (1,)))
