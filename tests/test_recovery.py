"""A run that is killed again and again ends in the same bits as one that nobody disturbed."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from qeqprop import ledger
from qeqprop.devices.statevector import Statevector
from qeqprop.experiment import Experiment
from qeqprop.job_table import JobTable
from qeqprop.ledger import FILE_NAME, Ledger
from qeqprop.recorded import ReplayDiverged
from qeqprop.report import summary

RUN_FILE = """
schema = 1
seed = 11
[network]
use = "transverse_ising:transverse_ising"
sites = 3
n_inputs = 2
[data]
use = "boolean:xor"
[solver]
use = "sampled:Sampled"
shots = 50
[rule]
use = "nudging:SymmetricNudging"
beta = 0.3
[optimizer]
use = "adam"
[train]
steps = 60
batch = 3
"""

CHILD = """
import sys, time
from qeqprop.experiment import Experiment
Experiment.load(sys.argv[1]).run(sys.argv[2], progress=lambda state: time.sleep(0.01))
"""


def content(folder):
    """Every row of the ledger: arrays as their bytes, numbers as they are stored."""
    with contextlib.closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        steps = connection.execute("SELECT * FROM steps ORDER BY step").fetchall()
        arrays = connection.execute("SELECT * FROM optimizer_arrays ORDER BY step, name").fetchall()
    return steps, arrays


def steps_done(folder):
    try:
        with contextlib.closing(sqlite3.connect(folder / FILE_NAME, timeout=1.0)) as connection:
            return connection.execute("SELECT count(*) FROM steps").fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


@pytest.mark.parametrize("seed", [0])
def test_killed_runs_end_in_the_same_bits(tmp_path, seed):
    file = tmp_path / "xor.toml"
    file.write_text(RUN_FILE)
    experiment = Experiment.load(file)
    undisturbed = experiment.run(tmp_path / "undisturbed").folder
    disturbed = tmp_path / "disturbed" / experiment.name
    (tmp_path / "disturbed").mkdir()

    moments = random.Random(seed)
    reached = [0]
    for fuse in (1, 15, 35):
        command = [sys.executable, "-c", CHILD, str(file), str(tmp_path / "disturbed")]
        with subprocess.Popen(command) as child:
            deadline = time.monotonic() + 60
            while child.poll() is None and (not disturbed.exists() or steps_done(disturbed) < fuse):
                assert time.monotonic() < deadline
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.03))  # anywhere in a step: measuring, committing, reporting
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        reached.append(steps_done(disturbed))
        assert reached[-2] < reached[-1] < 60

    result = experiment.run(tmp_path / "disturbed")
    assert result.resumed_from == reached[-1]
    assert result.folder == disturbed
    assert content(disturbed) == content(undisturbed)
    assert (disturbed / "history.csv").read_bytes() == (undisturbed / "history.csv").read_bytes()
    with np.load(disturbed / "weights.npz") as found, np.load(undisturbed / "weights.npz") as wanted:
        assert found["theta"].tobytes() == wanted["theta"].tobytes()
        assert found["terms"].tolist() == wanted["terms"].tolist()


def test_a_run_killed_before_its_results_writes_them_later(tmp_path):
    file = tmp_path / "xor.toml"
    file.write_text(RUN_FILE)
    experiment = Experiment.load(file, ["train.steps=2"])
    first = experiment.run(tmp_path)
    weights = np.load(first.folder / "weights.npz")["theta"]
    (first.folder / "weights.npz").unlink()
    (first.folder / "history.csv").unlink()
    again = experiment.run(tmp_path)
    assert again.resumed_from == 2
    assert again.theta.tobytes() == weights.tobytes()
    assert np.load(again.folder / "weights.npz")["theta"].tobytes() == weights.tobytes()
    assert len((again.folder / "history.csv").read_text().splitlines()) == 3


# --- jobs of devices: a fuse burns at every crossing of the boundary between a run and its device

FIELDS = '''
from dataclasses import dataclass
import numpy as np
from qiskit.circuit import ParameterVector, QuantumCircuit
from qeqprop.interfaces import Certificate, Measurement, Solution, Start

@dataclass(frozen=True)
class Fields:
    """Product states along the fields of each site: exact without couplings, and measured, which is all we need."""
    def solve(self, problem, measure=None, *, precision=None):
        strings, sums = problem.hamiltonians.strings, problem.hamiltonians.coefficients
        sites, rows = problem.hamiltonians.num_sites, len(sums)
        angles = np.zeros((rows, sites))
        labels = strings.to_labels()
        for site in range(sites):
            words = ["I" * (sites - 1 - site) + letter + "I" * site for letter in "ZX"]
            z, x = (sums[:, labels.index(word)] if word in labels else np.zeros(rows) for word in words)
            angles[:, site] = np.arctan2(-x, -z)
        circuit = QuantumCircuit(sites)
        for site, angle in enumerate(ParameterVector("theta", sites)):
            circuit.ry(angle, site)
        energies = measure(Measurement(circuit, angles, strings, sums[:, None, :]))
        found = measure(Measurement(circuit, angles, strings, problem.observables.coefficients[None]))
        nothing, one = np.zeros(rows), np.ones(rows, dtype=np.int64)
        certificate = Certificate(nothing, nothing, nothing, one, one, nothing, nothing, nothing, one > 0)
        shots = energies.shots + found.shots
        start = Start({"angles": angles})
        return Solution(found.expectations, None, energies.expectations.values[:, 0], certificate, start, shots)
'''

JOBS_FILE = """
schema = 1
seed = 5
[network]
use = "transverse_ising:transverse_ising"
sites = 2
n_inputs = 2
[data]
use = "boolean:xor"
[solver]
use = "qeqprop_test_fields:Fields"
[device]
use = "statevector:Statevector"
shots = 20
[rule]
use = "nudging:SymmetricNudging"
beta = 0.3
[train]
steps = 2
"""


class Burnt(Exception):
    """The process is gone, as far as the run can tell."""


class Fuse:
    """Burns when the boundary between a run and its device has been crossed so many times more."""

    WHOLE = 10**9

    def __init__(self):
        self.left = self.WHOLE

    def __call__(self):
        self.left -= 1
        if self.left < 0:
            raise Burnt


def fused(experiment, fuse, asked):
    """The experiment on a device that burns the fuse and remembers what it was asked."""
    device = Fused(experiment.setup.device, asked, fuse)
    return dataclasses.replace(experiment, setup=dataclasses.replace(experiment.setup, device=device))


@dataclasses.dataclass(frozen=True)
class Fused:
    """A device that counts what it is asked, and whose process may end before or after it answers."""

    device: Statevector
    asked: list
    crossing: object

    @property
    def name(self):
        return self.device.name

    @property
    def reads_states(self):
        return self.device.reads_states

    def run(self, measurement, *, shots, key):
        self.crossing()
        self.asked.append(key)
        measured = self.device.run(measurement, shots=shots, key=key)
        self.crossing()
        return measured


@pytest.fixture
def with_jobs(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "qeqprop_test_fields", raising=False)
    (tmp_path / "qeqprop_test_fields.py").write_text(FIELDS)
    (tmp_path / "jobs.toml").write_text(JOBS_FILE)
    return Experiment.load(tmp_path / "jobs.toml")


def test_a_fuse_at_every_crossing(with_jobs, tmp_path, monkeypatch):
    """Wherever the process ends, the run goes on to the same bits, and no job that was answered is asked again."""
    crossing, asked = Fuse(), []

    def watched(method):
        def call(self, *arguments):
            crossing()
            result = method(self, *arguments)
            crossing()
            return result

        return call

    for part, name in ((JobTable, "begin_job"), (JobTable, "finish_job"), (Ledger, "append")):
        monkeypatch.setattr(part, name, watched(getattr(part, name)))
    experiment = fused(with_jobs, crossing, asked)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # no power cut here: only speed
    connect = ledger._connect

    def hasty(folder, *, create):
        connection = connect(folder, create=create)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    monkeypatch.setattr(ledger, "_connect", hasty)

    undisturbed = experiment.run(tmp_path / "undisturbed")
    wanted, keys = content(undisturbed.folder), list(asked)
    crossings = Fuse.WHOLE - crossing.left
    assert len(set(keys)) == len(keys) == 2 * 3 * 2  # steps x (free, nudged, test) x (energies, observables)
    assert crossings == 6 * len(keys) + 2 * 2
    for fuse in range(crossings):
        asked.clear()
        crossing.left = fuse
        with pytest.raises(Burnt):
            experiment.run(tmp_path / str(fuse))
        crossing.left = Fuse.WHOLE
        again = experiment.run(tmp_path / str(fuse))
        assert content(again.folder) == wanted
        assert again.theta.tobytes() == undisturbed.theta.tobytes()
        repeated = len(asked) - len(set(asked))
        assert set(asked) == set(keys)
        assert repeated == within_a_job(fuse)


def within_a_job(fuse):
    """Whether the fuse burns after the device was asked and before its answer was committed."""
    place = fuse % (6 * 6 + 2)
    return place < 36 and place % 6 in (3, 4)


def test_answers_come_from_the_ledger_and_another_question_stops_the_run(with_jobs, tmp_path, monkeypatch):
    crossing, asked = Fuse(), []
    crossing.left = 5
    experiment = fused(with_jobs, crossing, asked)
    with pytest.raises(Burnt):
        experiment.run(tmp_path)
    assert len(asked) == 3  # two are answered, the third is lost on its way back
    monkeypatch.setattr("qeqprop_test_fields.np.arctan2", lambda x, z: np.zeros_like(x))
    with pytest.raises(ReplayDiverged, match="Job 0 of step 1 asks something else"):
        with_jobs.run(tmp_path)


def test_jobs_are_counted_and_their_answers_dropped_when_the_step_is_done(with_jobs, tmp_path):
    result = with_jobs.run(tmp_path)
    with contextlib.closing(sqlite3.connect(result.folder / FILE_NAME)) as connection:
        jobs = connection.execute("SELECT step, call, shots, answer, tag FROM jobs ORDER BY step, call").fetchall()
    assert [job[:2] for job in jobs] == [(step, call) for step in (1, 2) for call in range(6)]
    assert sum(job[2] for job in jobs) == result.shots
    assert all(job[3] is None for job in jobs)
    assert len({job[4] for job in jobs}) == 12
    assert summary(result.folder)["jobs"] == 12


SEARCH = """
[solver.ansatz]
use = "hamiltonian_variational:hamiltonian_variational"
layers = 1
"""


@pytest.mark.filterwarnings("ignore::qeqprop.interfaces.PhysicsWarning")
def test_a_search_on_the_device_goes_on_in_its_middle(with_jobs, tmp_path):
    """A VQE asks for one job after the other; those that were answered are not asked again."""
    file = tmp_path / "search.toml"
    solver = 'use = "variational:Variational"\nangles = "device"\nmethod = "spsa"\niterations = 6'
    file.write_text(JOBS_FILE.replace('use = "qeqprop_test_fields:Fields"', solver) + SEARCH)
    search = Experiment.load(file, ["train.steps=1"])
    crossing, asked = Fuse(), []
    experiment = fused(search, crossing, asked)
    undisturbed = experiment.run(tmp_path / "undisturbed")
    wanted, crossings = list(asked), Fuse.WHOLE - crossing.left
    assert len(wanted) > 12
    for fuse in (3, crossings // 2, crossings - 2):
        asked.clear()
        crossing.left = fuse
        with pytest.raises(Burnt):
            experiment.run(tmp_path / str(fuse))
        crossing.left = Fuse.WHOLE
        again = experiment.run(tmp_path / str(fuse))
        assert again.theta.tobytes() == undisturbed.theta.tobytes()
        assert content(again.folder) == content(undisturbed.folder)
        assert len(asked) - len(wanted) == fuse % 2  # the job whose answer was lost on its way
        assert set(asked) == set(wanted)
