"""PEC and PEA by the real client against the stand-in: the noise is learned once, paid for once, and taken out."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import PauliLindbladMap, PauliList

from qeqprop import noise_learning, patience
from qeqprop.calibration import GateCalibration, from_text
from qeqprop.devices.ibm import IBM
from qeqprop.devices.statevector import Statevector
from qeqprop.experiment import Experiment
from qeqprop.interfaces import Measurement, PhysicsWarning
from qeqprop.job_table import LESSON, JobTable, in_memory
from qeqprop.noise_learning import model_from, noise_map
from qeqprop.patience import Patience
from qeqprop.recorded import Recorded
from qeqprop.rehearsal.machines import of_calibration
from qeqprop.rehearsal.server import Rehearsal
from qeqprop.stored_files import find_stored
from qeqprop.submitter import BudgetExceeded, Submitter

ERROR = 0.03
"""Of every two-qubit gate of the noisy machine."""

LEARNING = {"num_randomizations": 8, "shots_per_randomization": 128, "layer_pair_depths": [0, 2, 6]}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE", Patience(reply=5.0, post=20.0, first=0.02, longest=0.1, tags_settle=0.3))


@pytest.fixture
def start(monkeypatch):
    started = []

    def begin(**settings):
        rehearsal = Rehearsal((noisy(),), **settings)
        started.append(rehearsal)
        for name, value in rehearsal.environment().items():
            monkeypatch.setenv(name, value)
        return rehearsal

    yield begin
    for rehearsal in started:
        rehearsal.stop()


def noisy():
    """A machine whose two-qubit gates are bad, and whose other errors are small."""
    known = from_text(find_stored("kingston_8.toml", "hardware_profiles").read_text(encoding="utf-8"))
    bad = {pair: GateCalibration(ERROR, gate.duration) for pair, gate in known.gates["cz"].items()}
    return of_calibration(replace(known, gates={**known.gates, "cz": bad}), "ibm_noisy_8")


def device(**settings):
    common = {"primitive": "estimator", "shots": 1000, "mode": "job", "posts_per_minute": 1000, "qubits": (5, 4, 3)}
    common["options"] = {"twirling": {"shots_per_randomization": 8}}
    learning = {} if settings.get("mitigation", "pec") == "none" else {"noise_learning": LEARNING}
    return IBM("ibm_noisy_8", **common | learning | {"mitigation": "pec"} | settings)


def chain(repeated=2):
    """Gates on both pairs, each several times, and strings that all of their errors harm."""
    circuit = QuantumCircuit(3)
    for site in range(3):
        circuit.ry(Parameter(f"theta_{site:03d}"), site)
    for _ in range(repeated):
        circuit.cx(0, 1)
        circuit.cx(1, 2)
    circuit.cx(0, 1)
    labels = PauliList(["IIZ", "IZI", "ZII", "IZZ", "ZZZ"])
    return Measurement(circuit, np.array([[0.3, 0.2, 0.4]]), labels, np.eye(5)[None])


def errors_of(made, measurement, book):
    answer = Recorded(made, book, ("qeqprop", "run-1")).run(measurement, shots=None, key=(1,))
    exact = Statevector().run(measurement, shots=None, key=(1,)).expectations.values
    found = answer.expectations
    return np.abs(found.values - exact)[0], found.std_errors[0]


def rms(values):
    return float(np.sqrt(np.mean(values**2)))


def test_pec_is_right_where_nothing_else_is_and_every_bill_was_foreseen(start):
    rehearsal, book = start(), in_memory()
    wrong, bars = errors_of(device(mitigation="none"), chain(), in_memory())
    right, wider = errors_of(device(), chain(), book)
    assert np.max(wrong / bars) > 6
    assert np.all(right < 4 * wider + 0.02)
    assert rms(right) + rms(wider) < rms(wrong) - rms(bars)
    jobs = book.remote_jobs()
    assert [job.part for job in jobs] == [LESSON, 0]
    for job, billed in zip(jobs, rehearsal.jobs[1:], strict=True):
        assert job.estimate == pytest.approx(billed.billed, rel=0.02)
        assert job.billed == billed.billed
    learned = book.recall("learned")
    assert 2.0 + device().rough_lesson * len(learned["models"]) == pytest.approx(jobs[0].billed, rel=0.1)
    assert learned["executions"] == rehearsal.jobs[1].executions
    check_models(learned["models"])


def check_models(models):
    """Whose layers these are, and that errors lie where the gates are: half of what the machine says, or twice."""
    assert {tuple(gate[0][1:]) for gate in (model["gates"] for model in models)} >= {(5, 4), (4, 3)}
    for model in models:
        ((_, *pair),) = model["gates"]
        here = sum(rate for _, qubits, rate in model["rates"] if set(qubits) == set(pair))
        there = sum(rate for _, qubits, rate in model["rates"] if not set(qubits) & set(pair))
        assert 0.5 * ERROR < here < 2 * ERROR
        assert there < 0.2 * here


def test_pea_is_nearer_to_the_truth_than_the_noisy_value(start):
    start()
    wrong, bars = errors_of(device(mitigation="none"), chain(), in_memory())
    right, wider = errors_of(device(mitigation="pea"), chain(), in_memory())
    assert np.all(right < 4 * wider + 0.02)
    assert rms(right) < rms(wrong) - rms(bars)


def test_what_was_learned_is_used_until_the_machine_is_calibrated_anew(start):
    rehearsal, book = start(drift_every=3), in_memory()
    measurement, made = small(), quick()
    for number in (2, 3):
        Recorded(made, book, calls=calls(number)).run(measurement, shots=None, key=(number,))
        assert len(rehearsal.jobs) == number
    with pytest.warns(PhysicsWarning) as said:
        Recorded(made, book, calls=calls(4)).run(measurement, shots=None, key=(4,))
    assert any("since the noise of its gates was learned" in str(warning.message) for warning in said)
    assert [job.part for job in book.remote_jobs()] == [LESSON, 0, 0, LESSON, 0]
    assert len(rehearsal.jobs) == 5
    models = book.recall("learned")["models"]
    assert len({json.dumps([model["qubits"], model["gates"]]) for model in models}) == len(models)


def test_a_lesson_that_was_posted_or_answered_is_not_paid_for_again(start, monkeypatch):
    rehearsal, book = start(), in_memory()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Submitter, "_wait", stop)
        Recorded(quick(), book).run(small(), shots=None, key=(1,))
    assert [(job.part, job.state) for job in book.remote_jobs()] == [(LESSON, "posted")]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(IBM, "learn", stop)
        Recorded(quick(), book).run(small(), shots=None, key=(1,))
    (job,) = book.remote_jobs()
    assert job.state == "done"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(JobTable, "finish_job", stop)
        Recorded(quick(), book).run(small(), shots=None, key=(1,))
    Recorded(quick(), book).run(small(), shots=None, key=(1,))
    assert [job.tags[-2] for job in rehearsal.jobs] == ["lesson", "call-0"]


def test_a_budget_and_a_purse_count_lessons(start):
    rehearsal, book = start(), in_memory()
    with pytest.raises(BudgetExceeded):
        Recorded(quick(), book, budget=1.0).run(small(), shots=None, key=(1,))
    assert not rehearsal.jobs
    Recorded(quick(), book, budget=9.0).run(small(), shots=None, key=(1,))
    assert book.spent_seconds() == pytest.approx(rehearsal.consumed)
    assert book.summary()["jobs"] == len(rehearsal.jobs) == 2


def test_circuits_without_two_qubit_gates_have_nothing_to_learn(start):
    rehearsal = start()
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("theta_000"), 0)
    measurement = Measurement(circuit, np.array([[0.4]]), PauliList(["IZ"]), np.ones((1, 1, 1)))
    answer = Recorded(quick(), in_memory()).run(measurement, shots=None, key=(1,))
    assert abs(answer.expectations.values[0, 0] - np.cos(0.4)) < 0.3
    assert len(rehearsal.jobs) == 1


def test_models_are_kept_as_they_were_learned():
    layer = {"qubits": [9, 4, 7], "gates": [["cz", 9, 4]]}
    learned = PauliLindbladMap.from_sparse_list([("XZ", [0, 2], 0.01), ("Y", [1], 0.002)], num_qubits=3)
    model = json.loads(json.dumps(model_from(layer, learned)))
    assert model["rates"] == [["XZ", [4, 9], 0.01], ["Y", [7], 0.002]]
    assert noise_map(model).simplify() == learned.simplify()


def test_without_the_package_that_learns_it_is_named(monkeypatch):
    monkeypatch.setattr(noise_learning, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'qeqprop\[noise-learning\]'"):
        device()


def calls(number):
    """Calls of a step that has come so far."""
    return defaultdict(lambda: itertools.count(number))


def stop(*_, **__):
    raise KeyboardInterrupt


def quick(**settings):
    tiny = {"num_randomizations": 2, "shots_per_randomization": 64, "layer_pair_depths": [0, 2]}
    return device(qubits=(5, 4), shots=32, noise_learning=tiny, **settings)


def small():
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("theta_000"), 0)
    circuit.cx(0, 1)
    return Measurement(circuit, np.array([[0.3], [0.9]]), PauliList(["IZ", "ZZ"]), np.ones((1, 1, 2)))


RUN_FILE = """
schema = 1
seed = 3
[network]
use = "transverse_ising:transverse_ising"
sites = 2
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
machine = "ibm_noisy_8"
primitive = "estimator"
mitigation = "pec"
shots = 32
posts_per_minute = 1000
noise_learning = { num_randomizations = 2, shots_per_randomization = 64, layer_pair_depths = [0, 2] }
[train]
steps = 2
"""

CHILD = """
import sys, warnings
warnings.simplefilter("ignore")
from qeqprop import patience
patience.PATIENCE = patience.Patience(reply=5.0, post=20.0, first=0.02, longest=0.1, away=20.0, tags_settle=0.5)
from qeqprop.experiment import Experiment
Experiment.load(sys.argv[1]).run(sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*far from an eigenstate:qeqprop.interfaces.PhysicsWarning")
def test_a_run_with_pec_that_is_killed_learns_once(start, tmp_path):
    """Killed with SIGKILL while the lesson waits, while it is collected, and after the next job was posted."""
    (tmp_path / "xor.toml").write_text(RUN_FILE)
    experiment = Experiment.load(tmp_path / "xor.toml")
    price = experiment.check().price
    assert price.lesson > 0
    assert price.most_overhead == 100
    first = start(plan="payg")
    undisturbed = experiment.run(tmp_path / "undisturbed")
    lessons = [job for job in first.jobs if "lesson" in job.tags]
    assert len(lessons) == 1
    rehearsal = start(plan="payg", queue_seconds=0.3)
    reached = (
        lambda: any("lesson" in job.tags for job in rehearsal.jobs),
        lambda: any("/results" in entry.path for entry in rehearsal.log),
        lambda: len(rehearsal.jobs) > 1,
        lambda: len(rehearsal.jobs) > 3,
    )
    rehearsal.fault("GET", "/results$", "wait", seconds=0.3, times=1)
    for moment in reached:
        command = [sys.executable, "-c", CHILD, str(tmp_path / "xor.toml"), str(tmp_path / "disturbed")]
        with subprocess.Popen(command) as child:
            deadline = time.monotonic() + 60
            while child.poll() is None and not moment() and time.monotonic() < deadline:
                time.sleep(0.002)
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
    again = Experiment.load(tmp_path / "xor.toml").run(tmp_path / "disturbed")
    assert again.theta.tobytes() == undisturbed.theta.tobytes()
    assert len(rehearsal.jobs) == len(first.jobs)
    assert sum("lesson" in job.tags for job in rehearsal.jobs) == 1
