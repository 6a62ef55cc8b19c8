"""Jobs on machines of IBM, by the real client against the stand-in: whatever happens, each is paid for once."""

from __future__ import annotations

import itertools
import json
import logging
import random
import re
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.circuit.library import RZZGate, XGate
from qiskit.quantum_info import PauliList
from qiskit.transpiler import InstructionProperties, Target

sys.path.insert(0, str(Path(__file__).parent / "contracts"))
from test_devices import dense_answer, question
from typer.testing import CliRunner

import qeqprop
from qeqprop import patience
from qeqprop.cli import app
from qeqprop.devices.allocated import Allocated
from qeqprop.devices.ibm import IBM
from qeqprop.devices.readout_mitigated import ReadoutMitigated
from qeqprop.devices.zero_noise import ZeroNoise
from qeqprop.experiment import Experiment
from qeqprop.ibm_jobs import MAX_BYTES, check_pubs, from_raw, payload_bytes, survival, to_raw
from qeqprop.ibm_options import RESERVED
from qeqprop.interfaces import Measurement, PhysicsWarning
from qeqprop.job_table import in_memory
from qeqprop.ledger import read_run
from qeqprop.patience import Patience, Refused, Trouble
from qeqprop.recorded import Recorded
from qeqprop.rehearsal.server import Rehearsal
from qeqprop.runfile import RunFileError
from qeqprop.solvers.variational import Variational
from qeqprop.submitter import BudgetExceeded, JobFailed, Submitter

pytestmark = pytest.mark.filterwarnings("ignore:.*far from an eigenstate:qeqprop.interfaces.PhysicsWarning")

HASTY = Patience(reply=1.0, post=1.0, first=0.02, longest=0.1, away=20.0, tags_settle=0.3)
TOKEN = "a-token-that-must-not-be-seen"

RUN_FILE = """
schema = 1
seed = 3
[network]
use = "transverse_ising:transverse_ising"
sites = 3
n_inputs = 2
[data]
use = "boolean:xor"
[solver]
use = "variational:Variational"
ansatz = { use = "hamiltonian_variational:hamiltonian_variational", layers = 1 }
[rule]
use = "nudging:SymmetricNudging"
beta = 0.3
[device]
use = "ibm:IBM"
machine = "ibm_kingston_8"
shots = 60
posts_per_minute = 1000
[train]
steps = 5
"""

CHILD = """
import sys, warnings
warnings.simplefilter("ignore")
from qeqprop import patience
from qeqprop.cli import app
patience.PATIENCE = patience.Patience(reply=5.0, post=5.0, first=0.02, longest=0.1, away=20.0, tags_settle=0.5)
from qeqprop.experiment import Experiment
Experiment.load(sys.argv[1]).run(sys.argv[2])
"""


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", HASTY)


@pytest.fixture
def start(monkeypatch):
    started = []

    def begin(*machines, **settings):
        rehearsal = Rehearsal(machines or ("kingston_8.toml",), api_key=TOKEN, **settings)
        started.append(rehearsal)
        for name, value in rehearsal.environment().items():
            monkeypatch.setenv(name, value)
        return rehearsal

    yield begin
    for rehearsal in started:
        rehearsal.stop()


def device(**settings):
    return IBM("ibm_kingston_8", posts_per_minute=1000, **{"shots": 50} | settings)


def small():
    circuit = QuantumCircuit(2)
    angles = [Parameter(f"theta_{index:03d}") for index in range(2)]
    circuit.ry(angles[0], 0)
    circuit.ry(angles[1], 1)
    circuit.cx(0, 1)
    points = np.array([[0.3, 1.1], [-0.7, 2.0]])
    return Measurement(circuit, points, PauliList(["IZ", "XX", "ZZ"]), np.ones((1, 1, 3)))


def two_calls(made, book=None):
    """Two jobs of a run, with a book that remembers."""
    recorded = Recorded(made, in_memory() if book is None else book, ("qeqprop", "run-1"))
    return np.concatenate([recorded.run(small(), shots=None, key=(1,)).expectations.values for _ in range(2)])


@pytest.fixture(scope="module")
def undisturbed():
    """What the two calls give when nothing goes wrong."""
    with pytest.MonkeyPatch.context() as patch, Rehearsal(("kingston_8.toml",), api_key=TOKEN) as rehearsal:
        for name, value in rehearsal.environment().items():
            patch.setenv(name, value)
        values = two_calls(device())
        assert len(rehearsal.jobs) == 2
    return values


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("primitive", ["sampler", "estimator", "estimator_v2"])
def test_it_answers_within_its_errors_and_is_billed_what_was_estimated(start, primitive):
    rehearsal = start()
    made, measurement = device(primitive=primitive, shots=4000), question(rows=2)
    book = in_memory()
    answer = Recorded(made, book).run(measurement, shots=None, key=(1,))
    wanted = dense_answer(measurement)
    slack = 0.1 * np.sum(np.abs(measurement.weights), axis=2)
    assert np.all(np.abs(answer.expectations.values - wanted) < 5 * answer.expectations.std_errors + slack)
    assert np.all(answer.expectations.std_errors > 0)
    assert 0.8 < answer.canary.value < 1.0
    (job,), (known,) = rehearsal.jobs, book.remote_jobs()
    assert known.billed == pytest.approx(job.billed, rel=1e-6)
    assert known.estimate == pytest.approx(job.billed, rel=0.1)
    assert job.limit == made.max_execution_time
    assert rehearsal.service.sessions.all()[0].mode == "batch"


@pytest.mark.parametrize("settings", [{"fractional": True}, {"twirling": True, "dynamical_decoupling": "XpXm"}])
def test_options_of_the_sampler_reach_the_machine(start, settings):
    rehearsal = start()
    measurement = small()
    answer = device(shots=2000, mode="job", **settings).run(measurement, shots=None, key=(1,))
    wanted = dense_answer_of(measurement)
    assert np.all(np.abs(answer.expectations.values - wanted) < 5 * answer.expectations.std_errors + 0.2)
    assert len(rehearsal.jobs) == 1


def dense_answer_of(measurement):
    from qeqprop.devices.statevector import Statevector

    return Statevector().run(measurement, shots=None, key=(1,)).expectations.values


def test_large_calls_are_several_jobs_and_one_answer(start, monkeypatch, undisturbed):
    rehearsal = start()
    monkeypatch.setattr("qeqprop.devices.ibm._EXECUTIONS", 100)
    answer = Recorded(device(), in_memory(), ("qeqprop", "run-1")).run(small(), shots=None, key=(1,))
    assert [job.tags[-2] for job in rehearsal.jobs] == ["call-0", "part-1"]
    assert answer.expectations.values.shape == (2, 1)
    assert answer.shots == 2 * (2 * 50 + 50)
    assert answer.expectations.values[0] == undisturbed[0]


def test_errors_that_are_not_finite_are_replaced_by_a_bound():
    """As extrapolation leaves them: the widest error of the job, and no less than its shots allow."""
    measurement = small()
    stds = np.array([[0.02, np.inf, 0.3], [0.02, 0.1, np.nan]])
    pubs = [SimpleNamespace(data=SimpleNamespace(evs=np.full((2, 3), 0.5), stds=stds))]
    pubs.append(SimpleNamespace(data=SimpleNamespace(evs=np.ones((1, 2)), stds=np.full((1, 2), np.inf))))
    found = from_raw("estimator", to_raw(pubs), measurement, 2, 100)
    assert np.all(found.expectations.values == 1.5)
    assert np.all(np.isfinite(found.expectations.std_errors))
    assert np.all(found.expectations.std_errors >= 0.3)
    assert found.canary.std_error == 0.3


def test_broken_gates_angles_out_of_range_and_what_a_machine_does_not_have_are_refused():
    target = Target(num_qubits=2, dt=1e-9)
    target.add_instruction(RZZGate(Parameter("t")), {(0, 1): InstructionProperties(error=0.01)}, name="rzz")
    target.add_instruction(XGate(), {(0,): InstructionProperties(error=1.0), (1,): InstructionProperties(error=0.0)})
    circuit = QuantumCircuit(2)
    circuit.rzz(Parameter("theta_000"), 0, 1)
    check_pubs([(circuit, np.array([[0.0], [np.pi / 2]]), 10)], target, "it")
    with pytest.raises(ValueError, match="out of the range from 0 to pi/2 that it has"):
        check_pubs([(circuit, np.array([[0.1], [-0.1]]), 10)], target, "it")
    with pytest.raises(ValueError, match="must be finite"):
        check_pubs([(circuit, np.array([[np.nan]]), 10)], target, "it")
    for gate, message in (
        ("x", "x on qubits .0,., which is broken on it"),
        ("h", "h on qubits .0,., which it does not"),
    ):
        other = QuantumCircuit(2)
        getattr(other, gate)(0)
        with pytest.raises(ValueError, match=message):
            check_pubs([(other, None, 10)], target, "it")
    assert survival(circuit, target) == pytest.approx(0.99)


def test_a_payload_is_measured(start):
    rehearsal = start()
    made, measurement = device(mode="job"), small()
    made.settle(measurement.circuit, None)
    assert 500 < payload_bytes(made._pubs(measurement, 50)) < MAX_BYTES
    made.run(measurement, shots=None, key=(1,))
    sent = len(json.dumps(rehearsal.book.params(rehearsal.jobs[0])))
    assert 0.25 < payload_bytes(made._pubs(measurement, 50)) / sent < 2


def test_what_is_too_large_for_one_job_is_split_by_its_rows(start):
    start()
    made = device(mode="job")
    points = np.random.default_rng(1).normal(size=(400_000, 2))
    measurement = replace(small(), parameters=points)
    made.settle(measurement.circuit, None)
    assert payload_bytes(made._pubs(measurement, 2)) > MAX_BYTES
    parts = made.parts(measurement, 2)
    assert max(payload_bytes(made._pubs(part, 2)) for part in parts) < MAX_BYTES
    assert np.array_equal(np.concatenate([part.parameters for part in parts]), points)


def test_a_calibration_that_changes_is_said_and_the_qubits_stay(start):
    start(drift_every=1)
    made, book = device(), in_memory()
    with pytest.warns(PhysicsWarning, match="was calibrated anew since the run was begun"):
        two_calls(made, book)
    names = book._connection.execute("SELECT name, value FROM facts").fetchall()
    assert len(names) == 1
    assert '"calibrated": "2026' in names[0][1]


# --- trouble ----------------------------------------------------------------------------------------------------------

POST, STATE, RESULT = "/jobs$", r"/jobs/\w+$", "/results$"
FAULTS = {
    f"{method} {place} {action} {details}": (method, path, action, details)
    for method, place, path in (("POST", "job", POST), ("GET", "state", STATE), ("GET", "result", RESULT))
    for action, details in (
        ("status", {"code": 429}),
        ("status", {"code": 429, "retry_after": 0.1}),
        ("status", {"code": 500, "times": 6}),
        ("status", {"code": 502, "takes_effect": True}),
        ("status", {"code": 503, "times": 2}),
        ("status", {"code": 401}),
        ("drop_before", {}),
        ("drop_after", {}),
        ("truncate", {}),
        ("html", {}),
        ("hang", {"seconds": 1.5}),
    )
}
TOO_OFTEN = [name for name in FAULTS if name.startswith("POST") and "500" in name]
QUICK = [name for name in FAULTS if "hang" not in name and name not in TOO_OFTEN]


def goes_wrong(rehearsal, *names):
    for name in names:
        method, path, action, details = FAULTS[name]
        rehearsal.fault(method, path, action, **details)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in TOO_OFTEN])
def test_each_fault_ends_in_the_right_result_and_no_job_more(start, undisturbed, name):
    rehearsal = start()
    goes_wrong(rehearsal, name)
    assert np.array_equal(two_calls(device()), undisturbed)
    assert len(rehearsal.jobs) == 2
    assert rehearsal.faults.happened >= 1


def test_the_service_says_how_long_to_wait(start):
    rehearsal, made = start(), device()
    made.settle(small().circuit, None)
    rehearsal.fault("POST", POST, "status", code=429, retry_after=7)
    with pytest.raises(Trouble) as trouble:
        made.post(small(), None, ("qeqprop",))
    assert (trouble.value.kind, trouble.value.wait) == ("busy", 7.0)
    rehearsal.fault("GET", "/instances/usage", "status", code=503, retry_after=5)
    with pytest.raises(Trouble) as trouble:
        made.connection.remaining_seconds()
    assert (trouble.value.kind, trouble.value.wait) == ("unclear", 5.0)


ELSEWHERE = ("/identity/token", "/resources/search", "/catalog/", "/backends$", "/configuration", "/properties")
ELSEWHERE += ("/status$", "/instances/usage", "/sessions$", "/metrics")
ACTIONS = [("status", {"code": 503}), ("status", {"code": 429}), ("hang", {"seconds": 1.5})]
ACTIONS += [(action, {}) for action in ("drop_before", "drop_after", "html", "truncate")]
ONCE = {("/identity/token", "truncate"), ("/configuration", "html"), ("/properties", "drop_before")}
ONCE |= {("/resources/search", "html"), ("/sessions$", "drop_after"), ("/metrics", "truncate")}


@pytest.mark.parametrize(
    ("path", "action", "details"),
    [
        pytest.param(path, action, details, marks=[] if (path, action) in ONCE else pytest.mark.slow)
        for path in ELSEWHERE
        for action, details in ACTIONS
    ],
)
def test_faults_around_a_job(start, undisturbed, path, action, details):
    """Whatever else the client asks: who pays, which machine, how good it is, what is left, what it has cost."""
    rehearsal = start()
    rehearsal.fault("*", path, action, **details)
    assert np.array_equal(two_calls(device()), undisturbed)
    assert len(rehearsal.jobs) == 2
    assert rehearsal.faults.happened == 1


def test_lost_posts_and_a_lapsed_permission_are_counted_apart(start, undisturbed):
    rehearsal = start()
    goes_wrong(rehearsal, *(name for name in FAULTS if name.startswith("POST") and ("503" in name or "401" in name)))
    assert np.array_equal(two_calls(device()), undisturbed)
    assert len(rehearsal.jobs) == 2


def test_a_service_that_fails_too_often_is_left_with_nothing_posted(start, undisturbed):
    rehearsal = start()
    rehearsal.fault("POST", POST, "status", code=500, times=3)
    book = in_memory()
    with pytest.raises(JobFailed, match="was posted 3 times, and the service shows none of them"):
        two_calls(device(), book)
    assert not rehearsal.jobs
    assert np.array_equal(two_calls(device(), book), undisturbed)
    assert len(rehearsal.jobs) == 2


def test_a_budget_stops_before_the_post_and_not_after(start):
    rehearsal, book = start(), in_memory()
    with pytest.raises(BudgetExceeded):
        Recorded(device(), book, budget=1.0).run(small(), shots=None, key=(1,))
    assert not rehearsal.jobs
    Recorded(device(), book, budget=3.0).run(small(), shots=None, key=(1,))
    assert len(rehearsal.jobs) == 1


def pairs(names, number, seed):
    every = list(itertools.permutations(names, 2))
    return random.Random(seed).sample(every, number)


@pytest.mark.parametrize("names", pairs(QUICK, 8, 1), ids=" and ".join)
def test_faults_in_pairs(start, undisturbed, names):
    rehearsal = start()
    goes_wrong(rehearsal, *names)
    assert np.array_equal(two_calls(device()), undisturbed)
    assert len(rehearsal.jobs) == 2


@pytest.mark.slow
@pytest.mark.parametrize("first", [name for name in FAULTS if name not in TOO_OFTEN])
def test_all_faults_in_pairs(start, undisturbed, first):
    """992 pairs, most of them waiting: with `-n 4` they wait side by side."""
    for second in [name for name in FAULTS if name not in (first, *TOO_OFTEN)]:
        names, rehearsal = (first, second), start()
        goes_wrong(rehearsal, *names)
        try:
            assert np.array_equal(two_calls(device()), undisturbed), names
        except JobFailed as error:  # three posts that were lost on their way: said, and nothing was made
            assert "POST" in names[0] and "POST" in names[1], (names, error)
        assert len(rehearsal.jobs) <= 2, names
        rehearsal.stop()


def test_a_search_that_lags_is_waited_for(start, undisturbed, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", Patience(first=0.02, longest=0.1, tags_settle=3.0))
    rehearsal = start(tag_lag=1.5)
    rehearsal.fault("POST", POST, "drop_after")
    assert np.array_equal(two_calls(device()), undisturbed)
    assert len(rehearsal.jobs) == 2


def test_a_search_that_lags_longer_than_was_waited_for_is_said_and_counted(start, undisturbed):
    rehearsal, book = start(tag_lag=0.6, queue_seconds=0.8), in_memory()
    rehearsal.fault("POST", POST, "drop_after")
    with pytest.warns(
        RuntimeWarning, match=r"posted twice.* within 0\.3 s: job \w+ was cancelled.*device\.tags_settle"
    ):
        assert np.array_equal(two_calls(device(), book), undisturbed)
    assert len(rehearsal.jobs) == 3
    assert sum(job.state == "double" for job in book.remote_jobs()) == 1
    assert book.spent_seconds() == pytest.approx(rehearsal.consumed, abs=1e-6)


def test_a_search_that_shows_nothing_ends_in_one_error_and_the_run_can_go_on(start, undisturbed):
    rehearsal, book = start(tag_lag=1000.0, queue_seconds=1000.0), in_memory()
    rehearsal.fault("POST", POST, "drop_after", times=3)
    with pytest.raises(JobFailed, match=r"was posted 3 times, and the service shows none.*Run the same again"):
        two_calls(device(tags_settle=0.05), book)
    rehearsal.service.tag_lag = rehearsal.book.queue_seconds = 0.0
    with pytest.warns(RuntimeWarning, match="posted twice"):
        assert np.array_equal(two_calls(device(tags_settle=0.05), book), undisturbed)
    assert len(rehearsal.jobs) == 4
    assert book.spent_seconds() == pytest.approx(rehearsal.consumed, abs=1e-6)


@pytest.mark.slow
def test_a_search_that_lags_ten_seconds_and_a_service_away_for_a_minute(start, undisturbed, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", Patience())
    rehearsal = start(tag_lag=10.0)
    rehearsal.fault("POST", POST, "drop_after")
    made = device()
    made.connection.backend()
    assert np.array_equal(two_calls(made), undisturbed)
    rehearsal.away(60.0)
    again = in_memory()
    assert np.array_equal(two_calls(made, again), undisturbed)
    assert len(rehearsal.jobs) == 4


def test_a_service_that_is_away_for_a_while(start, undisturbed):
    rehearsal = start(queue_seconds=0.3)
    made = device()
    made.connection.backend()
    rehearsal.away(1.0)
    assert np.array_equal(two_calls(made), undisturbed)
    assert len(rehearsal.jobs) == 2


def test_an_access_token_that_runs_out_is_renewed(start, undisturbed):
    rehearsal = start()
    made = device()
    made.connection.backend()
    rehearsal.fault("GET", "/instances/usage", "status", code=401)
    assert np.array_equal(two_calls(made), undisturbed)
    assert len(rehearsal.jobs) == 2


def test_a_job_that_fails_is_posted_again_a_few_times(start, undisturbed):
    rehearsal = start()
    rehearsal.next_job("failed")
    assert np.array_equal(two_calls(device()), undisturbed)
    assert [job.state for job in rehearsal.jobs] == ["Failed", "Completed", "Completed"]
    for _ in range(4):
        rehearsal.next_job("failed")
    book = in_memory()
    with pytest.raises(JobFailed, match=r"failed: .*As was asked for"):
        two_calls(device(), book)
    with pytest.raises(JobFailed, match="ended badly 3 times"):
        two_calls(device(), book)
    assert len(rehearsal.jobs) == 3 + 3


@pytest.mark.parametrize(("fate", "advice"), [("cancelled", "post it anew"), ("too_long", "max_execution_time")])
def test_a_job_that_is_ended_from_outside_stops_the_run_which_can_go_on(start, undisturbed, fate, advice):
    rehearsal = start()
    rehearsal.next_job(fate)
    book = in_memory()
    with pytest.raises(JobFailed, match=advice):
        two_calls(device(), book)
    assert np.array_equal(two_calls(device(), book), undisturbed)
    assert len(rehearsal.jobs) == 3


@pytest.mark.parametrize("mode", ["session", "batch"])
def test_a_session_that_is_closed_under_us_is_opened_again(start, undisturbed, mode):
    rehearsal = start(plan="payg")
    made = device(mode=mode)
    recorded = Recorded(made, in_memory(), ("qeqprop", "run-1"))
    first = recorded.run(small(), shots=None, key=(1,))
    rehearsal.close_session(rehearsal.service.sessions.all()[0].id)
    second = recorded.run(small(), shots=None, key=(1,))
    found = np.concatenate([first.expectations.values, second.expectations.values])
    assert np.array_equal(found, undisturbed)
    assert len(rehearsal.jobs) == 2
    made.close()
    assert all(session.closed or not session.accepting for session in rehearsal.service.sessions.all())


@pytest.mark.parametrize(
    ("method", "path", "times"), [("GET", STATE, 1), pytest.param("*", "", 1000, marks=pytest.mark.slow)]
)
def test_ctrl_c_ends_a_process_whose_service_hangs(start, tmp_path, method, path, times):
    rehearsal = start(queue_seconds=60.0)
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    # a shell starts what is in the background deaf to Ctrl-C, and its children inherit that: not so this one
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{hears}; from qeqprop.cli import main; main()"
    arguments = ["run", str(tmp_path / "xor.toml"), "--folder", str(tmp_path / "runs")]
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        while not any(re.search(r"/jobs/\w+\?", entry.path) for entry in rehearsal.log):
            assert child.poll() is None
            time.sleep(0.01)
        rehearsal.fault(method, path, "hang", seconds=600.0, times=times)
        before = rehearsal.faults.happened
        while rehearsal.faults.happened == before:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "go on with: qeqprop run" in said
    assert len(rehearsal.jobs) == 1


def test_a_session_that_cannot_be_closed_is_warned_of(start):
    rehearsal = start(plan="payg")
    made = device(mode="session")
    Recorded(made, in_memory()).run(small(), shots=None, key=(1,))
    rehearsal.fault("PATCH", "/sessions/", "drop_before")
    with pytest.warns(RuntimeWarning, match=r"session \w+ could not be closed .*Its time is paid until"):
        made.close()
    assert TOKEN not in str(rehearsal.log)


def test_the_time_between_jobs_of_a_session_is_estimated_counted_and_billed(start, tmp_path):
    rehearsal = start(plan="payg")
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    settings = ["train.steps=2", "device.mode='session'"]
    rehearsal.fault("POST", POST, "wait", seconds=0.4, times=100)
    done = Experiment.load(tmp_path / "xor.toml", settings).run(tmp_path / "runs")
    (session,) = rehearsal.service.sessions.all()
    assert not session.accepting
    with read_run(done.folder) as ledger:
        spent, idle, known = ledger.jobs.spent_seconds(), ledger.jobs.idle_seconds(), ledger.jobs.sessions()
    assert spent == pytest.approx(rehearsal.consumed, abs=1e-3)
    assert idle > 0.15 * (spent - idle)
    assert not known[session.id]["open"]
    prices = [
        Experiment.load(tmp_path / "xor.toml", [*settings, f"device.pause={pause}"]).check().price
        for pause in (0.0, idle / len(rehearsal.jobs))
    ]
    assert prices[0].total_seconds < 0.9 * spent
    assert prices[1].total_seconds == pytest.approx(spent, rel=0.1)
    said = CliRunner().invoke(app, ["check", str(tmp_path / "xor.toml"), *(w for s in settings for w in ("--set", s))])
    assert re.search(r"between jobs +5 s each", said.output)
    said = CliRunner().invoke(app, ["jobs", "cost", str(done.folder)])
    assert re.search(rf"between jobs +{idle:.1f} s of these", said.output)


def test_a_session_that_a_killed_process_left_open_is_ended(start):
    rehearsal, book = start(plan="payg"), in_memory()
    Recorded(device(mode="session"), book).run(small(), shots=None, key=(1,))
    (left,) = rehearsal.service.sessions.all()
    time.sleep(0.3)
    again = Recorded(device(mode="session"), book)
    again.ready()
    assert not left.accepting
    assert book.idle_seconds() > 0.3
    for _ in range(2):  # the first is answered by the book
        again.run(small(), shots=None, key=(1,))
    assert [session.accepting for session in rehearsal.service.sessions.all()] == [False, True]
    again.close()
    assert book.spent_seconds() == pytest.approx(rehearsal.consumed, abs=1e-3)


def test_posts_wait_for_their_turn(start, monkeypatch):
    start()
    slept = []
    monkeypatch.setattr("qeqprop.submitter.time.sleep", slept.append)
    two_calls(IBM("ibm_kingston_8", shots=50, posts_per_minute=1))
    assert max(slept) > 50


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "settings", "plan", "message"),
    [
        ({"QISKIT_IBM_TOKEN": "wrong"}, {}, "open", "refuses the account"),
        ({"QISKIT_IBM_INSTANCE": "crn:v1:wrong"}, {}, "open", "refuses the account or the instance"),
        ({"QISKIT_IBM_INSTANCE": None}, {}, "open", "`instance` must name the instance that pays"),
        ({}, {"instance": "another"}, "open", "another"),
        (
            {},
            {"machine": "ibm_nowhere"},
            "open",
            r"`machine` must name a machine .* \(ibm_kingston_8, ibm_sherbrooke_6\)",
        ),
        ({}, {"mode": "session"}, "open", "`mode` must be 'batch' or 'job' on an Open plan"),
        ({}, {"machine": "ibm_sherbrooke_6", "fractional": True}, "open", "`fractional` must be False: ibm_sher"),
        ({}, {"qubits": (0, 1, 2)}, "open", "`qubits` must name 2 different qubits"),
        ({}, {"max_execution_time": 1}, "open", "`max_execution_time` must be at least"),
    ],
)
def test_what_cannot_be_is_refused_before_any_job(start, monkeypatch, tmp_path, environment, settings, plan, message):
    rehearsal = start("kingston_8.toml", "sherbrooke_6.toml", plan=plan)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    made = IBM(**{"machine": "ibm_kingston_8"} | settings)
    with pytest.raises((ValueError, Refused), match=message) as refusal:
        two_calls(made)
    assert TOKEN not in "".join(traceback.format_exception(refusal.value))
    assert not rehearsal.jobs


@pytest.mark.parametrize(
    ("environment", "settings", "allowance", "message"),
    [
        ({"QISKIT_IBM_TOKEN": f"not-{TOKEN}"}, [], None, "refuses the account"),
        ({"QISKIT_IBM_TOKEN": None}, [], None, "no account of IBM's service: set QISKIT_IBM_TOKEN"),
        ({"QISKIT_IBM_INSTANCE": None}, [], None, "`instance` must name the instance that pays"),
        ({"QISKIT_IBM_INSTANCE": "crn:v1:wrong"}, [], None, "refuses the account or the instance"),
        (
            {},
            ["device.machine='ibm_nowhere'"],
            None,
            r"`machine` must name a machine of the instance \(ibm_kingston_8\)",
        ),
        ({}, ["device.mode='session'"], None, "`mode` must be 'batch' or 'job' on an Open plan"),
        ({}, [], 1.0, r"has 1\.0 s on its machines left, and any job needs more"),
    ],
)
def test_a_run_is_refused_before_a_state_is_prepared(
    start, monkeypatch, tmp_path, caplog, environment, settings, allowance, message
):
    caplog.set_level(logging.DEBUG)
    rehearsal = start(allowance=allowance)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setattr(Variational, "solve", lambda *_, **__: pytest.fail("a state was prepared"))
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    with pytest.raises((ValueError, Refused), match=message) as refusal:
        Experiment.load(tmp_path / "xor.toml", settings).run(tmp_path / "runs")
    network = Experiment.load(tmp_path / "xor.toml").setup.network
    with pytest.raises((ValueError, Refused), match=message):  # without a run file too
        made = Experiment.load(tmp_path / "xor.toml", settings).setup.device
        qeqprop.predict(network, network.initial, np.zeros((1, 2)), solver=Variational(), device=made)
    assert TOKEN not in "".join(traceback.format_exception(refusal.value)) + caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert not [entry for entry in rehearsal.log if entry.method == "POST" and "jobs" in entry.path]
    assert not rehearsal.service.sessions.all()


def test_a_step_that_was_paid_for_goes_on_with_an_empty_purse(start):
    rehearsal, book = start(), in_memory()
    Recorded(device(), book).run(small(), shots=None, key=(1,))
    rehearsal.service.allowance = rehearsal.consumed
    Recorded(device(), book).ready()
    with pytest.raises(ValueError, match=r"has 0\.0 s on its machines left"):
        Recorded(device(), in_memory()).ready()


def test_circuits_that_do_not_fit_and_empty_purses_are_refused_before_any_job(start):
    rehearsal = start(allowance=2.0)
    with pytest.raises(ValueError, match=r"has 2\.0 s on its machines left, but the next job needs"):
        two_calls(device())
    wide = QuantumCircuit(9)
    wide.h(range(9))
    measurement = Measurement(wide, np.zeros((1, 0)), PauliList(["I" * 8 + "Z"]), np.ones((1, 1, 1)))
    with pytest.raises(ValueError, match=r"at most the 8 qubits of the machine, but has 9"):
        Recorded(device(), in_memory()).run(measurement, shots=None, key=(1,))
    with pytest.raises(ValueError, match="must be finite"):
        Measurement(small().circuit, np.full((1, 2), np.nan), PauliList(["IZ"]), np.ones((1, 1, 1)))
    assert not rehearsal.jobs


@pytest.mark.parametrize("wrapper", [Allocated, ReadoutMitigated, ZeroNoise])
def test_a_wrapper_refuses_it_and_says_what_to_use_instead(wrapper):
    with pytest.raises(ValueError, match=r"one by one.* an estimator with resilience_level = 1 .*more shots"):
        wrapper(device())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"options": {"dynamical": {}}}, "`options` must hold options of the client's sampler: dynamical"),
        ({"primitive": "estimator_v2", "options": {"resilience": {"pec_mitigation": True}}}, "PEC or PEA"),
        ({"mitigation": "pea"}, "`primitive` must be 'estimator' where PEC or PEA is asked for, but is 'sampler'"),
        ({"primitive": "estimator", "mitigation": "pec", "resilience_level": 2}, "together with ZNE"),
        ({"primitive": "estimator", "noise_learning": {"num_randomizations": 9}}, "neither PEC nor PEA"),
        ({"primitive": "estimator", "mitigation": "pec", "noise_learning": {"depths": []}}, "noise learner: depths"),
        (
            {"primitive": "estimator", "mitigation": "pec", "options": {"resilience": {"pec": {"max_overhead": None}}}},
            "must bound resilience.pec.max_overhead",
        ),
        ({"shots": 1}, "`shots` must be an integer at least 2"),
        ({"machine": ""}, "`machine` must name a machine"),
    ],
)
def test_settings_are_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        IBM(**{"machine": "ibm_kingston_8"} | settings)


@pytest.mark.parametrize("name", RESERVED)
def test_options_that_would_break_the_promise_are_refused(name):
    """Other tags: no job is found again; no limit of time: a job may cost anything; private: read once."""
    options = 7
    for word in reversed(name.split(".")):
        options = {word: options}
    with pytest.raises(ValueError, match=rf"`options` must not hold {name}, which"):
        IBM("ibm_kingston_8", primitive="estimator", options=options)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_budget_ends_a_run_which_goes_on_with_a_larger_one(start, tmp_path, caplog):
    """The token is in no file, no log, no exception and no report."""
    caplog.set_level(logging.DEBUG)
    rehearsal = start(folder=tmp_path / "service")
    (tmp_path / "xor.toml").write_text(RUN_FILE)

    def load(budget):
        return Experiment.load(tmp_path / "xor.toml", ["train.steps=2", f"train.budget_seconds={budget}"])

    price = load(9).check().price
    with pytest.raises(BudgetExceeded, match=r"of the budget of 9 s are spent.*--set train\.budget_seconds=18") as stop:
        load(9).run(tmp_path / "runs")
    assert rehearsal.consumed <= 9
    done = load(60).run(tmp_path / "runs")
    assert done.resumed_from == 1
    assert done.folder.name == load(9).name
    assert len(rehearsal.jobs) == 2 * 3
    assert price.total_seconds == pytest.approx(rehearsal.consumed, rel=0.1)
    with read_run(done.folder) as ledger:
        assert ledger.jobs.spent_seconds() == pytest.approx(rehearsal.consumed, abs=1e-6)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(traceback.format_exception(stop.value)) + repr(vars(load(9).setup))


def test_a_token_in_somebody_elses_words_is_struck_out(start, tmp_path):
    rehearsal = start()
    rehearsal.next_job("failed", reason=f"The token {TOKEN} does not please me.")
    rehearsal.next_job("cancelled", reason=f"Nor does Bearer {TOKEN}.")
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    with pytest.raises(JobFailed, match="was cancelled") as stop:
        Experiment.load(tmp_path / "xor.toml").run(tmp_path / "runs")
    made = device()
    made.connection.service()

    def fail(error):
        raise error

    said = "".join(traceback.format_exception(stop.value))
    for error in (RuntimeError(TOKEN), ValueError(f"apikey {TOKEN}"), OSError(f"Authorization: Bearer {TOKEN}")):
        with pytest.raises(Trouble) as trouble:
            made.connection._ask(lambda error=error: fail(error))
        said += "".join(traceback.format_exception(trouble.value))
    assert "***" in said
    assert TOKEN not in said
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_bill_above_the_estimate_stops_the_next_jobs(start, monkeypatch):
    """Only what is being posted can exceed the budget: the bill of one job is known before the next is posted."""
    monkeypatch.setattr("qeqprop.ibm_jobs.OVERHEAD", 0.1)
    rehearsal, book = start(), in_memory()
    recorded = Recorded(device(), book, budget=3.0)
    for _ in range(2):
        recorded.run(small(), shots=None, key=(1,))
    assert book.spent_seconds() == pytest.approx(rehearsal.consumed)
    assert rehearsal.consumed > 3.0
    with pytest.raises(BudgetExceeded, match=r"cost about 0\.\d s on the machine, and 4\.\d s of the budget of 3 s"):
        recorded.run(small(), shots=None, key=(1,))
    assert len(rehearsal.jobs) == 2


def test_a_run_goes_on_with_other_ways_of_posting(start, tmp_path):
    """A limit of time that was too short, a session that is too dear: no other run, and nothing is paid again."""
    rehearsal = start(plan="payg")
    (tmp_path / "xor.toml").write_text(RUN_FILE)

    def load(*settings):
        return Experiment.load(tmp_path / "xor.toml", ["train.steps=1", *settings])

    rehearsal.next_job("completed")
    rehearsal.next_job("too_long")
    with pytest.raises(JobFailed, match=r"device\.max_execution_time"):
        load("device.mode='session'", "device.max_execution_time=5").run(tmp_path / "runs")
    done = load("device.max_execution_time=9", "device.tags_settle=1.5", "device.posts_per_minute=500").run(
        tmp_path / "runs"
    )
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == [done.folder.name]
    assert [job.state for job in rehearsal.jobs] == ["Completed", "Cancelled", "Completed", "Completed"]
    assert load("device.shots=61").name != done.folder.name
    with read_run(done.folder) as ledger:
        assert ledger.jobs.spent_seconds() == pytest.approx(rehearsal.consumed, abs=1e-3)


def test_jobs_are_looked_after_from_the_command_line(start, tmp_path, monkeypatch):
    rehearsal = start(queue_seconds=60.0)
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    command = [str(tmp_path / "xor.toml"), "--folder", str(tmp_path / "runs"), "--set", "train.steps=1", "--quiet"]

    def call(*words, code=0):
        found = CliRunner().invoke(app, list(words))
        assert found.exit_code == code, found.output
        return found.output

    assert "about $10, at $1.60 a second" in call("check", command[0], "--set", "train.steps=1")
    with monkeypatch.context() as patch:
        patch.setattr(Submitter, "_wait", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert "go on with: qeqprop run" in call("run", *command, code=130)
    (folder,) = map(str, (tmp_path / "runs").iterdir())
    assert " posted " in call("jobs", "list", folder)
    assert " posted " in call("jobs", "sync", folder)
    assert "1 jobs cancelled." in call("jobs", "cancel", folder)
    assert " cancelled " in call("jobs", "list", folder)
    rehearsal.book.queue_seconds = 0.0
    call("run", *command)
    assert "4, 4 posted, 4 billed" in call("jobs", "cost", folder)
    assert "(100.0% of their bill)" in call("jobs", "cost", folder)
    assert call("jobs", "sync", folder).count(" done ") == 3
    assert "no run folder" in call("jobs", "list", str(tmp_path), code=2).replace("not a run", "no run")


def test_a_budget_must_be_more_than_nothing(tmp_path):
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    with pytest.raises(RunFileError, match=r"train\.budget_seconds"):
        Experiment.load(tmp_path / "xor.toml", ["train.budget_seconds=0"])


PHASES = ("anywhere", "posting", "queued", "running", "fetching")


def until(rehearsal, child, phase, moments):
    """Waits for the moment at which the child is to be killed."""
    jobs, seen, deadline = len(rehearsal.jobs), len(rehearsal.log), time.monotonic() + 60

    def reached():
        news = rehearsal.log[seen:]
        return {
            "posting": len(rehearsal.jobs) > jobs,
            "queued": any(job.state == "Queued" for job in rehearsal.jobs[jobs:]),
            "running": any(job.state == "Running" for job in rehearsal.jobs),
            "fetching": any("/results" in entry.path for entry in news),
            "anywhere": len(news) > 5,
        }[phase]

    for _ in range(moments.randrange(3)):  # not always the first chance
        while child.poll() is None and not reached() and time.monotonic() < deadline:
            time.sleep(0.002)
        jobs, seen = len(rehearsal.jobs), len(rehearsal.log)
    while child.poll() is None and not reached():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(moments.uniform(0, 0.5 if phase == "anywhere" else 0.03))


def kill_and_resume(start, tmp_path, kills, seed):
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    experiment = Experiment.load(tmp_path / "xor.toml")
    first = start()
    undisturbed = experiment.run(tmp_path / "undisturbed")
    needed = len(first.jobs)
    assert needed == 5 * 3
    rehearsal = start(queue_seconds=0.05, run_seconds=0.05)
    moments, killed = random.Random(seed), 0
    for number in range(kills):
        phase = PHASES[number % len(PHASES)]
        if phase in ("posting", "fetching"):
            path = POST if phase == "posting" else RESULT
            rehearsal.fault("POST" if phase == "posting" else "GET", path, "wait", seconds=0.1, times=3)
        command = [sys.executable, "-c", CHILD, str(tmp_path / "xor.toml"), str(tmp_path / "disturbed")]
        with subprocess.Popen(command) as child:
            until(rehearsal, child, phase, moments)
            child.send_signal(signal.SIGKILL)
        killed += child.returncode == -signal.SIGKILL
        rehearsal.faults.clear()
        if child.returncode == 0:
            break
    again = Experiment.load(tmp_path / "xor.toml").run(tmp_path / "disturbed")
    assert again.theta.tobytes() == undisturbed.theta.tobytes()
    assert (again.folder / "history.csv").read_bytes() == (undisturbed.folder / "history.csv").read_bytes()
    assert len(rehearsal.jobs) == needed
    assert all(job.state == "Completed" for job in rehearsal.jobs)
    return killed


def test_a_run_that_is_killed_pays_for_no_job_twice(start, tmp_path):
    assert kill_and_resume(start, tmp_path, 2, seed=4) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_run_that_is_killed_at_many_moments_pays_for_no_job_twice(start, tmp_path, seed):
    assert kill_and_resume(start, tmp_path, 5, seed) >= 3
