"""What is wrong with a run file of a classical network is said before anything runs, and what to write instead."""

import re
import sys

import pytest
from typer.testing import CliRunner

from qeqprop.classical.double_wells import double_wells
from qeqprop.classical.harmonic import harmonic
from qeqprop.classical.ising import layered_ising
from qeqprop.classical.layered import layered
from qeqprop.cli import app
from qeqprop.experiment import Experiment
from qeqprop.progress import WARNINGS_SHOWN
from qeqprop.runfile import RunFileError

WELLS = """
schema = 1
[network]
use = "qeqprop.classical.double_wells:double_wells"
[data]
use = "boolean:xor"
[solver]
use = "qeqprop.classical.langevin:Langevin"
[train]
steps = 1
"""

SAMPLES = """
import numpy as np
from qeqprop.interfaces import Dataset, Samples

def samples(kind: str) -> Dataset:
    x, y = np.array([[0.1, 1.0], [0.3, -1.0]]), np.array([[1.0], [-1.0]])
    good = Samples(x.copy(), y.copy())
    if kind == "nan":
        x[0, 0] = np.nan
    if kind == "flat":
        x = x[:, 0]
    if kind == "rows":
        y = y[:1]
    if kind == "lists":
        x = x.tolist()
    return Dataset(good, Samples(x, y)) if kind == "nan" else Dataset(Samples(x, y), good)
"""


def mistakes(tmp_path, monkeypatch, *overrides):
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    (tmp_path / "qeqprop_test_samples.py").write_text(SAMPLES)
    (tmp_path / "wells.toml").write_text(WELLS)
    with pytest.raises(RunFileError) as caught:
        Experiment.load(tmp_path / "wells.toml", overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('device={ use = "aer:Aer", shots = 10 }', "device: must be left out with the solver Langevin"),
        (
            'rule.use="holomorphic:Holomorphic"',
            "rule: Holomorphic asks for complex nudges, which Langevin cannot settle",
        ),
        ('solver.use="exact:Exact"', "but Exact settles Equilibria.* There are .*Relaxation"),
        ('solver.use="langevin:Langevin"', "did you mean 'qeqprop.classical.langevin:Langevin'"),
        ('solver.use="langevin"', "did you mean 'qeqprop.classical.langevin:Langevin'"),
        (
            'network={ use = "transverse_ising:transverse_ising", sites = 3, n_inputs = 2 }',
            "network: holds X or Y, but Gibbs knows spins along Z only: .*ising_of",
        ),
        ('network.use="double_wells"', "did you mean 'qeqprop.classical.double_wells:double_wells'"),
        ('solver.use="lang:Langevin"', r"there are: adiabatic, .*\); more of them are in qeqprop.classical"),
    ],
)
def test_the_message_says_what_to_write(tmp_path, monkeypatch, override, message):
    sampled = ['solver.use="qeqprop.classical.chains:Gibbs"'] if "Gibbs" in message else []
    found = mistakes(tmp_path, monkeypatch, override, *sampled)
    assert re.search(message, found), found
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "data: Argument `test.x` must be finite, but holds 1"),
        ("flat", "data: Argument `train.x` must have shape (n_samples, n_inputs) = (_, _), but has shape (2,)"),
        ("rows", "data: Argument `train.y` must have shape (n_samples, n_targets) = (2, _), but has shape (1, 1)"),
        ("lists", "data: must give arrays as train.x and train.y"),
    ],
)
def test_samples_are_tables_of_finite_numbers(tmp_path, monkeypatch, kind, message):
    found = mistakes(tmp_path, monkeypatch, f'data={{ use = "qeqprop_test_samples:samples", kind = "{kind}" }}')
    assert message in found


def test_a_classical_solver_counts_no_settings(tmp_path):
    (tmp_path / "wells.toml").write_text(WELLS)
    assert Experiment.load(tmp_path / "wells.toml").check().settings is None
    ising = WELLS.replace("langevin:Langevin", "chains:Gibbs")
    ising = ising.replace('double_wells:double_wells"', 'ising:layered_ising"\nn_inputs = 2')
    (tmp_path / "ising.toml").write_text(ising)
    found = Experiment.load(tmp_path / "ising.toml", ['rule.use="nudging:SymmetricNudging"']).check()
    assert found.strings > 0
    assert found.settings is None
    assert found.shift_settings is None


@pytest.mark.filterwarnings("always::qeqprop.interfaces.PhysicsWarning")
def test_a_classical_run_shows_no_gap_and_its_warnings_in_one_line_each(tmp_path):
    file = tmp_path / "wells.toml"
    file.write_text(WELLS)
    stiff = ["--set", "solver.samples=20", "--set", "solver.burn_in=0", "--set", "solver.temperature=0.05"]
    run = CliRunner().invoke(app, ["run", str(file), "--folder", str(tmp_path), *stiff])
    assert run.exit_code == 0, run.output
    (folder,) = tmp_path.glob("wells-*")
    shown = CliRunner().invoke(app, ["show", str(folder), "--no-pictures"])
    assert "gradient norm" in shown.output
    assert "nan" not in shown.output
    advised = CliRunner().invoke(app, ["advise", str(file), *stiff])
    assert advised.exit_code == 0, advised.output
    assert "warning: Solver Langevin" in advised.output
    assert "PhysicsWarning" not in advised.output
    assert advised.output.count("warning:") <= WARNINGS_SHOWN


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layered(layers=3), r"`layers` must be a list, but is 3: write \[3\]"),
        (lambda: layered_ising(hidden=3), r"`hidden` must be a list, but is 3: write \[3\]"),
        (lambda: double_wells(outputs=1), r"`outputs` must be a list, but is 1: write \[1\]"),
        (lambda: double_wells(edges=1), r"`edges` must be a list, but is 1: write \[1\]"),
        (lambda: harmonic(spring=float("nan")), "`spring` must be a finite number, but is nan"),
    ],
)
def test_networks_say_what_they_want(make, message):
    with pytest.raises(ValueError, match=message):
        make()
