"""Samplers from elsewhere: by the protocol, and by dimod's interface."""

import importlib.util
import itertools
import random
import sys

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp
from typer.testing import CliRunner

import qeqprop
from qeqprop import losses
from qeqprop.classical.enumeration import Enumeration
from qeqprop.classical.external import Dimod, External
from qeqprop.classical.ising import layered_ising
from qeqprop.cli import app
from qeqprop.interfaces import Network
from qeqprop.rules.nudging import SymmetricNudging

NETWORK = layered_ising(n_inputs=2, hidden=(3,), n_outputs=2)
THETA = 0.6 * np.random.default_rng(0).normal(size=NETWORK.n_trainable)
CASE = (NETWORK, THETA, np.array([[0.3, -1.0], [1.0, 0.5]]), np.array([[1.0, -1.0], [-1.0, 1.0]]))


def drawn_from_all_states(couplings, fields, temperature, reads, key):
    """Every state with its Boltzmann weight."""
    states = np.array(list(itertools.product([1, -1], repeat=len(fields))))
    energies = np.einsum("sk,kl,sl->s", states, couplings, states) + states @ fields
    weights = np.exp(-(energies - energies.min()) / temperature)
    return states[np.random.default_rng(list(key)).choice(len(states), size=reads, p=weights / weights.sum())]


@pytest.mark.parametrize("rule", [None, SymmetricNudging(0.5)])
def test_a_function_is_a_sampler(rule):
    solver = External(drawn_from_all_states, temperature=0.9, reads=4000)
    found = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, rule=rule, solver=solver, seed=4)
    exact = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, rule=rule, solver=Enumeration(0.9))
    away = (found.values - exact.values) / found.std_errors
    assert np.all(np.abs(away) < 4)
    assert 0.5 < np.sqrt(np.mean(away**2)) < 1.5
    assert found.shots == 4000 * 2 * 3  # outputs; the response and its probe, or two nudged states
    again = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, rule=rule, solver=solver, seed=4)
    np.testing.assert_array_equal(found.values, again.values)


def test_what_is_no_sample_is_refused():
    where = (NETWORK, THETA, CASE[2])
    with pytest.raises(ValueError, match=r"`sampler\(\.\.\)` must have shape \(reads, n_sites\) = \(10, 5\)"):
        qeqprop.predict(*where, solver=External(lambda *_: np.ones((3, 5)), reads=10))
    with pytest.raises(ValueError, match="spins of \\+1 and -1"):
        qeqprop.predict(*where, solver=External(lambda *_: np.zeros((10, 5)), reads=10))
    three = Network.of(trainable=[SparsePauliOp("ZZZ")], outputs=[SparsePauliOp("IIZ")])
    with pytest.raises(ValueError, match="a string of 3"):
        qeqprop.predict(three, [1.0], np.zeros((1, 0)), solver=External(drawn_from_all_states))


def test_a_sampler_that_is_not_installed_says_what_to_install():
    with pytest.raises(ImportError, match=r"pip install 'qeqprop\[annealer\]'"):
        qeqprop.predict(NETWORK, THETA, CASE[2], solver=External(Dimod(use="no_such_package:Sampler")))


@pytest.mark.parametrize(
    ("package", "annealer", "reads"),
    [
        ("dwave.samplers", Dimod(options={"beta_range": [0.1, 1.0], "num_sweeps": 200}), 2000),
        (
            "dimod",
            Dimod("dimod:SimulatedAnnealingSampler", {"beta_range": [0.2, 1.0], "num_sweeps": 20}, seed_name=""),
            200,
        ),
    ],
)
def test_a_sampler_of_dimods_interface(package, annealer, reads):
    pytest.importorskip(package)
    random.seed(4)  # the sampler of dimod itself takes no seed
    solver = External(annealer, temperature=0.9, reads=reads)
    found = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, solver=solver, seed=4)
    exact = qeqprop.gradient(*CASE, loss=losses.mean_squared_error, solver=Enumeration(0.9))
    assert np.all(np.abs(found.values - exact.values) < 5 * found.std_errors + 0.01)


RUN_FILE = """
schema = 1
[network]
use = "qeqprop.classical.ising:layered_ising"
n_inputs = 2
hidden = [2]
[data]
use = "boolean:xor"
[solver]
use = "qeqprop.classical.external:External"
sampler = "qeqprop_test_coins:toss"
[train]
steps = 1
"""

COINS = """
import numpy as np
from dataclasses import dataclass

@dataclass(frozen=True)
class Coins:
    up: float = 0.5
    def __call__(self, couplings, fields, temperature, reads, key):
        return np.where(np.random.default_rng(list(key)).random((reads, len(fields))) < self.up, 1, -1)

def toss(couplings, fields, temperature, reads, key):
    return Coins()(couplings, fields, temperature, reads, key)
"""


def test_a_run_file_names_a_sampler_or_what_makes_one(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    (tmp_path / "qeqprop_test_coins.py").write_text(COINS)
    (tmp_path / "coins.toml").write_text(RUN_FILE)
    itself = qeqprop.Experiment.load(tmp_path / "coins.toml")
    made = qeqprop.Experiment.load(
        tmp_path / "coins.toml", ['solver.sampler={ use = "qeqprop_test_coins:Coins", up = 0.5 }']
    )
    assert itself.setup.resolved["solver"]["sampler"] == {"use": "qeqprop_test_coins:toss"}
    assert "qeqprop_test_coins" in itself.setup.versions  # the user's own code is part of what a run depends on
    np.testing.assert_array_equal(itself.run(tmp_path).theta, made.run(tmp_path).theta)


def test_the_command_says_what_to_install(tmp_path):
    pytest.importorskip("dimod")
    if importlib.util.find_spec("dwave") is not None:
        pytest.skip("dwave-samplers is installed")
    (tmp_path / "run.toml").write_text(RUN_FILE.replace("qeqprop_test_coins:toss", "qeqprop.classical.external:Dimod"))
    found = CliRunner().invoke(app, ["run", str(tmp_path / "run.toml"), "--folder", str(tmp_path)])
    assert found.exit_code == 2, found.output
    assert "pip install 'qeqprop[annealer]'" in found.output
    assert "Traceback" not in found.output
