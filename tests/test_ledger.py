"""The ledger: what is committed survives, what is not never happened, and nobody else writes into it."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from qiskit.circuit import Parameter, QuantumCircuit
from qiskit.quantum_info import PauliList

from qeqprop.interfaces import Canary, Expectations, Measured, Measurement
from qeqprop.ledger import FILE_NAME, SCHEMA_VERSION, LedgerError, Step, open_run, read_run, write_file
from qeqprop.recorded import Recorded, ReplayDiverged

RESOLVED = '{"schema":1}'
VERSIONS = {"numpy": "2"}


def step(number, **changes):
    generator = np.random.default_rng(number)
    content = {
        "step": number,
        "theta": generator.normal(size=5),
        "optimizer_state": {"mean": generator.normal(size=5), "count": np.array(number)},
        "loss": generator.normal(),
        "metrics": {"gap": generator.normal()},
        "shots": 100 * number,
    }
    return Step(**content | changes)


def opened(folder, resolved=RESOLVED):
    return open_run(folder, resolved=resolved, versions=VERSIONS, source="run.toml")


def assert_same(found, wanted):
    assert (found.step, found.shots, found.metrics) == (wanted.step, wanted.shots, dict(wanted.metrics))
    assert found.theta.tobytes() == wanted.theta.tobytes()
    assert found.theta.dtype == wanted.theta.dtype
    assert found.optimizer_state.keys() == wanted.optimizer_state.keys()
    for name, array in wanted.optimizer_state.items():
        assert found.optimizer_state[name].tobytes() == array.tobytes()
        assert found.optimizer_state[name].shape == array.shape
        assert found.optimizer_state[name].dtype == array.dtype


def test_a_step_comes_back_bit_by_bit(tmp_path):
    tiny = np.array([np.nextafter(0, 1), -0.0, 1e308, np.pi, 1 / 3])
    with opened(tmp_path) as ledger:
        assert ledger.last() is None
        ledger.append(step(1, theta=tiny))
    with opened(tmp_path) as ledger:
        assert_same(ledger.last(), step(1, theta=tiny))
        assert ledger.last().loss == step(1).loss
        assert ledger.versions == VERSIONS
        assert ledger.source == "run.toml"


def test_numbers_that_are_not_finite_come_back(tmp_path):
    with opened(tmp_path) as ledger:
        ledger.append(step(1, loss=math.nan, metrics={"gap": math.inf, "accuracy": math.nan}))
        last = ledger.last()
    assert math.isnan(last.loss)
    assert last.metrics["gap"] == math.inf
    assert math.isnan(last.metrics["accuracy"])


def test_history_has_equal_columns(tmp_path):
    with opened(tmp_path) as ledger:
        for number in (1, 2, 3):
            extra = {"accuracy": 0.5} if number == 2 else {}
            ledger.append(step(number, metrics={"gap": 1.0 * number} | extra))
        history = ledger.history()
    assert history["step"] == [1, 2, 3]
    assert history["gap"] == [1.0, 2.0, 3.0]
    assert history["shots"] == [100, 200, 300]
    np.testing.assert_array_equal(history["accuracy"], [np.nan, 0.5, np.nan])


@pytest.mark.parametrize("number", [0, 1, 3])
def test_steps_follow_each_other(tmp_path, number):
    with opened(tmp_path) as ledger:
        ledger.append(step(1))
        with pytest.raises(LedgerError, match=f"step {number} cannot follow step 1"):
            ledger.append(step(number))
        ledger.append(step(2))


def test_objects_are_refused_and_leave_no_trace(tmp_path):
    with opened(tmp_path) as ledger:
        ledger.append(step(1))
        with pytest.raises(ValueError, match="allow_pickle"):
            ledger.append(step(2, optimizer_state={"mean": np.array([{}], dtype=object)}))
        assert ledger.last().step == 1


def test_another_run_file_is_refused(tmp_path):
    with opened(tmp_path):
        pass
    with pytest.raises(LedgerError, match="belongs to another run file"), opened(tmp_path, '{"schema":1,"seed":2}'):
        pass


def test_another_schema_version_is_refused(tmp_path):
    with opened(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    for use in (opened, read_run):
        with pytest.raises(LedgerError, match=f"schema version {SCHEMA_VERSION + 1}"), use(tmp_path):
            pass


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / FILE_NAME).write_bytes(b"not a database, but long enough to be looked at " * 40)
    (tmp_path / "other").mkdir()
    connection = sqlite3.connect(tmp_path / "other" / FILE_NAME)
    connection.execute("CREATE TABLE birds (name TEXT)")
    connection.close()
    for folder, message in (("text", "not a ledger"), ("other", "another kind of database")):
        for use in (opened, read_run):
            with pytest.raises(LedgerError, match=message), use(tmp_path / folder):
                pass


def test_reading_needs_a_run_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for name, message in (("nothing", "no such folder"), ("file", "not a folder"), (".", "not a run folder")):
        with pytest.raises(LedgerError, match=message), read_run(tmp_path / name):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_one_writer_and_any_reader(tmp_path):
    with opened(tmp_path) as ledger:
        ledger.append(step(1))
        with pytest.raises(LedgerError, match="another process is working on this run"), opened(tmp_path):
            pass
        with read_run(tmp_path) as reader:
            assert reader.last().step == 1
        ledger.append(step(2))
    with opened(tmp_path) as ledger:
        assert ledger.last().step == 2


CHILD = """
import os, signal, sys
import numpy as np
from qeqprop import ledger
with ledger.open_run(sys.argv[1], resolved='{"schema":1}', versions={}) as book:
    book.append(ledger.Step(1, np.ones(3), {}, 0.5, {}, 0))
    print("open", flush=True)
    if sys.argv[2] == "wait":
        sys.stdin.read()
    book._connection.execute("PRAGMA cache_size = 1")  # spill, so that the half-written step is in the file
    book._connection.execute("BEGIN IMMEDIATE")
    for number in range(2, 200):
        book._connection.execute("INSERT INTO steps VALUES (?, ?, 0.0, '{}', 0)", (number, b"x" * 4000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_another_process_is_refused_until_it_dies(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "open\n"
        with pytest.raises(LedgerError, match="another process is working on this run"), opened(tmp_path):
            pass
        child.kill()
        child.wait()
    with opened(tmp_path) as ledger:
        assert ledger.last().step == 1


@pytest.mark.parametrize("use", [opened, read_run])
def test_an_uncommitted_step_never_happened(tmp_path, use):
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path), "die"]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    assert (tmp_path / f"{FILE_NAME}-journal").stat().st_size > 0  # it did die in the middle
    with use(tmp_path) as ledger:
        assert ledger.history()["step"] == [1]
        assert ledger.last().theta.tolist() == [1.0, 1.0, 1.0]


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    write_file(path, b"old")
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.npz"]


def test_a_ledger_of_version_1_gets_its_table_of_jobs(tmp_path):
    with opened(tmp_path) as ledger:
        ledger.append(step(1))
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("DROP TABLE jobs")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with opened(tmp_path) as ledger:
        assert_same(ledger.last(), step(1))
        assert ledger.jobs.find_job(0) is None
        ledger.jobs.begin_job(0, "what was asked")
        job = ledger.jobs.find_job(0)
        assert (job.content, job.answer, job.place) == ("what was asked", None, (2, 0, 0, 1))


@pytest.mark.parametrize("canary", [None, Canary(1.0, 0.75, 0.01)])
def test_answers_of_devices_come_back_bit_by_bit(tmp_path, canary):
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("theta_000"), 0)
    angles, strings = np.array([[0.1], [1 / 3]]), PauliList(["IZ", "XX"])
    question = Measurement(circuit, angles, strings, np.ones((1, 3, 2)))
    answer = Measured(Expectations(np.array([[1 / 3, -0.0, np.pi]] * 2), np.full((2, 3), 1e-300)), 77, canary)

    class Machine:
        name, reads_states = "a machine", False

        def run(self, measurement, *, shots, key):
            asked.append(key)
            return answer

    asked = []
    with opened(tmp_path) as ledger:
        Recorded(Machine(), ledger.jobs).run(question, shots=5, key=(1, 2))
    with opened(tmp_path) as ledger:
        again = Recorded(Machine(), ledger.jobs).run(question, shots=5, key=(1, 2))
        assert asked == [(1, 2)]
        assert again.expectations.values.tobytes() == answer.expectations.values.tobytes()
        assert again.expectations.std_errors.tobytes() == answer.expectations.std_errors.tobytes()
        assert (again.shots, again.canary is None) == (77, canary is None)
        wanted = {"jobs": 1} if canary is None else {"jobs": 1, "canary_ideal": 1.0, "canary_value": 0.75}
        assert ledger.jobs.summary() == wanted
    for changes in (
        {"parameters": angles + 1e-16},
        {"strings": PauliList(["IZ", "YX"])},
        {"weights": np.ones((1, 3, 2)) * 2},
        {"circuit": circuit.compose(circuit.inverse()).compose(circuit)},
    ):
        with opened(tmp_path) as ledger, pytest.raises(ReplayDiverged, match="Job 0 of step 1 asks something else"):
            Recorded(Machine(), ledger.jobs).run(replace(question, **changes), shots=5, key=(1, 2))
    for shots, key in ((6, (1, 2)), (5, (1, 3))):
        with opened(tmp_path) as ledger, pytest.raises(ReplayDiverged):
            Recorded(Machine(), ledger.jobs).run(question, shots=shots, key=key)
    assert asked == [(1, 2)]
