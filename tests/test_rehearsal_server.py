"""The stand-in of the service, driven by the client it stands in for."""

import numpy as np
import pytest
from qiskit import transpile
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp, Statevector

from qeqprop.rehearsal.server import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore:The (Estimator|Sampler)V2 class is deprecated:DeprecationWarning")

ANGLES = np.array([[0.3, -1.1, 0.8], [2.0, 0.4, -0.6]])
OBSERVABLES = [SparsePauliOp(["ZZI"]), SparsePauliOp(["XXI", "IYY"], [1.0, 0.5])]


@pytest.fixture
def connect(monkeypatch):
    """Starts a stand-in and connects the unmodified client through the environment alone."""
    started = []

    def start(*machines, connected=True, **settings):
        from qiskit_ibm_runtime import QiskitRuntimeService

        rehearsal = Rehearsal(machines or ("kingston_8.toml",), **settings)
        started.append(rehearsal)
        for name, value in rehearsal.environment().items():
            monkeypatch.setenv(name, value)
        if not connected:
            return rehearsal
        service = QiskitRuntimeService()
        assert service._active_api_client._session.base_url.startswith("http://127.0.0.1:")
        return rehearsal, service

    yield start
    for rehearsal in started:
        rehearsal.stop()


def body():
    angles = [Parameter(f"angle_{index}") for index in range(3)]
    circuit = QuantumCircuit(3)
    for site, angle in enumerate(angles):
        circuit.ry(angle, site)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    return circuit


def on(backend, *, measured=False, layout=(4, 5, 6)):
    circuit = body()
    if measured:
        circuit.measure_all()
    return transpile(circuit, backend, optimization_level=1, seed_transpiler=1, initial_layout=list(layout))


def sampler(mode, tags=()):
    from qiskit_ibm_runtime.executor_sampler import Sampler

    made = Sampler(mode=mode)
    made.options.environment.job_tags = list(tags)
    return made


def bits(result):
    return result[0].data.meas.array


def exact():
    states = [Statevector(body().assign_parameters(row)) for row in ANGLES]
    return np.array([[state.expectation_value(each).real for each in OBSERVABLES] for state in states])


@pytest.mark.parametrize("machine", ["kingston_8.toml", "kingston"])
@pytest.mark.parametrize("kind", ["estimator", "older estimator", "sampler", "older sampler"])
def test_all_primitives_give_what_quantum_mechanics_says_up_to_the_noise(connect, machine, kind):
    from qiskit_ibm_runtime import EstimatorV2, SamplerV2
    from qiskit_ibm_runtime.executor_estimator import Estimator
    from qiskit_ibm_runtime.executor_sampler import Sampler

    rehearsal, service = connect(machine)
    (offered,) = service.backends()
    backend = service.backend(offered.name)
    if "sampler" in kind:
        made = Sampler(mode=backend) if kind == "sampler" else SamplerV2(mode=backend)
        job = made.run([(on(backend, measured=True), ANGLES)], shots=2000)
        data = job.result()[0].data.meas
        for row, angles in enumerate(ANGLES):
            ideal = Statevector(body().assign_parameters(angles)).probabilities()
            found = np.array([data.get_counts(row).get(f"{k:03b}", 0) for k in range(8)]) / 2000
            assert 0.0 < np.sum(np.abs(found - ideal)) / 2 < 0.1
    else:
        made = Estimator(mode=backend) if kind == "estimator" else EstimatorV2(mode=backend)
        circuit = on(backend)
        wanted = [each.apply_layout(circuit.layout) for each in OBSERVABLES]
        data = made.run([(circuit, wanted, ANGLES[:, None, :])], precision=0.03).result()[0].data
        assert data.evs.shape == data.stds.shape == (2, 2)
        assert np.all((data.stds > 0) & (data.stds < 0.06))
        np.testing.assert_allclose(data.evs, exact(), atol=0.2)
    (job,) = rehearsal.jobs
    assert job.state == "Completed"
    assert job.billed == job.estimate > 2.0


def test_equal_tags_give_equal_bits_and_others_do_not(connect):
    _, service = connect()
    backend = service.backend("ibm_kingston_8")
    circuit = on(backend, measured=True)
    pubs = [(circuit, np.array([ANGLES[0], ANGLES[0]])), (circuit, ANGLES[:1])]
    tags = [["run-1", "id-a"], ["id-b", "run-1"], ["run-2"], [], []]
    found = [sampler(backend, each).run(pubs, shots=300).result() for each in tags]
    first, again, other, fresh, fresher = map(bits, found)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(found[0][1].data.meas.array, found[1][1].data.meas.array)
    assert not np.array_equal(first, other)
    assert not np.array_equal(fresh, fresher)
    assert not np.array_equal(first[0], first[1])  # equal circuits in one job
    assert not np.array_equal(first[0], found[0][1].data.meas.array[0])  # and in two items
