"""PEC and PEA by the real client against the stand-in: the noise is learned once, paid for once, and taken out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop import patience
from qeqprop.calibration import GateCalibration, from_text
from qeqprop.devices.ibm import IBM
from qeqprop.devices.statevector import Statevector
from qeqprop.interfaces import Measurement
from qeqprop.job_table import LESSON, in_memory
from qeqprop.patience import Patience
from qeqprop.recorded import Recorded
from qeqprop.rehearsal.machines import of_calibration
from qeqprop.rehearsal.server import Rehearsal
from qeqprop.stored_files import find_stored

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
