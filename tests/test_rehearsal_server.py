"""The stand-in of the service, driven by the client it stands in for."""

import time

import numpy as np
import pytest
import requests
from qiskit import transpile
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import DensityMatrix, SparsePauliOp, Statevector

from qeqprop.calibrated_noise import confusion, gate_noise
from qeqprop.rehearsal.faults import Fault, read_fault
from qeqprop.rehearsal.machines import machine
from qeqprop.rehearsal.server import API_KEY, Rehearsal
from qeqprop.rehearsal.simulation import sample, split

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


def test_jobs_are_found_by_tag_page_and_state_and_come_back_by_their_id(connect):
    from qiskit_ibm_runtime import QiskitRuntimeService

    _, service = connect()
    backend = service.backend("ibm_kingston_8")
    pubs = [(on(backend, measured=True), ANGLES)]
    made = [sampler(backend, ["run-1", f"step-{step}"]).run(pubs, shots=50) for step in range(3)]
    results = [bits(job.result(poll_interval=0.1)) for job in made]
    ids = [job.job_id() for job in made]
    again = QiskitRuntimeService()
    assert [job.job_id() for job in again.jobs(job_tags=["run-1"], limit=None)] == ids[::-1]
    assert [job.job_id() for job in again.jobs(job_tags=["run-1", "step-1"])] == [ids[1]]
    assert [job.job_id() for job in again.jobs(limit=1, skip=1, descending=False)] == [ids[1]]
    assert again.jobs(job_tags=["run-2"]) == again.jobs(pending=True) == []
    job = again.job(ids[2])
    np.testing.assert_array_equal(bits(job.result()), results[2])
    np.testing.assert_array_equal(bits(job.result()), results[2])  # as often as it is asked for
    assert job.tags == ["run-1", "step-2"]
    assert set(job.update_tags(["run-9"])) == {"run-9"}
    assert job.metrics()["timestamps"]["finished"] is not None
    assert job.usage() == job.usage_estimation["quantum_seconds"] > 2.0
    assert "Completed" in job.logs()
    assert job.inputs["quantum_program"].shots == 50
    again.delete_job(ids[2])
    assert again.jobs(job_tags=["run-9"]) == []


def test_a_queued_job_can_be_cancelled_and_costs_nothing(connect):
    from qiskit_ibm_runtime import RuntimeInvalidStateError

    rehearsal, service = connect(queue_seconds=30.0)
    backend = service.backend("ibm_kingston_8")
    job = sampler(backend).run([(on(backend, measured=True), ANGLES)], shots=50)
    assert job.status() == "QUEUED"
    assert backend.status().pending_jobs == 1
    assert [each.job_id() for each in service.jobs(pending=True)] == [job.job_id()]
    job.cancel()
    assert job.status() == "CANCELLED"
    with pytest.raises(RuntimeInvalidStateError):
        service.job(job.job_id()).cancel()
    with pytest.raises(RuntimeInvalidStateError, match="cancelled"):
        service.job(job.job_id()).result()
    assert rehearsal.consumed == service.usage()["usage_consumed_seconds"] == 0.0


def test_new_jobs_are_hidden_from_a_search_by_tag_for_as_long_as_was_asked(connect):
    rehearsal, service = connect(tag_lag=60.0)
    backend = service.backend("ibm_kingston_8")
    sampler(backend, ["run-1"]).run([(on(backend, measured=True), ANGLES)], shots=50)
    assert service.jobs(job_tags=["run-1"]) == []
    assert len(service.jobs()) == 1
    rehearsal.service.tag_lag = 0.0
    assert len(service.jobs(job_tags=["run-1"])) == 1


def test_the_bill_is_the_stated_formula_and_the_allowance_ends(connect):
    from qiskit_ibm_runtime import IBMRuntimeError

    rehearsal, service = connect(allowance=2.5)
    backend = service.backend("ibm_kingston_8")
    circuit = on(backend, measured=True)
    job = sampler(backend).run([(circuit, ANGLES)], shots=1000)
    job.result(poll_interval=0.1)
    duration = circuit.estimate_duration(backend.target, unit="s")
    assert job.usage() == pytest.approx(2.0 + 2000 * (backend.default_rep_delay + duration), rel=1e-3)
    usage = service.usage()
    assert usage["usage_consumed_seconds"] == rehearsal.consumed == job.usage()
    assert usage["usage_remaining_seconds"] == 0.0
    with pytest.warns(UserWarning, match="usage limit"), pytest.raises(IBMRuntimeError, match="usage limit"):
        sampler(backend).run([(circuit, ANGLES)], shots=1000)
    assert len(rehearsal.jobs) == 1


def test_batches_bill_their_jobs_and_sessions_the_time_they_hold_the_machine(connect):
    from qiskit_ibm_runtime import Batch, IBMRuntimeError, Session

    rehearsal, service = connect(plan="payg")
    backend = service.backend("ibm_kingston_8")
    pubs = [(on(backend, measured=True), ANGLES)]
    with Batch(backend=backend) as batch:
        jobs = [sampler(batch).run(pubs, shots=50) for _ in range(2)]
        billed = sum(job.result(poll_interval=0.1) is not None and job.usage() for job in jobs)
    assert batch.status() == "Closed"
    assert batch.usage() == pytest.approx(billed)
    assert rehearsal.consumed == pytest.approx(billed)
    session = Session(backend=backend)
    assert session.status() == "Pending"
    job = sampler(session).run(pubs, shots=50)
    job.result()
    assert job.session_id == session.session_id
    assert session.status() == "In progress, accepting new jobs"
    time.sleep(0.3)
    assert session.usage() >= job.usage()
    rehearsal.close_session(session.session_id)
    assert session.details()["state"] == "closed"
    with pytest.raises(IBMRuntimeError, match="closed"):
        sampler(session).run(pubs, shots=50)
    assert len(rehearsal.jobs) == 3


def test_an_open_plan_has_batches_but_no_sessions(connect):
    from qiskit_ibm_runtime import Batch, Session

    _, service = connect(plan="open")
    backend = service.backend("ibm_kingston_8")
    with pytest.raises(Exception, match="not authorized to run a session"):
        Session(backend=backend)
    assert Batch(backend=backend).details()["mode"] == "batch"
    (instance,) = service.instances()
    assert (instance["plan"], instance["pricing_type"]) == ("open", "free")


def test_a_wrong_token_or_instance_gets_nowhere(connect, monkeypatch):
    from qiskit_ibm_runtime import IBMInputValueError, QiskitRuntimeService
    from qiskit_ibm_runtime.accounts import InvalidAccountError

    rehearsal = connect(connected=False)
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", rehearsal.instance.replace("-0000000000", "-0000000001"))
    with pytest.raises(IBMInputValueError, match="does not have access"):
        QiskitRuntimeService()
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "somebody-else's")
    with pytest.raises(InvalidAccountError):
        QiskitRuntimeService()
    assert requests.get(f"{rehearsal.url}/experimental/api/v1/jobs", timeout=5).status_code == 401


def test_an_access_token_runs_out(connect):
    rehearsal = connect(connected=False, token_seconds=0.3)
    answer = requests.post(f"{rehearsal.url}/identity/token", data={"apikey": API_KEY}, timeout=5).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}", "Service-CRN": rehearsal.instance}
    address = f"{rehearsal.url}/experimental/api/v1/backends"
    assert requests.get(address, headers=headers, timeout=5).status_code == 200
    time.sleep(0.35)
    assert requests.get(address, headers=headers, timeout=5).status_code == 401
    forged = answer["access_token"][:-4] + "AAAA"
    assert requests.get(address, headers={"Authorization": f"Bearer {forged}"}, timeout=5).status_code == 401


# --- what the client does with a fault, as it was seen with its version 0.51 ----------------------------------------


def posted(rehearsal):
    return sum(entry.method == "POST" and entry.path.endswith("/jobs") for entry in rehearsal.log)


@pytest.mark.parametrize("machine", ["kingston_8.toml"])
@pytest.mark.parametrize(
    ("action", "details", "jobs", "posts"),
    [
        ("status", {"code": 429}, 0, 1),
        ("status", {"code": 429, "retry_after": 1}, 0, 1),
        ("status", {"code": 403}, 0, 1),
        ("status", {"code": 409}, 0, 1),
        ("drop_before", {}, 0, 1),
        ("drop_after", {}, 1, 1),
    ],
)
def test_a_post_that_fails_is_not_repeated_by_the_client_whether_it_arrived_or_not(
    connect, machine, action, details, jobs, posts
):
    from qiskit_ibm_runtime import IBMRuntimeError

    rehearsal, service = connect(machine)
    backend = service.backend("ibm_kingston_8")
    rehearsal.fault("POST", "/jobs$", action, **details)
    with pytest.raises(IBMRuntimeError):
        sampler(backend, ["run-1"]).run([(on(backend, measured=True), ANGLES)], shots=50)
    assert (len(rehearsal.jobs), posted(rehearsal)) == (jobs, posts)
    assert len(service.jobs(job_tags=["run-1"])) == jobs  # which is how a lost job is found


@pytest.mark.parametrize(("takes_effect", "jobs"), [(False, 1), (True, 2)])
def test_a_post_that_meets_a_bad_gateway_is_repeated_by_the_client_and_may_come_twice(connect, takes_effect, jobs):
    rehearsal, service = connect()
    backend = service.backend("ibm_kingston_8")
    rehearsal.fault("POST", "/jobs$", "status", code=502, takes_effect=takes_effect)
    sampler(backend).run([(on(backend, measured=True), ANGLES)], shots=50).result(poll_interval=0.1)
    assert (len(rehearsal.jobs), posted(rehearsal)) == (jobs, 2)


@pytest.mark.parametrize(
    ("action", "details", "error"),
    [
        ("status", {"code": 503}, None),
        ("status", {"code": 429, "retry_after": 1}, None),
        ("status", {"code": 429}, "RequestsApiError"),
        ("status", {"code": 401}, "IBMNotAuthorizedError"),
        ("drop_before", {}, None),
        ("truncate", {}, "RequestsApiError"),
        ("html", {}, "TypeError"),
        ("hang", {"seconds": 0.2}, None),
        ("wait", {"seconds": 0.2}, None),
    ],
)
def test_results_that_do_not_come_well_can_be_asked_for_again(connect, action, details, error):
    rehearsal, service = connect()
    backend = service.backend("ibm_kingston_8")
    job = sampler(backend).run([(on(backend, measured=True), ANGLES)], shots=50)
    job.wait_for_final_state(poll_interval=0.1)
    rehearsal.fault("GET", "/results$", action, **details)
    if error is not None:
        with pytest.raises(Exception, match=r".") as caught:
            job.result()
        assert type(caught.value).__name__ == error
    assert bits(job.result()).shape == (2, 50, 1)
    assert rehearsal.faults.happened == 1
    assert len(rehearsal.jobs) == 1


@pytest.mark.parametrize(
    ("fate", "error", "billed"),
    [
        ("failed", "RuntimeJobFailureError", False),
        ("cancelled", "RuntimeInvalidStateError", False),
        ("too_long", "RuntimeJobMaxTimeoutError", True),
    ],
)
def test_a_job_ends_as_was_asked_for(connect, fate, error, billed):
    rehearsal, service = connect()
    backend = service.backend("ibm_kingston_8")
    rehearsal.next_job(fate)
    pubs = [(on(backend, measured=True), ANGLES)]
    with pytest.raises(Exception, match=r".") as caught:
        sampler(backend).run(pubs, shots=50).result(poll_interval=0.1)
    assert type(caught.value).__name__ == error
    assert (rehearsal.consumed > 0) == billed
    assert sampler(backend).run(pubs, shots=50).result(poll_interval=0.1) is not None


def test_a_job_is_ended_when_it_takes_longer_than_it_may(connect):
    from qiskit_ibm_runtime import RuntimeJobMaxTimeoutError

    rehearsal, service = connect()
    backend = service.backend("ibm_kingston_8")
    made = sampler(backend)
    made.options.max_execution_time = 3
    with pytest.raises(RuntimeJobMaxTimeoutError):
        made.run([(on(backend, measured=True), ANGLES)], shots=20_000).result(poll_interval=0.1)
    assert rehearsal.consumed == 3.0


def test_what_a_machine_cannot_do_fails_with_the_reason(connect):
    from qiskit_ibm_runtime import RuntimeJobFailureError

    _, service = connect()
    backend = service.backend("ibm_kingston_8", use_fractional_gates=True)

    def run(circuit, values=()):
        circuit.measure_all()
        with pytest.raises(RuntimeJobFailureError) as caught:
            sampler(backend).run([(circuit, *values)], shots=50).result(poll_interval=0.1)
        return str(caught.value)

    far = QuantumCircuit(8)
    far.cz(0, 5)
    assert "cz on qubits (0, 5) is not supported" in run(far)
    angle, turned = Parameter("angle"), QuantumCircuit(8)
    turned.rzz(angle, 4, 5)
    assert "from 0 to pi/2" in run(turned, [[-0.3]])
    single = QuantumCircuit(8)
    single.rz(angle, 0)
    assert "not finite" in run(single, [[np.nan]])


@pytest.mark.parametrize("settings", [{"queue_seconds": 60.0}, {"run_seconds": 60.0}])
def test_jobs_outlive_the_service_and_draw_the_same_after_it_came_back(connect, tmp_path, settings):
    from qiskit_ibm_runtime import QiskitRuntimeService

    rehearsal, service = connect(folder=tmp_path, **settings)
    backend = service.backend("ibm_kingston_8")
    pubs = [(on(backend, measured=True), ANGLES)]
    waiting = sampler(backend, ["run-1"]).run(pubs, shots=100)
    port = rehearsal.port
    rehearsal.stop()
    rehearsal, service = connect(folder=tmp_path, port=port)
    found = bits(QiskitRuntimeService().job(waiting.job_id()).result(poll_interval=0.1))
    np.testing.assert_array_equal(found, bits(sampler(backend, ["run-1"]).run(pubs, shots=100).result()))
    rehearsal.stop()
    rehearsal, service = connect(folder=tmp_path, port=port)
    assert len(service.jobs(job_tags=["run-1"])) == 2
    np.testing.assert_array_equal(bits(service.job(waiting.job_id()).result()), found)
    assert API_KEY not in repr(rehearsal.service)
    text = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"GET /experimental/api/v1/jobs" in text
    assert API_KEY.encode() not in text
    assert b"Bearer" not in text


def test_a_job_that_is_deleted_while_it_runs_leaves_nothing_and_a_private_one_is_read_once(connect, tmp_path):
    rehearsal, service = connect(folder=tmp_path, run_seconds=0.5)
    backend = service.backend("ibm_kingston_8")
    pubs = [(on(backend, measured=True), ANGLES)]
    deleted = sampler(backend).run(pubs, shots=50)
    while deleted.status() != "RUNNING":
        time.sleep(0.02)
    service.delete_job(deleted.job_id())
    made = sampler(backend)
    made.options.environment.private = True
    private = made.run(pubs, shots=50)
    assert bits(private.result(poll_interval=0.1)).shape == (2, 50, 1)
    assert private.result() is None
    assert private.inputs is None
    rehearsal.stop()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == sorted([f"{private.job_id()}.job", f"{private.job_id()}.params", "requests.log"])


def test_a_service_that_is_away_for_a_while_is_waited_for(connect):
    rehearsal, service = connect()
    backend = service.backend("ibm_kingston_8")
    job = sampler(backend).run([(on(backend, measured=True), ANGLES)], shots=50)
    rehearsal.away(0.6)
    with pytest.raises(requests.ConnectionError):
        requests.get(rehearsal.url, timeout=1)
    assert bits(job.result()).shape == (2, 50, 1)


def test_a_calibration_changes_after_as_many_jobs_as_was_asked(connect):
    _, service = connect(drift_every=1)
    backend = service.backend("ibm_kingston_8")
    first = backend.properties()
    sampler(backend).run([(on(backend, measured=True), ANGLES)], shots=50).result(poll_interval=0.1)
    second = backend.properties(refresh=True)
    assert second.last_update_date > first.last_update_date
    assert second.gate_error("cz", [4, 5]) != first.gate_error("cz", [4, 5])
    assert second.readout_error(4) != first.readout_error(4)
    assert 0 < second.t1(4) != first.t1(4)


def test_only_so_many_jobs_may_be_posted_in_a_minute(connect):
    from qiskit_ibm_runtime import IBMRuntimeError

    rehearsal, service = connect(posts_per_minute=1)
    backend = service.backend("ibm_kingston_8")
    pubs = [(on(backend, measured=True), ANGLES)]
    sampler(backend).run(pubs, shots=50)
    with pytest.raises(IBMRuntimeError, match="429") as caught:
        sampler(backend).run(pubs, shots=50)
    assert 50 < float(caught.value.__context__.__cause__.response.headers["Retry-After"]) <= 60
    assert len(rehearsal.jobs) == 1


def test_a_fault_is_read_from_a_line_and_mistakes_are_said():
    fault = read_fault("POST /jobs$ 503 times=2 after=1 retry_after=3")
    assert fault == Fault("POST", "/jobs$", "status", code=503, times=2, after=1, retry_after=3)
    assert read_fault("get /results wait=3").seconds == 3.0
    for wrong in ("POST /jobs$", "POST /jobs$ explode", "POST ( 503", "POST /jobs$ 503 twice=2", "GET / hang=long"):
        with pytest.raises(ValueError, match="must read like"):
            read_fault(wrong)
    with pytest.raises(ValueError, match="did you mean 'kingston'"):
        machine("kingstan")


# --- the simulation behind it ---------------------------------------------------------------------------------------


def oracle(calibration, circuit):
    """The distribution of the bits, gate by gate on one density matrix, each gate followed by its channel."""
    state = DensityMatrix(QuantumCircuit(circuit.num_qubits))
    for step in circuit.remove_final_measurements(inplace=False).data:
        qubits = [circuit.find_bit(bit).index for bit in step.qubits]
        if step.operation.name != "barrier":
            state = state.evolve(step.operation, qubits)
            state = state.evolve(gate_noise(calibration, step.operation.name, tuple(qubits)), qubits)
    read = np.real(np.diag(state.data)).reshape([2] * circuit.num_qubits)
    for qubit in range(circuit.num_qubits):
        axis = circuit.num_qubits - 1 - qubit
        read = np.moveaxis(np.tensordot(read, confusion(calibration, qubit), axes=(axis, 0)), -1, axis)
    return read.ravel()


def test_shots_of_a_pair_and_of_single_qubits_follow_the_exact_noisy_distribution():
    place, shots = (12, 13, 40, 7), 40_000
    small = QuantumCircuit(4)
    for qubit, angle in enumerate((0.4, 1.3, 2.0, 0.9)):
        small.sx(qubit)
        small.rz(angle, qubit)
        small.sx(qubit)
    small.cz(0, 1)
    small.sx(1)
    small.measure_all()
    whole = QuantumCircuit(156, 4)
    whole.compose(small, place, range(4), inplace=True)
    kingston = machine("kingston")
    found = sample(kingston, whole, np.zeros((1, 0)), shots, np.random.SeedSequence(3))["c"][0]
    counts = np.bincount(found @ (1 << np.arange(4)), minlength=16)
    expected = oracle(kingston.calibration(place), small) * shots
    assert np.sum((counts - expected) ** 2 / expected) < 15 + 5 * np.sqrt(30)
    ideal = Statevector(small.remove_final_measurements(inplace=False)).probabilities() * shots
    assert np.sum((counts - ideal) ** 2 / ideal) > 100  # the noise is seen


def test_groups_are_the_qubits_that_act_on_each_other():
    circuit = QuantumCircuit(6)
    circuit.cz(0, 3)
    circuit.cz(3, 5)
    circuit.barrier()
    circuit.x(1)
    circuit.measure_all()
    assert [group.qubits for group in split(circuit)] == [(0, 3, 5), (1,), (2,), (4,)]
