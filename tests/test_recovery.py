"""A run that is killed again and again ends in the same bits as one that nobody disturbed."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from qeqprop.experiment import Experiment
from qeqprop.ledger import FILE_NAME

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
